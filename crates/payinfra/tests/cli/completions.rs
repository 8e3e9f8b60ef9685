//! `payinfra completions`, and the command line as a whole.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn every_shell_gets_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = Folder::new().run(&["completions", shell]);
        assert_eq!(ended.code, Some(0), "{}", ended.transcript);
        for entry in payinfra::COMMANDS {
            assert!(ended.stdout.contains(entry.name), "{shell} lacks {}", entry.name);
        }
    }
}

#[test]
fn help() {
    assert_snapshot!(Folder::new().run(&["--help"]).transcript);
}

#[test]
fn unknown_command() {
    let ended = Folder::new().run(&["aply"]);
    assert_eq!(ended.code, Some(1), "2 would mean changes");
    assert_snapshot!(ended.transcript);
}
