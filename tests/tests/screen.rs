//! A command whose output could not be written fails. Commands that need no account are in `crates/payinfra/tests/cli`.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs::OpenOptions;

use payinfra_tests::{Bench, Outcome};

const FULL: &str = "stdout could not be written: No space left on device";

/// Runs a command of the workspace `legacy` with a full disk as its stdout.
fn full(bench: &Bench, args: &[&str]) -> Outcome {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = bench.command(&[args, &["--workspace", "legacy"]].concat());
    Outcome::from(command.stdout(full).output().unwrap())
}

#[track_caller]
fn fails(bench: &Bench, args: &[&str]) {
    let outcome = full(bench, args);
    assert!(outcome.code == Some(1) && outcome.stderr.contains(FULL), "{args:?}: {outcome:?}");
}

/// A full disk does not stop an apply, whose result is in the state.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_prints_fails_if_it_cannot() {
    let bench = Bench::new().await;
    for args in
        [&["plan"][..], &["plan", "--json"], &["plan", "--out", "saved.json"], &["apply", "--yes"], &["apply", "--yes"]]
    {
        fails(&bench, args);
    }
    assert!(bench.state("legacy")["resources"].as_object().unwrap().len() > 50);
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    for args in [
        &["plan"][..],
        &["drift"],
        &["drift", "--json"],
        &["sweep"],
        &["sweep", "--json"],
        &["traffic"],
        &["traffic", "--json"],
        &["failover"],
        &["failover", "--json"],
        &["history"],
        &["output", "--json"],
        &["state", "list"],
        &["state", "pull"],
        &["unlock"],
        &["rollback", "--to", "1", "--yes"],
        &["destroy", "--yes", "--accept-loss"],
    ] {
        fails(&bench, args);
    }
    assert!(bench.state("legacy")["resources"].as_object().unwrap().is_empty());
}

/// A reader that has seen enough, such as `head`, ends no command and is no failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_ends_quietly() {
    let bench = Bench::new().await;
    for args in [&["plan"][..], &["apply", "--yes"], &["plan", "--json"], &["drift"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = bench.command(&[args, &["--workspace", "legacy"]].concat());
        let outcome = Outcome::from(command.stdout(writer).output().unwrap());
        assert!(outcome.code == Some(0) && !outcome.stderr.contains("written"), "{args:?}: {outcome:?}");
    }
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
}

/// The apply is still shown as complete.
#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_cannot_be_written_are_a_failure() {
    let bench = Bench::new().await;
    let apply = ["apply", "--workspace", "legacy", "--yes", "--outputs-file", "payinfra.toml/outputs.json"];
    for done in ["Done in", "No changes."] {
        let outcome = bench.run(&apply).expect(1);
        assert!(outcome.stdout.contains(done), "{outcome:?}");
        assert!(outcome.stderr.contains("its outputs are in the state, but not in the file"), "{outcome:?}");
    }
}
