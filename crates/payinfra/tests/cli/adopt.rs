//! `payinfra adopt`: errors before any call to AWS.

use crate::support::Folder;

#[test]
fn the_lineage_has_to_be_named() {
    let ended = Folder::new().run(&["adopt", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--lineage <ID>"), "{}", ended.stderr);
}
