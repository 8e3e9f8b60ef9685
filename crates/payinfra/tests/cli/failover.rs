//! `payinfra failover`.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn unreachable_endpoint() {
    let ended = Folder::new().run(&["failover", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

/// Mistakes in the arguments are found before any call.
#[test]
fn m11_wrong_arguments() {
    for (arguments, told) in [
        (&["--unplanned"][..], "--to <REGION>"),
        (&["--back", "--unplanned"], "cannot be used with"),
        (&["--to", "us-east-2", "--back"], "cannot be used with"),
        (&["--to", "us-east-2", "--resume"], "cannot be used with"),
        (&["--to", "us-east-2", "--unplanned", "--gate", "replication"], "cannot be used with"),
        (&["--to", "us-east-2", "--gate", "replication:soon"], "`soon` is not a duration"),
        (&["--to", "us-east-2", "--timeout", "15"], "`15` is not a duration"),
        (&["--resume", "--keep-traffic"], "cannot be used with"),
        (&["--resume", "--abort"], "cannot be used with"),
    ] {
        let ended = Folder::new().run(&[&["failover", "--workspace", "migration"], arguments].concat());
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.transcript);
        assert!(ended.transcript.contains(told), "`{told}` is not in:\n{}", ended.transcript);
    }
}
