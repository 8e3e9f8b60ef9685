//! What a plan tells of the account before anything is changed: the quotas that it would exceed, and what it costs.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_tests::Bench;

/// The code of the quota "EC2-VPC Elastic IPs".
const ADDRESSES: &str = "L-0263D0A3";

/// a plan that the account has no room for is refused with the quota, its code and the command that asks for more; once it
/// is raised, the same plan goes through.
#[tokio::test(flavor = "multi_thread")]
async fn x04_a_plan_beyond_a_quota_changes_nothing() {
    let bench = Bench::new().await;
    let set = |value| bench.aws.set_quota("ec2", ADDRESSES, value);
    set(Some(2)).await.unwrap();
    bench.aws.clear_calls();
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let refused = bench.run(&[command, &["--workspace", "legacy"]].concat()).expect(1);
        for part in [
            "us-east-1: EC2-VPC Elastic IPs (L-0263D0A3): 0 in use and 3 more, but the quota is 2",
            "aws service-quotas request-service-quota-increase --region us-east-1 --service-code ec2 --quota-code L-0263D0A3 \
             --desired-value 3",
        ] {
            assert!(refused.stderr.contains(part), "{}", refused.stderr);
        }
    }
    let changes = bench.mutations();
    assert!(changes.is_empty(), "{changes:?}");
    set(Some(3)).await.unwrap();
    let plan = bench.run(&["plan", "--workspace", "legacy"]).ok();
    // Three NAT gateways alone are about $100.
    let cost = plan.stdout.lines().find_map(|line| line.strip_prefix("Estimated cost: +$")).unwrap();
    let dollars: f64 = cost.split(' ').next().unwrap().parse().unwrap();
    assert!((500.0..2_000.0).contains(&dollars) && cost.contains("not including requests"), "{cost}");
}
