//! `payinfra drift`: a failure exits with 1, not 2, so that CI can distinguish it from drift.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn unreachable_endpoint() {
    let ended = Folder::new().run(&["drift", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}
