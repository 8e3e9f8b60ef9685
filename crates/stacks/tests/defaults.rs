//! The schema of a stack documents every variable, and its defaults are the ones in use.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

use payinfra_components::{GraphFile, graph as build};
use payinfra_engine::{Graph, Tags};
use payinfra_stack::{AnyStack, Configuration, schema};
use payinfra_stacks::{Migration, Phase, STACKS};
use serde_json::{Map, Value, json};

const ACCOUNT: &str = "123456789012";

/// What a workspace of the migration cannot leave out.
const REQUIRED: [(&str, &str); 6] = [
    ("environment", "\"e\""),
    ("project", "\"p\""),
    ("suffix", "\"s1\""),
    ("cutover", "2026-03-01T02:00:00Z"),
    ("service.auth", "\"none\""),
    ("domain.zone", "\"payments.test\""),
];

/// A configuration with the workspace `phase` and nothing but what is required, except `without`.
fn minimal(phase: &str, without: &str) -> String {
    let lines = REQUIRED.iter().filter(|(variable, _)| *variable != without);
    let lines: Vec<_> = lines.map(|(variable, value)| format!("{variable} = {value}\n")).collect();
    format!("stack = \"migration\"\n[workspaces.{phase}]\n{}", lines.concat())
}

fn parse(text: &str) -> Configuration {
    let open = |_: &Path| Ok(Box::new(io::Cursor::new(b"package")) as Box<dyn Read>);
    Configuration::open(text, "payinfra.toml", STACKS, &open).unwrap()
}

/// The schema that `here` refers to.
fn target<'a>(root: &'a Value, here: &'a Value) -> &'a Value {
    here.get("$ref").map_or(here, |name| root.pointer(name.as_str().unwrap().trim_start_matches('#')).unwrap())
}

/// A variable in a schema.
struct Variable<'a> {
    /// Its path, such as `defaults.service.port`; `*` is any key or item.
    path: String,
    /// Its schema, with description and default.
    schema: &'a Value,
    required: bool,
}

/// The variables in `root`; those of workspaces only below `defaults`.
fn variables(root: &Value) -> Vec<Variable<'_>> {
    let mut found = Vec::new();
    collect(root, root, "", &mut found);
    found
}

fn collect<'a>(root: &'a Value, here: &'a Value, path: &str, found: &mut Vec<Variable<'a>>) {
    let here = target(root, here);
    for (key, schema) in here.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}{key}");
        let required = here.get("required").is_some_and(|list| list.as_array().unwrap().contains(&json!(key)));
        found.push(Variable { path: path.clone(), schema, required });
        if path != "workspaces" {
            collect(root, schema, &format!("{path}."), found);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        here.get(keyword).into_iter().for_each(|each| collect(root, each, &format!("{path}*."), found));
    }
    for alternative in here.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        collect(root, alternative, path, found);
    }
}

fn is_nullable(schema: &Value) -> bool {
    let null = json!("null");
    let listed = schema["type"].as_array().is_some_and(|types| types.contains(&null));
    listed || schema["anyOf"].as_array().is_some_and(|all| all.iter().any(|one| one["type"] == null))
}

/// A variable without a default is either required, or its description says what applies by default.
#[test]
fn every_variable_has_a_description_and_every_optional_one_a_default() {
    for (stack, required) in [
        (&Migration as &dyn AnyStack, &REQUIRED.map(|(variable, _)| variable)[..]),
        (&GraphFile, &["environment", "file", "project", "suffix"]),
    ] {
        let schema = schema(stack).to_value();
        let mut without = BTreeSet::new();
        for Variable { path, schema, required } in variables(&schema) {
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "`{path}` has no description");
            let by_default = description.contains("by default");
            if schema.get("default").is_some() {
                assert!(!by_default, "`{path}` says its default twice: {description}");
            } else if is_nullable(schema) {
                assert!(by_default, "`{path}` does not say what applies without it: {description}");
            } else if !required {
                without.insert(path);
            }
        }
        let expected = required.iter().map(|variable| format!("defaults.{variable}")).collect();
        assert_eq!(without, expected, "the variables of `{}` without a default", stack.name());
    }
}

#[test]
fn a_variable_without_a_default_is_required() {
    for (variable, _) in REQUIRED {
        let error = Configuration::parse(&minimal("legacy", variable), "payinfra.toml", STACKS).unwrap_err();
        assert!(error.to_string().contains(&format!("has no `{variable}`")), "{variable}: {error}");
        assert_eq!((error.position, error.others.len()), (Some((2, 13)), 0), "{error}");
    }
    let text = "stack = \"graph\"\n[workspaces.w]\nenvironment = \"e\"\nproject = \"p\"\nsuffix = \"s1\"\n";
    let error = Configuration::parse(text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.to_string(), "payinfra.toml:2:13: missing field `file`");
}

/// All defaults below `here`, as they would be written in the configuration.
fn defaults(root: &Value, here: &Value) -> Value {
    let mut written = Map::new();
    for (key, schema) in target(root, here)["properties"].as_object().unwrap() {
        let value = if target(root, schema).get("properties").is_some() {
            Some(defaults(root, schema))
        } else {
            schema.get("default").cloned()
        };
        written.extend(value.map(|value| (key.clone(), value)));
    }
    Value::Object(written)
}

/// The configuration `text` with the `written` values, which must not name what it has.
fn with(text: &str, written: &Value) -> String {
    let mut file: toml::Table = toml::from_str(text).unwrap();
    for (key, value) in written.as_object().unwrap() {
        assert!(!file.contains_key(key), "{key}");
        file.insert(key.clone(), toml::Value::try_from(value).unwrap());
    }
    toml::to_string(&file).unwrap()
}

#[test]
fn the_defaults_in_the_schema_are_those_in_use() {
    let root = schema(&Migration).to_value();
    let mut written = defaults(&root, &root);
    for (path, expected) in [
        ("/state/table", json!("payinfra-locks")),
        ("/defaults/service/port", json!(8_080)),
        ("/defaults/nat", json!("per-zone")),
        ("/defaults/regions/1/cidr", json!("10.1.0.0/16")),
    ] {
        assert_eq!(written.pointer(path), Some(&expected), "{path}");
    }
    // The default of a section consists of the defaults of its variables.
    for Variable { path, schema, .. } in variables(&root) {
        if let (Some(section), true) = (schema.get("default"), target(&root, schema).get("properties").is_some()) {
            let expected = if path == "defaults" { json!({}) } else { defaults(&root, schema) };
            assert_eq!(section, &expected, "{path}");
        }
    }
    for phase in Phase::ALL {
        let text = minimal(phase.as_str(), "");
        let (short, long) = (parse(&text), parse(&with(&text, &written)));
        assert_eq!((&short.aws, &short.state), (&long.aws, &long.state));
        let graph = |configuration| build(configuration, phase.as_str(), ACCOUNT).unwrap();
        assert_eq!(graph(&short), graph(&long), "{phase}");
        let workspace =
            |configuration: &Configuration| Migration.describe(configuration.workspace(phase.as_str()).unwrap());
        assert_eq!(workspace(&short), workspace(&long), "{phase}");
    }
    // One that differs is noticed.
    written["defaults"]["alarms"]["latency_ms"] = json!(201);
    let text = minimal("legacy", "");
    let graphs = [text.clone(), with(&text, &written)].map(|text| build(&parse(&text), "legacy", ACCOUNT).unwrap());
    assert_ne!(graphs[0], graphs[1]);
}

#[test]
fn the_defaults_of_the_stack_graph_are_those_in_use() {
    let tags = Tags::new().with("Environment", "e").with("ManagedBy", "payinfra").with("Project", "p");
    let document = Graph::new("graph", "w", tags).document().unwrap();
    let open = |_: &Path| -> io::Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(document.clone()))) };
    let root = schema(&GraphFile).to_value();
    let text =
        "stack = \"graph\"\n[workspaces.w]\nenvironment = \"e\"\nproject = \"p\"\nsuffix = \"s1\"\nfile = \"f\"\n";
    let graphs = [text.to_owned(), with(text, &defaults(&root, &root))].map(|text| {
        let configuration = Configuration::open(&text, "payinfra.toml", STACKS, &open).unwrap();
        build(&configuration, "w", ACCOUNT).unwrap()
    });
    assert_eq!(graphs[0], graphs[1]);
}

/// The settings of a workspace that leaves out everything that is optional.
fn described(phase: Phase) -> Value {
    let configuration = parse(&minimal(phase.as_str(), ""));
    Migration.describe(configuration.workspace(phase.as_str()).unwrap())
}

#[test]
fn defaults_by_phase_are_documented() {
    let root = schema(&Migration).to_value();
    let phases = Phase::ALL.map(described);
    let mut count = 0;
    for Variable { path, schema, .. } in variables(&root) {
        let description = schema["description"].as_str().unwrap();
        if !description.contains("in the phase `production`") {
            continue;
        }
        let pointer = path.strip_prefix("defaults").unwrap().replace('.', "/");
        let [legacy, migration, production] = phases.each_ref().map(|phase| phase.pointer(&pointer).unwrap());
        assert_eq!(legacy, migration, "{path}");
        let expected = format!("by default {migration}, and {production} in the phase `production`");
        assert!(description.contains(&expected), "{path}: {description}");
        count += 1;
    }
    assert_eq!(count, 4);
    for phase in phases {
        assert_eq!(phase["service"]["memory"], json!(phase["service"]["cpu"].as_i64().unwrap() * 2));
        assert_eq!(phase["alarms"]["running_tasks"], phase["service"]["min_tasks"]);
    }
}

/// The values in the example that are commented out are the defaults.
#[test]
fn the_example_shows_the_defaults() {
    let root = schema(&Migration).to_value();
    let mut known = defaults(&root, &root);
    let by_phase = described(Phase::Legacy);
    for section in ["database", "service", "alarms"] {
        known["defaults"][section] = by_phase[section].clone();
    }
    let (mut section, mut count) = (String::new(), 0);
    for line in Migration.example().unwrap().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("/{}", name.replace('.', "/"));
        }
        let Some((key, _)) = line.strip_prefix("# ").and_then(|line| line.split_once(" = ")) else { continue };
        let Some(expected) = known.pointer(&format!("{section}/{key}")) else { continue };
        // The example of a list or a table is none of the defaults.
        if *expected != json!([]) && *expected != json!({}) {
            let shown: Value = toml::from_str(line.trim_start_matches("# ")).unwrap();
            assert_eq!(shown[key], *expected, "{section}/{key}");
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

/// The configuration that other tests change has every variable.
#[test]
fn every_variable_is_in_the_configuration_with_every_variable() {
    let text = include_str!("every_variable.toml");
    parse(text);
    let file: Value = toml::from_str(text).unwrap();
    let root = schema(&Migration).to_value();
    for Variable { path, .. } in variables(&root) {
        let steps: Vec<_> = path.split('.').collect();
        // `path` excludes the rest of `[state]`.
        let found = path == "state.path"
            || match steps.strip_prefix(&["defaults"]) {
                Some(steps) => has(&file["defaults"], steps) || has(&file["workspaces"]["blue"], steps),
                None => has(&file, &steps),
            };
        assert!(found, "{path}");
    }
}

fn has(value: &Value, path: &[&str]) -> bool {
    match (path, value) {
        ([], _) => true,
        (["*", rest @ ..], Value::Array(items)) => items.iter().any(|item| has(item, rest)),
        (["*", rest @ ..], Value::Object(members)) => members.values().any(|member| has(member, rest)),
        ([key, rest @ ..], value) => value.get(key).is_some_and(|member| has(member, rest)),
    }
}
