//! For any valid configuration, the stack has no cycles and no dangling references, and follows the rules.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_components::graph as build;
use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;
use proptest::prelude::*;

const REGIONS: [&str; 6] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-south-1"];

fn regions() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = Just(REGIONS.to_vec()).prop_shuffle();
    (names, 2_usize..=4, 16_u8..=21, 0_u8..=250).prop_map(|(names, count, prefix, first)| {
        let block = |(name, second): (&str, u8)| (name.to_owned(), format!("10.{second}.0.0/{prefix}"));
        names.into_iter().take(count).zip(first..).map(block).collect()
    })
}

/// Some of the sections, with valid values.
fn sections() -> impl Strategy<Value = String> {
    let database = (1..=35, 13..=17, prop::sample::select(vec!["db.r6g.large", "db.r7g.16xlarge", "db.x2g.xlarge"]))
        .prop_map(|(days, major, class)| {
            format!("database = {{ backup_retention_days = {days}, engine_version = \"{major}.4\", instance_class = \"{class}\" }}")
        });
    let service = (1..=20, 0..=20, 1_u16.., prop::sample::select(vec![256, 512, 1_024, 2_048, 4_096])).prop_map(
        |(min, more, port, cpu)| {
            let max = min + more;
            format!(
                "service = {{ min_tasks = {min}, max_tasks = {max}, port = {port}, cpu = {cpu}, memory = {} }}",
                cpu * 2
            )
        },
    );
    let domain = ("[a-z][a-z0-9]{0,20}\\.(com|org|example)", any::<bool>())
        .prop_map(|(zone, create)| format!("domain = {{ zone = \"{zone}\", create_zone = {create} }}"));
    let alarms = (1..=100, 1..=1_000, 1..=60).prop_map(|(cpu, latency, minutes)| {
        format!("alarms = {{ cpu_percent = {cpu}, latency_ms = {latency}, period_seconds = {}, subscriptions = [{{ protocol = \
            \"email\", endpoint = \"a@example.com\" }}] }}", minutes * 60)
    });
    let waf = (10_i64..=2_000_000_000).prop_map(|requests| format!("waf = {{ requests_per_5_minutes = {requests} }}"));
    let remote = Just("remote_outputs = { old = { workspace = \"other\", outputs = [\"phase\"] } }".to_owned());
    let sections = vec![database.boxed(), service.boxed(), domain.boxed(), alarms.boxed(), waf.boxed(), remote.boxed()];
    let maybe = sections.into_iter().map(prop::option::of).collect::<Vec<_>>();
    maybe.prop_map(|some| some.into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_good_configuration_is_a_good_graph(
        regions in regions(),
        phase in prop::sample::select(vec!["legacy", "migration", "production"]),
        nat in prop::sample::select(vec!["single", "per-zone"]),
        suffix in "[a-z0-9]{1,4}",
        account in "[0-9]{12}",
        legacy in any::<bool>(),
        sections in sections(),
    ) {
        let regions: Vec<_> =
            regions.iter().map(|(name, cidr)| format!("{{ name = \"{name}\", cidr = \"{cidr}\" }}")).collect();
        let legacy = if legacy {
            "legacy_network = { cidrs = [\"192.168.0.0/16\"], subnets = { vpc = \"vpc-1\" } }"
        } else {
            ""
        };
        let text = format!(
            "stack = \"migration\"\n[defaults]\nservice.auth = \"none\"\n[workspaces.w]\nphase = \"{phase}\"\nnat = \"{nat}\"\nsuffix = \"{suffix}\"\n\
             environment = \"e\"\nproject = \"p\"\ncutover = 2026-03-01T02:00:00Z\nregions = [{}]\n{legacy}\n{sections}\n",
            regions.join(", ")
        );
        let graph = build(&Configuration::parse(&text, "payinfra.toml", STACKS).unwrap(), "w", &account).unwrap();
        prop_assert_eq!(graph.sorted().unwrap().len(), graph.nodes().len());
        let weights = graph.outputs().iter().filter(|(name, _)| name.starts_with("weight_"));
        let sum: u32 = weights.map(|(_, weight)| weight.as_str().unwrap().parse::<u32>().unwrap()).sum();
        prop_assert_eq!(sum, 100);
    }
}
