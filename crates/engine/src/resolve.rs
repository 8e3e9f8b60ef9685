//! References inside JSON: finding them, and putting in what is known.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::reference::{ID, Pointer};

/// All references in `value`.
pub(crate) fn pointers(value: &Value) -> Vec<Pointer> {
    let mut found = Vec::new();
    walk(value, &mut found);
    found
}

fn walk(value: &Value, found: &mut Vec<Pointer>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
        Value::Object(members) => match pointer(members) {
            Some(pointer) => found.push(pointer),
            None => members.values().for_each(|value| walk(value, found)),
        },
        _ => {}
    }
}

/// `value` with every reference that `known` answers replaced by its value.
pub(crate) fn resolve(value: &Value, known: &impl Fn(&Pointer) -> Option<Value>) -> Value {
    match value {
        Value::Array(values) => values.iter().map(|value| resolve(value, known)).collect(),
        Value::Object(members) => {
            if let Some(pointer) = pointer(members) {
                return known(&pointer).unwrap_or_else(|| value.clone());
            }
            let members: Map<_, _> = members.iter().map(|(key, value)| (key.clone(), resolve(value, known))).collect();
            match members.get("$text") {
                Some(Value::Array(parts)) => joined(parts).map_or(Value::Object(members.clone()), Value::String),
                _ => Value::Object(members),
            }
        }
        other => other.clone(),
    }
}

/// What `output` of a resource with this id and these outputs is; a path such as `zones/0` leads into lists. A lookup
/// has no id of its own: there it is an output like others.
pub(crate) fn output(id: &str, outputs: &Value, output: &str) -> Option<Value> {
    if output == ID && !id.is_empty() {
        return Some(Value::String(id.to_owned()));
    }
    outputs.pointer(&format!("/{output}")).filter(|value| !value.is_null()).cloned()
}

/// Whether an object with these members stands for a secret, whole or hashed.
pub(crate) fn is_secret(members: &Map<String, Value>) -> bool {
    members.len() == 1 && (members.contains_key("$secret") || members.contains_key("$hash"))
}

/// `value` with secrets replaced by a hash that is of use only beside the same `key`.
pub(crate) fn redact(value: &Value, key: &str) -> Value {
    match value {
        Value::Array(values) => values.iter().map(|value| redact(value, key)).collect(),
        Value::Object(members) => match members.get("$secret") {
            Some(secret) => {
                let digest = Sha256::digest(format!("{key}\n{secret}"));
                let digest = digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
                Value::Object(Map::from_iter([("$hash".to_owned(), Value::String(digest))]))
            }
            None => members.iter().map(|(name, value)| (name.clone(), redact(value, key))).collect(),
        },
        other => other.clone(),
    }
}

fn pointer(members: &Map<String, Value>) -> Option<Pointer> {
    match members.get("$ref") {
        Some(Value::String(text)) if members.len() == 1 => text.parse().ok(),
        _ => None,
    }
}

fn joined(parts: &[Value]) -> Option<String> {
    parts
        .iter()
        .map(|part| match part {
            Value::String(text) => Some(text.clone()),
            Value::Object(_) | Value::Array(_) | Value::Null => None,
            number => Some(number.to_string()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resolves_what_is_known_and_leaves_the_rest() {
        let value = json!({
            "vpc": { "$ref": "r/ec2.vpc/main#id" },
            "arn": { "$text": ["arn:", { "$ref": "r/s3.bucket/a#name" }, "/*"] },
            "later": { "$ref": "r/ec2.vpc/other#id" },
        });
        let known = |pointer: &Pointer| match &*pointer.address.name {
            "main" => Some(json!("vpc-1")),
            "a" => Some(json!("logs")),
            _ => None,
        };
        let resolved = resolve(&value, &known);
        assert_eq!(resolved["vpc"], "vpc-1");
        assert_eq!(resolved["arn"], "arn:logs/*");
        assert_eq!(pointers(&resolved).len(), 1);
    }

    #[test]
    fn a_secret_leaves_only_a_keyed_hash() {
        let value = json!({ "password": { "$secret": "hunter2" } });
        let redacted = redact(&value, "key");
        assert!(!redacted.to_string().contains("hunter2"));
        assert_eq!(redacted, redact(&value, "key"));
        assert_ne!(redacted, redact(&value, "other key"));
    }
}
