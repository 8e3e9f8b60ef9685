//! `payinfra unlock`.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn nobody_holds_it() {
    let ended = Folder::new().run(&["unlock", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(0));
    assert_snapshot!(ended.transcript);
}
