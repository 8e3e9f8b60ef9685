//! The stacks on a strict emulated AWS, which also refuses what AWS's models do not say: applied, planned again and
//! destroyed. They exceed no default quota, watch only what AWS publishes, and wait for fresh roles and keys and for the
//! network interfaces that services leave.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use payinfra_tests::api::write_package;
use payinfra_tests::{Bench, example};

const GLOBAL_PAYMENTS: &str = include_str!("../../crates/stacks/src/global_payments/payinfra.toml");
const PEERED_PAYMENTS: &str = include_str!("../../crates/stacks/src/peered_payments/payinfra.toml");
const TRADING: &str = include_str!("../../crates/stacks/src/trading/payinfra.toml");

const ZONE: &str = "global/route53.hosted-zone/main";

/// Applies, plans and destroys a workspace. AWS refuses nothing that a later attempt would not be allowed.
fn lives(bench: &Bench, workspace: &str) {
    bench.run(&["apply", "--workspace", workspace, "--yes"]).ok();
    bench.run(&["plan", "--workspace", workspace, "--exit-code"]).ok();
    bench.run(&["destroy", "--workspace", workspace, "--yes", "--accept-loss"]).ok();
    let calls = bench.aws.calls();
    let violations: Vec<_> = calls.iter().filter_map(|call| call.violation.as_deref()).collect();
    assert_eq!(violations, Vec::<&str>::new());
}

/// The addresses of the resources that exist.
fn created(bench: &Bench, workspace: &str) -> Vec<String> {
    let state = bench.state(workspace);
    let resources = state["resources"].as_object().unwrap().iter();
    resources.filter(|(_, record)| record["id"].is_string()).map(|(address, _)| address.clone()).collect()
}

/// One region, and two.
#[tokio::test(flavor = "multi_thread")]
async fn migration_lives_in_a_delegated_zone() {
    for workspace in ["legacy", "migration"] {
        let bench = Bench::strict(&example()).await;
        bench.aws.delegate("payments.test");
        lives(&bench, workspace);
    }
}

/// Before the zone is delegated, apply ends soon, with the instruction and without anything that costs money. After it, the same
/// command goes on to the end.
#[tokio::test(flavor = "multi_thread")]
async fn migration_waits_for_its_zone_without_running() {
    let bench = Bench::strict(&example()).await;
    let begun = Instant::now();
    let apply = ["apply", "--workspace", "legacy", "--yes"];
    let failed = bench.run(&apply).expect(1);
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(created(&bench, "legacy"), [ZONE]);
    let changes: Vec<_> = bench.mutations().into_iter().map(|call| call.action).collect();
    assert_eq!(changes, ["CreateHostedZone", "ChangeTagsForResource"]);
    let state = bench.state("legacy");
    let servers: Vec<_> = state["resources"][ZONE]["outputs"]["name_servers"].as_array().unwrap().iter().collect();
    assert_eq!(servers.len(), 4);
    for told in ["`payments.test` is not delegated to its hosted zone", "set the NS records of `payments.test`"]
        .into_iter()
        .chain(servers.iter().map(|server| server.as_str().unwrap()))
    {
        assert!(failed.stderr.contains(told), "`{told}` is not in:\n{}", failed.stderr);
    }
    // Until then, nothing changes.
    bench.run(&apply).expect(1);
    assert_eq!(created(&bench, "legacy"), [ZONE]);
    bench.aws.delegate("payments.test");
    // Only one zone of a name can be delegated.
    let other = bench.run(&["apply", "--workspace", "migration", "--yes"]).expect(1);
    assert!(other.stderr.contains("`payments.test` is delegated to other name servers"), "{}", other.stderr);
    bench.run(&["destroy", "--workspace", "migration", "--yes", "--accept-loss"]).ok();
    lives(&bench, "legacy");
}

/// The three workspaces in one account, with a zone that they share, from nothing to destroyed.
#[tokio::test(flavor = "multi_thread")]
async fn three_workspaces_of_migration_share_an_account() {
    let single = |text: String, workspace: &str| {
        let header = format!("\n[workspaces.{workspace}]\n");
        let edited = text.replacen(&header, &format!("{header}nat = \"single\"\n"), 1);
        assert_ne!(edited, text);
        edited
    };
    let text = example().replacen("\ncreate_zone = true\n", "\ncreate_zone = false\n", 1);
    let text = text.replacen(
        "\n[workspaces.production]\n",
        "\n[workspaces.production]\nprotect = false\nfinal_snapshot = false\n",
        1,
    );
    let bench = Bench::strict(&single(single(text, "legacy"), "migration")).await;
    let route53 = aws_sdk_route53::Client::new(&bench.sdk("us-east-1"));
    route53.create_hosted_zone().name("payments.test").caller_reference("by hand").send().await.unwrap();
    bench.aws.delegate("payments.test");
    let before = bench.inventory().await;
    let workspaces = ["legacy", "migration", "production"];
    for workspace in workspaces {
        bench.run(&["apply", "--workspace", workspace, "--yes"]).ok();
    }
    for workspace in workspaces {
        bench.run(&["plan", "--workspace", workspace, "--exit-code"]).ok();
    }
    for workspace in workspaces {
        bench.run(&["destroy", "--workspace", workspace, "--yes", "--accept-loss"]).ok();
    }
    let calls = bench.aws.calls();
    let violations: Vec<_> = calls.iter().filter_map(|call| call.violation.as_deref()).collect();
    assert_eq!(violations, Vec::<&str>::new());
    let after = bench.inventory().await;
    let left = after.beyond(&before);
    // Keys are destroyed after a waiting period, and log groups that services make belong to nobody (localstack/README.md).
    let stays = ["kms.key", "/aws/ecs/containerinsights/", "RDSOSMetrics"];
    let left: Vec<_> = left.iter().filter(|line| !stays.iter().any(|part| line.contains(part))).collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stacks_with_functions_live() {
    for (configuration, function) in
        [(GLOBAL_PAYMENTS, "payment-processor"), (PEERED_PAYMENTS, "payment-processor"), (TRADING, "object-processor")]
    {
        let bench = Bench::strict(&example()).await;
        bench.configure(configuration);
        write_package(&bench, function);
        lives(&bench, "dev");
    }
}
