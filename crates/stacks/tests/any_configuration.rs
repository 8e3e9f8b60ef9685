//! For any valid configuration, the stack has no cycles and no dangling references, and follows the rules. Any other
//! configuration is rejected with the places of what is wrong.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{Cursor, Read};
use std::path::Path;

use payinfra_components::graph as build;
use payinfra_stack::{ConfigError, Configuration};
use payinfra_stacks::STACKS;
use proptest::prelude::*;
use proptest::sample::Index;
use toml::{Table, Value};

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
            "stack = \"migration\"\n[defaults]\nservice.auth = \"none\"\ndomain.zone = \"payments.test\"\n[workspaces.w]\nphase = \"{phase}\"\nnat = \"{nat}\"\nsuffix = \"{suffix}\"\n\
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

/// A configuration with every variable.
const EVERY: &str = include_str!("every_variable.toml");

/// A change of one value of a configuration.
#[derive(Clone, Debug)]
enum Change {
    Delete,
    /// Adds a copy of a list's item or, under another name, of a table's member.
    Repeat,
    Rename(String),
    Replace(Value),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Delete),
        Just(Change::Repeat),
        "[a-zA-Z0-9_ .-]{0,6}".prop_map(Change::Rename),
        value().prop_map(Change::Replace),
    ]
}

/// Values of every type, also at the limits of numbers and with letters of several bytes.
fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        prop_oneof![-1_i64..=100, any::<i64>(), Just(i64::from(i32::MAX))].prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Float),
        prop_oneof!["[a-z0-9.:/@-]{0,12}", "[ä€𝒜\"'\n\\\\]{0,4}", Just("remote.old.x".to_owned())]
            .prop_map(Value::String),
        prop::sample::select(vec!["2026-03-01T02:00:00Z", "2026-03-01", "02:00:00"])
            .prop_map(|time| Value::Datetime(time.parse().unwrap())),
    ];
    scalar.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map("[a-z_]{1,6}", inner, 0..3)
                .prop_map(|members| Value::Table(members.into_iter().collect())),
        ]
    })
}

/// The number of values in `value`.
fn count(value: &Value) -> usize {
    match value {
        Value::Table(members) => members.iter().map(|(_, value)| 1 + count(value)).sum(),
        Value::Array(items) => items.iter().map(|item| 1 + count(item)).sum(),
        _ => 0,
    }
}

/// Changes the value number `at` in `value`; otherwise returns how many are left to count.
fn apply(value: &mut Value, mut at: usize, change: &Change) -> Result<(), usize> {
    match value {
        Value::Table(members) => {
            for key in members.keys().cloned().collect::<Vec<_>>() {
                if at == 0 {
                    let old = members[&key].clone();
                    match change {
                        Change::Delete => drop(members.remove(&key)),
                        Change::Repeat => drop(members.insert(format!("{key}-2"), old)),
                        Change::Rename(name) => {
                            members.remove(&key);
                            members.insert(name.clone(), old);
                        }
                        Change::Replace(new) => drop(members.insert(key, new.clone())),
                    }
                    return Ok(());
                }
                match apply(&mut members[&key], at - 1, change) {
                    Ok(()) => return Ok(()),
                    Err(left) => at = left,
                }
            }
        }
        Value::Array(items) => {
            for index in 0..items.len() {
                if at == 0 {
                    match change {
                        Change::Delete => drop(items.remove(index)),
                        Change::Repeat | Change::Rename(_) => items.push(items[index].clone()),
                        Change::Replace(new) => items[index] = new.clone(),
                    }
                    return Ok(());
                }
                match apply(&mut items[index], at - 1, change) {
                    Ok(()) => return Ok(()),
                    Err(left) => at = left,
                }
            }
        }
        _ => {}
    }
    Err(at)
}

/// Checks that every error in `text` has a place in it.
fn check_places(text: &str, error: &ConfigError) -> Result<(), TestCaseError> {
    for error in std::iter::once(error).chain(&error.others) {
        prop_assert!(!error.message.is_empty());
        let (line, column) = error.position.unwrap();
        let found = text.split('\n').nth(line - 1).unwrap();
        prop_assert!(column <= found.chars().count() + 1, "{error}\n{text}");
        let span = error.span.clone().unwrap();
        prop_assert!(span.start <= span.end && span.end <= text.len(), "{error}\n{text}");
    }
    Ok(())
}

/// Parses `text`: it is valid, and can be built, or each error has its place.
fn valid_or_placed(text: &str) -> Result<(), TestCaseError> {
    let open = |_: &Path| Ok(Box::new(Cursor::new(b"package")) as Box<dyn Read>);
    match Configuration::open(text, "payinfra.toml", STACKS, &open) {
        Ok(configuration) if configuration.stack.name() == "migration" => {
            for workspace in configuration.workspaces.keys() {
                let graph = build(&configuration, workspace, "123456789012");
                prop_assert!(graph.is_ok(), "{}\n{text}", graph.unwrap_err());
            }
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => check_places(text, &error),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_configuration_with_changed_values_is_valid_or_rejected_with_places(
        changes in prop::collection::vec((any::<Index>(), change()), 1..4),
    ) {
        let mut file = Value::Table(toml::from_str::<Table>(EVERY).unwrap());
        for (at, change) in changes {
            let count = count(&file);
            if count > 0 {
                prop_assert_eq!(apply(&mut file, at.index(count), &change), Ok(()));
            }
        }
        valid_or_placed(&toml::to_string(&file).unwrap())?;
    }

    #[test]
    fn a_configuration_with_changed_text_is_valid_or_rejected_with_places(
        changes in prop::collection::vec((any::<Index>(), 0_usize..8, "[a-z\\[\\]{}=,.\"'#\n€𝒜 -]{0,4}"), 1..4),
    ) {
        let mut text: Vec<char> = EVERY.chars().collect();
        for (at, removed, added) in changes {
            let begin = at.index(text.len());
            let end = text.len().min(begin + removed);
            text.splice(begin..end, added.chars());
        }
        valid_or_placed(&text.into_iter().collect::<String>())?;
    }
}
