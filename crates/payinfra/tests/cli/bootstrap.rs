//! `payinfra bootstrap`.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn a_folder_needs_nothing() {
    let ended = Folder::new().run(&["bootstrap"]);
    assert_eq!(ended.code, Some(0));
    assert_snapshot!(ended.transcript);
}

#[test]
fn unreachable_endpoint() {
    let ended = Folder::changed("path = \"kept\"", "").run(&["bootstrap"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}
