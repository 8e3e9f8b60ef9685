//! Importing existing resources into the state.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::Arc;

use serde_json::Value;

use crate::address::Address;
use crate::cloud::{Cloud, Known, Seen, Site, spec};
use crate::error::{Class, Error, Result};
use crate::graph::Graph;
use crate::ownership::{Holders, claimed, elsewhere};
use crate::plan::lookups;
use crate::pointer::Pointer;
use crate::resolve::{output, pointers, resolve};
use crate::retry::reading;
use crate::secret::redacted_like;
use crate::state::{Record, State};
use crate::sweep::Orphan;
use crate::tags::Owner;

/// The command that imports `id` at `address`.
#[must_use]
pub fn command(address: &Address, id: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@+=,%".contains(letter);
    // Ids of Route 53 contain characters that are special in a shell.
    let id = if id.chars().all(plain) { id.to_owned() } else { format!("'{}'", id.replace('\'', r"'\''")) };
    format!("payinfra import {address} {id}")
}

/// Imports the existing resource `id` into `state` at `address`, which `graph` declares. AWS is not changed; the next
/// plan shows the differences, including the owner tags.
///
/// # Errors
/// If no resource is declared at `address`, another one is recorded there, or `id` does not exist, is not ready, or
/// belongs to somebody else.
pub async fn import(
    cloud: &Arc<dyn Cloud>,
    graph: &Graph,
    state: &mut State,
    address: &Address,
    id: &str,
) -> Result<()> {
    let Some(node) = graph.nodes().get(address) else {
        return Err(Error::invalid(format!(
            "{address} is not declared: the next apply would delete the imported resource"
        ))
        .hint("declare it first; list the declared addresses with `payinfra graph`"));
    };
    if node.lookup {
        return Err(Error::invalid(format!("{address} is a lookup, which cannot be imported")));
    }
    let before = state.resources.get(address);
    if let Some(other) = before.and_then(|record| record.id.as_ref()) {
        return Err(Error::invalid(format!("{address} is already in the state: {other}"))
            .hint(format!("remove it with `payinfra state rm {address}`, which does not delete it in AWS")));
    }
    let spec = spec(cloud, &address.kind)?;
    let ids = [id.to_owned()];
    let found = reading(|| cloud.read(&address.region, &address.kind, &ids)).await?;
    let Some(seen) = found.into_iter().next() else {
        return Err(Error::invalid(format!("{} `{id}` not found in {}", spec.kind, address.region))
            .hint("check the id, the region in the address, and the credentials"));
    };
    if !seen.status.is_ready() {
        return Err(Error::invalid(format!("`{id}` is not ready")).hint("import it when it is ready"));
    }
    if let Some(whose) = claimed(state, &seen).or_else(|| elsewhere(&Holders::of(state), state, address, &seen)) {
        return Err(Error::invalid(format!("`{id}` is already managed: {whose}"))
            .hint("remove it from the other state with `payinfra state rm`, then remove its owner tags"));
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
        operational: node.operational.clone(),
        role_of: before.and_then(|record| record.role_of.clone()),
        handover: node.handover.clone(),
        deposed: before.map(|record| record.deposed.clone()).unwrap_or_default(),
    };
    state.resources.insert(address.clone(), record);
    Ok(())
}

/// The resources that [`adopt`] recorded in a state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Those that carry the lineage's owner tags.
    pub tagged: BTreeMap<Address, String>,
    /// Declared resources without tags, found by their natural keys.
    pub keyed: BTreeMap<Address, String>,
}

/// Records in `state`, whose lineage is set, the resources in `found` with that lineage, and declared resources that
/// can be found by their natural keys. AWS is not changed; the next plan shows the differences.
///
/// # Errors
/// If two resources have the same address in their tags, or one cannot be read.
pub async fn adopt(cloud: &Arc<dyn Cloud>, graph: &Graph, found: &[Orphan], state: &mut State) -> Result<Adopted> {
    let mut adopted = Adopted::default();
    // A replica is managed by the resource that it was created from.
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
        return Err(Error::invalid(format!(
            "several resources have the same address in their tags:\n{}",
            twice.join("\n")
        ))
        .hint("delete the one that is not wanted, or remove its owner tags, then run the command again"));
    }
    for (address, orphans) in by_address {
        for orphan in orphans {
            let record = recorded(cloud, graph, state, address, &orphan.seen)?;
            state.resources.insert(address.clone(), record);
            adopted.tagged.insert(address.clone(), orphan.seen.id.clone());
        }
    }
    let graph = &graph.clone().of_lineage(&state.lineage);
    let lookups = lookups(cloud, graph, None).await?;
    let mut holders = Holders::of(state);
    for address in graph.sorted()? {
        let node = &graph.nodes()[&address];
        if node.lookup || state.resources.contains_key(&address) {
            continue;
        }
        if let Some(seen) = keyed(cloud, graph, state, &holders, &lookups, &address).await? {
            let record = recorded(cloud, graph, state, &address, &seen)?;
            state.resources.insert(address.clone(), record);
            holders.add(&address, &seen.id);
            adopted.keyed.insert(address, seen.id);
        }
    }
    Ok(adopted)
}

/// The existing resource with the natural key of the declared `address`, if all parts of the key are known.
async fn keyed(
    cloud: &Arc<dyn Cloud>,
    graph: &Graph,
    state: &State,
    holders: &Holders,
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
        known: Known::default(),
        begun: true,
        final_snapshot: false,
    };
    let id = match reading(|| cloud.recover(&site, &args)).await {
        Ok(Some(id)) => id,
        Ok(None) => return Ok(None),
        // It belongs to somebody else, which the next apply reports.
        Err(error) if error.is(Class::Foreign) => return Ok(None),
        Err(error) => return Err(error),
    };
    let seen = reading(|| cloud.read(&address.region, &address.kind, from_ref(&id))).await?;
    Ok(seen
        .into_iter()
        .find(|seen| claimed(state, seen).is_none() && elsewhere(holders, state, address, seen).is_none()))
}

/// The record of an existing resource. One that keeps data and is not declared is protected, so that deleting it takes
/// an explicit decision.
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
        operational: node.map(|node| node.operational.clone()).unwrap_or_default(),
        // The role is not known, but what AWS has are the values of that role, and they are kept.
        role_of: None,
        handover: node.and_then(|node| node.handover.clone()),
        deposed: Vec::new(),
    })
}
