//! The cost of a refresh: calls per kind and region, not per resource.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it measured")]

use std::collections::{BTreeMap, BTreeSet};

use payinfra_tests::Bench;

/// Calls that AWS offers per bucket, key or role only (AWS-FACTS §2).
fn unavoidable(service: &str, action: &str) -> bool {
    match service {
        "s3" => action.starts_with("GetBucket") || action == "GetPublicAccessBlock" || action == "HeadBucket",
        "kms" => matches!(action, "DescribeKey" | "GetKeyPolicy" | "GetKeyRotationStatus" | "ListResourceTags"),
        "iam" => action.starts_with("Get") || action.starts_with("List"),
        "logs" | "monitoring" => action == "ListTagsForResource",
        "ec2" => action == "DescribeVpcAttribute" || action == "SearchTransitGatewayRoutes",
        _ => false,
    }
}

/// A refresh of the whole workspace makes at most three calls per kind and region, and the reads that AWS offers only
/// per resource.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_costs_calls_per_kind_and_region() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "migration", "--yes"]).expect(0);
    let state = bench.state("migration");
    let resources = state["resources"].as_object().unwrap();
    let groups: BTreeSet<_> = resources.keys().map(|address| address.rsplit_once('/').unwrap().0.to_owned()).collect();
    bench.aws.clear_calls();
    bench.run(&["plan", "--workspace", "migration", "--exit-code"]).expect(0);
    let calls = bench.aws.calls();
    let batched: Vec<_> = calls.iter().filter(|call| !unavoidable(&call.service, &call.action)).collect();
    let mut by_action = BTreeMap::<_, usize>::new();
    for call in &calls {
        *by_action.entry((&call.region[..], &call.service[..], &call.action[..])).or_default() += 1;
    }
    for ((region, service, action), count) in &by_action {
        println!("{count:4} {region} {service}:{action}");
    }
    println!(
        "a refresh of {} resources in {} groups of kind and region: {} calls, {} of them batched",
        resources.len(),
        groups.len(),
        calls.len(),
        batched.len()
    );
    assert!(batched.len() <= 3 * groups.len(), "{} batched calls for {} groups", batched.len(), groups.len());
    by_action.retain(|(_, service, action), count| !unavoidable(service, action) && *count > 3);
    assert!(by_action.is_empty(), "called too often: {by_action:?}");
}
