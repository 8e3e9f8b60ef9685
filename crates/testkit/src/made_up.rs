//! Outputs of simulated kinds, made up by their JSON schema.

use payinfra_engine::{Error, Region, Result};
use serde_json::{Map, Value, json};

use crate::schema::violations;

/// The account in made-up ARNs.
const ACCOUNT: &str = "123456789012";

/// What the outputs of one resource or lookup are made of.
pub(crate) struct MadeUp<'a> {
    /// The kind.
    pub(crate) kind: &'a str,
    /// The region.
    pub(crate) region: &'a Region,
    /// The id, which every string contains if its schema allows it.
    pub(crate) id: &'a str,
    /// The schema of all outputs.
    pub(crate) schema: &'a Value,
    /// The paths into an output that are referred to.
    pub(crate) asked: &'a dyn Fn(&str) -> Vec<String>,
}

impl MadeUp<'_> {
    /// The outputs: the same each time for the same id.
    ///
    /// # Errors
    /// If the schema allows none of the values that are tried.
    pub(crate) fn outputs(&self) -> Result<Value> {
        let Some(outputs) = self.schema.get("properties").and_then(Value::as_object) else { return Ok(Value::Null) };
        let value = |(name, schema): (&String, &Value)| {
            let value = self.value(schema, name, &(self.asked)(name));
            let none = || Error::failed(format!("cannot make up the output `{name}` of `{}`: {schema}", self.kind));
            Ok((name.clone(), value.ok_or_else(none)?))
        };
        outputs.iter().map(value).collect::<Result<Map<_, _>>>().map(Value::Object)
    }

    /// A value that fits `schema`, with the items and members that the `paths` lead to.
    fn value(&self, schema: &Value, name: &str, paths: &[String]) -> Option<Value> {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            return self.value(self.schema.pointer(target.strip_prefix('#')?)?, name, paths);
        }
        if let Some(value) = schema.get("const") {
            return Some(value.clone());
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return values.first().cloned();
        }
        if let Some(forms) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            let mut values = forms.iter().filter_map(|form| self.value(form, name, paths));
            return values.find(|value| !value.is_null());
        }
        let is = |wanted: &str| match schema.get("type") {
            Some(Value::Array(names)) => names.iter().any(|name| name == wanted),
            Some(name) => name == wanted,
            None => false,
        };
        if is("string") {
            let mut texts = self.texts(name).into_iter().map(Value::String);
            texts.find(|text| violations(schema, text).is_empty())
        } else if is("array") {
            let indices = paths.iter().filter_map(|path| path.split('/').next()?.parse::<usize>().ok());
            let least = schema.get("minItems").and_then(Value::as_u64).and_then(|least| usize::try_from(least).ok());
            let count = indices.map(|index| index + 1).chain(least).max().unwrap_or(1);
            let items = schema.get("items")?;
            (0..count)
                .map(|index| self.value(items, &format!("{name}-{index}"), &within(paths, &index.to_string())))
                .collect()
        } else if is("object") {
            let declared = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties").filter(|rule| rule.is_object());
            let asked = paths.iter().filter_map(|path| path.split('/').next());
            let asked = asked.filter_map(|member| Some((member, others?)));
            let members = declared.into_iter().flatten().map(|(member, rule)| (member.as_str(), rule)).chain(asked);
            let value = |(member, rule)| {
                Some((str::to_owned(member), self.value(rule, &format!("{name}-{member}"), &within(paths, member))?))
            };
            members.map(value).collect::<Option<Map<_, _>>>().map(Value::Object)
        } else if is("integer") || is("number") {
            Some(schema.get("minimum").cloned().unwrap_or_else(|| json!(1)))
        } else if is("boolean") {
            Some(json!(true))
        } else {
            is("null").then_some(Value::Null)
        }
    }

    /// Strings to try, the most telling first.
    fn texts(&self, name: &str) -> [String; 4] {
        let service = self.kind.split('.').next().unwrap_or_default();
        let own = if name.ends_with("arn") {
            format!("arn:aws:{service}:{}:{ACCOUNT}:{}", self.region, self.id)
        } else {
            format!("{}.{}", self.id, name.replace('_', "-"))
        };
        [own, "192.0.2.0/24".to_owned(), "192.0.2.1".to_owned(), ACCOUNT.to_owned()]
    }
}

/// The rest of those of `paths` that lead through `member`.
fn within(paths: &[String], member: &str) -> Vec<String> {
    paths.iter().filter_map(|path| Some(path.strip_prefix(member)?.strip_prefix('/')?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use payinfra_engine::Region;
    use serde_json::json;

    use super::*;

    #[test]
    fn outputs_fit_their_schema_and_have_what_is_referred_to() -> Result<()> {
        let schema = json!({
            "$defs": { "Name": { "type": "string" } },
            "properties": {
                "arn": { "type": "string" },
                "block": { "type": "string", "pattern": "^[0-9.]+/[0-9]+$" },
                "maybe": { "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/Name" }] },
                "names": { "type": "array", "items": { "$ref": "#/$defs/Name" } },
                "count": { "type": ["integer", "null"], "minimum": 3 },
                "values": { "type": "object", "additionalProperties": { "type": "string" } },
            },
        });
        let asked = |output: &str| match output {
            "names" => vec!["1".to_owned()],
            "values" => vec!["vpc_id".to_owned()],
            _ => Vec::new(),
        };
        let region = Region::new("r");
        let made_up = MadeUp { kind: "s.k", region: &region, id: "k-0001", schema: &schema, asked: &asked };
        let outputs = made_up.outputs()?;
        let expected = json!({
            "arn": "arn:aws:s:r:123456789012:k-0001",
            "block": "192.0.2.0/24",
            "maybe": "k-0001.maybe",
            "names": ["k-0001.names-0", "k-0001.names-1"],
            "count": 3,
            "values": { "vpc_id": "k-0001.values-vpc-id" },
        });
        assert_eq!(outputs, expected);
        assert!(violations(&schema, &outputs).is_empty());
        let odd = json!({ "properties": { "odd": { "type": "string", "pattern": "^%$" } } });
        let refused = MadeUp { schema: &odd, ..made_up }.outputs().err().map(|error| error.message().to_owned());
        assert!(refused.is_some_and(|message| message.starts_with("cannot make up the output `odd` of `s.k`")));
        Ok(())
    }
}
