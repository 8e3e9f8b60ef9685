//! References to outputs that are not known yet, and secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::address::Address;
use crate::count::counted;
use crate::error::{Error, Result};
use crate::pointer::Pointer;

/// A value, or a reference to an output of another resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum Ref<T> {
    /// `{"$ref": "address#output"}`: known once that resource exists.
    Pointer {
        /// The output that will have the value.
        #[serde(rename = "$ref")]
        pointer: Pointer,
    },
    /// A known value.
    Known(T),
}

impl<T> Ref<T> {
    /// A reference to `output` of the resource at `address`.
    #[must_use]
    pub fn to(address: &Address, output: &str) -> Self {
        Self::Pointer { pointer: Pointer { address: address.clone(), output: output.to_owned() } }
    }

    /// The resource or lookup that it refers to; `None` if it is a known value.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Known(_) => None,
            Self::Pointer { pointer } => Some(&pointer.address),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// If it is a reference; the engine resolves all references before it calls a kind.
    pub fn known(&self) -> Result<&T> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Pointer { pointer } => Err(Error::failed(format!("`{pointer}` has not been resolved yet"))),
        }
    }
}

impl<T> Ref<Vec<T>> {
    /// The item at `index` of an output that is a list.
    ///
    /// # Errors
    /// If the list is known and has no such item.
    pub fn at(&self, index: usize) -> Result<Ref<T>>
    where
        T: Clone,
    {
        match self {
            Self::Known(values) => values.get(index).map(|value| Ref::Known(value.clone())).ok_or_else(|| {
                let items = counted(values.len(), "item", "items");
                Error::invalid(format!("index {index} is out of range: the list has {items}"))
            }),
            Self::Pointer { pointer } => Ok(Ref::to(&pointer.address, &format!("{}/{index}", pointer.output))),
        }
    }
}

impl<T: Clone> Ref<BTreeMap<String, T>> {
    /// The member `name` of an output that is a map; names with a slash are not supported.
    ///
    /// # Errors
    /// If the map is known and has no such member.
    pub fn member(&self, name: &str) -> Result<Ref<T>> {
        match self {
            Self::Known(values) => values
                .get(name)
                .map(|value| Ref::Known(value.clone()))
                .ok_or_else(|| Error::invalid(format!("member `{name}` not found"))),
            Self::Pointer { pointer } => Ok(Ref::to(&pointer.address, &format!("{}/{name}", pointer.output))),
        }
    }
}

/// Derived, an error would not say what is wrong with the value.
impl<'de, T: DeserializeOwned> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value.get("$ref") {
            Some(Value::String(text)) if value.as_object().is_some_and(|members| members.len() == 1) => {
                Ok(Self::Pointer { pointer: text.parse().map_err(D::Error::custom)? })
            }
            _ => T::deserialize(value).map(Self::Known).map_err(D::Error::custom),
        }
    }
}

impl<T> From<T> for Ref<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Ref<String> {
    fn from(value: &str) -> Self {
        Self::Known(value.to_owned())
    }
}

/// For arguments that accept the id of one of several kinds.
impl<R> From<Ref<Id<R>>> for Ref<String> {
    fn from(id: Ref<Id<R>>) -> Self {
        match id {
            Ref::Known(id) => Self::Known(id.into()),
            Ref::Pointer { pointer } => Self::Pointer { pointer },
        }
    }
}

/// The id that AWS gave to an `R`. Ids of different kinds have different types.
pub struct Id<R> {
    id: String,
    kind: PhantomData<fn() -> R>,
}

impl<R> Id<R> {
    /// An id in AWS's form.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), kind: PhantomData }
    }

    /// The id in AWS's form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.id
    }
}

impl<R> Clone for Id<R> {
    fn clone(&self) -> Self {
        Self::new(self.id.clone())
    }
}

impl<R> fmt::Debug for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl<R> fmt::Display for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl<R> PartialEq for Id<R> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<R> Eq for Id<R> {}

impl<R> PartialOrd for Id<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Id<R> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl<R> Hash for Id<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<R> From<&Id<R>> for String {
    fn from(id: &Id<R>) -> Self {
        id.id.clone()
    }
}

impl<R> From<Id<R>> for String {
    fn from(id: Id<R>) -> Self {
        id.id
    }
}

impl<R> Serialize for Id<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.id)
    }
}

impl<'de, R> Deserialize<'de> for Id<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A string with references in it, such as a policy's resource, an ARN with a suffix, or an environment variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
enum Part {
    Pointer {
        #[serde(rename = "$ref")]
        pointer: Pointer,
    },
    Literal(String),
}

impl Text {
    /// Appends `text`.
    #[must_use]
    pub fn and(mut self, text: impl Into<Self>) -> Self {
        for part in text.into().0 {
            match (self.0.last_mut(), part) {
                (Some(Part::Literal(last)), Part::Literal(next)) => last.push_str(&next),
                (_, part) => self.0.push(part),
            }
        }
        self
    }

    /// The string.
    ///
    /// # Errors
    /// If it still contains a reference; the engine resolves all references before it calls a kind.
    pub fn known(&self) -> Result<&str> {
        match &self.0[..] {
            [] => Ok(""),
            [Part::Literal(text)] => Ok(text),
            _ => Err(Error::failed("a text contains references that have not been resolved yet")),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(vec![Part::Literal(text.to_owned())])
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(vec![Part::Literal(text)])
    }
}

impl<T: Into<String> + Clone> From<&Ref<T>> for Text {
    fn from(reference: &Ref<T>) -> Self {
        Self(vec![match reference {
            Ref::Known(value) => Part::Literal(value.clone().into()),
            Ref::Pointer { pointer } => Part::Pointer { pointer: pointer.clone() },
        }])
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Parts<'a> {
            #[serde(rename = "$text")]
            parts: &'a [Part],
        }
        match &self.0[..] {
            [] => serializer.serialize_str(""),
            [Part::Literal(text)] => serializer.serialize_str(text),
            parts => Parts { parts }.serialize(serializer),
        }
    }
}

/// Derived, an error would not say which part is wrong.
impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let parts = match &value {
            Value::String(text) => return Ok(Self::from(text.as_str())),
            Value::Object(members) if members.len() == 1 => members.get("$text").and_then(Value::as_array),
            _ => None,
        };
        let parts = parts.ok_or_else(|| D::Error::custom("expected a string or `{\"$text\": [...]}`"))?;
        let part = |part: &Value| match part {
            Value::String(text) => Ok(Part::Literal(text.clone())),
            part => match Ref::<String>::deserialize(part).map_err(D::Error::custom)? {
                Ref::Pointer { pointer } => Ok(Part::Pointer { pointer }),
                Ref::Known(text) => Ok(Part::Literal(text)),
            },
        };
        Ok(Self(parts.iter().map(part).collect::<std::result::Result<_, _>>()?))
    }
}

/// A value that is never shown or stored; only its keyed digest is stored. A secret that was read from a state or a
/// saved plan has only the digest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Secret<T>(Kept<T>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Kept<T> {
    #[serde(rename = "$secret")]
    Value(T),
    #[serde(rename = "$hash")]
    Digest(String),
    /// The text or reference that it will be made from.
    #[serde(rename = "$pending")]
    Pending(Vec<Part>),
}

impl<T> Secret<T> {
    /// A secret with this value.
    pub fn new(value: T) -> Self {
        Self(Kept::Value(value))
    }

    /// The value, for the call that needs it.
    ///
    /// # Errors
    /// If only its digest is known.
    pub fn expose(&self) -> Result<&T> {
        match &self.0 {
            Kept::Value(value) => Ok(value),
            Kept::Digest(_) | Kept::Pending(_) => {
                Err(Error::failed("the value of a secret is needed, but only its digest is recorded")
                    .hint("declare it again in payinfra.toml, then run apply"))
            }
        }
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A value that is secret if its source is, such as a variable that the user marked sensitive.
///
/// A value returned by AWS does not show whether it is secret; it is treated like the declared one.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sensitive<T> {
    /// A secret.
    Secret(Secret<T>),
    /// A public value.
    Plain(T),
}

impl<T> Sensitive<T> {
    /// The value, secret or not.
    ///
    /// # Errors
    /// If it is a secret of which only the digest is known.
    pub fn expose(&self) -> Result<&T> {
        match self {
            Self::Secret(secret) => secret.expose(),
            Self::Plain(value) => Ok(value),
        }
    }
}

/// Compares values: a secret equals the same value returned by AWS.
impl<T: PartialEq> PartialEq for Sensitive<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(one), Self::Secret(other)) => one == other,
            _ => matches!((self.expose(), other.expose()), (Ok(one), Ok(other)) if one == other),
        }
    }
}

impl<T: Eq> Eq for Sensitive<T> {}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self::Plain(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => secret.fmt(f),
            Self::Plain(value) => value.fmt(f),
        }
    }
}
