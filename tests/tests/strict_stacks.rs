//! The stacks on a strict emulated AWS, which also refuses what AWS's models do not say: applied, planned again and
//! destroyed. They exceed no default quota, watch only what AWS publishes, and wait for fresh roles and keys and for the
//! network interfaces that services leave.

use payinfra_tests::api::write_package;
use payinfra_tests::{Bench, example};

const GLOBAL_PAYMENTS: &str = include_str!("../../crates/stacks/src/global_payments/payinfra.toml");
const PEERED_PAYMENTS: &str = include_str!("../../crates/stacks/src/peered_payments/payinfra.toml");
const TRADING: &str = include_str!("../../crates/stacks/src/trading/payinfra.toml");

/// Applies, plans and destroys a workspace. AWS refuses nothing that a later attempt would not be allowed.
fn lives(bench: &Bench, workspace: &str) {
    bench.run(&["apply", "--workspace", workspace, "--yes"]).ok();
    bench.run(&["plan", "--workspace", workspace, "--exit-code"]).ok();
    bench.run(&["destroy", "--workspace", workspace, "--yes", "--accept-loss"]).ok();
    let calls = bench.aws.calls();
    let violations: Vec<_> = calls.iter().filter_map(|call| call.violation.as_deref()).collect();
    assert_eq!(violations, Vec::<&str>::new());
}

/// One region, and two.
#[tokio::test(flavor = "multi_thread")]
async fn migration_lives_in_a_delegated_zone() {
    for workspace in ["legacy", "migration"] {
        let bench = Bench::strict(&example().replace("payments.example.com", "payments.test-bank.com")).await;
        bench.aws.delegate("payments.test-bank.com");
        lives(&bench, workspace);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migration_cannot_have_a_zone_that_aws_reserves() {
    let bench = Bench::strict(&example()).await;
    let failed = bench.run(&["apply", "--workspace", "legacy", "--yes"]).expect(1);
    assert!(failed.stderr.contains("payments.example.com is reserved by AWS"), "{}", failed.stderr);
    bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
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
