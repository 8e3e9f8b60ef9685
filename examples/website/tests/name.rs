//! The program has its own name in help, hints, events and completions, and keeps the names of files, variables and tags.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

/// The output of the program in a folder whose state is a folder too, without access to AWS.
fn run(arguments: &[&str]) -> Output {
    run_with(include_str!("../payinfra.toml"), arguments)
}

fn run_with(configuration: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("payinfra.toml"), format!("{configuration}\n[state]\npath = \"kept\"\n")).unwrap();
    fs::write(folder.path().join("broken.plan"), "{ \"format\": 1, ").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_website"));
    command.args(arguments).current_dir(folder.path());
    command
        .env_remove("PAYINFRA_WORKSPACE")
        .env_remove("PAYINFRA_CONFIG")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Checks that `text` does not name the program `payinfra`.
#[track_caller]
fn is_own(text: &str) {
    // Shells escape the colon.
    let rest = text.replace("payinfra.toml", "").replace("payinfra:lineage", "").replace("payinfra\\:lineage", "");
    assert!(!rest.contains("payinfra"), "{text}");
}

/// What a failed command says, on one line.
#[track_caller]
fn failure(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn help_and_usage() {
    let help = text(&run(&["--help"]).stdout);
    assert!(help.contains("Usage: website [OPTIONS] <COMMAND>"), "{help}");
    is_own(&help);
    for entry in payinfra::COMMANDS {
        let help = text(&run(&[entry.name, "--help"]).stdout);
        assert!(help.contains(&format!("Usage: website {} ", entry.name)), "{help}");
        is_own(&help);
    }
    let usage = failure(&run(&["aply"]));
    assert!(usage.contains("Usage: website [OPTIONS] <COMMAND>"), "{usage}");
    let version = text(&run(&["--version"]).stdout);
    assert_eq!(version, format!("website (payinfra {})\n", env!("CARGO_PKG_VERSION")), "the version is payinfra's");
}

#[test]
fn hints_of_the_command_line_and_of_the_engine() {
    let of_state = failure(&run(&["state", "show", "us-east-1/ec2.vpc/main"]));
    assert!(of_state.contains("list the addresses with `website state list`"), "{of_state}");
    let of_plan = failure(&run(&["apply", "broken.plan"]));
    assert!(of_plan.contains("create it again with `website plan --out`"), "{of_plan}");
}

#[test]
fn hints_at_a_place_in_the_configuration_which_stays_as_it_is() {
    let wrong = include_str!("../payinfra.toml").replace("\"codebuild.amazonaws.com\"", "1 # `payinfra apply`");
    let said = failure(&run_with(&wrong, &["validate"]));
    assert!(said.contains("`website schema` prints the schema of this file"), "{said}");
    assert!(said.contains("publisher = 1 # `payinfra apply`"), "{said}");
}

#[test]
fn hints_in_events() {
    let output = run(&["apply", "--json", "broken.plan"]);
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(event["help"], "create it again with `website plan --out`");
}

#[test]
fn completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = text(&run(&["completions", shell]).stdout);
        assert!(script.contains("website"), "{shell}: {script}");
        is_own(&script);
    }
}

#[test]
fn a_new_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payinfra.toml");
    let run = |command: &str| Command::new(env!("CARGO_BIN_EXE_website")).arg(command).current_dir(&folder).output();
    let created = run("init").unwrap();
    assert_eq!(created.status.code(), Some(0), "{}", text(&created.stderr));
    let created = text(&created.stdout);
    assert!(created.contains("Set `publisher` in it, check it with `website validate`"), "{created}");
    let configuration = fs::read_to_string(&file).unwrap();
    assert!(configuration.contains("`website init` adds the current account"), "{configuration}");
    for line in ["stack = \"website\"", "# publisher = \"\"", "# objects = 10000", "# megabytes = 1000"] {
        assert!(configuration.lines().any(|it| it == line), "{line}: {configuration}");
    }
    let filled = configuration.replace("# publisher = \"\"", "publisher = \"codebuild.amazonaws.com\"");
    fs::write(&file, filled).unwrap();
    let valid = run("validate").unwrap();
    assert_eq!(valid.status.code(), Some(0), "{}", text(&valid.stderr));
}
