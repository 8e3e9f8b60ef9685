//! The graph of the migration stack, phase by phase (M-02), as data: what exists and what it should be.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use payinfra_engine::{Address, Graph};
use payinfra_stacks::{Configuration, build};
use serde_json::{Value, json};

const ACCOUNT: &str = "123456789012";

fn example() -> Configuration {
    Configuration::parse(include_str!("../../../payinfra.toml"), "payinfra.toml").unwrap()
}

fn graph(workspace: &str) -> Graph {
    build(&example(), workspace, ACCOUNT).unwrap()
}

fn addresses(graph: &Graph) -> BTreeSet<String> {
    graph.nodes().keys().map(ToString::to_string).collect()
}

/// The graph without the tags that all resources share, which have their own test.
fn snapshot(graph: &Graph) -> Value {
    let nodes = graph.nodes().iter().map(|(address, node)| {
        let mut node = json!(node);
        if let Some(tags) = node.pointer_mut("/args/tags").and_then(Value::as_object_mut) {
            tags.retain(|key, _| key == "Name");
        }
        (address.to_string(), node)
    });
    json!({ "nodes": nodes.collect::<BTreeMap<_, _>>(), "outputs": graph.outputs() })
}

#[test]
fn m02_legacy_is_the_primary_region_only() {
    let graph = graph("legacy");
    assert!(graph.nodes().keys().all(|address| ["us-east-1", "global"].contains(&address.region.as_str())));
    insta::assert_json_snapshot!("legacy", snapshot(&graph));
}

#[test]
fn m02_migration_spans_both_regions() {
    insta::assert_json_snapshot!("migration", snapshot(&graph("migration")));
}

/// The second workspace differs from the first in names, tags, weights and protection only.
#[test]
fn m02_production_has_what_migration_has() {
    let (migration, production) = (graph("migration"), graph("production"));
    assert_eq!(addresses(&migration), addresses(&production));
    let text = |graph: &Graph, workspace: &str| {
        let mut snapshot = snapshot(graph);
        for node in snapshot["nodes"].as_object_mut().unwrap().values_mut() {
            node.as_object_mut().unwrap().remove("protect");
        }
        snapshot["nodes"].to_string().replace(&format!("-{workspace}-demo1"), "-WORKSPACE")
    };
    assert_eq!(text(&migration, "migration"), text(&production, "production"));
    assert_eq!(production.outputs()["weight_us_east_2"], "50");
}

#[test]
fn m03_moving_to_migration_only_adds() {
    let (legacy, migration) = (addresses(&graph("legacy")), addresses(&graph("migration")));
    assert!(legacy.is_subset(&migration), "{:?}", legacy.difference(&migration));
}

#[test]
fn m05_x02_every_resource_carries_the_tags() {
    let graph = graph("migration");
    for (address, node) in graph.nodes() {
        let Some(tags) = node.args.get("tags").filter(|_| !node.lookup) else { continue };
        for (key, value) in [
            ("CutoverTimestamp", "2026-03-01T02:00:00Z"),
            ("Environment", "migration"),
            ("ManagedBy", "payinfra"),
            ("MigrationPhase", "migration"),
            ("Project", "payment-migration"),
            ("payinfra:address", &address.to_string()),
            ("payinfra:stack", "migration"),
            ("payinfra:workspace", "migration"),
        ] {
            assert_eq!(tags[key], value, "{address}");
        }
    }
}

fn after(graph: &Graph, address: &str) -> Vec<String> {
    graph.nodes()[&address.parse::<Address>().unwrap()].after.iter().map(ToString::to_string).collect()
}

/// AWS-FACTS §4.5.
#[test]
fn what_nothing_refers_to_still_comes_first() {
    let graph = graph("migration");
    let gateway = ["us-east-1/ec2.internet-gateway/main"];
    assert_eq!(after(&graph, "us-east-1/ec2.eip/nat-1"), gateway);
    assert_eq!(after(&graph, "us-east-1/ec2.nat-gateway/nat-1"), gateway);
    assert_eq!(after(&graph, "us-east-1/ec2.route/public-internet"), gateway);
    let attachment = ["us-east-2/ec2.transit-gateway-vpc-attachment/main"];
    assert_eq!(after(&graph, "us-east-2/ec2.route/private-3-us-east-1"), attachment);
}

#[test]
fn m28_only_production_is_protected() {
    let kinds = |workspace| {
        let graph = graph(workspace);
        let protected = graph.nodes().iter().filter(|(_, node)| node.protect);
        protected.map(|(address, _)| address.kind.to_string()).collect::<BTreeSet<_>>()
    };
    assert_eq!(kinds("migration"), BTreeSet::new());
    assert_eq!(kinds("production"), BTreeSet::from(["kms.key".to_owned(), "s3.bucket".to_owned()]));
}

#[test]
fn m28_protection_can_be_switched_off() {
    let text = include_str!("../../../payinfra.toml").replace("protect = true", "protect = false");
    let graph = build(&Configuration::parse(&text, "payinfra.toml").unwrap(), "production", ACCOUNT).unwrap();
    assert!(graph.nodes().values().all(|node| !node.protect));
}

/// A third region is a line of configuration: its own copy of everything, and a place in the mesh.
#[test]
fn x10_a_third_region_is_a_line() {
    let line = r#"    { name = "us-east-2", cidr = "10.1.0.0/16" },"#;
    let text = include_str!("../../../payinfra.toml");
    let text = text.replace(line, &format!("{line}\n    {{ name = \"us-west-2\" }},"));
    let text = text.replace("weights = {", "# weights = {");
    let graph = build(&Configuration::parse(&text, "payinfra.toml").unwrap(), "migration", ACCOUNT).unwrap();
    graph.sorted().unwrap();
    let of = |kind: &str, region: &str| {
        let nodes = graph.nodes().keys().filter(|address| *address.kind == *kind && address.region.as_str() == region);
        nodes.map(|address| address.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of("ec2.transit-gateway-route", "us-west-2"), ["us-east-1", "us-east-2"]);
    assert_eq!(of("ec2.transit-gateway-peering", "us-east-1"), ["us-east-2", "us-west-2"]);
    assert_eq!(of("ec2.transit-gateway-peering", "us-east-2"), ["us-west-2"]);
    let rules = |region: &str| {
        let bucket = format!("{region}/s3.bucket/audit-trail").parse::<Address>().unwrap();
        let rules = graph.nodes()[&bucket].args["replication"]["rules"].as_object().unwrap();
        rules.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(rules("us-west-2"), ["to-us-east-1", "to-us-east-2"]);
    assert_eq!(graph.outputs()["weight_us_west_2"], "5");
}

#[test]
fn m07_one_nat_gateway_serves_all_zones() {
    let text = include_str!("../../../payinfra.toml").replace("nat = \"per-zone\"", "nat = \"single\"");
    let graph = build(&Configuration::parse(&text, "payinfra.toml").unwrap(), "legacy", ACCOUNT).unwrap();
    graph.sorted().unwrap();
    assert_eq!(addresses(&graph).iter().filter(|address| address.contains("nat-gateway")).count(), 1);
    let route = "us-east-1/ec2.route/private-3-internet".parse::<Address>().unwrap();
    assert_eq!(
        graph.nodes()[&route].args["target"],
        json!({ "nat_gateway": { "$ref": "us-east-1/ec2.nat-gateway/nat-1#id" } })
    );
}

#[test]
fn m09_the_legacy_network_is_looked_up_only() {
    let text = include_str!("../../../payinfra.toml").replace(
        "# [workspaces.legacy.legacy_network]\n# cidrs = [\"192.168.0.0/16\"]\n# subnets = { tags = { Tier = \
         \"application\" } }\n# security_groups = { ",
        "[workspaces.legacy.legacy_network]\ncidrs = [\"192.168.0.0/16\"]\nsubnets = { tags = { Tier = \
         \"application\" } }\nsecurity_groups = { ",
    );
    let graph = build(&Configuration::parse(&text, "payinfra.toml").unwrap(), "legacy", ACCOUNT).unwrap();
    graph.sorted().unwrap();
    let lookups = graph.nodes().iter().filter(|(_, node)| node.lookup);
    let lookups: BTreeMap<_, _> = lookups.map(|(address, node)| (address.to_string(), &node.args)).collect();
    insta::assert_json_snapshot!("legacy-network", json!({ "lookups": lookups, "outputs": graph.outputs() }));
}

/// Nothing waits for itself, not even over other resources.
#[test]
fn every_phase_can_be_sorted() {
    for workspace in ["legacy", "migration", "production"] {
        assert_eq!(graph(workspace).sorted().unwrap().len(), graph(workspace).nodes().len());
    }
}
