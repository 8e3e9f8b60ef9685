//! The JSON schemas of the kinds describe what the kinds accept and return.

use std::collections::BTreeSet;

use payinfra_aws::catalog;
use payinfra_engine::Result;
use payinfra_testkit::violations;
use serde_json::{Value, json};

use super::examples;

#[test]
fn schemas_accept_the_arguments_of_every_example() -> Result<()> {
    let catalog = catalog();
    for example in examples()? {
        for (address, node) in example.graph.nodes() {
            let schema = json!(catalog.schemas(&address.kind)?.args);
            let violations = violations(&schema, &node.args);
            assert!(violations.is_empty(), "{}: {address}: {violations:#?}", example.name());
        }
        let schemas = catalog.schemas(example.kind())?;
        for step in example.steps() {
            let violations = violations(&json!(schemas.args), &step);
            assert!(violations.is_empty(), "{}: {violations:#?}", example.name());
        }
        // What a lookup finds is written with references here, so only its members are compared.
        for name in example.found.as_object().into_iter().flat_map(|found| found.keys()) {
            assert!(json!(schemas.outputs)["properties"].get(name).is_some(), "{}: {name}", example.name());
        }
    }
    Ok(())
}

#[test]
fn schemas_and_kinds_refuse_unknown_members() -> Result<()> {
    let catalog = catalog();
    for example in examples()? {
        let mut args = example.args().clone();
        args["payinfra"] = json!(1);
        assert!(!violations(&json!(catalog.schemas(example.kind())?.args), &args).is_empty(), "{}", example.name());
        let error = catalog.kind(example.kind())?.normal(&args).map_err(|error| error.to_string());
        let error = error.err().unwrap_or_default();
        assert!(error.contains("unknown field `payinfra`"), "{}: {error}", example.name());
    }
    Ok(())
}

/// A member of another type is refused by the schema, and by the kind with the name of the member.
#[test]
fn schemas_and_kinds_refuse_wrong_types() -> Result<()> {
    let catalog = catalog();
    let mut members = BTreeSet::new();
    for example in examples()? {
        for (name, value) in example.args().as_object().into_iter().flatten() {
            // A dashboard can be any JSON.
            if value.is_null() || (example.kind(), name.as_str()) == ("cloudwatch.dashboard", "body") {
                continue;
            }
            let mut args = example.args().clone();
            args[name] = if value.is_array() { json!({ "payinfra": 1 }) } else { json!([[1]]) };
            let place = format!("{}: {name}", example.kind());
            assert!(!violations(&json!(catalog.schemas(example.kind())?.args), &args).is_empty(), "{place}");
            let error = catalog.kind(example.kind())?.normal(&args).map_err(|error| error.to_string());
            assert!(error.err().unwrap_or_default().contains(&format!("`{name}")), "{place}");
            members.insert(place);
        }
    }
    assert!(members.len() > 250, "{}", members.len());
    Ok(())
}

#[test]
fn everything_in_a_schema_is_described() {
    let mut bare = Vec::new();
    for (name, kind) in catalog().iter() {
        let schemas = json!(kind.schemas());
        for part in ["args", "outputs"] {
            undescribed(&schemas[part], &format!("{name} {part}"), &mut bare);
        }
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

/// Members without a description; those that only refer to a definition have the definition's.
fn undescribed(schema: &Value, place: &str, bare: &mut Vec<String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        let is_form = name.starts_with('$') || member.get("$ref").is_some();
        if !is_form && member["description"].as_str().is_none_or(str::is_empty) {
            bare.push(place.clone());
        }
        undescribed(member, &place, bare);
    }
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        undescribed(definition, &format!("{place} {name}"), bare);
    }
}
