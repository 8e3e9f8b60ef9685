//! `payinfra deploy`.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn unreachable_endpoint() {
    let ended = Folder::new().run(&["deploy", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

/// Mistakes in the arguments are found before any call.
#[test]
fn m17_wrong_arguments() {
    for (arguments, told) in [
        (&["--image", "pay ments:1"][..], "`pay ments:1` is not a container image"),
        (&["--image", "payments:1", "--step", "0"], "0 is not in 1..=100"),
        (&["--image", "payments:1", "--every", "60"], "`60` is not a duration"),
        (&["--image", "payments:1", "--bake", "long"], "`long` is not a duration"),
        (&["--image", "payments:1", "--gate", "ftp:nowhere"], "write alarm:NAME@REGION"),
        (&["--image", "payments:1", "--gate", "targets:green"], "the ARN of a target group"),
        (&["--image", "payments:1", "--samples", "0"], "number would be zero"),
        (&["--image", "payments:1", "--resume"], "cannot be used with"),
        (&["--resume", "--bake", "5m"], "cannot be used with"),
        (&["--abort", "--step", "5"], "cannot be used with"),
        (&["--resume", "--abort"], "cannot be used with"),
        (&["--step", "5"], "--image <IMAGE>"),
        (&["--service", "service"], "--image <IMAGE>"),
    ] {
        let ended = Folder::new().run(&[&["deploy", "--workspace", "migration"], arguments].concat());
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.transcript);
        assert!(ended.transcript.contains(told), "`{told}` is not in:\n{}", ended.transcript);
    }
}
