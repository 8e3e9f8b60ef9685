//! Every command that prints fails if stdout cannot be written, except to a reader that has gone. Commands that need an
//! account are in `tests/tests/stdout.rs`.

use std::fs::OpenOptions;
use std::process::Stdio;

use crate::history;
use crate::support::Ended;

/// Command lines that print something, sorted by command.
const PRINT: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["apply", "--help"],
    &["bootstrap"],
    &["completions", "bash"],
    &["completions", "zsh"],
    &["graph", "--format", "dot"],
    &["graph", "--format", "json"],
    &["graph", "--format", "mermaid"],
    &["history"],
    &["history", "diff", "2", "3"],
    &["history", "show", "3"],
    &["history", "show", "3", "--json"],
    &["init", "--stack", "graph", "--config", "new.toml"],
    &["new", "shop", "--path", concat!(env!("CARGO_MANIFEST_DIR"), "/../..")],
    &["output"],
    &["output", "--json"],
    &["output", "vpc_id"],
    &["permissions"],
    &["permissions", "--part", "1"],
    &["phase"],
    &["phase", "--json"],
    &["schema"],
    &["schema", "--events"],
    &["schema", "--graph"],
    &["schema", "--kind", "ec2.vpc"],
    &["schema", "--state"],
    &["state", "history"],
    &["state", "list"],
    &["state", "pull"],
    &["state", "show", "us-east-1/ec2.vpc/main"],
    &["unlock"],
    &["validate"],
    &["validate", "--json"],
    &["workspace", "list"],
    &["workspace", "show"],
];

/// Commands that need an account.
const WITH_AN_ACCOUNT: &[&str] =
    &["adopt", "apply", "deploy", "destroy", "drift", "failover", "import", "plan", "rollback", "sweep", "traffic"];

fn run(arguments: &[&str], stdout: Stdio) -> Ended {
    let folder = history::folder();
    let mut command = folder.command(arguments);
    command.env("PAYINFRA_WORKSPACE", "migration").stdout(stdout);
    Ended::of(&mut command, &folder.path("."))
}

#[test]
fn every_command_is_tried() {
    let tried = |name: &str| PRINT.iter().any(|line| line[0] == name && !line.contains(&"--help"));
    for entry in payinfra::COMMANDS {
        assert_ne!(tried(entry.name), WITH_AN_ACCOUNT.contains(&entry.name), "{}", entry.name);
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    for arguments in PRINT {
        let expected = run(arguments, Stdio::piped());
        assert_eq!(expected.code, Some(0), "{arguments:?}:\n{}", expected.transcript);
        assert!(!expected.stdout.is_empty(), "{arguments:?} prints nothing");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = run(arguments, full.into());
        assert_eq!(ended.code, Some(1), "{arguments:?}:\n{}", ended.transcript);
        let told = "stdout could not be written: No space left on device";
        assert!(ended.stderr.contains(told), "{arguments:?}:\n{}", ended.transcript);
    }
}

#[test]
fn a_reader_that_has_gone_is_none() {
    for arguments in PRINT {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run(arguments, writer.into());
        assert_eq!(ended.code, Some(0), "{arguments:?}:\n{}", ended.transcript);
        assert!(!ended.stderr.contains("written") && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}
