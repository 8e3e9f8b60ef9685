//! Nothing is done that was not agreed to: saved plans are derived again, and losses of data are agreed to by name.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use payinfra_tests::Bench;
use serde_json::{Value, json};

const PLAN: [&str; 5] = ["plan", "--workspace", "legacy", "--out", "saved.json"];
const SAVED: [&str; 5] = ["apply", "--workspace", "legacy", "--yes", "saved.json"];

/// The plan file with `value` for the member `name` of the step at `address`.
fn forge(bench: &Bench, address: &str, name: &str, value: Value) {
    let mut plan: Value = serde_json::from_slice(&fs::read(bench.file("saved.json")).unwrap()).unwrap();
    plan["steps"][address][name] = value;
    fs::write(bench.file("saved.json"), plan.to_string()).unwrap();
}

/// A file that says something else than what is derived is refused with the difference, and so is a file that others
/// could have written; the plan as it was saved is applied, after a question.
#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_applied_only_as_it_is_derived_again() {
    let bench = Bench::new().await;
    let vpc = "us-east-1/ec2.vpc/main";
    bench.run(&PLAN).ok();
    let sound = fs::read(bench.file("saved.json")).unwrap();
    assert_eq!(fs::metadata(bench.file("saved.json")).unwrap().permissions().mode() & 0o777, 0o600);
    forge(&bench, vpc, "action", json!("keep"));
    let refused = bench.run(&SAVED).expect(1);
    for told in [vpc, "the file says action = \"keep\"", "action = \"create\""] {
        assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
    }
    fs::write(bench.file("saved.json"), &sound).unwrap();
    fs::set_permissions(bench.file("saved.json"), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("can be written by other users"));
    fs::rename(bench.file("saved.json"), bench.file("elsewhere.json")).unwrap();
    symlink(bench.file("elsewhere.json"), bench.file("saved.json")).unwrap();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("is not a regular file"));
    fs::remove_file(bench.file("saved.json")).unwrap();
    fs::create_dir(bench.file("saved.json")).unwrap();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("is not a regular file"));
    fs::remove_dir(bench.file("saved.json")).unwrap();
    fs::File::create(bench.file("saved.json")).unwrap().set_len(1 << 30).unwrap();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("is too large"));
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());

    fs::write(bench.file("saved.json"), &sound).unwrap();
    fs::set_permissions(bench.file("saved.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let asked = bench.run(&["apply", "--workspace", "legacy", "saved.json"]).expect(1);
    assert!(asked.stdout.contains("Plan:") && asked.stderr.contains("nobody is here"), "{asked:?}");
    bench.run(&SAVED).ok();
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("the plan was made on serial 0"));
}

/// `--yes` does not agree to the loss of data; it has to be named.
#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_that_loses_data_has_to_be_agreed_to() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "migration", "--yes"]).ok();
    bench.aws.clear_calls();
    let destroy = ["destroy", "--workspace", "migration", "--yes"];
    let refused = bench.run(&destroy).expect(1);
    assert!(refused.stdout.starts_with("This destroys data:"), "it comes first: {}", refused.stdout);
    assert!(refused.stderr.contains("--accept-loss="), "{}", refused.stderr);
    let one = [&destroy[..], &["--accept-loss=us-east-1/ec2.vpc/main"]].concat();
    assert!(bench.run(&one).expect(1).stderr.contains("--accept-loss="), "another address does not cover it");
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
    bench.run(&[&destroy[..], &["--accept-loss"]].concat()).ok();
}

/// The first apply on AWS goes to an account that the configuration names, or to none.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_apply_in_an_account_that_nobody_named_is_refused() {
    let bench = Bench::new().await;
    bench.configure(&bench.configuration().replacen("[state]\n", "[state]\npath = \"kept\"\n", 1));
    let mut command = bench.command(&["apply", "--workspace", "legacy", "--yes"]);
    // Endpoints of single services are no emulated AWS; whatever else is called goes nowhere.
    command.env_remove("AWS_ENDPOINT_URL").env("HTTPS_PROXY", "http://127.0.0.1:1");
    command.env("AWS_ENDPOINT_URL_STS", bench.aws.endpoint()).env("AWS_ENDPOINT_URL_IAM", bench.aws.endpoint());
    let refused = payinfra_tests::Outcome::from(command.output().unwrap()).expect(1);
    assert!(refused.stderr.contains("account_ids = [\"123456789012\"]"), "{}", refused.stderr);
    let called: Vec<_> = bench.aws.calls().into_iter().map(|call| call.action).collect();
    assert_eq!(called, ["GetCallerIdentity", "ListAccountAliases"]);
    assert!(!bench.file("kept").join("migration").exists(), "nothing was written");
}
