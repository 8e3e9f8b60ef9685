//! The tables that `python/models.py` makes of AWS's models.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An operation of a service.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: String,
    /// The path with its parameters, such as `/{Bucket}/{Key+}?tagging`.
    pub(crate) path: String,
    /// The shapes of its input; the first is the input itself. An operation without input has none.
    pub(crate) shapes: Vec<Shape>,
    /// `None` if the response is not paged.
    pub(crate) paging: Option<Paging>,
}

/// What a value must be.
#[derive(Debug, Deserialize)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) members: BTreeMap<String, Reference>,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    /// The member that is the whole body.
    pub(crate) payload: Option<String>,
    /// Whether any JSON is accepted.
    #[serde(default)]
    pub(crate) document: bool,
    /// The items of a list.
    pub(crate) member: Option<Reference>,
    pub(crate) key: Option<Reference>,
    pub(crate) value: Option<Reference>,
    #[serde(default, rename = "enum")]
    pub(crate) values: Vec<String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// The pattern as AWS writes it, for messages.
    pub(crate) pattern: Option<String>,
    /// The pattern in the syntax of `regex`.
    pub(crate) regex: Option<String>,
}

/// The types of shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Structure,
    List,
    Map,
    String,
    Character,
    Blob,
    Boolean,
    Byte,
    Short,
    Integer,
    Long,
    #[serde(alias = "bigdecimal", alias = "float")]
    Double,
    Timestamp,
}

/// A shape in a place, with the way it is sent there.
#[derive(Debug, Deserialize)]
pub(crate) struct Reference {
    pub(crate) shape: usize,
    #[serde(rename = "in")]
    pub(crate) location: Option<Location>,
    pub(crate) name: Option<String>,
    pub(crate) query: Option<String>,
    #[serde(default)]
    pub(crate) flat: bool,
    #[serde(default)]
    pub(crate) attribute: bool,
}

/// Where REST protocols send a member that is not in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Location {
    Uri,
    QueryString,
    Header,
    /// All headers with a prefix.
    Headers,
    /// A header with base64 of JSON, which is not read.
    Opaque,
    StatusCode,
}

/// How the response of an operation is paged: names of parameters and of members.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Paging {
    /// The element in which the protocol wraps the response.
    pub(crate) wrapper: Option<String>,
    pub(crate) token: String,
    pub(crate) limit: Option<String>,
    /// The maximum of the limit.
    pub(crate) most: Option<usize>,
    pub(crate) next: String,
    /// The lists, which are paged as if they were one.
    pub(crate) items: Vec<String>,
    /// The member that tells whether there are more items.
    pub(crate) more: Option<String>,
}

impl Operation {
    /// Reads a line of a table.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split('\t');
        let (name, _method, path) = (parts.next()?, parts.next()?, parts.next()?);
        let shapes = serde_json::from_str(parts.next()?).ok()?;
        let paging = serde_json::from_str(parts.next()?).ok()?;
        Some(Self { name: name.to_owned(), path: path.to_owned(), shapes, paging })
    }

    pub(crate) fn shape(&self, reference: &Reference) -> &Shape {
        &self.shapes[reference.shape]
    }
}

impl Reference {
    /// The name of a member in JSON, headers, queries of REST and XML.
    pub(crate) fn wire<'a>(&'a self, name: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(name)
    }
}
