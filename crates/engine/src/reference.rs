//! Values that are known only once something else exists, and values that nobody may see.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::Address;
use crate::error::{Error, Result};

/// The output that every resource has.
pub const ID: &str = "id";

/// A place in another resource's outputs, written `address#output` or `address#output/0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer {
    /// The resource referred to.
    pub address: Address,
    /// The output, `id` or a member of the kind's outputs, with a path into it.
    pub output: String,
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.address, self.output)
    }
}

impl std::str::FromStr for Pointer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, output) = text
            .split_once('#')
            .ok_or_else(|| Error::invalid(format!("`{text}` is not a reference")).hint("write ADDRESS#OUTPUT"))?;
        Ok(Self { address: address.parse()?, output: output.to_owned() })
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A value, or a pointer to the output of another resource that will have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ref<T> {
    /// `{"$ref": "address#output"}`: known once that resource exists.
    Pointer {
        /// Where the value will be.
        #[serde(rename = "$ref")]
        pointer: Pointer,
    },
    /// Known now.
    Known(T),
}

impl<T> Ref<T> {
    /// A reference to `output` of the resource at `address`.
    #[must_use]
    pub fn to(address: &Address, output: &str) -> Self {
        Self::Pointer { pointer: Pointer { address: address.clone(), output: output.to_owned() } }
    }

    /// The value.
    ///
    /// # Errors
    /// If it is still a pointer; the engine resolves all of them before it calls a kind.
    pub fn known(&self) -> Result<&T> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Pointer { pointer } => Err(Error::failed(format!("`{pointer}` is not known yet"))),
        }
    }
}

impl<T> Ref<Vec<T>> {
    /// The member at `index` of a list that is an output.
    ///
    /// # Errors
    /// If the list is known and has no such member.
    pub fn at(&self, index: usize) -> Result<Ref<T>>
    where
        T: Clone,
    {
        match self {
            Self::Known(values) => values
                .get(index)
                .map(|value| Ref::Known(value.clone()))
                .ok_or_else(|| Error::invalid(format!("a list of {} has no member {index}", values.len()))),
            Self::Pointer { pointer } => Ok(Ref::to(&pointer.address, &format!("{}/{index}", pointer.output))),
        }
    }
}

impl<T: Clone> Ref<BTreeMap<String, T>> {
    /// The member `name` of a map that is an output; names with a slash lead nowhere.
    ///
    /// # Errors
    /// If the map is known and has no such member.
    pub fn member(&self, name: &str) -> Result<Ref<T>> {
        match self {
            Self::Known(values) => values
                .get(name)
                .map(|value| Ref::Known(value.clone()))
                .ok_or_else(|| Error::invalid(format!("there is no member `{name}`"))),
            Self::Pointer { pointer } => Ok(Ref::to(&pointer.address, &format!("{}/{name}", pointer.output))),
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

/// For the places where AWS takes the id of one of several kinds.
impl<R> From<Ref<Id<R>>> for Ref<String> {
    fn from(id: Ref<Id<R>>) -> Self {
        match id {
            Ref::Known(id) => Self::Known(id.into()),
            Ref::Pointer { pointer } => Self::Pointer { pointer },
        }
    }
}

/// The id that AWS gave to an `R`; ids of different kinds are different types.
pub struct Id<R> {
    id: String,
    kind: PhantomData<fn() -> R>,
}

impl<R> Id<R> {
    /// An id as AWS writes it.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), kind: PhantomData }
    }

    /// The id as AWS writes it.
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

/// A string with references inside: a policy's resource, an ARN with a suffix, an environment variable.
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
    /// The text so far, and `text`.
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
    /// If it still holds a reference; the engine resolves all of them before it calls a kind.
    pub fn known(&self) -> Result<&str> {
        match &self.0[..] {
            [] => Ok(""),
            [Part::Literal(text)] => Ok(text),
            _ => Err(Error::failed("a text with references is not known yet")),
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

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Literal(String),
            Parts {
                #[serde(rename = "$text")]
                parts: Vec<Part>,
            },
        }
        Ok(match Raw::deserialize(deserializer)? {
            Raw::Literal(text) => Self::from(text),
            Raw::Parts { parts } => Self(parts),
        })
    }
}

/// A value that is never shown and never stored: only its keyed digest is. One that was read from a state or a saved
/// plan has nothing but that.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Secret<T>(Kept<T>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Kept<T> {
    #[serde(rename = "$secret")]
    Value(T),
    #[serde(rename = "$hash")]
    Digest(String),
    /// What it will be made of.
    #[serde(rename = "$pending")]
    Pending(Vec<Part>),
}

impl<T> Secret<T> {
    /// Keeps `value` from sight.
    pub fn new(value: T) -> Self {
        Self(Kept::Value(value))
    }

    /// The value, for the one call that needs it.
    ///
    /// # Errors
    /// If only its digest is known.
    pub fn expose(&self) -> Result<&T> {
        match &self.0 {
            Kept::Value(value) => Ok(value),
            Kept::Digest(_) | Kept::Pending(_) => {
                Err(Error::failed("a secret is needed of which only the digest is recorded")
                    .hint("declare it again in payinfra.toml, and apply"))
            }
        }
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A value that is a secret where its source is one, such as a variable that the user marked sensitive.
///
/// What AWS returns does not tell: it is treated as what is declared.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sensitive<T> {
    /// A secret.
    Secret(Secret<T>),
    /// A value that everybody may see.
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

/// By their values: a secret equals what AWS returns of it.
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
