//! An account is changed only if the configuration lists it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::process::Command;

use payinfra_tests::{Bench, Outcome};

const ACCOUNT: &str = "123456789012";

/// The emulated AWS in the form of real AWS: without a custom endpoint for all services.
fn real<'a>(bench: &Bench, command: &'a mut Command) -> &'a mut Command {
    let endpoint = bench.aws.endpoint();
    let services = ["DYNAMODB", "EC2", "IAM", "KMS", "S3", "STS"];
    command.env_remove("AWS_ENDPOINT_URL");
    command.envs(services.map(|service| (format!("AWS_ENDPOINT_URL_{service}"), endpoint.clone())))
}

fn run(bench: &Bench, args: &[&str]) -> Outcome {
    real(bench, &mut bench.command(args)).output().unwrap().into()
}

/// If the configuration lists no account, every command that changes AWS fails, and shows the line to add and the
/// account. After `init` it works.
#[tokio::test(flavor = "multi_thread")]
async fn only_an_account_that_is_named_is_changed() {
    let bench = Bench::new().await;
    aws_sdk_iam::Client::new(&bench.sdk("us-east-1"))
        .create_account_alias()
        .account_alias("pay-dev")
        .send()
        .await
        .unwrap();
    bench.aws.clear_calls();
    let workspace = ["--workspace", "legacy"];
    let commands: [&[&str]; 4] = [
        &["apply", "--yes"],
        &["destroy", "--yes", "--accept-loss"],
        &["import", "us-east-1/kms.key/logs", "1234abcd-12ab-34cd-56ef-1234567890ab"],
        &["bootstrap"],
    ];
    for command in commands {
        let refused = run(&bench, &[command, &workspace[..]].concat()).expect(1);
        for told in
            ["does not list the accounts", ACCOUNT, "pay-dev", "account_ids = [\"123456789012\"]", "payinfra init"]
        {
            assert!(refused.stderr.contains(told), "{command:?}: {told}: {}", refused.stderr);
        }
    }
    assert!(bench.aws.calls().iter().all(|call| !call.mutating), "{:#?}", bench.mutations());

    let before = fs::read_to_string(bench.file("payinfra.toml")).unwrap();
    assert!(run(&bench, &["init"]).expect(1).stderr.contains("pass --yes"), "there is no terminal to ask on");
    assert_eq!(fs::read_to_string(bench.file("payinfra.toml")).unwrap(), before);
    let shown = run(&bench, &["init", "--yes"]).ok();
    assert!(shown.stdout.contains(ACCOUNT) && shown.stdout.contains("pay-dev"), "{}", shown.stdout);
    let after = fs::read_to_string(bench.file("payinfra.toml")).unwrap();
    assert_eq!(after.replacen("account_ids = [\"123456789012\"]\n", "", 1), before, "the rest is unchanged");
    assert!(run(&bench, &["init", "--yes"]).ok().stdout.contains("already"));
    run(&bench, &["bootstrap"]).ok();

    // An account that is not listed is rejected by every command, including read-only ones.
    bench.configure(&after.replace(ACCOUNT, "210987654321"));
    assert!(run(&bench, &["plan", "--workspace", "legacy"]).expect(1).stderr.contains("`[aws] account_ids` allows"));
}

/// `init` without a configuration creates a valid one.
#[tokio::test(flavor = "multi_thread")]
async fn init_writes_a_configuration() {
    let bench = Bench::new().await;
    fs::remove_file(bench.file("payinfra.toml")).unwrap();
    let first = bench.run(&["init", "--stack", "migration", "--yes"]).ok();
    assert!(first.stdout.contains("for the stack `migration`"), "{}", first.stdout);
    bench.run(&["validate"]).ok();
    assert!(fs::read_to_string(bench.file("payinfra.toml")).unwrap().contains("\naccount_ids = [\"123456789012\"]\n"));
}
