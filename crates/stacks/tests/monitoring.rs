//! Monitoring follows the configuration: subscriptions and thresholds (M-27).

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use payinfra_components::graph as build;
use payinfra_engine::Graph;
use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;
use serde_json::{Value, json};

const ALARMS: &str = r#"
[workspaces.migration.alarms]
subscriptions = [{ protocol = "email", endpoint = "on-call@example.com" }]
period_seconds = 300
periods = 2
replica_lag_ms = 11
global_lag_ms = 12
running_tasks = 2
cpu_percent = 13
memory_percent = 14
errors_5xx = 15
latency_ms = 150
unhealthy_hosts = 1
replication_latency_seconds = 16
replication_failures = 17
"#;

fn graph(more: &str, workspace: &str) -> Graph {
    let text = format!("{}\n{more}", include_str!("../../../payinfra.toml"));
    build(&Configuration::parse(&text, "payinfra.toml", STACKS).unwrap(), workspace, "123456789012").unwrap()
}

/// The arguments of all resources of a kind in a region, by name.
fn all<'a>(graph: &'a Graph, region: &str, kind: &str) -> BTreeMap<String, &'a Value> {
    let nodes = graph.nodes().iter();
    let nodes = nodes.filter(|(address, _)| address.region.as_str() == region && *address.kind == *kind);
    nodes.map(|(address, node)| (address.name.to_string(), &node.args)).collect()
}

#[test]
fn m27_every_threshold_is_a_variable() {
    let graph = graph(ALARMS, "migration");
    let alarms = all(&graph, "us-east-2", "cloudwatch.alarm");
    for (name, threshold) in [
        ("replica-lag", 11.0),
        ("global-lag", 12.0),
        ("running-tasks", 2.0),
        ("cpu-blue", 13.0),
        ("cpu-green", 13.0),
        ("memory-blue", 14.0),
        ("memory-green", 14.0),
        ("target-5xx", 15.0),
        ("balancer-5xx", 15.0),
        ("latency", 0.15),
        ("unhealthy-hosts-blue", 1.0),
        ("unhealthy-hosts-green", 1.0),
        ("transactions-copies-from-us-east-1", 16.0),
        ("transactions-copies-to-us-east-1", 17.0),
    ] {
        let alarm = &alarms[name];
        assert_eq!(alarm["threshold"], json!(threshold), "{name}");
        assert_eq!((&alarm["periods"], &alarm["watch"]["metric"]["period"]), (&json!(2), &json!(300)), "{name}");
    }
}

#[test]
fn m27_subscriptions_are_a_variable() {
    assert!(all(&graph("", "migration"), "us-east-1", "sns.subscription").is_empty());
    let graph = graph(ALARMS, "migration");
    for region in ["us-east-1", "us-east-2"] {
        let subscriptions = all(&graph, region, "sns.subscription");
        assert_eq!(subscriptions.len(), 1, "{region}");
        let subscription = subscriptions.values().next().unwrap();
        assert_eq!(subscription["protocol"], "email");
        assert_eq!(subscription["endpoint"], "on-call@example.com");
        assert_eq!(subscription["topic"]["$ref"], format!("{region}/sns.topic/alarms#id"));
    }
}

#[test]
fn m27_m02_what_one_region_has_not_is_not_watched() {
    let graph = graph("", "legacy");
    let alarms = all(&graph, "us-east-1", "cloudwatch.alarm");
    let names: BTreeSet<_> = alarms.keys().map(String::as_str).collect();
    let expected = [
        "balancer-5xx",
        "cpu-blue",
        "cpu-green",
        "health-us-east-1",
        "latency",
        "memory-blue",
        "memory-green",
        "replica-lag",
        "running-tasks",
        "target-5xx",
        "unhealthy-hosts-blue",
        "unhealthy-hosts-green",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert!(all(&graph, "us-east-2", "cloudwatch.alarm").is_empty());
}

#[test]
fn m27_the_phase_is_a_metric_of_each_region() {
    for (workspace, regions, value) in [("legacy", 1, 1.0), ("migration", 2, 2.0), ("production", 2, 3.0)] {
        let graph = graph("", workspace);
        assert_eq!(graph.metrics().len(), regions);
        for metric in graph.metrics() {
            assert_eq!((&*metric.namespace, &*metric.name, metric.value), ("payinfra", "MigrationPhase", value));
            let dimensions = metric.dimensions.iter().map(|(name, value)| (&**name, &**value));
            let expected = [("Phase", workspace), ("Stack", "migration"), ("Workspace", workspace)];
            assert_eq!(dimensions.collect::<Vec<_>>(), expected);
        }
    }
}
