//! Taking something that exists into the state, as if it had been made here.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::Arc;

use serde_json::Value;

use crate::address::Address;
use crate::cloud::{Cloud, Seen, Site, Status};
use crate::error::{Class, Error, Result};
use crate::graph::Graph;
use crate::plan::{claimed, elsewhere, lookups, spec};
use crate::reference::Pointer;
use crate::resolve::{output, pointers, resolve};
use crate::retry::{Patience, patiently};
use crate::secret::redacted_like;
use crate::state::{Record, State};
use crate::sweep::Orphan;
use crate::tags::Owner;

/// The command that imports `id` at `address`.
#[must_use]
pub fn command(address: &Address, id: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@+=,%".contains(letter);
    // An id of Route 53 has characters that a shell reads as its own.
    let id = if id.chars().all(plain) { id.to_owned() } else { format!("'{}'", id.replace('\'', r"'\''")) };
    format!("payinfra import {address} {id}")
}

/// Takes what exists as `id` into `state` at `address`, which `graph` declares. The next plan shows in what it differs
/// from what is declared, the owner tags included; nothing is changed before that.
///
/// # Errors
/// If nothing of that kind is declared at `address`, something else is recorded there, `id` does not exist, is on its
/// way, or is somebody else's.
pub async fn import(
    cloud: &Arc<dyn Cloud>,
    graph: &Graph,
    state: &mut State,
    address: &Address,
    id: &str,
) -> Result<()> {
    let Some(node) = graph.nodes().get(address) else {
        return Err(Error::invalid(format!("{address} is not declared: the next apply would remove what it imports"))
            .hint("`payinfra graph` prints what is declared; declare it first"));
    };
    if node.lookup {
        return Err(Error::invalid(format!("{address} is looked up, never made: there is nothing to import")));
    }
    let before = state.resources.get(address);
    if let Some(other) = before.and_then(|record| record.id.as_ref()) {
        return Err(Error::invalid(format!("{address} is in the state already: {other}"))
            .hint(format!("drop that with `payinfra state rm {address}`; in AWS it stays")));
    }
    let spec = spec(cloud, &address.kind)?;
    let ids = [id.to_owned()];
    let found = patiently(&Patience::reading(), || cloud.read(&address.region, &address.kind, &ids)).await?;
    let Some(seen) = found.into_iter().next() else {
        return Err(Error::invalid(format!("there is no {} `{id}` in {}", spec.kind, address.region))
            .hint("check the id, the region in the address, and the credentials"));
    };
    if seen.status != Status::Ready {
        return Err(Error::invalid(format!("`{id}` is not ready")).hint("import it when it is"));
    }
    if let Some(whose) = claimed(state, &seen).or_else(|| elsewhere(state, address, &seen)) {
        return Err(Error::invalid(format!("`{id}` is not free: {whose}"))
            .hint("drop it there with `payinfra state rm`, and take its owner tags off"));
    }
    let record = Record {
        generation: before.map_or(0, |record| record.generation).saturating_add(1),
        intent: None,
        id: Some(seen.id.clone()),
        args: redacted_like(&seen.args, &node.args, &state.lineage),
        outputs: seen.outputs,
        depends: graph.resources(address),
        protect: node.protect,
        final_snapshot: node.final_snapshot,
        deposed: before.map(|record| record.deposed.clone()).unwrap_or_default(),
    };
    state.resources.insert(address.clone(), record);
    Ok(())
}

/// What [`adopt`] took into a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// What carries the lineage's owner tags.
    pub tagged: BTreeMap<Address, String>,
    /// What is declared and carries no tags, found by its key.
    pub keyed: BTreeMap<Address, String>,
}

/// Takes into `state`, whose lineage it is, those of `found` that carry its lineage, and what else `graph` declares and
/// can be found by its key. Nothing is changed in AWS; the next plan shows in what it differs from what is declared.
///
/// # Errors
/// If two resources carry the same address, or something cannot be read.
pub async fn adopt(cloud: &Arc<dyn Cloud>, graph: &Graph, found: &[Orphan], state: &mut State) -> Result<Adopted> {
    let mut adopted = Adopted::default();
    // A copy comes back with the resource that is created from it.
    let ours = |orphan: &&Orphan| {
        let owner = &orphan.owner;
        !orphan.is_copy()
            && (&owner.stack, &owner.workspace, &owner.lineage) == (&state.stack, &state.workspace, &state.lineage)
    };
    let mut by_address = BTreeMap::<&Address, Vec<&Orphan>>::new();
    for orphan in found.iter().filter(ours) {
        by_address.entry(&orphan.owner.address).or_default().push(orphan);
    }
    let twice = by_address.iter().filter(|(_, orphans)| orphans.len() > 1).map(|(address, orphans)| {
        let ids: Vec<_> = orphans.iter().map(|orphan| orphan.seen.id.as_str()).collect();
        format!("{address}: {}", ids.join(", "))
    });
    let twice: Vec<_> = twice.collect();
    if !twice.is_empty() {
        return Err(Error::invalid(format!("more than one resource has the same address:\n{}", twice.join("\n")))
            .hint("delete the one that is not wanted, or remove its owner tags; then run it again"));
    }
    for (address, orphans) in by_address {
        for orphan in orphans {
            let record = recorded(cloud, graph, state, address, &orphan.seen)?;
            state.resources.insert(address.clone(), record);
            adopted.tagged.insert(address.clone(), orphan.seen.id.clone());
        }
    }
    let graph = &graph.clone().of_lineage(&state.lineage);
    let lookups = lookups(cloud, graph).await?;
    for address in graph.sorted()? {
        let node = &graph.nodes()[&address];
        if node.lookup || state.resources.contains_key(&address) {
            continue;
        }
        if let Some(seen) = keyed(cloud, graph, state, &lookups, &address).await? {
            let record = recorded(cloud, graph, state, &address, &seen)?;
            state.resources.insert(address.clone(), record);
            adopted.keyed.insert(address, seen.id);
        }
    }
    Ok(adopted)
}

/// What has the place of the declared `address`, if all that its place is made of is known.
async fn keyed(
    cloud: &Arc<dyn Cloud>,
    graph: &Graph,
    state: &State,
    lookups: &BTreeMap<Address, Value>,
    address: &Address,
) -> Result<Option<Seen>> {
    let known = |pointer: &Pointer| {
        if let Some(found) = lookups.get(&pointer.address) {
            return output("", found, &pointer.output);
        }
        let record = state.resources.get(&pointer.address)?;
        output(record.id.as_deref()?, &record.outputs, &pointer.output)
    };
    let args = resolve(&graph.nodes()[address].args, &known);
    if !pointers(&args).is_empty() {
        return Ok(None);
    }
    let args = cloud.normal(&address.kind, &args)?;
    let site = Site {
        address: address.clone(),
        token: state.token(address, 1),
        owner: Owner { lineage: state.lineage.clone(), ..graph.owner(address) },
        known: Vec::new(),
        begun: true,
        final_snapshot: false,
    };
    let id = match patiently(&Patience::reading(), || cloud.recover(&site, &args)).await {
        Ok(Some(id)) => id,
        Ok(None) => return Ok(None),
        // Somebody else's: the next apply says so.
        Err(error) if error.is(Class::Foreign) => return Ok(None),
        Err(error) => return Err(error),
    };
    let seen = patiently(&Patience::reading(), || cloud.read(&address.region, &address.kind, from_ref(&id))).await?;
    Ok(seen.into_iter().find(|seen| claimed(state, seen).is_none() && elsewhere(state, address, seen).is_none()))
}

/// The record of something that exists. What is not declared and keeps data is protected: a person has to say that it
/// may go.
fn recorded(cloud: &Arc<dyn Cloud>, graph: &Graph, state: &State, address: &Address, seen: &Seen) -> Result<Record> {
    let spec = spec(cloud, &address.kind)?;
    let node = graph.nodes().get(address);
    let declared = node.map_or(&Value::Null, |node| &node.args);
    Ok(Record {
        generation: 1,
        intent: None,
        id: Some(seen.id.clone()),
        args: redacted_like(&seen.args, declared, &state.lineage),
        outputs: seen.outputs.clone(),
        depends: graph.resources(address),
        protect: node.map_or(spec.keeps_data, |node| node.protect),
        final_snapshot: node.map_or(spec.keeps_data, |node| node.final_snapshot),
        deposed: Vec::new(),
    })
}
