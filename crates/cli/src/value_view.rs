//! Displays values. Secrets are never shown.

use payinfra_engine::secret::is_secret;
pub(crate) use payinfra_engine::secret::{SHOWN as SECRET, masked};
use serde_json::Value;

/// The maximum length of a value where space is short.
const SHORT: usize = 72;

/// `value` on one line, shortened with `…` unless `whole`.
pub(crate) fn view(value: &Value, whole: bool) -> String {
    let text = text(value);
    if whole || text.chars().count() <= SHORT {
        return text;
    }
    let start: String = text.chars().take(SHORT - 1).collect();
    format!("{start}…")
}

/// The form in which outputs are written: strings as they are, all other values as JSON.
pub(crate) fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The text of `value` on one line, in full.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => format!("{text:?}"),
        Value::Array(values) => format!("[{}]", joined(values.iter().map(text))),
        secret if is_secret(secret) => SECRET.to_owned(),
        Value::Object(members) => match hole(value) {
            Some(Value::String(text)) => text,
            _ => format!("{{{}}}", joined(members.iter().map(|(key, value)| format!("{key}: {}", text(value))))),
        },
        other => other.to_string(),
    }
}

/// `value` with a hole, such as `‹us-east-1/s3.bucket/logs#name›`, for every output that is known only after apply. Texts
/// with such outputs become strings.
pub(crate) fn holed(value: &Value) -> Value {
    match value {
        secret if is_secret(secret) => secret.clone(),
        Value::Array(values) => values.iter().map(holed).collect(),
        Value::Object(members) => {
            hole(value).unwrap_or_else(|| members.iter().map(|(key, value)| (key.clone(), holed(value))).collect())
        }
        other => other.clone(),
    }
}

/// The string for a reference, or for a text with references.
fn hole(value: &Value) -> Option<Value> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    match (members.get("$ref"), members.get("$text")) {
        (Some(Value::String(pointer)), _) => Some(format!("‹{pointer}›").into()),
        (_, Some(Value::Array(parts))) => Some(parts.iter().map(part).collect::<String>().into()),
        _ => None,
    }
}

fn part(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => text(other),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Whether a string can be shown without quotes: nothing else looks like it.
fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| {
        matches!(c, '‹' | '›' | '…') || c.is_ascii_graphic() && !matches!(c, '"' | ',' | '[' | ']' | '{' | '}')
    };
    let is_json = || serde_json::from_str::<Value>(text).is_ok();
    !text.is_empty() && !text.starts_with('(') && text.chars().all(is_plain) && !is_json()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_short_and_secrets_hidden() {
        for (value, expected) in [
            (json!("10.0.0.0/16"), "10.0.0.0/16"),
            (json!("two words"), "\"two words\""),
            (json!(["1", 1, "true", true, "(none)", null]), "[\"1\", 1, \"true\", true, \"(none)\", (none)]"),
            (json!(null), "(none)"),
            (json!(["a", 1, true]), "[a, 1, true]"),
            (json!({ "password": { "$secret": "hunter2" } }), "{password: (secret)}"),
            (json!({ "$hash": "abcdef" }), "(secret)"),
            (json!({ "$pending": [{ "$ref": "r/ec2.vpc/main#id" }] }), "(secret)"),
            (json!({ "$ref": "r/ec2.vpc/main#id" }), "‹r/ec2.vpc/main#id›"),
            (json!({ "$text": ["arn:", { "$ref": "r/s3.bucket/a#arn" }, "/*"] }), "arn:‹r/s3.bucket/a#arn›/*"),
        ] {
            assert_eq!(view(&value, false), expected);
        }
        assert_eq!(view(&json!("x".repeat(100)), false).chars().count(), SHORT);
        assert_eq!(view(&json!("x".repeat(100)), true).len(), 100);
        let policy = json!([{ "resources": [{ "$text": ["arn:", { "$ref": "r/s3.bucket/a#arn" }, "/*"] }] }]);
        assert_eq!(holed(&policy), json!([{ "resources": ["arn:‹r/s3.bucket/a#arn›/*"] }]));
        assert!(!masked(&json!([{ "$secret": "hunter2" }])).to_string().contains("hunter2"));
    }
}
