//! Invalid input that is only detected with an account: exit 1, one message with the place and a hint, and neither the
//! account nor the state is changed. Errors that need no account are in `crates/payinfra/tests/cli`.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

use payinfra_tests::{Bench, Outcome};
use serde_json::{Value, json};

const BUCKET: &str = "payinfra-state-123456789012";
const KEY: &str = "migration/legacy/state.json";
const PLAN: [&str; 3] = ["plan", "--workspace", "legacy"];
const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];

/// Checks that the command ends with 1 and one message that contains all of `told`, and that nothing has changed.
#[track_caller]
fn refused(bench: &Bench, args: &[&str], told: &[&str]) {
    refuses(bench, bench.command(args), told);
}

#[track_caller]
fn refuses(bench: &Bench, mut command: Command, told: &[&str]) {
    bench.aws.clear_calls();
    let outcome = Outcome::from(command.output().unwrap()).expect(1);
    let stderr = &outcome.stderr;
    for told in told {
        assert!(stderr.contains(told), "`{told}` is not in:\n{stderr}");
    }
    assert_eq!(stderr.matches("help:").count(), 1, "one message with one hint:\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    let changed: Vec<_> = bench.aws.calls().into_iter().filter(|call| call.mutating).collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

/// Replaces the state with this.
async fn put_state(bench: &Bench, bytes: impl Into<Vec<u8>>) {
    bench.s3("us-east-1").put_object().bucket(BUCKET).key(KEY).body(bytes.into().into()).send().await.unwrap();
}

/// A bench with `legacy` applied, and its state.
async fn applied() -> (Bench, Value) {
    let bench = Bench::new().await;
    bench.run(&APPLY).ok();
    let state = bench.state("legacy");
    (bench, state)
}

/// Saves a plan of `legacy`.
fn saved(bench: &Bench) -> Value {
    bench.run(&["plan", "--workspace", "legacy", "--out", "saved.json"]).ok();
    serde_json::from_slice(&std::fs::read(bench.file("saved.json")).unwrap()).unwrap()
}

fn apply_saved(bench: &Bench, told: &[&str]) {
    refused(bench, &["apply", "--workspace", "legacy", "--yes", "saved.json"], told);
}

/// The state or resources that a plan was created from have changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_refused_when_something_was_applied_since() {
    let bench = Bench::new().await;
    saved(&bench);
    bench.run(&APPLY).ok();
    apply_saved(&bench, &["it was created from serial 0, but the state now has serial 1", "payinfra plan --out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_refused_when_the_configuration_has_changed_since() {
    let bench = Bench::new().await;
    saved(&bench);
    bench.configure(&bench.configuration().replace("nat = \"per-zone\"", "nat = \"single\""));
    apply_saved(
        &bench,
        &["the declaration of us-east-1/ec2.eip/nat-2 differs from the saved plan", "payinfra plan --out"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_refused_when_it_is_not_whole_or_not_of_here() {
    let bench = Bench::new().await;
    let plan = saved(&bench);
    let text = plan.to_string();

    std::fs::write(bench.file("saved.json"), &text[..text.len() / 2]).unwrap();
    apply_saved(&bench, &["saved.json: the plan file is incomplete or corrupt", "payinfra plan --out"]);

    let changed = |key: &str, value: Value| {
        let mut plan = plan.clone();
        plan[key] = value;
        std::fs::write(bench.file("saved.json"), plan.to_string()).unwrap();
    };
    changed("account", "210987654321".into());
    apply_saved(&bench, &["account 210987654321", "123456789012", "use the credentials of the plan's account"]);

    changed("format", 99.into());
    apply_saved(&bench, &["saved.json: the plan has format 99", "payinfra plan --out"]);

    changed("account", plan["account"].clone());
    let args = ["apply", "--workspace", "migration", "--yes", "saved.json"];
    refused(&bench, &args, &["workspace legacy of migration, not for workspace migration", "--workspace"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_refused_that_is_not_whole_not_known_or_not_ours() {
    let (bench, state) = applied().await;
    let text = state.to_string();
    let with = |key: &str, value: Value| {
        let mut state = state.clone();
        state[key] = value;
        state.to_string()
    };
    let cases = [
        (
            text[..text.len() / 2].to_owned(),
            ["the state is truncated", "restore an earlier version of the state object"],
        ),
        (String::new(), ["the state is truncated", "restore an earlier version of the state object"]),
        (with("format", 99.into()), ["the state has format 99", "use the version of payinfra that wrote it"]),
        (with("stack", "trading".into()), ["belongs to stack `trading`, not to `migration`", "check `[state]`"]),
        (with("workspace", "other".into()), ["belongs to workspace `other`, not to `legacy`", "check `[state]`"]),
        (with("account", "210987654321".into()), ["belongs to account `210987654321`", "and the credentials"]),
    ];
    for (broken, told) in cases {
        put_state(&bench, broken).await;
        for args in [
            &PLAN[..],
            &APPLY,
            &["destroy", "--workspace", "legacy", "--yes", "--accept-loss"],
            &["drift", "-w", "legacy"],
        ] {
            refused(&bench, args, &told);
        }
    }
    put_state(&bench, text).await;
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
}

/// A state may contain kinds that this version does not support: they are an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_in_the_state_that_nobody_knows_is_refused() {
    let (bench, mut state) = applied().await;
    let record = json!({ "generation": 1, "id": "tea-1", "args": {}, "outputs": {}, "depends": [] });
    state["resources"]["us-east-1/ec2.teapot/kettle"] = record;
    put_state(&bench, state.to_string()).await;
    for args in [&PLAN[..], &APPLY] {
        refused(&bench, args, &["us-east-1/ec2.teapot/kettle", "payinfra"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_another_account_are_refused() {
    let (bench, _) = applied().await;
    let wrong = "[aws]\naccount_ids = [\"210987654321\"]";
    bench.configure(&bench.configuration().replacen("[aws]", wrong, 1));
    for args in [&PLAN[..], &APPLY, &["destroy", "--workspace", "legacy", "--yes", "--accept-loss"], &["bootstrap"]] {
        refused(&bench, args, &["account 123456789012", "allows only 210987654321", "AWS_PROFILE"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_nothing_begins() {
    let bench = Bench::new().await;
    let mut command = bench.command(&APPLY);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    refuses(&bench, command, &["credentials", "AWS_PROFILE"]);
    assert!(bench.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_answer_is_named() {
    let bench = Bench::new().await;
    let mut command = bench.command(&APPLY);
    // Port 1 is reserved, and no server listens on it.
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    refuses(&bench, command, &["AWS cannot be reached at http://127.0.0.1:1", "check the network"]);
}

/// Before `payinfra bootstrap`, the state cannot be stored anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_bucket_for_the_state_bootstrap_is_named() {
    let bench = Bench::new().await;
    bench.aws.reset().await.unwrap();
    for args in [&PLAN[..], &APPLY, &["drift", "-w", "legacy"], &["output", "-w", "legacy"]] {
        refused(&bench, args, &[&format!("state bucket `{BUCKET}` not found"), "payinfra bootstrap"]);
    }
}

/// The bucket exists, but not the lock table: an error before any change.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_table_for_the_lock_bootstrap_is_named() {
    let bench = Bench::new().await;
    let dynamo = aws_sdk_dynamodb::Client::new(&bench.sdk("us-east-1"));
    let unprotected = dynamo.update_table().table_name("payinfra-locks").deletion_protection_enabled(false);
    unprotected.send().await.unwrap();
    dynamo.delete_table().table_name("payinfra-locks").send().await.unwrap();
    let before = bench.inventory().await;
    let outcome = bench.run(&APPLY).expect(1);
    for told in ["payinfra-locks", "payinfra bootstrap"] {
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    assert_eq!(bench.inventory().await, before);
}

/// M-01: an undeclared workspace is rejected with the list of declared ones.
#[tokio::test(flavor = "multi_thread")]
async fn m01_a_workspace_that_is_not_declared_is_refused_with_those_that_are() {
    let bench = Bench::new().await;
    for args in [&["plan", "-w", "staging"][..], &["apply", "-w", "staging", "--yes"], &["destroy", "-w", "staging"]] {
        refused(&bench, args, &["staging", "legacy, live, migration, production"]);
        assert!(bench.aws.calls().is_empty(), "no call is necessary");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_knows_is_shown_in_its_place() {
    let bench = Bench::new().await;
    bench.configure(&bench.configuration().replace("nat = ", "nta = "));
    bench.aws.clear_calls();
    let outcome = bench.run(&APPLY).expect(1);
    for told in ["payinfra.toml:", "unknown field `nta`", "`nat`", "nta = \"per-zone\""] {
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
    }
    assert!(bench.aws.calls().is_empty());
}

/// an overlap with the legacy network is an error before any call.
#[tokio::test(flavor = "multi_thread")]
async fn x08_a_block_that_overlaps_the_legacy_network_is_refused_before_any_call() {
    let bench = Bench::new().await;
    let legacy = "\n[workspaces.legacy.legacy_network]\ncidrs = [\"10.0.128.0/20\"]\n";
    bench.configure(&(bench.configuration() + legacy));
    refused(&bench, &APPLY, &["payinfra.toml:", "10.0.128.0/20", "10.0.0.0/16"]);
    assert!(bench.aws.calls().is_empty());
}

/// every plan of an unauthenticated service has a warning, even if it is not confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn x04_every_plan_warns_of_an_open_service() {
    const WARNING: &str = "`service.auth` is \"none\": anyone who can reach the service can create and read payments";
    const OPEN: &str = "auth = \"none\"";
    let bench = Bench::new().await;
    assert!(bench.configuration().contains(OPEN));
    for args in [&PLAN[..], &["plan", "--workspace", "legacy", "--json"], &["apply", "--workspace", "legacy"]] {
        let outcome = Outcome::from(bench.command(args).output().unwrap());
        assert_eq!(outcome.stderr.matches(WARNING).count(), 1, "{args:?}: {}", outcome.stderr);
    }
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:api-keys-AbCdEf";
    bench.configure(&bench.configuration().replace(OPEN, &format!("auth = \"{secret}\"")));
    let outcome = bench.run(&PLAN).ok();
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
}
