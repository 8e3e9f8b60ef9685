//! `payinfra traffic`.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn unreachable_endpoint() {
    let ended = Folder::new().run(&["traffic", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

/// Mistakes in the arguments are found before any call.
#[test]
fn m26_wrong_arguments() {
    for (arguments, told) in [
        (&["--weights", "us-east-1=101"][..], "`101` is not a percentage from 0 to 100"),
        (&["--weights", "us-east-1"], "write REGION=N, such as us-east-1=75"),
        (&["--weights", "us-east-1=100", "--every", "60"], "`60` is not a duration"),
        (&["--weights", "us-east-1=100", "--step", "0"], "0 is not in 1..=100"),
        (&["--weights", "us-east-1=100", "--gate", "ftp:nowhere"], "write alarm:NAME@REGION"),
        (&["--weights", "us-east-1=100", "--gate", "metric:Errors@us-east-1"], "write metric:NAMESPACE/NAME"),
        (&["--weights", "us-east-1=100", "--resume"], "cannot be used with"),
        (&["--resume", "--every", "5m"], "cannot be used with"),
        (&["--abort", "--step", "5"], "cannot be used with"),
        (&["--resume", "--abort"], "cannot be used with"),
    ] {
        let ended = Folder::new().run(&[&["traffic", "--workspace", "migration"], arguments].concat());
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.transcript);
        assert!(ended.transcript.contains(told), "`{told}` is not in:\n{}", ended.transcript);
    }
}
