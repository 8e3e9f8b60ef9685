//! `payinfra sweep`: a failure exits with 1, not 2, so that CI can distinguish it from orphans.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn unreachable_endpoint() {
    let ended = Folder::new().run(&["sweep", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn yes_goes_with_delete() {
    let ended = Folder::new().run(&["sweep", "--workspace", "migration", "--yes"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}
