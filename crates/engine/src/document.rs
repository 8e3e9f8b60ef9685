//! The graph as a JSON document, which programs in any language can write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;

use schemars::generate::SchemaSettings;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;
use serde_json::{Map, Value, json};

use crate::address::Address;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::graph::{Declared, Graph};
use crate::handover::Handover;
use crate::metric::Metric;
use crate::reference::Text;
use crate::resolve::pointers;
use crate::schema::ADDRESS;
use crate::secret::{has_secret, is_secret};
use crate::tags::{Owner, Tags};
use crate::waiver::Waiver;

/// The version of the document format.
pub const GRAPH_FORMAT: u32 = 1;
/// The maximum size of a document: more than ten thousand resources need.
pub const GRAPH_BYTES: u64 = 40_000_000;

/// Documented by [`graph_schema`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    stack: String,
    workspace: String,
    #[serde(default)]
    tags: Tags,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    extra_tags: Tags,
    nodes: BTreeMap<Address, Member>,
    #[serde(default)]
    outputs: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waivers: Vec<Waiver>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    args: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lookup: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    protect: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    final_snapshot: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    after: BTreeSet<Address>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    replace_triggered_by: BTreeSet<Address>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    operational: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handover: Option<Handover>,
}

impl Graph {
    /// The graph as a document, with its secrets in the clear.
    ///
    /// # Errors
    /// Not in practice: only if a value cannot be written as JSON.
    pub fn document(&self) -> Result<String> {
        let member = |node: &Declared| Member {
            args: node.args.clone(),
            lookup: node.lookup,
            protect: node.protect,
            final_snapshot: node.final_snapshot,
            after: node.after.clone(),
            replace_triggered_by: node.replace_triggered_by.clone(),
            operational: node.operational.clone(),
            handover: node.handover.clone(),
        };
        let document = Document {
            format: GRAPH_FORMAT,
            stack: self.stack.clone(),
            workspace: self.workspace.clone(),
            tags: self.tags.clone(),
            extra_tags: self.extra_tags().clone(),
            nodes: self.nodes().iter().map(|(address, node)| (address.clone(), member(node))).collect(),
            outputs: self.outputs().clone(),
            metrics: self.metrics().to_vec(),
            waivers: self.waivers().to_vec(),
        };
        serde_json::to_string_pretty(&document).map_err(|error| Error::failed(error.to_string()))
    }

    /// Reads a document from `source`, which is not read beyond [`GRAPH_BYTES`].
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not a valid document; see [`Graph::parse`].
    pub fn read(source: impl Read, catalog: &Catalog) -> Result<Self> {
        let mut bytes = Vec::new();
        let read = source.take(GRAPH_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::failed(format!("the graph document cannot be read: {error}")))?;
        Self::parse(&bytes, catalog)
    }

    /// Parses a document, with the checks of a declared graph. Owner tags that are missing are added.
    ///
    /// # Errors
    /// If it is not a valid document of a graph of `catalog`'s kinds. The message has the line and column or the
    /// address and the member, and a hint how to fix it.
    pub fn parse(bytes: &[u8], catalog: &Catalog) -> Result<Self> {
        if u64::try_from(bytes.len()).is_ok_and(|size| size > GRAPH_BYTES) {
            return Err(Error::invalid(format!("the graph document is larger than {} MB", GRAPH_BYTES / 1_000_000))
                .hint("split it into several workspaces or stacks"));
        }
        let document: Unique = serde_json::from_slice(bytes).map_err(|error| {
            let hint = match error.classify() {
                Category::Eof => "the document was not written completely; write it again",
                Category::Data => "remove one of the two",
                Category::Syntax | Category::Io => "write the document with a JSON library",
            };
            Error::invalid(format!("invalid graph document: {error}")).hint(hint)
        })?;
        let document = document.0;
        match document.get("format").map(Value::as_u64) {
            Some(Some(format)) if format == u64::from(GRAPH_FORMAT) => {}
            Some(Some(format)) if format > u64::from(GRAPH_FORMAT) => {
                let message =
                    format!("the graph document has format {format}, but this version supports {GRAPH_FORMAT}");
                return Err(Error::invalid(message).hint("use a newer version of payinfra"));
            }
            _ => {
                return Err(Error::invalid("`format` of the graph document is missing or not a known version")
                    .hint(format!("write `\"format\": {GRAPH_FORMAT}`")));
            }
        }
        let document: Document = serde_path_to_error::deserialize(document).map_err(|error| {
            Error::invalid(format!("invalid graph document: `{}`: {}", error.path(), error.inner()))
                .hint("compare it with `payinfra schema --graph`")
        })?;
        let mut graph =
            Self::new(&document.stack, &document.workspace, document.tags).with_extra_tags(document.extra_tags);
        for (address, member) in document.nodes {
            graph.declare(address, member, catalog).map_err(|(address, error)| error.at(address))?;
        }
        for (name, value) in document.outputs {
            check_output(&value).map_err(|error| error.at(format!("output {name}")))?;
            graph.put_output(name, value);
        }
        document.metrics.into_iter().for_each(|metric| graph.metric(metric));
        for (index, waiver) in document.waivers.into_iter().enumerate() {
            graph.put_waiver(waiver).map_err(|error| error.at(format!("`waivers[{index}]`")))?;
        }
        graph.sorted()?;
        graph.check_pointers(catalog)?;
        Ok(graph)
    }

    /// The same graph with the value of each secret replaced by `null`.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.values_mut().for_each(blank);
        self
    }

    fn declare(&mut self, address: Address, member: Member, catalog: &Catalog) -> Result<(), (Address, Error)> {
        match self.declared(&address, member, catalog) {
            Ok(declared) => {
                self.put(address, declared);
                Ok(())
            }
            Err(error) => Err((address, error)),
        }
    }

    fn declared(&self, address: &Address, member: Member, catalog: &Catalog) -> Result<Declared> {
        let kind = catalog.kind(&address.kind)?;
        let spec = kind.spec();
        if spec.lookup != member.lookup {
            let message = format!("`{}` is a {}", spec.kind, if spec.lookup { "lookup" } else { "resource" });
            return Err(Error::invalid(message).hint(format!("write `\"lookup\": {}`", spec.lookup)));
        }
        filled_in(&member.args, "args")?;
        let mut args = member.args;
        if let Some(Value::Object(tags)) = args.get_mut("tags").filter(|_| !spec.lookup) {
            for (key, value) in self.owner(address).tags().iter() {
                let tag = tags.entry(key).or_insert_with(|| value.into());
                if tag != value {
                    return Err(Error::invalid(format!("`args.tags`: the owner tag `{key}` is {tag}"))
                        .hint(format!("remove the tag, or set it to `{value}`")));
                }
            }
            // The lineage is added when the graph is planned.
            let count = tags.len() + usize::from(!tags.contains_key(Owner::LINEAGE));
            if count > spec.most_tags {
                let message = format!("`args.tags`: {count} tags, but AWS accepts at most {}", spec.most_tags);
                return Err(Error::invalid(message).hint("declare fewer tags"));
            }
        }
        let args = kind.normal(&args)?;
        let Member { lookup, protect, final_snapshot, mut after, replace_triggered_by, operational, handover, .. } =
            member;
        if let Some(pointer) = operational.keys().find(|pointer| args.pointer(pointer).is_none()) {
            return Err(Error::invalid(format!("`operational`: `args` has no value at `{pointer}`"))
                .hint("write a JSON pointer to a value in `args`, such as `/routing/weighted`"));
        }
        let is_concealed = |pointer: &&String| args.pointer(pointer).is_some_and(has_secret);
        if let Some(pointer) = operational.keys().find(is_concealed) {
            return Err(Error::invalid(format!("`operational`: the value at `{pointer}` is a secret"))
                .hint("the state, which keeps operational values, has only digests of secrets; declare it without `operational`"));
        }
        after.extend(replace_triggered_by.iter().cloned());
        let role_of = None;
        Ok(Declared {
            args,
            lookup,
            protect,
            final_snapshot,
            after,
            replace_triggered_by,
            operational,
            role_of,
            handover,
        })
    }

    fn check_pointers(&self, catalog: &Catalog) -> Result<()> {
        // A kind's outputs come from its schema, which takes longer to build than all else here.
        let mut known = BTreeSet::new();
        for (address, node) in self.nodes() {
            for (member, value) in node.args.as_object().into_iter().flatten() {
                for pointer in pointers(value) {
                    let output = (pointer.address.kind.clone(), pointer.output.clone());
                    if known.contains(&output) {
                        continue;
                    }
                    let checked = catalog.has_output(&pointer);
                    checked.map_err(|error| error.at(format!("{address}: `args.{member}`")))?;
                    known.insert(output);
                }
            }
        }
        for (name, value) in self.outputs() {
            for pointer in pointers(value) {
                catalog.has_output(&pointer).map_err(|error| error.at(format!("output {name}")))?;
            }
        }
        Ok(())
    }
}

fn check_output(value: &Value) -> Result<()> {
    filled_in(value, "the value")?;
    let text = value.get("$secret").unwrap_or(value);
    let text = Text::deserialize(text);
    text.map(drop).map_err(|error| Error::invalid(error.to_string()).hint("write a string, or `{\"$text\": [...]}`"))
}

/// Checks that no secret is left out, as in a document that `payinfra graph` has written.
fn filled_in(value: &Value, place: &str) -> Result<()> {
    let within = |(name, value): (String, &Value)| filled_in(value, &format!("{place}.{name}"));
    match value {
        Value::Object(members) if members.get("$secret").is_some_and(Value::is_null) => {
            Err(Error::invalid(format!("`{place}`: the value of a secret is missing")).hint("write the value"))
        }
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).try_for_each(within),
        Value::Array(values) => values.iter().enumerate().map(|(i, value)| (i.to_string(), value)).try_for_each(within),
        _ => Ok(()),
    }
}

fn blank(value: &mut Value) {
    if is_secret(value) {
        *value = json!({ "$secret": null });
        return;
    }
    match value {
        Value::Object(members) => members.values_mut().for_each(blank),
        Value::Array(values) => values.iter_mut().for_each(blank),
        _ => {}
    }
}

/// A JSON value without repeated members, of which parsers would silently drop all but one.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Members.deserialize(deserializer).map(Self)
    }
}

struct Members;

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if values.contains_key(&name) {
                return Err(A::Error::custom(format!("`{name}` is declared twice")));
            }
            let value = members.next_value_seed(Self)?;
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

/// The JSON schema of the document of a graph of `catalog`'s kinds.
#[must_use]
pub fn graph_schema(catalog: &Catalog) -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let text = generator.subschema_for::<Text>();
    let tags = generator.subschema_for::<Tags>();
    let mut nodes = Map::new();
    for (name, kind) in catalog.iter() {
        let lookup = kind.spec().lookup;
        let mut member = json!({
            "type": "object",
            "properties": {
                "args": kind.args_schema(&mut generator),
                "lookup": { "const": lookup },
                "after": {
                    "description": "Dependencies that no reference shows.",
                    "type": "array",
                    "items": { "type": "string", "pattern": ADDRESS },
                },
            },
            "required": if lookup { json!(["args", "lookup"]) } else { json!(["args"]) },
            "additionalProperties": false,
        });
        if !lookup {
            member["properties"]["protect"] =
                json!({ "description": "Whether a plan that would delete it fails.", "type": "boolean" });
            member["properties"]["replace_triggered_by"] = json!({
                "description": "Dependencies whose replacement replaces it, too.",
                "type": "array",
                "items": { "type": "string", "pattern": ADDRESS },
            });
            member["properties"]["operational"] = json!({
                "description": "Values in `args` that commands change after the create, such as a traffic weight: the JSON \
                                pointer of each, and its initial value.",
                "type": "object",
                "patternProperties": { "^/": true },
                "additionalProperties": false,
            });
            member["properties"]["handover"] = generator.subschema_for::<Handover>().to_value();
            member["properties"]["final_snapshot"] = json!({
                "description": "Whether a final snapshot is taken when it is deleted, if the kind supports it.",
                "type": "boolean",
            });
        }
        nodes.insert(format!(r"^[^/#\s]+/{}/[^/#\s]+$", name.replace('.', r"\.")), member);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Graph",
        "description": "The desired state of one workspace of a stack.",
        "type": "object",
        "properties": {
            "format": { "description": "The version of this format.", "const": GRAPH_FORMAT },
            "stack": { "description": "The name of the stack.", "type": "string" },
            "workspace": { "description": "The name of the workspace.", "type": "string" },
            "tags": { "description": "The tags that every taggable resource must have.", "allOf": [tags] },
            "extra_tags": {
                "description": "Tags that resources have if AWS accepts that many.",
                "allOf": [tags],
            },
            "nodes": {
                "description": "The resources and lookups by address, REGION/KIND/NAME; the region of account-wide \
                                kinds is `global`.",
                "type": "object",
                "patternProperties": nodes,
                "additionalProperties": false,
            },
            "outputs": {
                "description": "The outputs of the stack by name.",
                "type": "object",
                "additionalProperties": { "anyOf": [text, {
                    "type": "object",
                    "properties": { "$secret": text },
                    "required": ["$secret"],
                    "additionalProperties": false,
                }] },
            },
            "metrics": {
                "description": "Metrics that every successful apply publishes.",
                "type": "array",
                "items": generator.subschema_for::<Metric>(),
            },
            "waivers": {
                "description": "Rules that do not apply to some or all resources, with the reasons.",
                "type": "array",
                "items": generator.subschema_for::<Waiver>(),
            },
        },
        "required": ["format", "stack", "workspace", "nodes"],
        "additionalProperties": false,
        "$defs": generator.take_definitions(true),
    })
}
