//! Reads the input of an operation from a request, in any protocol.

use serde_json::{Map, Value};

use super::{
    cbor,
    path::{literals, parameters},
    shape::{Kind, Location, Operation, Reference, Shape},
};
use crate::{
    action::{Protocol, Request},
    route::{decode, pairs},
    xml::Element,
};

/// What a request says, by the names of the model.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The members. Numbers and truth values of protocols without types are converted if they can be.
    pub(super) value: Value,
    /// The paths of members that the model doesn't have.
    pub(super) unknown: Vec<String>,
}

/// Reads a request; `Err` is the reason why it cannot be read.
pub(super) fn input(request: &Request, operation: &Operation) -> Result<Input, &'static str> {
    let Some(shape) = operation.shapes.first() else {
        // What clients send for nothing differs, and nobody reads it.
        return Ok(Input { value: Value::Object(Map::new()), unknown: Vec::new() });
    };
    let mut reader = Reader { operation, unknown: Vec::new(), is_ec2: request.protocol == Protocol::Ec2 };
    let value = match request.protocol {
        Protocol::Ec2 | Protocol::Query => reader.query(shape, &Tree::of(request), ""),
        Protocol::Json => reader.json(shape, json(&request.body)?, "", false),
        Protocol::Cbor => reader.json(shape, cbor::parse(&request.body).ok_or("not CBOR")?, "", false),
        Protocol::RestJson | Protocol::RestXml | Protocol::S3 => reader.rest(shape, request)?,
    };
    Ok(Input { value, unknown: reader.unknown })
}

fn json(body: &[u8]) -> Result<Value, &'static str> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|_| "not JSON")
}

struct Reader<'a> {
    operation: &'a Operation,
    unknown: Vec<String>,
    is_ec2: bool,
}

/// The path of a member, in the notation of AWS's messages: `tags.1.member.value`.
pub(super) fn join(path: &str, name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    let dot = if path.is_empty() { "" } else { "." };
    format!("{path}{dot}{}{}", first.map_or_else(String::new, String::from), chars.as_str())
}

/// The path of an item, which is counted from 1.
pub(super) fn item(path: &str, index: usize) -> String {
    format!("{path}.{}.member", index + 1)
}

impl<'a> Reader<'a> {
    fn shape(&self, reference: &Reference) -> &'a Shape {
        &self.operation.shapes[reference.shape]
    }

    /// A document with types. With `renamed`, members have the names of REST.
    fn json(&mut self, shape: &'a Shape, value: Value, path: &str, renamed: bool) -> Value {
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(members)) if !shape.document => {
                let mut read = Map::new();
                for (wire, value) in members {
                    let exact =
                        shape.members.get_key_value(&wire).filter(|(_, member)| !renamed || member.name.is_none());
                    let found = exact.or_else(|| {
                        let mut all = shape.members.iter();
                        all.find(|(name, member)| renamed && member.wire(name) == wire)
                    });
                    match found {
                        Some((name, member)) => {
                            let value = self.json(self.shape(member), value, &join(path, name), renamed);
                            read.insert(name.clone(), value);
                        }
                        // The SDKs' notation for members of unions.
                        None if wire == "__type" => {}
                        None => self.unknown.push(join(path, &wire)),
                    }
                }
                Value::Object(read)
            }
            (Kind::List, Value::Array(items)) => match &shape.member {
                Some(member) => {
                    let shape = self.shape(member);
                    let items = items.into_iter().enumerate();
                    items.map(|(index, value)| self.json(shape, value, &item(path, index), renamed)).collect()
                }
                None => Value::Array(items),
            },
            (Kind::Map, Value::Object(members)) => match &shape.value {
                Some(member) => {
                    let shape = self.shape(member);
                    let members = members.into_iter();
                    let read = members.map(|(key, value)| {
                        let value = self.json(shape, value, &format!("{path}.{key}.member"), renamed);
                        (key, value)
                    });
                    Value::Object(read.collect())
                }
                None => Value::Object(members),
            },
            (_, value) => value,
        }
    }

    /// The parameters of a form.
    fn query(&mut self, shape: &'a Shape, tree: &Tree, path: &str) -> Value {
        match shape.kind {
            Kind::Structure => {
                let mut read = Map::new();
                for (wire, child) in &tree.children {
                    let found = shape.members.iter().find(|(name, member)| self.query_name(name, member) == *wire);
                    match found {
                        Some((name, member)) => {
                            let value = self.query_member(member, child, &join(path, name));
                            read.insert(name.clone(), value);
                        }
                        None => self.unknown.push(join(path, wire)),
                    }
                }
                Value::Object(read)
            }
            // Members of lists and maps have references.
            Kind::List | Kind::Map => Value::Null,
            kind => scalar(kind, tree.text.as_deref().unwrap_or_default()),
        }
    }

    fn query_name(&self, name: &str, member: &Reference) -> String {
        if !self.is_ec2 {
            return member.wire(name).to_owned();
        }
        if let Some(query) = &member.query {
            return query.clone();
        }
        let mut chars = member.wire(name).chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    }

    fn query_member(&mut self, member: &Reference, tree: &Tree, path: &str) -> Value {
        let shape = self.shape(member);
        match (shape.kind, &shape.member, &shape.key, &shape.value) {
            (Kind::List, Some(items), ..) => {
                let shape = self.shape(items);
                let nested = if member.flat || self.is_ec2 {
                    None
                } else {
                    let name = items.name.as_deref().unwrap_or("member");
                    tree.child(name).or_else(|| tree.child("member"))
                };
                let numbered = nested.unwrap_or(tree).numbered();
                let read = numbered.into_iter().enumerate().map(|(index, tree)| {
                    let path = item(path, index);
                    if matches!(shape.kind, Kind::List | Kind::Map) {
                        self.query_member(items, tree, &path)
                    } else {
                        self.query(shape, tree, &path)
                    }
                });
                read.collect()
            }
            (Kind::Map, _, Some(key), Some(value)) => {
                let entries = if member.flat { tree } else { tree.child("entry").unwrap_or(tree) };
                let mut read = Map::new();
                for entry in entries.numbered() {
                    let Some(name) = entry.child(key.wire("key")).and_then(|tree| tree.text.clone()) else {
                        continue;
                    };
                    if let Some(tree) = entry.child(value.wire("value")) {
                        let value = self.query_member(value, tree, &format!("{path}.{name}.member"));
                        read.insert(name, value);
                    }
                }
                Value::Object(read)
            }
            _ => self.query(shape, tree, path),
        }
    }

    /// A request of REST: path, query, headers and body.
    fn rest(&mut self, shape: &'a Shape, request: &Request) -> Result<Value, &'static str> {
        let path = request.uri.path();
        let in_path = parameters(&self.operation.path, path).unwrap_or_default();
        let text = request.uri.query().unwrap_or_default();
        let in_query: Vec<(String, String)> = pairs(text).collect();
        let mut read = Map::new();
        let mut named = Vec::new();
        let mut rest = None;
        for (name, member) in &shape.members {
            let (wire, shape) = (member.wire(name), self.shape(member));
            match member.location {
                Some(Location::Uri) => {
                    if let Some((_, value)) = in_path.iter().find(|(found, _)| found == wire) {
                        read.insert(name.clone(), scalar(shape.kind, value));
                    }
                }
                Some(Location::QueryString) if shape.kind == Kind::Map => rest = Some(name),
                Some(Location::QueryString) => {
                    named.push(wire);
                    let mut values = in_query.iter().filter(|(found, _)| found == wire).map(|(_, value)| value);
                    if let (Kind::List, Some(items)) = (shape.kind, &shape.member) {
                        let kind = self.shape(items).kind;
                        let items: Vec<_> = values.map(|value| scalar(kind, value)).collect();
                        if !items.is_empty() {
                            read.insert(name.clone(), items.into());
                        }
                    } else if let Some(value) = values.next() {
                        read.insert(name.clone(), scalar(shape.kind, value));
                    }
                }
                Some(Location::Header) => {
                    // A presigned URL has headers in its query.
                    let hoisted = || in_query.iter().find(|(found, _)| found.eq_ignore_ascii_case(wire));
                    let value = request.header(wire).or_else(|| hoisted().map(|(_, value)| value.as_str()));
                    if let Some(value) = value {
                        let kind = if shape.kind == Kind::List { Kind::String } else { shape.kind };
                        let value = scalar(kind, value);
                        read.insert(name.clone(), if shape.kind == Kind::List { vec![value].into() } else { value });
                    }
                }
                Some(Location::Headers | Location::Opaque | Location::StatusCode) | None => {}
            }
        }
        // A presigned URL has the signature and headers in its query.
        let is_presigned = in_query.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("x-amz-"));
        if !is_presigned && rest.is_none() {
            let literal: Vec<&str> = literals(&self.operation.path).map(|(name, _)| name).collect();
            let known = |name: &str| named.contains(&name) || literal.contains(&name) || name == "x-id";
            self.unknown.extend(in_query.iter().map(|(name, _)| name).filter(|name| !known(name)).cloned());
        }
        self.body(shape, request, &mut read)?;
        Ok(Value::Object(read))
    }

    fn body(&mut self, shape: &'a Shape, request: &Request, read: &mut Map<String, Value>) -> Result<(), &'static str> {
        let is_xml = request.protocol != Protocol::RestJson;
        let payload = shape.payload.as_ref().and_then(|name| Some((name, shape.members.get(name)?)));
        let body = &request.body;
        if let Some((name, member)) = payload {
            let shape = self.shape(member);
            if body.is_empty() {
                return Ok(());
            }
            let value = match shape.kind {
                Kind::Structure | Kind::List | Kind::Map if is_xml => {
                    let root = xml(body)?;
                    self.xml_member(member, &[&root], &join("", name))
                }
                Kind::Structure | Kind::List | Kind::Map => self.json(shape, json(body)?, &join("", name), true),
                // Objects can be large, and have no constraints.
                Kind::Blob => return Ok(()),
                kind => scalar(kind, std::str::from_utf8(body).map_err(|_| "not UTF-8")?),
            };
            read.insert(name.clone(), value);
            return Ok(());
        }
        if shape.members.values().all(|member| member.location.is_some()) || body.is_empty() {
            return Ok(());
        }
        let value = if is_xml { self.xml(shape, &xml(body)?, "") } else { self.json(shape, json(body)?, "", true) };
        if let Value::Object(members) = value {
            read.extend(members);
            Ok(())
        } else {
            Err("not an object")
        }
    }

    fn xml(&mut self, shape: &'a Shape, element: &Element, path: &str) -> Value {
        if shape.kind != Kind::Structure {
            return scalar(shape.kind, &element.text());
        }
        let mut read = Map::new();
        for (name, member) in &shape.members {
            if member.attribute {
                let local = member.wire(name).rsplit(':').next().unwrap_or_default();
                if let Some(value) = element.attribute(local) {
                    read.insert(name.clone(), scalar(self.shape(member).kind, &value));
                }
            }
        }
        let mut known: Vec<(&String, &Reference, Vec<&Element>)> = Vec::new();
        for child in element.elements() {
            let wire = child.name.rsplit(':').next().unwrap_or_default();
            let in_body = shape.members.iter().filter(|(_, member)| member.location.is_none() && !member.attribute);
            let mut in_body = in_body.filter(|(name, member)| {
                let items = self.shape(member).member.as_ref().filter(|_| member.flat);
                let item = items.and_then(|items| items.name.as_deref());
                member.wire(name) == wire || item == Some(wire) && member.name.is_none()
            });
            match in_body.next() {
                Some((name, member)) => match known.iter_mut().find(|(found, ..)| *found == name) {
                    Some((.., elements)) => elements.push(child),
                    None => known.push((name, member, vec![child])),
                },
                None => self.unknown.push(join(path, wire)),
            }
        }
        for (name, member, elements) in known {
            let value = self.xml_member(member, &elements, &join(path, name));
            read.insert(name.clone(), value);
        }
        Value::Object(read)
    }

    fn xml_member(&mut self, member: &Reference, elements: &[&Element], path: &str) -> Value {
        let shape = self.shape(member);
        let Some(first) = elements.first() else { return Value::Null };
        match (shape.kind, &shape.member, &shape.key, &shape.value) {
            (Kind::List, Some(items), ..) => {
                let nested: Vec<&Element>;
                let all = if member.flat {
                    elements
                } else {
                    let wire = items.wire("member");
                    nested = first.elements().filter(|child| child.name.rsplit(':').next() == Some(wire)).collect();
                    let strange = first.elements().find(|child| child.name.rsplit(':').next() != Some(wire));
                    self.unknown.extend(strange.map(|child| join(path, &child.name)));
                    &nested
                };
                let read = all.iter().enumerate();
                read.map(|(index, element)| self.xml_member(items, &[element], &item(path, index))).collect()
            }
            (Kind::Map, _, Some(key), Some(value)) => {
                let entries = if member.flat { elements.to_vec() } else { first.elements().collect() };
                let mut read = Map::new();
                for entry in entries {
                    if let (Some(name), Some(found)) = (entry.value(key.wire("key")), entry.child(value.wire("value")))
                    {
                        let value = self.xml_member(value, &[found], &format!("{path}.{name}.member"));
                        read.insert(name, value);
                    }
                }
                Value::Object(read)
            }
            _ => self.xml(shape, first, path),
        }
    }
}

fn xml(body: &[u8]) -> Result<Element, &'static str> {
    std::str::from_utf8(body).ok().and_then(Element::parse).ok_or("not XML")
}

/// A value that was sent as text; one that cannot be converted stays text.
fn scalar(kind: Kind, text: &str) -> Value {
    let converted = match kind {
        Kind::Boolean => text.parse::<bool>().ok().map(Value::Bool),
        Kind::Byte | Kind::Short | Kind::Integer | Kind::Long => text.trim().parse::<i64>().ok().map(Value::from),
        Kind::Double => text.trim().parse::<f64>().ok().map(Value::from),
        _ => None,
    };
    converted.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Parameters with dots in their names, as a tree.
#[derive(Debug, Default)]
struct Tree {
    text: Option<String>,
    children: Vec<(String, Tree)>,
}

impl Tree {
    fn of(request: &Request) -> Self {
        let mut root = Self::default();
        let in_query = request.uri.query().unwrap_or_default().split('&');
        let in_body = request.form_text().unwrap_or_default().split('&');
        for pair in in_query.chain(in_body).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name);
            if matches!(name.as_str(), "Action" | "Version") || name.starts_with("X-Amz-") {
                continue;
            }
            let mut node = &mut root;
            for part in name.split('.') {
                let index = node.children.iter().position(|(found, _)| found == part).unwrap_or_else(|| {
                    node.children.push((part.to_owned(), Self::default()));
                    node.children.len() - 1
                });
                node = &mut node.children[index].1;
            }
            node.text = Some(decode(value));
        }
        root
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|(found, _)| found == name).map(|(_, child)| child)
    }

    /// The numbered children in their order.
    fn numbered(&self) -> Vec<&Self> {
        let numbered = self.children.iter().filter_map(|(name, child)| Some((name.parse::<u64>().ok()?, child)));
        let mut numbered: Vec<_> = numbered.collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, child)| child).collect()
    }
}
