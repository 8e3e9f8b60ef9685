//! Finds and resolves references in JSON.

use serde_json::{Map, Value};

use crate::pointer::{ID, Pointer};

/// The JSON pointer (RFC 6901) to the value at `keys`.
pub(crate) fn json_pointer<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    keys.flat_map(|key| ["/".to_owned(), key.replace('~', "~0").replace('/', "~1")]).collect()
}

/// All references in `value`, the arguments of a resource or an output of a stack.
#[must_use]
pub fn pointers(value: &Value) -> Vec<Pointer> {
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

/// `value` with every reference that `known` resolves replaced by its value.
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

/// The value of `output` for a resource with this id and these outputs. A path such as `zones/0` leads into lists.
/// Lookups have no id of their own, so `id` is a regular output there.
pub(crate) fn output(id: &str, outputs: &Value, output: &str) -> Option<Value> {
    if output == ID && !id.is_empty() {
        return Some(Value::String(id.to_owned()));
    }
    outputs.pointer(&format!("/{output}")).filter(|value| !value.is_null()).cloned()
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
}
