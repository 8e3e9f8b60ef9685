//! `payinfra rollback`: errors before any call to AWS. `tests/tests/rollback.rs` applies it.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn unreachable_endpoint() {
    let folder = Folder::new();
    folder.write_state();
    let before = folder.state();
    let ended = folder.run(&["rollback", "--workspace", "migration", "--to", "3", "--yes"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
    assert_eq!(folder.state(), before);
}

#[test]
fn a_plan_needs_no_confirmation() {
    let ended = Folder::new().run(&["rollback", "--workspace", "migration", "--plan", "--yes"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}
