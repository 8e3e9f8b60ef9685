//! The desired state: a graph of declared resources and lookups. Edges come from the references in their arguments.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graphmap::DiGraphMap;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::{Value, json};

use crate::address::{Address, Region};
use crate::error::{Error, Result};
use crate::handover::Handover;
use crate::metric::Metric;
use crate::pointer::ID;
use crate::reference::{Id, Ref, Text};
use crate::resolve::{json_pointer, pointers};
use crate::resource::{Lookup, Resource};
use crate::secret::{has_secret, is_secret};
use crate::tags::{Owner, Tags};
use crate::waiver::{Scope, Waiver};

/// The desired state of one workspace of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// The stack.
    pub stack: String,
    /// The workspace.
    pub workspace: String,
    /// The tags that every taggable resource carries.
    pub tags: Tags,
    /// Additional tags, which a resource gets if AWS accepts all of them in addition to the others.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    extra_tags: Tags,
    nodes: BTreeMap<Address, Declared>,
    outputs: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waivers: Vec<Waiver>,
    /// The former addresses of resources, by the new ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    moves: BTreeMap<Address, Address>,
}

/// One declared resource or lookup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    /// The arguments, with references.
    pub args: Value,
    /// Whether it is a lookup.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lookup: bool,
    /// Whether a plan that would delete it fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// Whether its data is saved in a final snapshot when it is deleted, if the kind supports it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub final_snapshot: bool,
    /// Dependencies that no reference shows (AWS-FACTS §4.5).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<Address>,
    /// What it is replaced with: it cannot outlive their old ones.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub replace_triggered_by: BTreeSet<Address>,
    /// Values in the arguments that commands change after the create, such as a traffic weight: the JSON pointer of each,
    /// and the declared initial value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operational: BTreeMap<String, Value>,
    /// The resource whose declared operational values it has, because a command gave it that role. It is no part of a
    /// declaration: a plan takes it from the command or from the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_of: Option<Address>,
    /// What takes over its work when it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
}

/// A handle to a declared resource, for references to it.
#[derive(Clone, Debug)]
pub struct Node<R: Resource> {
    /// Its address.
    pub address: Address,
    /// A reference to its id.
    pub id: Ref<Id<R>>,
    /// References to its outputs.
    pub outputs: R::Outputs,
}

/// A handle to a declared lookup, for references to it.
#[derive(Clone, Debug)]
pub struct Found<L: Lookup> {
    /// Its address.
    pub address: Address,
    /// References to its outputs.
    pub outputs: L::Outputs,
}

impl Graph {
    /// An empty graph whose taggable resources will all carry `tags`.
    #[must_use]
    pub fn new(stack: &str, workspace: &str, tags: Tags) -> Self {
        Self {
            stack: stack.to_owned(),
            workspace: workspace.to_owned(),
            tags,
            extra_tags: Tags::new(),
            nodes: BTreeMap::new(),
            outputs: BTreeMap::new(),
            metrics: Vec::new(),
            waivers: Vec::new(),
            moves: BTreeMap::new(),
        }
    }

    /// The same graph whose taggable resources also carry `tags`, except kinds that do not accept that many: Route 53
    /// accepts ten.
    #[must_use]
    pub fn with_extra_tags(self, tags: Tags) -> Self {
        Self { extra_tags: tags, ..self }
    }

    /// Declares a resource. It gets the tags of the stack, which its own override, and the owner tags.
    ///
    /// # Errors
    /// If the name is not valid in an address, is already declared, or the resource would get more tags than AWS
    /// accepts.
    pub fn add<R: Resource>(&mut self, region: &Region, name: &str, mut args: R) -> Result<Node<R>> {
        let address = Address::new(region, R::KIND, name)?;
        if let Some(tags) = args.tags() {
            tags.fill(&self.tags);
            tags.fill(&self.owner(&address).tags());
            // The lineage is added when the graph is planned.
            let most = R::MOST_TAGS - 1;
            let mut all = tags.clone();
            all.fill(&self.extra_tags);
            if all.len() <= most {
                *tags = all;
            }
            if tags.len() > most {
                let message =
                    format!("{address} would have {} tags, but AWS accepts at most {}", tags.len() + 1, R::MOST_TAGS);
                return Err(Error::invalid(message).hint("declare fewer tags"));
            }
        }
        let outputs = outputs_of::<R::Outputs>(&address)?;
        self.insert(&address, &args, false)?;
        Ok(Node { id: Ref::to(&address, ID), outputs, address })
    }

    /// Declares a lookup.
    ///
    /// # Errors
    /// If the name is not valid in an address or is already declared.
    pub fn find<L: Lookup>(&mut self, region: &Region, name: &str, args: &L) -> Result<Found<L>> {
        let address = Address::new(region, L::KIND, name)?;
        self.insert(&address, args, true)?;
        Ok(Found { outputs: outputs_of::<L::Outputs>(&address)?, address })
    }

    fn insert<T: Serialize>(&mut self, address: &Address, args: &T, lookup: bool) -> Result<()> {
        let args = serde_json::to_value(args)
            .map_err(|error| Error::failed(format!("{address} cannot be written as JSON: {error}")))?;
        let declared = Declared {
            args,
            lookup,
            protect: false,
            final_snapshot: false,
            after: BTreeSet::new(),
            replace_triggered_by: BTreeSet::new(),
            operational: BTreeMap::new(),
            role_of: None,
            handover: None,
        };
        match self.nodes.insert(address.clone(), declared) {
            None => Ok(()),
            Some(_) => Err(Error::invalid(format!("{address} is declared twice"))),
        }
    }

    /// Makes `later` depend on `first` without a reference.
    pub fn order(&mut self, first: &Address, later: &Address) {
        if let Some(node) = self.nodes.get_mut(later) {
            node.after.insert(first.clone());
        }
    }

    /// Replaces `address` whenever `trigger` is replaced, and makes it depend on `trigger`. For resources that have to be
    /// replaced although no argument changes, such as a secondary cluster of a global database with its primary.
    pub fn replace_triggered_by(&mut self, trigger: &Address, address: &Address) {
        if let Some(node) = self.nodes.get_mut(address) {
            node.after.insert(trigger.clone());
            node.replace_triggered_by.insert(trigger.clone());
        }
    }

    /// Makes the value at the JSON pointer `pointer` in the arguments of `address` operational: the declared value is its
    /// initial value. After the create, commands change it (`payinfra traffic`), and the state keeps their value until the
    /// declaration changes.
    ///
    /// # Errors
    /// If the arguments have no value there, or a secret.
    pub fn operational(&mut self, address: &Address, pointer: &str) -> Result<()> {
        let node = self.nodes.get_mut(address);
        let initial = node.as_ref().and_then(|node| node.args.pointer(pointer)).cloned();
        match (node, initial) {
            (Some(_), Some(initial)) if has_secret(&initial) => {
                Err(Error::failed(format!("{address} has a secret at {pointer}")))
            }
            (Some(node), Some(initial)) => {
                node.operational.insert(pointer.to_owned(), initial);
                Ok(())
            }
            _ => Err(Error::failed(format!("{address} has no value at {pointer}"))),
        }
    }

    /// Lets others take over the work of `address` before it is deleted.
    pub fn hand_over(&mut self, address: &Address, handover: Handover) {
        if let Some(node) = self.nodes.get_mut(address) {
            node.handover = Some(handover);
        }
    }

    /// Protects `address`: plans that would delete or replace it fail.
    pub fn protect(&mut self, address: &Address) {
        if let Some(node) = self.nodes.get_mut(address) {
            node.protect = true;
        }
    }

    /// Takes a final snapshot of `address` when it is deleted, if the kind supports it.
    pub fn final_snapshot(&mut self, address: &Address) {
        if let Some(node) = self.nodes.get_mut(address) {
            node.final_snapshot = true;
        }
    }

    /// Says that the resource declared at `to` was declared as `from`, in the same region and of the same kind, in earlier
    /// versions of the stack. A state that still has it as `from` is changed by the next apply; the resource in AWS stays.
    ///
    /// # Errors
    /// If `to` is not declared, `from` still is, or the name is not valid in an address.
    pub fn moved(&mut self, from: &str, to: &Address) -> Result<()> {
        let from = Address::new(&to.region, &to.kind, from)?;
        if !self.nodes.contains_key(to) {
            return Err(Error::invalid(format!("{from} was moved to {to}, which is not declared"))
                .hint("declare it first, or remove the move"));
        }
        if self.nodes.contains_key(&from) {
            return Err(Error::invalid(format!("{from} was moved to {to}, but is still declared"))
                .hint("remove the declaration or the move"));
        }
        if let Some(other) = self.moves.get(to).filter(|other| **other != from) {
            return Err(Error::invalid(format!("both {from} and {other} were moved to {to}")).hint("keep one of them"));
        }
        self.moves.insert(to.clone(), from);
        Ok(())
    }

    /// Declares an output of the stack.
    pub fn output(&mut self, name: &str, value: impl Into<Text>) {
        self.outputs.insert(name.to_owned(), json!(value.into()));
    }

    /// Makes the value at `path` in the arguments of `address` a secret. Only some kinds accept one there. It is then no longer
    /// operational: the state, which would have to keep the value of a command, has only digests of secrets.
    pub fn conceal(&mut self, address: &Address, path: &[String]) {
        if let Some(node) = self.nodes.get_mut(address)
            && let pointer = json_pointer(path.iter().map(String::as_str))
            && let Some(value) = node.args.pointer_mut(&pointer)
        {
            seal(value);
            node.operational.retain(|at, _| at != &pointer && !is_in(at, &pointer) && !is_in(&pointer, at));
        }
    }

    /// Makes an output of the stack a secret.
    pub fn conceal_output(&mut self, name: &str) {
        self.outputs.get_mut(name).into_iter().for_each(seal);
    }

    /// Declares a metric that every successful apply publishes.
    pub fn metric(&mut self, metric: Metric) {
        self.metrics.push(metric);
    }

    /// Leaves the resource at `address` out of the rule `rule`. `reason` is one line that says why; the graph keeps it.
    ///
    /// A waiver without effect is an error when the rules are checked.
    ///
    /// # Errors
    /// If there is no reason, or the rule is already waived there.
    pub fn waive(&mut self, address: &Address, rule: &str, reason: &str) -> Result<()> {
        self.put_waiver(Waiver {
            rule: rule.to_owned(),
            at: Scope::Address(address.clone()),
            reason: reason.to_owned(),
        })
    }

    /// Leaves all resources out of the rule `rule`; see [`Graph::waive`].
    ///
    /// # Errors
    /// If there is no reason, or the rule is already waived everywhere.
    pub fn waive_everywhere(&mut self, rule: &str, reason: &str) -> Result<()> {
        self.put_waiver(Waiver { rule: rule.to_owned(), at: Scope::Everywhere, reason: reason.to_owned() })
    }

    /// The declared resources and lookups by address.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<Address, Declared> {
        &self.nodes
    }

    /// The declared outputs by name, with references.
    #[must_use]
    pub fn outputs(&self) -> &BTreeMap<String, Value> {
        &self.outputs
    }

    /// The declared metrics.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The former addresses of resources, by the new ones.
    #[must_use]
    pub fn moves(&self) -> &BTreeMap<Address, Address> {
        &self.moves
    }

    /// Where rules do not apply, in the order of declaration.
    #[must_use]
    pub fn waivers(&self) -> &[Waiver] {
        &self.waivers
    }

    /// The tags that resources have if AWS accepts that many.
    #[must_use]
    pub fn extra_tags(&self) -> &Tags {
        &self.extra_tags
    }

    pub(crate) fn nodes_mut(&mut self) -> &mut BTreeMap<Address, Declared> {
        &mut self.nodes
    }

    /// Declares what was checked already.
    pub(crate) fn put(&mut self, address: Address, declared: Declared) {
        self.nodes.insert(address, declared);
    }

    pub(crate) fn put_output(&mut self, name: String, value: Value) {
        self.outputs.insert(name, value);
    }

    pub(crate) fn put_waiver(&mut self, waiver: Waiver) -> Result<()> {
        waiver.check()?;
        if self.waivers.iter().any(|other| (&other.rule, &other.at) == (&waiver.rule, &waiver.at)) {
            return Err(Error::invalid(format!("{waiver} is declared twice")).hint("declare it once"));
        }
        self.waivers.push(waiver);
        Ok(())
    }

    /// All arguments and outputs.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.nodes.values_mut().map(|node| &mut node.args).chain(self.outputs.values_mut())
    }

    /// The owner tags of `address`, except the lineage, which a graph does not know.
    #[must_use]
    pub fn owner(&self, address: &Address) -> Owner {
        Owner {
            stack: self.stack.clone(),
            workspace: self.workspace.clone(),
            address: address.clone(),
            lineage: String::new(),
        }
    }

    /// The same graph for the deployment with `lineage`: adds the lineage to all owner tags.
    #[must_use]
    pub fn of_lineage(mut self, lineage: &str) -> Self {
        for node in self.nodes.values_mut().filter(|node| !node.lookup) {
            if let Some(Value::Object(tags)) = node.args.get_mut("tags")
                && tags.contains_key(Owner::ADDRESS)
            {
                tags.insert(Owner::LINEAGE.to_owned(), lineage.into());
            }
        }
        self
    }

    /// The dependencies of `address`.
    #[must_use]
    pub fn depends(&self, address: &Address) -> BTreeSet<Address> {
        let Some(node) = self.nodes.get(address) else { return BTreeSet::new() };
        let mut depends: BTreeSet<Address> = pointers(&node.args).into_iter().map(|pointer| pointer.address).collect();
        depends.extend(node.after.iter().cloned());
        depends
    }

    /// The dependencies of `addresses` in their arguments, and the lookups that those refer to in turn.
    pub(crate) fn reach(&self, addresses: &BTreeSet<Address>) -> BTreeSet<Address> {
        let refers = |address: &Address| {
            let node = self.nodes.get(address);
            node.into_iter().flat_map(|node| pointers(&node.args)).map(|pointer| pointer.address).collect::<Vec<_>>()
        };
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = addresses.iter().flat_map(refers).collect();
        while let Some(address) = open.pop() {
            if self.nodes.get(&address).is_some_and(|node| node.lookup) && !reached.contains(&address) {
                open.extend(refers(&address));
            }
            reached.insert(address);
        }
        reached
    }

    /// The resources among the dependencies of `address`, which the state records. Lookups are not in the state.
    pub(crate) fn resources(&self, address: &Address) -> BTreeSet<Address> {
        let mut depends = self.depends(address);
        depends.retain(|on| self.nodes.get(on).is_none_or(|node| !node.lookup));
        depends
    }

    /// The addresses in topological order: each after its dependencies.
    ///
    /// # Errors
    /// If a reference has no target, or there is a cycle; the error names the whole cycle.
    pub fn sorted(&self) -> Result<Vec<Address>> {
        let mut edges = DiGraphMap::<&Address, ()>::new();
        let depends: BTreeMap<&Address, BTreeSet<Address>> =
            self.nodes.keys().map(|address| (address, self.depends(address))).collect();
        for (address, depends) in &depends {
            edges.add_node(*address);
            for on in depends {
                let Some((on, _)) = self.nodes.get_key_value(on) else {
                    return Err(Error::invalid(format!("{address} refers to {on}, which is not declared"))
                        .hint("declare it, or correct the reference"));
                };
                edges.add_edge(on, *address, ());
            }
        }
        self.outputs_refer()?;
        toposort(&edges, None).map(|sorted| sorted.into_iter().cloned().collect()).map_err(|_| {
            let cycles = kosaraju_scc(&edges);
            let group = cycles.into_iter().find(|group| group.len() > 1 || edges.contains_edge(group[0], group[0]));
            let cycle: Vec<_> = walk_around(&depends, &group.unwrap_or_default());
            Error::invalid(format!("dependency cycle: {}", cycle.join(" → ")))
                .hint("break the cycle by replacing one of the references with a name")
        })
    }

    fn outputs_refer(&self) -> Result<()> {
        for (name, value) in &self.outputs {
            for pointer in pointers(value) {
                if !self.nodes.contains_key(&pointer.address) {
                    return Err(Error::invalid(format!("output {name} refers to {pointer}, which is not declared"))
                        .hint("declare it, or correct the reference"));
                }
            }
        }
        Ok(())
    }
}

/// Whether the JSON pointer `inner` leads into the value at `outer`.
fn is_in(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

fn seal(value: &mut Value) {
    if !is_secret(value) {
        *value = json!({ "$secret": value.take() });
    }
}

/// A cycle within `group`, each member of which depends on another one.
fn walk_around(depends: &BTreeMap<&Address, BTreeSet<Address>>, group: &[&Address]) -> Vec<String> {
    let mut way: Vec<&Address> = Vec::new();
    let mut next = group.iter().min().copied();
    while let Some(address) = next {
        if let Some(begin) = way.iter().position(|before| *before == address) {
            way.drain(..begin);
            way.push(address);
            break;
        }
        way.push(address);
        next = depends[address].iter().find(|on| group.contains(on));
    }
    way.iter().map(ToString::to_string).collect()
}

/// The outputs of `address` as references: a struct whose members are all references, or `()`.
fn outputs_of<T: DeserializeOwned>(address: &Address) -> Result<T> {
    T::deserialize(Outputs(address)).map_err(|error| Error::failed(format!("the outputs of {address}: {error}")))
}

struct Outputs<'a>(&'a Address);

impl<'de> Deserializer<'de> for Outputs<'_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let pointer = |field: &&'static str| {
            let pointer = json!({ "$ref": format!("{}#{field}", self.0) });
            (IntoDeserializer::<serde_json::Error>::into_deserializer(*field), pointer.into_deserializer())
        };
        visitor.visit_map(MapDeserializer::new(fields.iter().map(pointer)))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
