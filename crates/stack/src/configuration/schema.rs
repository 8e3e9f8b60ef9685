//! The JSON schema of the configuration of a stack, and the check for unknown keys.

use std::collections::BTreeSet;

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, schema_for};
use serde_json::{Value as Json, json};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::file::{File, SharedVariables};
use super::shared::default_regions;
use crate::places::below;
use crate::problem::{Problem, Problems};
use crate::stack::AnyStack;
use crate::unfold::unfolded;

/// The definition of a workspace's variables.
const VARIABLES: &str = "Variables";
/// The edit distance up to which a name counts as misspelled.
const CLOSE: usize = 3;

/// The JSON schema of `payinfra.toml` of `stack`, for editors.
#[must_use]
pub fn schema(stack: &dyn AnyStack) -> Schema {
    let mut generator = SchemaGenerator::default();
    let own = stack.variables(&mut generator).to_value();
    let mut root = generator.into_root_schema_for::<File>().to_value();
    let (name, own) = match own.get("$ref").and_then(Json::as_str).and_then(|name| name.rsplit_once('/')) {
        Some((_, name)) => (Some(name.to_owned()), root["$defs"][name].clone()),
        None => (None, own),
    };
    let shared = SharedVariables::schema_name();
    if let Some(definitions) = root["$defs"].as_object_mut() {
        let mut variables = definitions.remove(&*shared).unwrap_or_default();
        if let (Some(all), Some(own)) = (variables["properties"].as_object_mut(), own["properties"].as_object()) {
            all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        variables["properties"]["regions"]["default"] = json!(default_regions(stack, &(0..0)));
        variables["description"] = format!(
            "The variables of a workspace of the stack `{}`, or the shared ones in `[defaults]`.",
            stack.name()
        )
        .into();
        if let Some(name) = name {
            definitions.remove(&name);
        }
        definitions.insert(VARIABLES.to_owned(), variables);
    }
    rename(&mut root, &format!("#/$defs/{shared}"), &format!("#/$defs/{VARIABLES}"));
    root["properties"]["stack"]["const"] = stack.name().into();
    Schema::try_from(root).unwrap_or_default()
}

fn rename(value: &mut Json, old: &str, new: &str) {
    match value {
        Json::String(text) if text == old => new.clone_into(text),
        Json::Array(values) => values.iter_mut().for_each(|value| rename(value, old, new)),
        Json::Object(members) => members.values_mut().for_each(|value| rename(value, old, new)),
        _ => {}
    }
}

/// Whether `key` is a variable that all stacks share.
pub(super) fn is_shared(key: &str) -> bool {
    let schema = schema_for!(SharedVariables);
    schema.get("properties").is_some_and(|known| known.get(key).is_some())
}

/// The schema of the own variables of `stack`, after the definitions that it refers to.
pub(super) fn own(stack: &dyn AnyStack) -> (Json, Json) {
    let mut generator = SchemaGenerator::default();
    let own = stack.variables(&mut generator).to_value();
    (json!({ "$defs": generator.take_definitions(true) }), own)
}

/// The variables of `stack` that have the name of a shared one.
pub(crate) fn ambiguous(stack: &dyn AnyStack) -> Vec<String> {
    let (root, own) = own(stack);
    let own = unfolded(&root, &own).into_iter().filter_map(|own| own.get("properties")?.as_object());
    own.flat_map(|own| own.keys()).filter(|key| is_shared(key)).cloned().collect()
}

/// The schema of a workspace's variables in the schema of the configuration.
pub(super) fn variables(schema: &Json) -> &Json {
    &schema["$defs"][VARIABLES]
}

/// Removes what the schema of the configuration does not have from the workspace `table`, and reports it: unknown keys,
/// and arrays where only tables are accepted (serde would take their items for the values of the keys).
pub(super) fn unknown(schema: &Json, table: &mut DeTable<'_>, problems: &mut Problems) {
    in_table(schema, &[variables(schema)], table, "", problems);
}

/// As [`unknown`], for the sections of the whole configuration that are not variables of a workspace.
pub(super) fn unknown_in_file(schema: &Json, root: &mut DeTable<'_>, problems: &mut Problems) {
    let variables = ["defaults", "workspaces"].map(|section| root.remove_entry(section));
    in_table(schema, &[schema], root, "", problems);
    root.extend(variables.into_iter().flatten());
}

fn in_table(schema: &Json, here: &[&Json], table: &mut DeTable<'_>, path: &str, problems: &mut Problems) {
    let open: Vec<_> = here.iter().flat_map(|here| unfolded(schema, here)).collect();
    let known = |key: &str| {
        let named = open.iter().filter_map(|here| here.get("properties")?.get(key)).collect::<Vec<_>>();
        if !named.is_empty() {
            return Some(named);
        }
        let free: Vec<_> = open.iter().filter_map(|here| here.get("additionalProperties")).collect();
        // Where a schema names no keys at all, it is not the schema of a struct.
        let any = free.iter().any(|free| **free != false) || open.iter().all(|here| here.get("properties").is_none());
        any.then(|| free.into_iter().filter(|free| free.is_object()).collect())
    };
    for (key, mut value) in std::mem::replace(table, DeTable::new()) {
        let Some(schemas) = known(key.get_ref()) else {
            let names = open.iter().filter_map(|here| here.get("properties")?.as_object()).flat_map(|it| it.keys());
            let unknown = Problem::new(format!("unknown field `{}`", key.get_ref()), key.span());
            problems.add(unknown.hint(close(key.get_ref(), path, &names.collect())));
            continue;
        };
        if in_value(schema, &schemas, &mut value, &below(path, key.get_ref()), problems) {
            table.insert(key, value);
        }
    }
}

/// Returns whether the value is kept.
fn in_value(
    schema: &Json,
    here: &[&Json],
    value: &mut Spanned<DeValue<'_>>,
    path: &str,
    problems: &mut Problems,
) -> bool {
    let place = value.span();
    match value.get_mut() {
        DeValue::Table(table) => in_table(schema, here, table, path, problems),
        DeValue::Array(values) => {
            let open: Vec<_> = here.iter().flat_map(|here| unfolded(schema, here)).collect();
            if is_table(&open) {
                problems.add(Problem::new("invalid type: array, expected a table", place));
                return false;
            }
            let items: Vec<_> = open.iter().filter_map(|here| here.get("items")).collect();
            if !items.is_empty() {
                let all = std::mem::replace(values, DeArray::new()).into_iter();
                let kept =
                    all.filter_map(|mut value| in_value(schema, &items, &mut value, path, problems).then_some(value));
                *values = kept.collect();
            }
        }
        _ => {}
    }
    true
}

/// Whether the schemas `open` accept tables, and no arrays.
fn is_table(open: &[&Json]) -> bool {
    // A schema of alternatives has no type itself; any other without a type accepts everything.
    let is_limited =
        |here: &&Json| ["type", "anyOf", "oneOf", "allOf"].iter().any(|keyword| here.get(keyword).is_some());
    let types = open.iter().filter_map(|here| here.get("type")).flat_map(|types| match types {
        Json::Array(types) => types.as_slice(),
        one => std::slice::from_ref(one),
    });
    let types: Vec<_> = types.collect();
    open.iter().all(is_limited) && types.iter().any(|it| *it == "object") && types.iter().all(|it| *it != "array")
}

/// A hint at names that are like `key`, which is not among the `known` ones in the section at `path`.
pub(super) fn close(key: &str, path: &str, known: &BTreeSet<&String>) -> String {
    let mut near: Vec<_> = known.iter().map(|known| (strsim::damerau_levenshtein(key, known), *known)).collect();
    near.retain(|(distance, _)| *distance <= CLOSE);
    near.sort();
    let named =
        |keys: Vec<&String>| keys.iter().map(|key| format!("`{}`", below(path, key))).collect::<Vec<_>>().join(", ");
    match (near.is_empty(), known.is_empty()) {
        (false, _) => format!("did you mean {}?", named(near.into_iter().map(|(_, key)| key).take(3).collect())),
        (true, false) => format!("available: {}", named(known.iter().copied().collect())),
        (true, true) => format!("`{path}` has no members"),
    }
}
