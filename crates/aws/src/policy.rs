//! IAM policy documents that compare by meaning.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_engine::{Error, Result, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A policy document. The order of statements does not matter, lists are sets, and names of actions are case-sensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Policy(BTreeSet<Statement>);

/// The effect of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Effect {
    /// Allow.
    Allow,
    /// Deny, which overrides every allow.
    Deny,
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Its id.
    pub sid: String,
    /// The effect.
    pub effect: Effect,
    /// The principals by type: `Service`, `AWS`; empty in a policy that is attached to a role.
    pub principals: BTreeMap<String, BTreeSet<Text>>,
    /// The actions.
    pub actions: BTreeSet<String>,
    /// The resources; empty in a trust policy.
    pub resources: BTreeSet<Text>,
    /// The conditions: operator → key → values.
    pub conditions: BTreeMap<String, BTreeMap<String, BTreeSet<Text>>>,
}

impl Policy {
    /// A policy with these statements.
    #[must_use]
    pub fn new(statements: impl IntoIterator<Item = Statement>) -> Self {
        Self(statements.into_iter().collect())
    }

    /// The statements.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.0.iter()
    }

    /// The document in AWS's form.
    ///
    /// # Errors
    /// If it still contains references.
    pub fn document(&self) -> Result<String> {
        let statements = self.0.iter().map(Statement::json).collect::<Result<Vec<_>>>()?;
        Ok(json!({ "Version": "2012-10-17", "Statement": statements }).to_string())
    }

    /// Parses a policy that AWS returned; a scalar equals a list of one item.
    ///
    /// # Errors
    /// If it is not a policy document.
    pub fn parse(document: &str) -> Result<Self> {
        let document: Value = serde_json::from_str(document)
            .map_err(|error| Error::failed(format!("AWS returned a policy that is not JSON: {error}")))?;
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.clone(),
            Some(statement) => vec![statement.clone()],
            None => Vec::new(),
        };
        statements.iter().map(Statement::parse).collect::<Result<_>>().map(Self)
    }
}

impl Statement {
    /// A statement that allows `actions`.
    #[must_use]
    pub fn allow<'a>(sid: &str, actions: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            sid: sid.to_owned(),
            effect: Effect::Allow,
            principals: BTreeMap::new(),
            actions: actions.into_iter().map(str::to_owned).collect(),
            resources: BTreeSet::new(),
            conditions: BTreeMap::new(),
        }
    }

    /// A statement that denies `actions`.
    #[must_use]
    pub fn deny<'a>(sid: &str, actions: impl IntoIterator<Item = &'a str>) -> Self {
        Self { effect: Effect::Deny, ..Self::allow(sid, actions) }
    }

    /// Adds a principal: `Service`, `logs.us-east-1.amazonaws.com`.
    #[must_use]
    pub fn principal(mut self, kind: &str, principal: impl Into<Text>) -> Self {
        self.principals.entry(kind.to_owned()).or_default().insert(principal.into());
        self
    }

    /// Adds a resource.
    #[must_use]
    pub fn on(mut self, resource: impl Into<Text>) -> Self {
        self.resources.insert(resource.into());
        self
    }

    /// Adds a condition: `("StringEquals", "aws:SourceAccount", "123456789012")`.
    #[must_use]
    pub fn when(mut self, operator: &str, key: &str, value: impl Into<Text>) -> Self {
        let keys = self.conditions.entry(operator.to_owned()).or_default();
        keys.entry(key.to_owned()).or_default().insert(value.into());
        self
    }

    fn json(&self) -> Result<Value> {
        let mut statement = Map::new();
        if !self.sid.is_empty() {
            statement.insert("Sid".into(), json!(self.sid));
        }
        statement.insert("Effect".into(), json!(self.effect));
        if !self.principals.is_empty() {
            let anyone = self.principals.contains_key("*");
            let principals = self.principals.iter().map(|(kind, names)| Ok((kind.clone(), list(names)?)));
            let principals = principals.collect::<Result<Map<_, _>>>()?;
            statement.insert("Principal".into(), if anyone { json!("*") } else { Value::Object(principals) });
        }
        statement.insert("Action".into(), json!(self.actions));
        if !self.resources.is_empty() {
            statement.insert("Resource".into(), list(&self.resources)?);
        }
        if !self.conditions.is_empty() {
            let mut conditions = Map::new();
            for (operator, keys) in &self.conditions {
                let keys = keys.iter().map(|(key, values)| Ok((key.clone(), list(values)?)));
                conditions.insert(operator.clone(), Value::Object(keys.collect::<Result<_>>()?));
            }
            statement.insert("Condition".into(), Value::Object(conditions));
        }
        Ok(Value::Object(statement))
    }

    fn parse(statement: &Value) -> Result<Self> {
        let text = |name: &str| statement.get(name).and_then(Value::as_str).unwrap_or_default();
        let principals = match statement.get("Principal") {
            Some(Value::Object(kinds)) => kinds.iter().map(|(kind, names)| (kind.clone(), texts(names))).collect(),
            Some(Value::String(anyone)) => BTreeMap::from([(anyone.clone(), texts(&json!(anyone)))]),
            _ => BTreeMap::new(),
        };
        let mut conditions = BTreeMap::new();
        for (operator, keys) in statement.get("Condition").and_then(Value::as_object).into_iter().flatten() {
            let keys = keys.as_object().into_iter().flatten();
            conditions.insert(operator.clone(), keys.map(|(key, values)| (key.clone(), texts(values))).collect());
        }
        Ok(Self {
            sid: text("Sid").to_owned(),
            effect: match text("Effect") {
                "Allow" => Effect::Allow,
                "Deny" => Effect::Deny,
                other => return Err(Error::failed(format!("AWS returned a policy with the effect `{other}`"))),
            },
            principals,
            actions: strings(statement.get("Action").unwrap_or(&Value::Null)).collect(),
            resources: texts(statement.get("Resource").unwrap_or(&Value::Null)),
            conditions,
        })
    }
}

fn list(texts: &BTreeSet<Text>) -> Result<Value> {
    let texts = texts.iter().map(Text::known).collect::<Result<Vec<_>>>()?;
    Ok(match texts[..] {
        [one] => json!(one),
        _ => json!(texts),
    })
}

fn strings(value: &Value) -> impl Iterator<Item = String> {
    let values = match value {
        Value::Array(values) => values.clone(),
        Value::Null => Vec::new(),
        value => vec![value.clone()],
    };
    values.into_iter().map(|value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

fn texts(value: &Value) -> BTreeSet<Text> {
    strings(value).map(Text::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_returns_compares_equal() -> Result<()> {
        let ours = Policy::new([Statement::allow("Read", ["s3:GetObject", "s3:ListBucket"])
            .on("arn:aws:s3:::b/*")
            .when("Bool", "aws:SecureTransport", "true")]);
        let theirs = r#"{"Version":"2012-10-17","Statement":{"Sid":"Read","Effect":"Allow",
            "Action":["s3:ListBucket","s3:GetObject"],"Resource":["arn:aws:s3:::b/*"],
            "Condition":{"Bool":{"aws:SecureTransport":true}}}}"#;
        assert_eq!(Policy::parse(theirs)?, ours);
        assert_eq!(Policy::parse(&ours.document()?)?, ours);
        Ok(())
    }
}
