//! Whether a saved plan still says what would be planned now.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::Plan;
use crate::address::Address;
use crate::count::counted;
use crate::error::{Class, Error, Result};
use crate::secret::is_secret;

impl Plan {
    /// Checks that this saved plan equals `derived`, which was created from the configuration, the state and the
    /// current resources. A manipulated plan file therefore cannot change what is applied.
    ///
    /// # Errors
    /// [`Class::Stale`] with the first difference: its place, the saved value and the derived value.
    pub fn agrees(&self, derived: &Self) -> Result<()> {
        let (mut saved, mut derived) = (self.sealed()?, derived.sealed()?);
        // The amount of data may have changed; what is lost is compared. The declaration of an unknown value is compared with
        // the graph; plans of earlier versions have no more of it.
        for step in saved.steps.values_mut().chain(derived.steps.values_mut()) {
            step.contents = None;
            step.changes.iter_mut().for_each(|change| change.partial = None);
        }
        let differs = |what: &str, says: &str, is: &str| {
            let message = format!("{what} differs from the saved plan: saved {says}, now {is}");
            Err(Error::new(Class::Stale, message)
                .hint("review the change, then create the plan again with `payinfra plan --out`"))
        };
        for (what, says, is) in [
            ("the account", &saved.account, &derived.account),
            ("the lineage of the state", &saved.lineage, &derived.lineage),
            ("the stack", &saved.graph.stack, &derived.graph.stack),
            ("the workspace", &saved.graph.workspace, &derived.graph.workspace),
        ] {
            if says != is {
                return differs(what, &format!("`{says}`"), &format!("`{is}`"));
            }
        }
        let kinds = [
            ("the declaration of ", by_address(saved.graph.nodes())?, by_address(derived.graph.nodes())?),
            ("the lookup ", by_address(&saved.lookups)?, by_address(&derived.lookups)?),
            ("the move to ", by_address(&saved.moved)?, by_address(&derived.moved)?),
            ("the step of ", by_address(&saved.steps)?, by_address(&derived.steps)?),
        ];
        for (what, says, is) in &kinds {
            let addresses: BTreeSet<_> = says.keys().chain(is.keys()).collect();
            for address in addresses {
                let (says, is) = (says.get(address), is.get(address));
                if says != is {
                    let (says, is) = first(says.unwrap_or(&Value::Null), is.unwrap_or(&Value::Null), "");
                    return differs(&format!("{what}{address}"), &says, &is);
                }
            }
        }
        if let Some(address) = saved.left_out.symmetric_difference(&derived.left_out).next() {
            let word = |plan: &Self| if plan.left_out.contains(address) { "excluded" } else { "included" };
            return differs(&address.to_string(), word(&saved), word(&derived));
        }
        if saved.graph != derived.graph {
            return Err(Error::new(Class::Stale, "the configuration has changed since the plan was created")
                .hint("create it again with `payinfra plan --out`"));
        }
        Ok(())
    }
}

/// The values as JSON, by address.
fn by_address<T: Serialize>(members: &BTreeMap<Address, T>) -> Result<BTreeMap<&Address, Value>> {
    let json = |(address, member)| Ok((address, serde_json::to_value(member)?));
    members.iter().map(json).collect::<Result<_, serde_json::Error>>().map_err(|error| Error::failed(error.to_string()))
}

/// The first difference between two values, as narrow as possible, with both values.
fn first(one: &Value, other: &Value, path: &str) -> (String, String) {
    match (one, other) {
        _ if is_secret(one) && is_secret(other) => (told(one, path), "another secret".to_owned()),
        _ if is_secret(one) || is_secret(other) => (told(one, path), told(other, path)),
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            let mut differing = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
            let Some(key) = differing.next() else { return (String::new(), String::new()) };
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            first(one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null), &path)
        }
        (Value::Array(one), Value::Array(other)) => {
            let count = one.len().max(other.len());
            let mut differing = (0..count).filter(|index| one.get(*index) != other.get(*index));
            let Some(index) = differing.next() else { return (String::new(), String::new()) };
            let path = format!("{path}[{index}]");
            first(one.get(index).unwrap_or(&Value::Null), other.get(index).unwrap_or(&Value::Null), &path)
        }
        (Value::String(one), Value::String(other)) => {
            let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
            let (one, other) = (from(one, same), from(other, same));
            (told(&one, path), told(&other, path))
        }
        _ => (told(one, path), told(other, path)),
    }
}

/// `text` from where it differs from another one, whose first characters are the `same`.
fn from(text: &str, same: usize) -> Value {
    match same.checked_sub(BEFORE) {
        Some(skipped) if skipped > 0 => format!("…{}", text.chars().skip(skipped).collect::<String>()).into(),
        _ => text.into(),
    }
}

/// The number of characters that are shown before the difference of two texts.
const BEFORE: usize = 10;

/// The maximum length of a value in a difference, in characters.
const SHOWN: usize = 120;

/// A value on one line. For large values, only the names of the fields or the number of members.
fn told(value: &Value, path: &str) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        value if is_secret(value) => "(secret)".to_owned(),
        Value::Object(members) => {
            let names: Vec<_> = members.keys().map(String::as_str).collect();
            format!("an object with the fields {}", names.join(", "))
        }
        Value::Array(values) if values.iter().any(|value| value.is_array() || value.is_object()) => {
            format!("a list of {}", counted(values.len(), "item", "items"))
        }
        value => value.to_string(),
    };
    let text = if text.chars().count() > SHOWN {
        format!("{}…", text.chars().take(SHOWN).collect::<String>())
    } else {
        text
    };
    if path.is_empty() { text } else { format!("{path} = {text}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_one_field_and_no_secret() {
        let both = |one: Value, other: Value| {
            let (one, other) = first(&one, &other, "");
            format!("{one} | {other}")
        };
        for (one, other, told) in [
            (json!({ "a": 1, "b": { "c": "x" } }), json!({ "a": 1, "b": { "c": "y" } }), r#"b.c = "x" | b.c = "y""#),
            (json!({ "a": [1, { "b": 2 }] }), json!({ "a": [1, { "b": 3 }] }), "a[1].b = 2 | a[1].b = 3"),
            (json!({ "a": [1] }), json!({ "a": [1, 2] }), "a[1] = nothing | a[1] = 2"),
            (json!(null), json!({ "a": 1, "b": 2 }), "nothing | an object with the fields a, b"),
            (json!({ "p": { "$hash": "one" } }), json!({ "p": { "$hash": "two" } }), "p = (secret) | another secret"),
            (json!({ "p": { "$hash": "one" } }), json!({ "p": "plain" }), r#"p = (secret) | p = "plain""#),
        ] {
            assert_eq!(both(one, other), told);
        }
        let alike = |end: &str| json!(format!("{}{end}{}", "x".repeat(300), "y".repeat(300)));
        let (one, other) = first(&alike("a"), &alike("b"), "");
        assert!(one.starts_with("\"…xxxxxxxxxxa") && other.starts_with("\"…xxxxxxxxxxb"), "{one} | {other}");
        let long = both(json!("x".repeat(500)), json!(null));
        assert!(long.chars().count() < 150 && long.contains('…'), "{long}");
    }
}
