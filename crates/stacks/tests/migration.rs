//! The graph of the migration stack, phase by phase (M-02), as data: addresses and arguments.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use payinfra_components::graph as build;
use payinfra_engine::{Address, Graph};
use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;
use serde_json::{Value, json};

const ACCOUNT: &str = "123456789012";

fn example() -> Configuration {
    Configuration::parse(include_str!("../../../payinfra.toml"), "payinfra.toml", STACKS).unwrap()
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

/// The second workspace differs from the first in names, tags, weights, protection and size.
#[test]
fn m02_production_has_what_migration_has() {
    let (migration, production) = (graph("migration"), graph("production"));
    let (has, shall) = (addresses(&migration), addresses(&production));
    assert!(has.is_subset(&shall), "{:?}", has.difference(&shall));
    let more: Vec<_> = shall.difference(&has).collect();
    // M-11: a second instance for failover in each region.
    assert_eq!(more, ["us-east-1/rds.cluster-instance/database-2", "us-east-2/rds.cluster-instance/database-2"]);
    let text = |graph: &Graph, workspace: &str| {
        let mut snapshot = snapshot(graph);
        let nodes = snapshot["nodes"].as_object_mut().unwrap();
        // Dashboards contain the phase and the weights; the minimum number of running tasks is the service's minimum.
        let by_phase = ["/cloudwatch.dashboard/main", "/cloudwatch.alarm/running-tasks"];
        nodes.retain(|address, _| has.contains(address) && !by_phase.iter().any(|name| address.ends_with(name)));
        for node in nodes.values_mut() {
            node.as_object_mut().unwrap().retain(|field, _| field != "protect" && field != "final_snapshot");
            let args = node["args"].as_object_mut().unwrap();
            // Production runs more and larger tasks (M-18), which know the phase, retains backups longer (M-12), and
            // has AWS's deletion protection (M-28).
            let own = [
                "backup_retention_days",
                "count",
                "cpu",
                "deletion_protection",
                "max_capacity",
                "memory",
                "min_capacity",
            ];
            args.retain(|field, _| !own.contains(&&**field));
            if let Some(operational) = node.get_mut("operational").and_then(Value::as_object_mut) {
                operational.retain(|pointer, _| !own.contains(&&pointer[1..]));
            }
            if let Some(replicas) = node.pointer_mut("/args/replicas").and_then(Value::as_object_mut) {
                for replica in replicas.values_mut() {
                    replica.as_object_mut().unwrap().remove("deletion_protection");
                }
            }
            if let Some(environment) = node.pointer_mut("/args/containers/service/environment") {
                environment.as_object_mut().unwrap().remove("PHASE");
            }
            // Each region's second instance comes before its record.
            if let Some(after) = node.get_mut("after").and_then(Value::as_array_mut) {
                after.retain(|on| !on.as_str().unwrap().contains("rds.cluster-instance/"));
            }
            if let Some(weight) = node.pointer_mut("/args/routing/weighted") {
                *weight = Value::Null;
                node["operational"]["/routing/weighted"] = Value::Null;
            }
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
    assert_eq!(after(&graph, "us-east-1/elbv2.load-balancer/main"), gateway);
    let attachment = ["us-east-2/ec2.transit-gateway-vpc-attachment/main"];
    assert_eq!(after(&graph, "us-east-2/ec2.route/private-3-us-east-1"), attachment);
    let primary = "us-east-1/rds.cluster/main";
    let first = [primary, "us-east-1/rds.cluster-instance/database-1", "us-east-2/logs.log-group/database"];
    assert_eq!(after(&graph, "us-east-2/rds.cluster/main"), first);
    // A primary cannot leave its global database before its secondaries.
    let secondary = &graph.nodes()[&"us-east-2/rds.cluster/main".parse::<Address>().unwrap()];
    assert_eq!(secondary.replace_triggered_by, BTreeSet::from([primary.parse().unwrap()]));
}

/// M-28: resources that keep data, the keys that decrypt it, and the databases' last instances.
const PROTECTED: [&str; 8] = [
    "dynamodb.table",
    "kms.key",
    "rds.cluster",
    "rds.cluster-instance",
    "rds.global-cluster",
    "route53.hosted-zone",
    "s3.bucket",
    "secretsmanager.password",
];
/// M-28: kinds in the stack with AWS's own deletion protection.
const SHIELDED: [&str; 4] = ["dynamodb.table", "elbv2.load-balancer", "rds.cluster", "rds.global-cluster"];

/// The example's `workspace`, with `lines` instead of its lines `protect = …` and `final_snapshot = …`.
fn with(workspace: &str, lines: &str) -> Graph {
    let text =
        include_str!("../../../payinfra.toml").replace("\nprotect = false", "").replace("\nfinal_snapshot = false", "");
    let header = format!("[workspaces.{workspace}]\n");
    let text = text.replacen(&header, &format!("{header}{lines}\n"), 1);
    build(&Configuration::parse(&text, "payinfra.toml", STACKS).unwrap(), workspace, ACCOUNT).unwrap()
}

fn protected(graph: &Graph) -> BTreeSet<String> {
    let protected = graph.nodes().iter().filter(|(_, node)| node.protect);
    protected.map(|(address, _)| address.to_string()).collect()
}

/// The kinds with AWS's own deletion protection, which is `on` for all of their resources, or for none.
fn shielded(graph: &Graph, on: bool) -> BTreeSet<String> {
    let shielded = graph.nodes().iter().filter(|(_, node)| node.args.get("deletion_protection").is_some());
    let shielded = shielded.map(|(address, node)| {
        assert_eq!(node.args["deletion_protection"], on, "{address}");
        address.kind.to_string()
    });
    shielded.collect()
}

#[test]
fn m28_what_keeps_data_is_protected_unless_the_workspace_says_not_to() {
    for workspace in ["legacy", "migration", "production"] {
        let graph = with(workspace, "");
        let protected = protected(&graph);
        let kinds: BTreeSet<_> = protected.iter().map(|address| address.split('/').nth(1).unwrap()).collect();
        assert_eq!(kinds, BTreeSet::from(PROTECTED), "{workspace}");
        let all = graph.nodes().keys().filter(|address| kinds.contains(&*address.kind)).map(ToString::to_string);
        // A second instance can be deleted: the first one still serves.
        let all: BTreeSet<_> = all.filter(|address| !address.ends_with("/rds.cluster-instance/database-2")).collect();
        assert_eq!(protected, all, "{workspace}");
        assert_eq!(shielded(&graph, true), BTreeSet::from(SHIELDED.map(str::to_owned)));

        let graph = with(workspace, "protect = false");
        assert_eq!(self::protected(&graph), BTreeSet::new(), "{workspace}");
        assert_eq!(shielded(&graph, false), BTreeSet::from(SHIELDED.map(str::to_owned)));
    }
}

/// Only the workspaces that the example declares disposable are unprotected.
#[test]
fn m28_the_example_protects_production_only() {
    for (workspace, production) in [("legacy", false), ("migration", false), ("production", true)] {
        let graph = graph(workspace);
        assert_eq!(!protected(&graph).is_empty(), production, "{workspace}");
        assert_eq!(graph.nodes().values().any(|node| node.final_snapshot), production, "{workspace}");
    }
}

#[test]
fn m28_databases_are_saved_unless_the_workspace_says_not_to() {
    let saved = |lines: &str| {
        let graph = with("migration", lines);
        let saved = graph.nodes().iter().filter(|(_, node)| node.final_snapshot);
        saved.map(|(address, _)| address.to_string()).collect::<Vec<_>>()
    };
    let clusters = ["us-east-1/rds.cluster/main", "us-east-2/rds.cluster/main"];
    assert_eq!(saved(""), clusters);
    // Neither setting implies the other.
    assert_eq!(saved("protect = false"), clusters);
    assert_eq!(saved("final_snapshot = false"), Vec::<String>::new());
    let defaults = include_str!("../../../payinfra.toml").replace("# final_snapshot = true", "final_snapshot = false");
    let graph =
        build(&Configuration::parse(&defaults, "payinfra.toml", STACKS).unwrap(), "production", ACCOUNT).unwrap();
    assert!(graph.nodes().values().all(|node| !node.final_snapshot));
}

/// A third region takes one line of configuration: it gets its own copy of everything, and peerings with the others.
#[test]
fn x10_a_third_region_is_a_line() {
    let line = r#"    { name = "us-east-2", cidr = "10.1.0.0/16" },"#;
    let text = include_str!("../../../payinfra.toml");
    let text = text.replace(line, &format!("{line}\n    {{ name = \"us-west-2\" }},"));
    let text = text.replace("weights = {", "# weights = {");
    let graph = build(&Configuration::parse(&text, "payinfra.toml", STACKS).unwrap(), "migration", ACCOUNT).unwrap();
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
    let table = graph.nodes()[&"us-east-1/dynamodb.table/payments".parse::<Address>().unwrap()].args.clone();
    let copies = table["replicas"].as_object().unwrap();
    assert_eq!(copies.keys().collect::<Vec<_>>(), ["us-east-2", "us-west-2"]);
    assert_eq!(graph.outputs()["weight_us_west_2"], "5");
}

/// M-24: the rate limit is a variable.
#[test]
fn m24_the_rate_rule_is_a_variable() {
    let text = include_str!("../../../payinfra.toml");
    let text = text.replace("# requests_per_5_minutes = 2000", "requests_per_5_minutes = 50");
    let graph = build(&Configuration::parse(&text, "payinfra.toml", STACKS).unwrap(), "migration", ACCOUNT).unwrap();
    let acl = &graph.nodes()[&"us-east-2/wafv2.web-acl/main".parse::<Address>().unwrap()].args;
    assert_eq!(acl["rules"]["rate-limit"]["statement"], json!({ "rate_limit": { "requests": 50, "window": 300 } }));
}

#[test]
fn m07_one_nat_gateway_serves_all_zones() {
    let text = include_str!("../../../payinfra.toml").replace("nat = \"per-zone\"", "nat = \"single\"");
    let graph = build(&Configuration::parse(&text, "payinfra.toml", STACKS).unwrap(), "legacy", ACCOUNT).unwrap();
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
    let graph = build(&Configuration::parse(&text, "payinfra.toml", STACKS).unwrap(), "legacy", ACCOUNT).unwrap();
    graph.sorted().unwrap();
    let lookups = graph.nodes().iter().filter(|(_, node)| node.lookup);
    let lookups: BTreeMap<_, _> = lookups.map(|(address, node)| (address.to_string(), &node.args)).collect();
    insta::assert_json_snapshot!("legacy-network", json!({ "lookups": lookups, "outputs": graph.outputs() }));
}

/// M-29: outputs of another workspace become outputs of this one, and select the legacy network.
#[test]
fn m29_remote_outputs_are_looked_up_and_used() {
    let text = include_str!("../../../payinfra.toml").to_owned()
        + "[workspaces.production.remote_outputs.old]\nworkspace = \"legacy\"\noutputs = [\"vpc_id_us_east_1\"]\n\
           [workspaces.production.legacy_network]\ncidrs = [\"192.168.0.0/16\"]\n\
           subnets = { vpc = \"remote.old.vpc_id_us_east_1\" }\n\
           security_groups = { web = { name = \"web\", vpc = \"remote.old.vpc_id_us_east_1\" } }\n";
    let graph = build(&Configuration::parse(&text, "payinfra.toml", STACKS).unwrap(), "production", ACCOUNT).unwrap();
    graph.sorted().unwrap();
    let args = |address: &str| &graph.nodes()[&address.parse::<Address>().unwrap()].args;
    assert_eq!(
        args("us-east-1/payinfra.outputs/old"),
        &json!({ "bucket": "payinfra-state-123456789012", "stack": "migration", "workspace": "legacy",
            "lineage": null, "outputs": ["vpc_id_us_east_1"] })
    );
    let vpc = json!({ "$ref": "us-east-1/payinfra.outputs/old#values/vpc_id_us_east_1" });
    assert_eq!(args("us-east-1/ec2.subnets/legacy")["vpc"], vpc);
    assert_eq!(args("us-east-1/ec2.existing-security-group/legacy-web")["vpc"], vpc);
    assert_eq!(graph.outputs()["remote_old_vpc_id_us_east_1"], json!({ "$text": [vpc] }));
}

/// M-16, M-25: the certificates of all regions wait for one record, and a region gets traffic when its listener exists.
#[test]
fn m16_m25_one_record_validates_all_certificates() {
    let graph = graph("migration");
    let validation = "global/route53.record-set/validation";
    let records = addresses(&graph).into_iter().filter(|address| address.contains("route53.record-set"));
    let expected = ["global/route53.record-set/api-us-east-1", "global/route53.record-set/api-us-east-2", validation];
    assert_eq!(records.collect::<Vec<_>>(), expected);
    let reference = |address: &str, pointer: &str| {
        let node = &graph.nodes()[&address.parse::<Address>().unwrap()];
        node.args.pointer(pointer).unwrap().clone()
    };
    let name = json!({ "$ref": "us-east-1/acm.certificate/api#validation_names/0" });
    assert_eq!(reference(validation, "/name"), name);
    let delegation = "global/route53.delegation/main";
    assert_eq!(after(&graph, "us-east-1/acm.certificate/api"), [delegation]);
    assert_eq!(after(&graph, "us-east-2/acm.certificate/api"), [delegation, validation]);
    let arn = json!({ "$ref": "us-east-2/acm.certificate/api#arn" });
    assert_eq!(reference("us-east-2/elbv2.listener/https", "/certificate"), arn);
}

/// M-03, M-25: a region gets traffic after everything in it and all ways to it are ready, and they stay until its traffic has
/// left.
#[test]
fn m03_m25_a_region_is_complete_before_its_record() {
    let graph = graph("migration");
    let record: Address = "global/route53.record-set/api-us-east-2".parse().unwrap();
    let (mut before, mut open) = (BTreeSet::new(), vec![record]);
    while let Some(address) = open.pop() {
        open.extend(graph.depends(&address).into_iter().filter(|on| before.insert(on.clone())));
    }
    let all = graph.nodes().keys().filter(|address| address.region.as_str() == "us-east-2");
    let late: Vec<_> = all.filter(|address| !before.contains(*address)).collect();
    assert_eq!(late, Vec::<&Address>::new());
    for way in ["us-east-1/ec2.transit-gateway-route/us-east-2", "us-east-1/ec2.security-group/database"] {
        assert!(before.contains(&way.parse::<Address>().unwrap()), "{way}");
    }
}

/// Nothing waits for itself, not even indirectly.
#[test]
fn every_phase_can_be_sorted() {
    for workspace in ["legacy", "migration", "production"] {
        assert_eq!(graph(workspace).sorted().unwrap().len(), graph(workspace).nodes().len());
    }
}
