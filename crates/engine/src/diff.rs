//! The differences between the desired and the current arguments.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::resolve::{json_pointer, pointers};
use crate::secret::{is_secret, redacted_like};

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The path of the field: `tags.Environment`.
    pub path: String,
    /// The current value; null if there is none.
    pub old: Value,
    /// The desired value.
    pub new: Wanted,
    /// What is already known of a value that is known only after apply: the value with the references that remain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Value>,
}

/// The desired value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// This value.
    Value(Value),
    /// No value.
    Removed,
    /// Known only after apply.
    Unknown,
}

impl Change {
    fn new(path: &[&str], old: &Value, new: Wanted) -> Self {
        Self { path: path.join("."), old: old.clone(), new, partial: None }
    }

    /// The top-level field that it is in.
    #[must_use]
    pub fn field(&self) -> &str {
        self.path.split('.').next().unwrap_or_default()
    }

    /// Hides what is secret in `like`.
    pub(crate) fn conceal(&mut self, like: &Value, lineage: &str) {
        let Some(like) = like.pointer(&json_pointer(self.path.split('.'))) else { return };
        self.old = redacted_like(&self.old, like, lineage);
        if let Wanted::Value(new) = &mut self.new {
            *new = redacted_like(new, like, lineage);
        }
        self.partial = self.partial.as_ref().map(|partial| redacted_like(partial, like, lineage));
    }
}

/// The changes from `live` to `desired`.
///
/// A `null` in `desired` is unmanaged, unless `recorded` has a value there: then it was managed, and is reset. A key of
/// a map that `desired` lacks is removed.
pub(crate) fn diff(desired: &Value, live: &Value, recorded: Option<&Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&mut Vec::new(), desired, live, recorded.unwrap_or(&Value::Null), &mut changes);
    changes
}

fn compare<'a>(
    path: &mut Vec<&'a str>,
    desired: &'a Value,
    live: &'a Value,
    recorded: &Value,
    changes: &mut Vec<Change>,
) {
    let mut change = |new: Wanted| changes.push(Change::new(path, live, new));
    match (desired, live) {
        (Value::Null, Value::Null) => {}
        (Value::Null, _) if recorded.is_null() => {}
        (Value::Null, _) => change(Wanted::Removed),
        (Value::Object(wanted), Value::Object(is)) if is_open(desired) && is_open(live) => {
            for key in wanted.keys().chain(is.keys()).collect::<BTreeSet<_>>() {
                path.push(key);
                match (wanted.get(key), is.get(key)) {
                    (Some(wanted), is) => {
                        let recorded = recorded.get(key).unwrap_or(&Value::Null);
                        compare(path, wanted, is.unwrap_or(&Value::Null), recorded, changes);
                    }
                    (None, Some(is)) if !is.is_null() => {
                        changes.push(Change::new(path, is, Wanted::Removed));
                    }
                    (None, _) => {}
                }
                path.pop();
            }
        }
        (desired, live) if matches(desired, live) => {}
        (desired, _) if pointers(desired).is_empty() => change(Wanted::Value(desired.clone())),
        _ => changes.push(Change { partial: Some(desired.clone()), ..Change::new(path, live, Wanted::Unknown) }),
    }
}

/// Whether the value is compared member by member. References, texts with references, and secrets are compared as a
/// whole.
fn is_open(value: &Value) -> bool {
    let is_reference = value.as_object().is_some_and(|it| it.contains_key("$ref") || it.contains_key("$text"));
    !is_reference && !is_secret(value)
}

/// Whether `live` matches `desired`, ignoring unmanaged parts.
fn matches(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Null, _) => true,
        (Value::Array(desired), Value::Array(live)) => {
            desired.len() == live.len() && desired.iter().zip(live).all(|(desired, live)| matches(desired, live))
        }
        (Value::Object(wanted), Value::Object(is)) => {
            wanted.iter().all(|(key, wanted)| matches(wanted, is.get(key).unwrap_or(&Value::Null)))
                && is.iter().all(|(key, is)| is.is_null() || wanted.contains_key(key))
        }
        (desired, live) => desired == live,
    }
}

/// `live` without its unmanaged parts, so that a kind's `update` sees only differences that it has to fix.
pub(crate) fn masked(live: &Value, desired: &Value, recorded: Option<&Value>) -> Value {
    match (desired, live) {
        (Value::Null, live) => match recorded {
            Some(recorded) if !recorded.is_null() => live.clone(),
            _ => Value::Null,
        },
        (Value::Object(wanted), Value::Object(is)) => is
            .iter()
            .map(|(key, is)| {
                let value = match wanted.get(key) {
                    Some(wanted) => masked(is, wanted, recorded.and_then(|recorded| recorded.get(key))),
                    None => is.clone(),
                };
                (key.clone(), value)
            })
            .collect(),
        (_, live) => live.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::redact;

    fn paths(desired: &Value, live: &Value, recorded: &Value) -> Vec<String> {
        diff(desired, live, Some(recorded)).into_iter().map(|change| change.path).collect()
    }

    #[test]
    fn sees_what_differs_and_only_that() {
        let live = json!({ "a": 1, "tags": { "x": "1", "extra": "2" }, "days": 7, "list": [1, 2] });
        for (desired, recorded, expected) in [
            (json!({ "a": 1, "tags": { "x": "1", "extra": "2" }, "days": 7, "list": [1, 2] }), json!({}), vec![]),
            (
                json!({ "a": 2, "tags": { "x": "1" }, "days": null, "list": [1] }),
                json!({}),
                vec!["a", "list", "tags.extra"],
            ),
            (
                json!({ "a": 1, "tags": { "x": "1", "extra": "2" }, "days": null, "list": [1, 2] }),
                json!({ "days": 7 }),
                vec!["days"],
            ),
            (
                json!({ "a": { "$hash": "1" }, "tags": { "x": { "$secret": "1" } }, "days": null, "list": null }),
                json!({}),
                vec!["a", "tags.extra", "tags.x"],
            ),
            (json!({ "a": { "$ref": "r/k/n#id" }, "tags": null, "days": null, "list": null }), json!({}), vec!["a"]),
        ] {
            assert_eq!(paths(&desired, &live, &recorded), expected, "{desired}");
        }
    }

    #[test]
    fn what_is_known_of_a_value_is_part_of_the_change() {
        let arn = json!({ "$text": ["arn:aws:s3:::", { "$ref": "r/s3.bucket/a#name" }, "/*"] });
        let desired = json!({ "inline": { "read": [{ "actions": ["s3:GetObject"], "resources": [arn] }] }, "size": 2 });
        let changes = diff(&desired, &json!({ "inline": { "read": [] }, "size": 1 }), None);
        assert_eq!(changes[0].new, Wanted::Unknown);
        assert_eq!(changes[0].partial.as_ref(), Some(&desired["inline"]["read"]));
        assert_eq!(changes[1].partial, None, "all of it is known");
    }

    #[test]
    fn what_is_known_of_a_secret_is_no_part_of_the_change() {
        let url = json!({ "$secret": { "$text": ["postgres://hunter2@", { "$ref": "r/rds.cluster/main#endpoint" }] } });
        let mut changes = diff(&redact(&json!({ "url": url }), "lineage"), &json!({ "url": null }), None);
        let plain = json!({ "$text": ["postgres://hunter2@", { "$ref": "r/rds.cluster/main#endpoint" }] });
        changes.extend(diff(&json!({ "url": plain }), &json!({ "url": null }), None));
        for mut change in changes {
            change.conceal(&json!({ "url": { "$hash": "0a1b" } }), "lineage");
            assert_eq!(change.partial, Some(json!({ "$pending": [{ "$ref": "r/rds.cluster/main#endpoint" }] })));
        }
    }

    #[test]
    fn an_update_sees_no_difference_in_what_is_unmanaged() {
        let live = json!({ "days": 7, "key": "k", "name": "n" });
        let desired = json!({ "days": null, "key": null, "name": "n" });
        let recorded = json!({ "days": 7, "key": null, "name": "n" });
        assert_eq!(masked(&live, &desired, Some(&recorded)), json!({ "days": 7, "key": null, "name": "n" }));
    }
}
