//! `payinfra import`: errors before any call to AWS.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn not_an_address() {
    let ended = Folder::new().run(&["import", "vpc-1", "vpc-1", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}
