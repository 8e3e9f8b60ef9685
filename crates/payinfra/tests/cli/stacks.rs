//! Mistakes about stacks: every command fails with the place and the fix, before any call, and writes nothing.

use std::ffi::OsString;
use std::process::Command;

use payinfra_stacks::Migration;

use crate::support::{Folder, SOUND};

/// Commands that read the configuration, with what they need to run without questions.
const COMMANDS: [&[&str]; 10] = [
    &["validate"],
    &["plan"],
    &["apply", "--yes"],
    &["destroy", "--yes", "--accept-loss"],
    &["drift"],
    &["sweep", "--delete", "--yes"],
    &["graph"],
    &["output"],
    &["import", "us-east-1/ec2.vpc/main", "vpc-1"],
    &["init", "--yes"],
];

/// Set where a test runs itself as a program whose stacks have one name.
const TWICE: &str = "TEST_TWO_STACKS_OF_ONE_NAME";

/// Checks that all commands refuse this configuration, and say all of `expected` once. AWS does not respond: a command
/// that gets as far as a call says something else.
#[track_caller]
fn refused(configuration: &str, expected: &[&str]) {
    for command in COMMANDS {
        let folder = Folder::with(configuration);
        let ended = folder.run(&[command, &["--workspace", "migration"]].concat());
        assert_eq!(ended.code, Some(1), "{command:?}: {}", ended.transcript);
        for part in expected {
            assert_eq!(ended.stderr.matches(part).count(), 1, "{command:?}: {part}: {}", ended.transcript);
        }
        assert!(!ended.stderr.contains("AWS cannot be reached"), "{command:?}: {}", ended.transcript);
        let names: Vec<_> = folder.path("").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["payinfra.toml"], "{command:?} wrote something");
    }
}

fn changed(old: &str, new: &str) -> String {
    assert!(SOUND.contains(old), "{old}");
    SOUND.replacen(old, new, 1)
}

#[test]
fn a_stack_that_the_program_does_not_have() {
    let configuration = changed("stack = \"migration\"", "stack = \"banking\"");
    refused(
        &configuration,
        &[
            "payinfra.toml:1:9",
            "unknown stack `banking`",
            "available stacks: global-payments, graph, migration, peered-payments, trading",
        ],
    );
}

#[test]
fn variables_of_another_stack() {
    let configuration = changed("project = \"payments\"", "project = \"payments\"\nfile = \"graph.json\"");
    refused(&configuration, &["payinfra.toml:8:1", "unknown field `file`", "available: `alarms`"]);
    let configuration = changed("stack = \"migration\"", "stack = \"graph\"");
    refused(&configuration, &["payinfra.toml:9:1", "unknown field `cutover`", "payinfra.toml:10:1"]);
}

#[test]
fn a_variable_of_the_wrong_type() {
    let configuration = changed("service.auth = \"none\"", "service = { auth = \"none\", cpu = \"many\" }");
    let place = "payinfra.toml:10:34";
    refused(&configuration, &[place, "invalid type: string \"many\"", "`payinfra schema` prints the schema"]);
}

#[test]
fn two_stacks_of_one_name() {
    if std::env::var_os(TWICE).is_some() {
        // The program under test: its command line is that of `validate`.
        let arguments = ["payinfra", "validate"].map(OsString::from);
        std::process::exit(payinfra::run(&[&Migration, &Migration], arguments).into());
    }
    let folder = Folder::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "stacks::two_stacks_of_one_name", "--nocapture"]).env(TWICE, "1");
    let output = command.current_dir(folder.path("")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("two stacks of this program have the name `migration`"), "{said}");
    assert!(said.contains("rename one of them: the name is part of states and tags"), "{said}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("valid:"), "nothing was checked");
}
