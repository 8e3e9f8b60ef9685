//! The existing legacy network.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use payinfra_tests::Bench;

const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];

/// Manually created resources.
struct Legacy {
    vpc: String,
    subnets: Vec<String>,
    group: String,
}

async fn legacy(bench: &Bench) -> Legacy {
    let ec2 = bench.ec2("us-east-1");
    let vpc = ec2.create_vpc().cidr_block("192.168.0.0/16").send().await.unwrap();
    let vpc = vpc.vpc().unwrap().vpc_id().unwrap().to_owned();
    let tier = |kind| {
        let tag = Tag::builder().key("Tier").value("application").build();
        TagSpecification::builder().resource_type(kind).tags(tag).build()
    };
    let mut subnets = Vec::new();
    for block in ["192.168.1.0/24", "192.168.2.0/24"] {
        let call = ec2.create_subnet().vpc_id(&vpc).cidr_block(block).tag_specifications(tier(ResourceType::Subnet));
        subnets.push(call.send().await.unwrap().subnet().unwrap().subnet_id().unwrap().to_owned());
    }
    let call = ec2.create_security_group().vpc_id(&vpc).group_name("legacy-application").description("Long ago");
    let group = call.tag_specifications(tier(ResourceType::SecurityGroup)).send().await.unwrap();
    Legacy { vpc, subnets, group: group.group_id().unwrap().to_owned() }
}

async fn tags(bench: &Bench, legacy: &Legacy) -> Vec<String> {
    let ids = legacy.subnets.iter().chain([&legacy.vpc, &legacy.group]).cloned().collect();
    let filter = Filter::builder().name("resource-id").set_values(Some(ids)).build();
    let answer = bench.ec2("us-east-1").describe_tags().filters(filter).send().await.unwrap();
    let mut tags: Vec<_> = answer.tags().iter().map(|tag| format!("{tag:?}")).collect();
    tags.sort();
    tags
}

fn configure(bench: &Bench, groups: &str) {
    let network = format!(
        "\n[workspaces.legacy.legacy_network]\ncidrs = [\"192.168.0.0/16\"]\n\
         subnets = {{ tags = {{ Tier = \"application\" }} }}\nsecurity_groups = {{ {groups} }}\n"
    );
    bench.configure(&(bench.configuration() + &network));
}

/// M-09: existing resources are found by id, name and tag, the new network accepts their traffic, and they are not
/// changed.
#[tokio::test(flavor = "multi_thread")]
async fn m09_the_legacy_network_is_found_used_and_left_alone() {
    let bench = Bench::new().await;
    let legacy = legacy(&bench).await;
    let (before, tags_before) = (bench.inventory().await, tags(&bench, &legacy).await);
    let groups = format!(
        "by-id = {{ id = \"{}\" }}, by-name = {{ name = \"legacy-application\", vpc = \"{}\" }}, \
         by-tag = {{ tags = {{ Tier = \"application\" }} }}",
        legacy.group, legacy.vpc
    );
    configure(&bench, &groups);
    bench.run(&APPLY).ok();

    let outputs = bench.outputs("legacy");
    assert_eq!(outputs["legacy_vpc_id"], legacy.vpc[..]);
    for by in ["id", "name", "tag"] {
        assert_eq!(outputs[format!("legacy_security_group_id_by_{by}")], legacy.group[..], "by {by}");
    }
    let name = Filter::builder().name("group-name").values("payment-endpoints-legacy-demo1").build();
    let found = bench.ec2("us-east-1").describe_security_groups().filters(name).send().await.unwrap();
    let ranges =
        found.security_groups()[0].ip_permissions().iter().flat_map(aws_sdk_ec2::types::IpPermission::ip_ranges);
    assert!(ranges.into_iter().any(|range| range.cidr_ip() == Some("192.168.0.0/16")), "it may access the endpoints");

    let state = bench.state("legacy").to_string();
    let owned = state.contains(&format!("\"id\":\"{}\"", legacy.vpc)) || state.contains("legacy-by-id");
    assert!(!owned, "lookups are not owned");
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    assert_eq!(tags(&bench, &legacy).await, tags_before);
    bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    assert_eq!(bench.inventory().await, before);
    assert_eq!(tags(&bench, &legacy).await, tags_before);
}

/// M-09: a missing or ambiguous resource is an error before anything is created.
#[tokio::test(flavor = "multi_thread")]
async fn m09_a_legacy_group_that_is_not_there_is_named() {
    let bench = Bench::new().await;
    legacy(&bench).await;
    configure(&bench, "application = { name = \"not-there\" }");
    bench.aws.clear_calls();
    let outcome = bench.run(&APPLY).expect(1);
    for told in ["legacy-application", "not-there", "help:"] {
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
    }
    assert!(bench.aws.calls().iter().all(|call| !call.mutating));
}
