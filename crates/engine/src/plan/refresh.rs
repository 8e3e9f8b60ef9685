//! Reads everything that the state records, and checks that it is ours.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::time::sleep;

use crate::address::Address;
use crate::cloud::{Cloud, Seen, Spec, spec};
use crate::diff::diff;
use crate::error::{Error, Result};
use crate::ownership::{Holders, claimed, elsewhere};
use crate::retry::reading;
use crate::secret::redacted_like;
use crate::state::{Intent, State};
use crate::tags::Owner;
use crate::version::accept;

/// The current resources, read once for everything in the state.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// The existing resources by address.
    pub live: BTreeMap<Address, Seen>,
    /// Deposed generations that still exist.
    pub deposed: Vec<(Address, Seen)>,
}

impl Refreshed {
    fn of(state: &State, found: Vec<(Address, Seen)>) -> Self {
        let mut refreshed = Self::default();
        for (address, seen) in found {
            let record = state.resources.get(&address);
            if record.is_some_and(|record| record.id.as_ref() == Some(&seen.id)) {
                refreshed.live.insert(address, seen);
            } else {
                refreshed.deposed.push((address, seen));
            }
        }
        refreshed
    }
}

/// The time between the first read and the second.
const SECOND: Duration = Duration::from_secs(1);
/// How often to read again if AWS neither shows a resource nor says that it does not exist.
const LOOKS: usize = 10;

/// How many batches of a kind in a region are read at once.
const READS: usize = 10;

/// Reads all resources in `state`, in batches per kind and region, concurrently.
///
/// # Errors
/// If a resource cannot be read, or is not ours.
pub async fn refresh(cloud: &Arc<dyn Cloud>, state: &State) -> Result<Refreshed> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (address, record) in &state.resources {
        let deposed = record.deposed.iter().map(|deposed| &deposed.id);
        for id in record.id.iter().chain(deposed) {
            groups.entry((address.region.clone(), Arc::clone(&address.kind))).or_default().push((address, id));
        }
    }
    let reads = groups.into_iter().map(|((region, kind), members)| async move {
        let spec = spec(cloud, &kind).map_err(|error| at(&members, error))?;
        let parts = members.chunks(spec.batch.max(1)).map(|part| {
            let (region, kind) = (&region, &kind);
            async move {
                let ids: Vec<String> = part.iter().map(|(_, id)| (*id).clone()).collect();
                let seen = reading(|| cloud.read(region, kind, &ids)).await?;
                let mut seen: HashMap<String, Seen> = seen.into_iter().map(|seen| (seen.id.clone(), seen)).collect();
                let found = part.iter().filter_map(|(address, id)| Some(((*address).clone(), seen.remove(*id)?)));
                Ok::<_, Error>(found.collect::<Vec<_>>())
            }
        });
        let parts: Vec<_> = stream::iter(parts).buffered(READS).try_collect().await?;
        Ok::<_, Error>(parts.concat())
    });
    let found = try_join_all(reads).await?.concat();
    let mut refreshed = Refreshed::of(state, second(cloud, state, found).await?);
    for (address, seen) in &mut refreshed.live {
        if let Some(record) = state.resources.get(address) {
            accept(&spec(cloud, &address.kind)?, &record.args, &mut seen.args);
        }
    }
    ours(cloud, state, &refreshed)?;
    Ok(refreshed)
}

/// The result of a second read. One read without a resource proves nothing: a filter may hide it, or a replica of the
/// service may lag behind. A resource that we started to delete may also still be shown.
async fn second(
    cloud: &Arc<dyn Cloud>,
    state: &State,
    mut found: Vec<(Address, Seen)>,
) -> Result<Vec<(Address, Seen)>> {
    let all: HashSet<(&Address, &str)> = found.iter().map(|(address, seen)| (address, seen.id.as_str())).collect();
    let shown = |address: &Address, id: &String| all.contains(&(address, id.as_str()));
    let mut doubtful = Vec::new();
    for (address, record) in &state.resources {
        let deposed = record.deposed.iter().map(|deposed| &deposed.id);
        doubtful.extend(record.id.iter().chain(deposed).filter(|id| !shown(address, id)).map(|id| (address, id)));
        let going = record.intent == Some(Intent::Delete);
        doubtful.extend(record.id.iter().filter(|id| going && shown(address, id)).map(|id| (address, id)));
    }
    if doubtful.is_empty() {
        return Ok(found);
    }
    sleep(SECOND).await;
    let again = doubtful.iter().map(|(address, id)| looked_at_again(cloud, address, id));
    let again = try_join_all(again).await?;
    let asked: HashSet<(&Address, &str)> = doubtful.iter().map(|(address, id)| (*address, id.as_str())).collect();
    found.retain(|(address, seen)| !asked.contains(&(address, &seen.id)));
    let again = doubtful.iter().zip(again);
    found.extend(again.filter_map(|((address, _), seen)| Some(((*address).clone(), seen?))));
    Ok(found)
}

/// The resource `id`, unless it is proven that it does not exist.
async fn looked_at_again(cloud: &Arc<dyn Cloud>, address: &Address, id: &String) -> Result<Option<Seen>> {
    let (region, kind) = (&address.region, &address.kind);
    for _ in 0..LOOKS {
        let ids = [id.clone()];
        let seen = reading(|| cloud.read(region, kind, &ids)).await?.pop();
        if seen.is_some() || reading(|| cloud.absent(region, kind, id)).await? {
            return Ok(seen);
        }
        sleep(SECOND).await;
    }
    Err(Error::failed(format!("{address}: AWS neither returns {id} nor confirms that it does not exist"))
        .hint("run the command again in a moment"))
}

/// Checks that all resources in the state are ours. Otherwise somebody else's resource would be updated or deleted.
fn ours(cloud: &Arc<dyn Cloud>, state: &State, refreshed: &Refreshed) -> Result<()> {
    let (mut told, mut addresses) = (Vec::new(), Vec::new());
    let mut tell = |address: &Address, seen: &Seen, whose| {
        told.push(format!("{address}: {} is not ours: {whose}", seen.id));
        addresses.push(address.to_string());
    };
    for (address, seen) in &refreshed.live {
        if let Some(whose) = foreign(&spec(cloud, &address.kind)?, state, address, seen) {
            tell(address, seen, whose);
        }
    }
    let holders = if refreshed.deposed.is_empty() { Holders::default() } else { Holders::of(state) };
    for (address, seen) in &refreshed.deposed {
        if let Some(whose) = claimed(state, seen).or_else(|| elsewhere(&holders, state, address, seen)) {
            tell(address, seen, whose);
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    let mend = format!(
        "remove it from the state with `payinfra state rm {}`, which does not delete it in AWS",
        addresses.join(" ")
    );
    Err(Error::invalid(told.join("\n")).hint(mend))
}

/// The reason why `seen` is not ours, if it is not.
///
/// Owner tags that were removed by hand are drift, and another address of ours is the result of `state mv`. Both are
/// repaired, unless the resource also differs from what was created at this address.
fn foreign(spec: &Spec, state: &State, address: &Address, seen: &Seen) -> Option<String> {
    let tags = seen.args.get("tags")?;
    let tag = |key: &str| tags.get(key).and_then(Value::as_str);
    if let Some(whose) = claimed(state, seen) {
        return Some(whose);
    }
    let record = state.resources.get(address)?;
    let named = tag(Owner::ADDRESS);
    let other = named.filter(|named| *named != address.to_string());
    let twice = |named: &str| {
        let named = named.parse::<Address>().ok().and_then(|named| state.resources.get(&named));
        named.is_some_and(|named| named.id == record.id)
    };
    if let Some(other) = other.filter(|other| twice(other)) {
        return Some(format!("it is also recorded at {other}, as its tags confirm"));
    }
    let bare = named.is_none() && tag(Owner::STACK).is_none() && tag(Owner::WORKSPACE).is_none();
    if record.intent == Some(Intent::Create) || !seen.status.is_ready() || !(bare || other.is_some()) {
        return None;
    }
    let changes = diff(&record.args, &redacted_like(&seen.args, &record.args, &state.lineage), None);
    let change = changes.iter().find(|change| spec.replace.contains(&change.field()))?;
    let whose = other.map_or_else(|| "it has no owner tags".to_owned(), |other| format!("its tags name {other}"));
    Some(format!("{whose}, and its `{}` differs from the created resource", change.path))
}

/// The error, prefixed with the addresses that it concerns.
fn at(members: &[(&Address, &String)], error: Error) -> Error {
    let addresses: Vec<_> = members.iter().map(|(address, _)| address.to_string()).collect();
    error.at(addresses.join(", "))
}
