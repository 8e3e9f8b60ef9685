//! Taking something that exists into the state, as if it had been made here.

use std::sync::Arc;

use crate::address::Address;
use crate::cloud::{Cloud, Status};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::plan::{claimed, elsewhere, spec};
use crate::resolve::redact;
use crate::retry::{Patience, patiently};
use crate::state::{Record, State};

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
        args: redact(&seen.args, &state.lineage),
        outputs: seen.outputs,
        depends: graph.resources(address),
        protect: node.protect,
        final_snapshot: node.final_snapshot,
        deposed: before.map(|record| record.deposed.clone()).unwrap_or_default(),
    };
    state.resources.insert(address.clone(), record);
    Ok(())
}
