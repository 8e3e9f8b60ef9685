//! Typed variables from a table.
//!
//! Serde stops at the first error in a table. So what is wrong is removed, and the rest is read again, until all errors
//! are found.

use std::collections::BTreeSet;

use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::problem::{Problem, Problems};
use crate::unfold::required;

/// How the names of members begin that stand for no key in the file, such as those of [`Spanned`].
const INTERNAL: &str = "$__";

/// The variables in `table`; `None` if one is missing or has a wrong type. Adds all problems.
pub(crate) fn typed<T: DeserializeOwned + JsonSchema>(
    table: Spanned<DeTable<'_>>,
    problems: &mut Problems,
) -> Option<T> {
    let place = table.span();
    let mut rest = DeValue::Table(table.into_inner());
    let mut removed: BTreeSet<Vec<String>> = BTreeSet::new();
    loop {
        let DeValue::Table(table) = &rest else { return None };
        let deserializer = toml::Deserializer::from(Spanned::new(place.clone(), table.clone()));
        let error = match serde_path_to_error::deserialize::<_, T>(deserializer) {
            Ok(variables) => return removed.is_empty().then_some(variables),
            Err(error) => error,
        };
        let mut path = steps(error.path());
        let problem = |message: &str| Problem::new(message, error.inner().span().unwrap_or_else(|| place.clone()));
        let missing = error.inner().message().strip_prefix("missing field `").and_then(|it| it.strip_suffix('`'));
        if let Some(member) = missing {
            let schema = schema_for!(T).to_value();
            let mut members = required(&schema, &path, member);
            members.insert(member);
            for member in members {
                let at = [path.as_slice(), &[member.to_owned()]].concat();
                if !removed.contains(&at) && reached(&rest, &at) < at.len() {
                    problems.add(problem(&format!("missing field `{member}`")));
                }
            }
        } else if !removed.iter().any(|it| it.len() == path.len() + 1 && it.starts_with(&path)) {
            // Otherwise, the error may follow from what was removed.
            problems.add(problem(&plain(error.inner().message())));
        }
        path.truncate(reached(&rest, &path));
        if !remove(&mut rest, &path) {
            return None;
        }
        // What was removed below the path is gone with it; another item of an array may have its index now.
        removed.retain(|it| !it.starts_with(&path));
        removed.insert(path);
    }
}

/// The message of serde in TOML's terms, without names of Rust structs.
fn plain(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let found = match found {
        "invalid type: sequence" => "invalid type: array",
        "invalid type: map" => "invalid type: table",
        found => found,
    };
    let expected = match expected {
        "a sequence" => "an array",
        "a map" => "a table",
        name if name.starts_with("struct ") => "a table",
        expected => expected,
    };
    format!("{found}, expected {expected}")
}

/// The keys and indices of `path`.
fn steps(path: &Path) -> Vec<String> {
    let steps = path.iter().map_while(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    });
    steps.filter(|step| !step.starts_with(INTERNAL)).collect()
}

/// How many steps of `path` exist in `value`.
fn reached(value: &DeValue<'_>, path: &[String]) -> usize {
    let Some((step, rest)) = path.split_first() else { return 0 };
    let child = match value {
        DeValue::Table(table) => table.get(step.as_str()),
        DeValue::Array(values) => step.parse().ok().and_then(|index: usize| values.get(index)),
        _ => None,
    };
    child.map_or(0, |child| 1 + reached(child.get_ref(), rest))
}

/// Removes the value at `path`; `false` if there is none.
fn remove(value: &mut DeValue<'_>, path: &[String]) -> bool {
    let Some((step, rest)) = path.split_first() else { return false };
    match value {
        DeValue::Table(table) if rest.is_empty() => table.remove(step.as_str()).is_some(),
        DeValue::Table(table) => table.get_mut(step.as_str()).is_some_and(|child| remove(child.get_mut(), rest)),
        DeValue::Array(values) => {
            let Ok(index) = step.parse::<usize>() else { return false };
            if !rest.is_empty() {
                return values.get_mut(index).is_some_and(|child| remove(child.get_mut(), rest));
            }
            let all = std::mem::replace(values, DeArray::new());
            let count = all.len();
            *values = all.into_iter().enumerate().filter(|(at, _)| *at != index).map(|(_, value)| value).collect();
            values.len() < count
        }
        _ => false,
    }
}
