//! `payinfra destroy`: errors before any call to AWS.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn unreachable_endpoint() {
    let folder = Folder::new();
    folder.write_state();
    let before = folder.state();
    let ended = folder.run(&["destroy", "--workspace", "migration", "--yes"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
    assert_eq!(folder.state(), before);
}
