//! What commands print can be reviewed, and a command whose output could not be written fails. Commands that need no account
//! are in `crates/payinfra/tests/cli`.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs::OpenOptions;

use payinfra_tests::{Bench, Outcome};
use serde_json::Value;

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

/// A first plan fits on a few pages, and its permissions can be reviewed before they exist.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_plan_can_be_reviewed() {
    let bench = Bench::new().await;
    let plan = |args: &[&str]| bench.run(&[&["plan", "--workspace", "migration"], args].concat()).expect(0).stdout;
    let short = plan(&[]);
    assert!(short.lines().count() <= 120, "{} lines:\n{short}", short.lines().count());

    let whole = plan(&["-v"]);
    let event: Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    let steps = event["steps"].as_array().unwrap();
    assert!(steps.len() > 200, "{}", steps.len());
    for step in steps {
        assert!(whole.contains(step["address"].as_str().unwrap()), "{step}");
    }
    // The policy of a role names buckets that do not exist yet.
    let role = "global/iam.role/ecs-task-us-east-1";
    let task = steps.iter().find(|step| step["address"] == role).unwrap();
    let inline = task["changes"].as_array().unwrap().iter().find(|change| change["path"] == "inline").unwrap();
    assert_eq!((&inline["known_after_apply"], inline.get("new")), (&Value::Bool(true), None));
    let partial = inline["partial"].to_string();
    assert!(partial.contains("s3:PutObject") && partial.contains(r#"{"$ref":"us-east-1/"#), "{partial}");
    assert!(
        whole.contains("‹us-east-1/") && whole.contains("s3:PutObject") && whole.contains("IAM changes:"),
        "{whole}"
    );
}
