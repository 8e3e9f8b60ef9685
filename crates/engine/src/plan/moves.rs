//! Which recorded resources are declared at another address.
//!
//! A stack may say so ([`Graph::moved`]). Otherwise it follows from the key of a resource ([`Resource::KEY`]): if a list of
//! subscriptions gets another first member, all of them are declared at new addresses, but are the same resources in AWS.
//! Without the moves, the plan would delete each and create it again at its new address.
//!
//! [`Resource::KEY`]: crate::Resource::KEY

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::address::{Address, Region};
use crate::cloud::{Cloud, Spec, spec};
use crate::error::Result;
use crate::graph::Graph;
use crate::pointer::Pointer;
use crate::resolve::{output, pointers, resolve};
use crate::secret::redact;
use crate::state::{Record, State};

/// The declared arguments in the canonical form of their kinds, with references.
pub(super) type Normal = BTreeMap<Address, Value>;

/// The moves by new address: where the resource that belongs there is recorded.
///
/// A record that is in the way of another one moves to an address that becomes free.
pub(super) fn moves(
    cloud: &Arc<dyn Cloud>,
    graph: &Graph,
    normal: &Normal,
    sorted: &[Address],
    state: &State,
) -> Result<BTreeMap<Address, Address>> {
    let from = declared(graph, state);
    let sources = from.values().cloned().collect();
    let mut moves = Moves { cloud, graph, normal, state, from, sources };
    let mut recorded = moves.recorded();
    for address in sorted {
        moves.find(address, &mut recorded)?;
    }
    Ok(moves.make_way())
}

/// Whether a record can move: no operation on it has begun.
fn is_settled(record: &Record) -> bool {
    record.id.is_some() && record.intent.is_none()
}

/// The moves that the stack declares, as far as they are still to be made.
fn declared(graph: &Graph, state: &State) -> BTreeMap<Address, Address> {
    let open = graph.moves().iter().filter(|(to, from)| {
        state.resources.get(*from).is_some_and(is_settled)
            && !state.resources.contains_key(*to)
            && graph.nodes().contains_key(*to)
    });
    open.map(|(to, from)| (to.clone(), from.clone())).collect()
}

/// What identifies a resource in AWS: its region, its kind, and its key as JSON.
type Key = (Region, Arc<str>, String);

struct Moves<'a> {
    cloud: &'a Arc<dyn Cloud>,
    graph: &'a Graph,
    normal: &'a Normal,
    state: &'a State,
    from: BTreeMap<Address, Address>,
    /// Where the resources that move are recorded.
    sources: BTreeSet<Address>,
}

impl Moves<'_> {
    /// The records that can move.
    fn recorded(&self) -> BTreeMap<Key, Vec<Address>> {
        let mut recorded = BTreeMap::<Key, Vec<Address>>::new();
        for (address, record) in &self.state.resources {
            // A kind that no longer exists has no key.
            let Some(spec) = self.cloud.spec(&address.kind) else { continue };
            if is_settled(record)
                && !self.sources.contains(address)
                && let Some(key) = key(&spec, address, &record.args)
            {
                recorded.entry(key).or_default().push(address.clone());
            }
        }
        recorded
    }

    /// Finds where the resource declared at `address` is recorded, if it is at another address.
    fn find(&mut self, address: &Address, recorded: &mut BTreeMap<Key, Vec<Address>>) -> Result<()> {
        let spec = spec(self.cloud, &address.kind)?;
        if spec.key.is_empty() || self.from.contains_key(address) {
            return Ok(());
        }
        let Some(key) = self.declared(&spec, address)? else { return Ok(()) };
        let Some([from]) = recorded.get(&key).map(Vec::as_slice) else { return Ok(()) };
        let is_busy = self.state.resources.get(address).is_some_and(|record| !is_settled(record));
        let stays = self.graph.nodes().contains_key(from) && self.declared(&spec, from)?.as_ref() == Some(&key);
        if from == address || is_busy || stays {
            return Ok(());
        }
        self.from.insert(address.clone(), from.clone());
        self.sources.insert(from.clone());
        recorded.remove(&key);
        Ok(())
    }

    /// The key of the resource declared at `address`; none if it is not known yet.
    fn declared(&self, spec: &Spec, address: &Address) -> Result<Option<Key>> {
        let normal = &self.normal[address];
        let parts = spec.key.iter().filter_map(|field| Some(((*field).to_owned(), normal.get(field)?.clone())));
        let parts = Value::Object(parts.collect());
        if pointers(&parts).is_empty() {
            return Ok(key(spec, address, &redact(&parts, &self.state.lineage)));
        }
        let args = resolve(&self.graph.nodes()[address].args, &|pointer| self.known(pointer));
        let args = redact(&self.cloud.normal(&address.kind, &args)?, &self.state.lineage);
        Ok(key(spec, address, &args))
    }

    /// All moves: each record that is in the way moves to the free end of the chain of moves that it is in the way of.
    fn make_way(self) -> BTreeMap<Address, Address> {
        let Self { state, mut from, sources, .. } = self;
        let is_stuck = |to: &&Address| state.resources.contains_key(*to) && !sources.contains(*to);
        for address in from.keys().filter(is_stuck).cloned().collect::<Vec<_>>() {
            let mut free = &address;
            while let Some(next) = from.get(free) {
                free = next;
            }
            from.insert(free.clone(), address);
        }
        from
    }

    fn known(&self, pointer: &Pointer) -> Option<Value> {
        let address = &pointer.address;
        let at = match self.from.get(address) {
            Some(from) => from,
            None if self.sources.contains(address) => return None,
            None => address,
        };
        let record = self.state.resources.get(at)?;
        output(record.id.as_deref()?, &record.outputs, &pointer.output)
    }
}

/// What identifies a resource with `args` at `address` in AWS; none if the kind has no key, or a part of it is unknown.
fn key(spec: &Spec, address: &Address, args: &Value) -> Option<Key> {
    if spec.key.is_empty() {
        return None;
    }
    let parts: Vec<&Value> = spec.key.iter().map(|field| args.get(field).unwrap_or(&Value::Null)).collect();
    let is_known = parts.iter().all(|part| pointers(part).is_empty());
    let value = || parts.into_iter().cloned().collect::<Value>().to_string();
    is_known.then(|| (address.region.clone(), address.kind.clone(), value()))
}
