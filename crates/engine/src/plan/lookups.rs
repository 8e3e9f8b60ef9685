//! Resolves lookups before anything is planned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use crate::address::Address;
use crate::cloud::Cloud;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::pointer::Pointer;
use crate::resolve::{output, pointers, resolve};
use crate::retry::reading;

/// Resolves the lookups, or those in `needed`, each as soon as the lookups that it refers to are resolved.
pub(crate) async fn lookups(
    cloud: &Arc<dyn Cloud>,
    graph: &Graph,
    needed: Option<&BTreeSet<Address>>,
) -> Result<BTreeMap<Address, Value>> {
    let mut found: BTreeMap<Address, Value> = BTreeMap::new();
    let is_needed = |address: &Address| needed.is_none_or(|needed| needed.contains(address));
    let mut open: Vec<_> = graph.nodes().iter().filter(|(address, node)| node.lookup && is_needed(address)).collect();
    loop {
        let known = |pointer: &Pointer| output("", found.get(&pointer.address)?, &pointer.output);
        let (now, later): (Vec<_>, Vec<_>) = open
            .into_iter()
            .map(|(address, node)| (address, resolve(&node.args, &known), node))
            .partition(|(_, args, _)| pointers(args).is_empty());
        if now.is_empty() {
            let Some((address, ..)) = later.first() else { return Ok(found) };
            return Err(Error::invalid(format!("lookup {address} refers to a resource"))
                .hint("lookups are resolved before resources are created, so they can refer only to lookups"));
        }
        let answers = join_all(now.iter().map(|(address, args, _)| async move {
            reading(|| cloud.find(&address.region, &address.kind, args)).await.map_err(|error| error.at(address))
        }))
        .await;
        for ((address, ..), answer) in now.iter().zip(answers) {
            found.insert((*address).clone(), answer?);
        }
        open = later.into_iter().map(|(address, _, node)| (address, node)).collect();
    }
}
