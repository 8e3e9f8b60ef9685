//! Checks values against shapes.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use regex::Regex;
use serde_json::Value;

use super::{
    read::{item, join},
    shape::{Kind, Operation, Reference, Shape},
};

/// A constraint that a request breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// The member: `tags.1.member.value`.
    pub(super) path: String,
    /// What was sent.
    pub(super) value: String,
    pub(super) rule: Rule,
}

/// The kinds of constraints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Required,
    /// The model has no such member.
    Unknown,
    Type(&'static str),
    Enum(String),
    Length(String),
    Range(String),
    Pattern(String),
    /// What a document within a member must be.
    Document(String),
    /// The limit of a document's size.
    Size(String),
}

impl Rule {
    /// As AWS's messages say it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Required => "Member must not be null".to_owned(),
            Self::Unknown => "Member must be one that the operation has".to_owned(),
            Self::Type(expected) => format!("Member must be {expected}"),
            Self::Enum(values) => format!("Member must satisfy enum value set: [{values}]"),
            Self::Length(bound) => format!("Member must have length {bound}"),
            Self::Range(bound) => format!("Member must have value {bound}"),
            Self::Pattern(pattern) => format!("Member must satisfy regular expression pattern: {pattern}"),
            Self::Document(expected) | Self::Size(expected) => format!("Member must be {expected}"),
        }
    }
}

/// The constraints that an input breaks.
pub(super) fn broken(operation: &Operation, input: &Value) -> Vec<Broken> {
    let mut checker = Checker { operation, broken: Vec::new() };
    if let Some(shape) = operation.shapes.first() {
        checker.check(shape, input, "");
    }
    checker.broken
}

struct Checker<'a> {
    operation: &'a Operation,
    broken: Vec<Broken>,
}

impl Checker<'_> {
    fn fail(&mut self, path: &str, value: &Value, rule: Rule) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.broken.push(Broken { path: path.to_owned(), value, rule });
    }

    fn reference(&mut self, reference: &Reference, value: &Value, path: &str) {
        let operation = self.operation;
        self.check(operation.shape(reference), value, path);
    }

    fn check(&mut self, shape: &Shape, value: &Value, path: &str) {
        if shape.document || value.is_null() {
            return;
        }
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(members)) => {
                for name in &shape.required {
                    let is_null = members.get(name).is_none_or(Value::is_null);
                    // A payload or an opaque header is not read.
                    let is_read = shape.members.get(name).is_none_or(|member| self.is_read(shape, name, member));
                    if is_null && is_read {
                        self.fail(&join(path, name), &Value::Null, Rule::Required);
                    }
                }
                for (name, value) in members {
                    if let Some(member) = shape.members.get(name) {
                        self.reference(member, value, &join(path, name));
                    }
                }
            }
            (Kind::List, Value::Array(items)) => {
                self.length(shape, items.len(), value, path);
                for (index, value) in items.iter().enumerate() {
                    if let Some(member) = &shape.member {
                        self.reference(member, value, &item(path, index));
                    }
                }
            }
            (Kind::Map, Value::Object(members)) => {
                self.length(shape, members.len(), value, path);
                for (key, value) in members {
                    if let Some(member) = &shape.key {
                        self.reference(member, &Value::String(key.clone()), &format!("{path}.{key}.key"));
                    }
                    if let Some(member) = &shape.value {
                        self.reference(member, value, &format!("{path}.{key}.member"));
                    }
                }
            }
            (Kind::String | Kind::Character, Value::String(text)) => self.text(shape, text, value, path),
            // Base64, with four characters for three bytes.
            (Kind::Blob, Value::String(text)) => {
                self.length(shape, text.trim_end_matches('=').len() * 3 / 4, value, path);
            }
            (Kind::Byte | Kind::Short | Kind::Integer | Kind::Long, Value::Number(number))
                if number.is_i64() || number.is_u64() =>
            {
                self.range(shape, number.as_f64(), value, path);
            }
            (Kind::Double, Value::Number(number)) => self.range(shape, number.as_f64(), value, path),
            // Numbers that JSON doesn't have.
            (Kind::Double, Value::String(text)) if ["NaN", "Infinity", "-Infinity"].contains(&text.as_str()) => {}
            (Kind::Boolean, Value::Bool(_)) | (Kind::Timestamp, Value::Number(_) | Value::String(_)) => {}
            (kind, _) => self.fail(path, value, Rule::Type(expected(kind))),
        }
    }

    fn is_read(&self, shape: &Shape, name: &str, member: &Reference) -> bool {
        let is_payload = shape.payload.as_deref() == Some(name);
        !(is_payload && self.operation.shape(member).kind == Kind::Blob)
            && member.location != Some(super::shape::Location::Opaque)
    }

    fn text(&mut self, shape: &Shape, text: &str, value: &Value, path: &str) {
        if !shape.values.is_empty() && !shape.values.iter().any(|known| known == text) {
            self.fail(path, value, Rule::Enum(shape.values.join(", ")));
        }
        if shape.min.is_some() || shape.max.is_some() {
            self.length(shape, text.chars().count(), value, path);
        }
        if let (Some(pattern), Some(regex)) = (&shape.pattern, &shape.regex)
            && let Some(regex) = compiled(regex)
            && !regex.is_match(text)
        {
            self.fail(path, value, Rule::Pattern(pattern.clone()));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "lengths of requests are small")]
    fn length(&mut self, shape: &Shape, length: usize, value: &Value, path: &str) {
        if let Some(bound) = outside(shape, length as f64) {
            self.fail(path, value, Rule::Length(bound));
        }
    }

    fn range(&mut self, shape: &Shape, number: Option<f64>, value: &Value, path: &str) {
        if let Some(bound) = number.and_then(|number| outside(shape, number)) {
            self.fail(path, value, Rule::Range(bound));
        }
    }
}

/// The bound that a number is outside of.
fn outside(shape: &Shape, number: f64) -> Option<String> {
    let below = shape.min.filter(|min| number < *min).map(|min| format!("greater than or equal to {min}"));
    below.or_else(|| shape.max.filter(|max| number > *max).map(|max| format!("less than or equal to {max}")))
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Structure | Kind::Map => "an object",
        Kind::List => "a list",
        Kind::String | Kind::Character => "a string",
        Kind::Blob => "base64",
        Kind::Boolean => "true or false",
        Kind::Byte | Kind::Short | Kind::Integer | Kind::Long => "an integer",
        Kind::Double => "a number",
        Kind::Timestamp => "a time",
    }
}

/// The expression for a whole value, compiled once in this process; `None` if `regex` doesn't support it.
fn compiled(pattern: &str) -> Option<Arc<Regex>> {
    type Known = RwLock<HashMap<String, Option<Arc<Regex>>>>;
    static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

    if let Some(known) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return known.clone();
    }
    let compiled = Regex::new(&format!(r"\A(?:{pattern})\z")).ok().map(Arc::new);
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(pattern.to_owned(), compiled.clone());
    compiled
}

/// Whether values can be checked with an expression.
#[cfg(test)]
pub(super) fn is_supported(pattern: &str) -> bool {
    compiled(pattern).is_some()
}
