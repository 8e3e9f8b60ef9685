//! Checks values against JSON schemas, for tests.
//!
//! It supports the keywords that the schemas of this repository use; any other keyword is a violation, so that none is
//! ignored. A library for it would compile every AWS client again, because it enables features of crates that they
//! share.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// The places in `value` that violate `schema`, with reasons. `root` has the definitions that `schema` refers to.
#[must_use]
pub fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check { root: schema }.check(schema, value, "", &mut found);
    found
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut found = Vec::new();
        self.check(schema, value, "", &mut found);
        found.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
        let keywords = match schema {
            Value::Bool(true) => return,
            Value::Object(keywords) => keywords,
            _ => return found.push(format!("{place}: not allowed")),
        };
        for (keyword, rule) in keywords {
            let fits = match keyword.as_str() {
                // `prefixItems` is checked below.
                "$schema" | "$defs" | "title" | "description" | "default" | "format" | "prefixItems" => true,
                "patternProperties" => keywords.contains_key("additionalProperties"),
                "$ref" => {
                    let target = rule.as_str().and_then(|rule| self.root.pointer(rule.strip_prefix('#')?));
                    match target {
                        Some(target) => {
                            self.check(target, value, place, found);
                            true
                        }
                        None => false,
                    }
                }
                "type" => match rule {
                    Value::Array(names) => names.iter().any(|name| is_of(name, value)),
                    name => is_of(name, value),
                },
                "const" => rule == value,
                "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
                "anyOf" => list(rule).iter().any(|rule| self.fits(rule, value)),
                "oneOf" => list(rule).iter().filter(|rule| self.fits(rule, value)).count() == 1,
                "allOf" => {
                    for rule in list(rule) {
                        self.check(rule, value, place, found);
                    }
                    true
                }
                "pattern" => value.as_str().is_none_or(|text| matches(rule, text)),
                "minimum" => number(value, rule, |value, limit| value >= limit),
                "maximum" => number(value, rule, |value, limit| value <= limit),
                "minItems" => {
                    value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap_or(u64::MAX))
                }
                "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap_or(0)),
                "uniqueItems" => value
                    .as_array()
                    .is_none_or(|items| items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))),
                "required" => value.as_object().is_none_or(|members| {
                    list(rule).iter().filter_map(Value::as_str).all(|name| members.contains_key(name))
                }),
                "properties" | "additionalProperties" => {
                    if let Value::Object(members) = value
                        && (keyword == "properties" || !keywords.contains_key("properties"))
                    {
                        self.members(keywords, members, place, found);
                    }
                    true
                }
                "items" => {
                    let first = keywords.get("prefixItems").map_or(0, |rules| list(rules).len());
                    for (index, item) in value.as_array().into_iter().flatten().enumerate().skip(first) {
                        self.check(rule, item, &format!("{place}/{index}"), found);
                    }
                    true
                }
                _ => {
                    found.push(format!("{place}: the keyword `{keyword}` is not supported"));
                    true
                }
            };
            if !fits {
                found.push(format!("{place}: violates `{keyword}`: {rule}"));
            }
        }
        if let (Some(rules), Value::Array(items)) = (keywords.get("prefixItems"), value) {
            for (index, (rule, item)) in list(rules).iter().zip(items).enumerate() {
                self.check(rule, item, &format!("{place}/{index}"), found);
            }
        }
    }

    fn members(&self, rules: &Map<String, Value>, members: &Map<String, Value>, place: &str, found: &mut Vec<String>) {
        for (name, value) in members {
            let place = format!("{place}/{name}");
            let named = rules.get("properties").and_then(|rules| rules.get(name));
            let patterns = rules.get("patternProperties").and_then(Value::as_object);
            let patterned = patterns.into_iter().flatten().filter(|(pattern, _)| is_match(pattern, name));
            let own: Vec<_> = named.into_iter().chain(patterned.map(|(_, rule)| rule)).collect();
            let others = rules.get("additionalProperties").filter(|_| own.is_empty());
            own.into_iter().chain(others).for_each(|rule| self.check(rule, value, &place, found));
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("array") => value.is_array(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("object") => value.is_object(),
        Some("string") => value.is_string(),
        _ => false,
    }
}

fn matches(pattern: &Value, text: &str) -> bool {
    pattern.as_str().is_some_and(|pattern| is_match(pattern, text))
}

fn is_match(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

fn number(value: &Value, limit: &Value, fits: fn(f64, f64) -> bool) -> bool {
    value.as_f64().is_none_or(|value| limit.as_f64().is_some_and(|limit| fits(value, limit)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_keyword_can_be_violated() {
        for (schema, fitting, other) in [
            (json!({ "type": "string" }), json!("a"), json!(1)),
            (json!({ "type": ["string", "null"] }), json!(null), json!(1)),
            (json!({ "const": 1 }), json!(1), json!(2)),
            (json!({ "enum": ["a", "b"] }), json!("b"), json!("c")),
            (json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }), json!("a"), json!(1)),
            (json!({ "oneOf": [{ "minimum": 1 }, { "minimum": 3 }] }), json!(2), json!(4)),
            (json!({ "allOf": [{ "minimum": 1 }, { "maximum": 3 }] }), json!(2), json!(4)),
            (json!({ "type": "string", "pattern": "^[a-z]+$" }), json!("abc"), json!("aBc")),
            (json!({ "type": "array", "items": { "type": "null" } }), json!([null]), json!([1])),
            (json!({ "type": "array", "prefixItems": [true, { "const": 2 }] }), json!([1, 2]), json!([1, 1])),
            (json!({ "minItems": 1, "maxItems": 1 }), json!([1]), json!([])),
            (json!({ "uniqueItems": true }), json!([1, 2]), json!([1, 1])),
            (json!({ "required": ["a"] }), json!({ "a": 1 }), json!({})),
            (json!({ "properties": { "a": { "const": 1 } } }), json!({ "a": 1, "b": 2 }), json!({ "a": 2 })),
            (
                json!({ "properties": { "a": true }, "additionalProperties": false }),
                json!({ "a": 1 }),
                json!({ "b": 1 }),
            ),
            (json!({ "additionalProperties": { "type": "null" } }), json!({ "a": null }), json!({ "a": 1 })),
            (
                json!({ "type": "object", "patternProperties": { "^a": true }, "additionalProperties": false }),
                json!({ "ab": 1 }),
                json!({ "b": 1 }),
            ),
            (json!({ "$ref": "#/$defs/a", "$defs": { "a": { "const": 1 } } }), json!(1), json!(2)),
        ] {
            assert_eq!(violations(&schema, &fitting), [""; 0], "{schema}");
            assert!(!violations(&schema, &other).is_empty(), "{schema}");
        }
        assert!(!violations(&json!({ "contains": true }), &json!([1])).is_empty());
    }
}
