//! What carries our owner tags and is in no state: found by asking the cloud, not the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all, try_join_all};
use tokio::time::sleep;

use crate::address::{Address, Region};
use crate::cloud::{Cloud, Seen, Site, Status};
use crate::error::{Class, Error, Result};
use crate::plan::spec;
use crate::retry::{Patience, patiently};
use crate::state::State;
use crate::tags::Owner;

/// How often what is in the way of another is given time to go.
const ROUNDS: usize = 60;

/// Something in the cloud that says whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// What its owner tags say.
    pub owner: Owner,
    /// Its id.
    pub id: String,
}

/// A cloud that can be asked for all that carries the owner tags of a stack.
pub trait Census: Send + Sync {
    /// What carries the owner tags of `stack` in `region`, whatever its workspace.
    fn owned<'a>(&'a self, region: &'a Region, stack: &'a str) -> BoxFuture<'a, Result<Vec<Owned>>>;
}

/// Something that carries our owner tags and is in no state.
#[derive(Clone, Debug, PartialEq)]
pub struct Orphan {
    /// What its owner tags say.
    pub owner: Owner,
    /// What it is.
    pub seen: Seen,
}

/// All that exists in `regions` with the owner tags of `stack`, but not what is on its way out.
///
/// Tags linger on what is gone (AWS-FACTS §2), so each is looked at by its own read as well.
///
/// # Errors
/// If the cloud cannot be asked.
pub async fn census(
    cloud: &Arc<dyn Cloud>,
    census: &dyn Census,
    stack: &str,
    regions: &BTreeSet<Region>,
) -> Result<Vec<Orphan>> {
    let asked = regions
        .iter()
        .map(|region| async move { patiently(&Patience::reading(), || census.owned(region, stack)).await });
    let mut groups = BTreeMap::<_, Vec<Owned>>::new();
    for owned in try_join_all(asked).await?.into_iter().flatten() {
        let address = &owned.owner.address;
        groups.entry((address.region.clone(), Arc::clone(&address.kind))).or_default().push(owned);
    }
    let reads = groups.into_iter().map(|((region, kind), owned)| async move {
        spec(cloud, &kind)?;
        let ids: Vec<String> = owned.iter().map(|owned| owned.id.clone()).collect();
        let seen = patiently(&Patience::reading(), || cloud.read(&region, &kind, &ids)).await?;
        let living = seen.into_iter().filter(|seen| seen.status != Status::Deleting);
        let owner = |seen: &Seen| owned.iter().find(|owned| owned.id == seen.id).map(|owned| owned.owner.clone());
        Ok::<_, Error>(living.filter_map(|seen| Some(Orphan { owner: owner(&seen)?, seen })).collect::<Vec<_>>())
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// Those of `found` that none of `states` knows.
#[must_use]
pub fn orphans(found: Vec<Orphan>, states: &[State]) -> Vec<Orphan> {
    let known: BTreeSet<(&str, &str)> = states
        .iter()
        .flat_map(|state| &state.resources)
        .flat_map(|(address, record)| {
            let deposed = record.deposed.iter().map(|deposed| &deposed.id);
            record.id.iter().chain(deposed).map(|id| (&*address.kind, id.as_str()))
        })
        .collect();
    let unknown = |orphan: &Orphan| !known.contains(&(&*orphan.owner.address.kind, orphan.seen.id.as_str()));
    found.into_iter().filter(unknown).collect()
}

/// Deletes `orphans`, as often around as what hangs on what demands; returns those that are left, each with the reason.
/// It ends when time does not help: nothing went, and no failure is one that passes.
pub async fn remove(cloud: &Arc<dyn Cloud>, mut orphans: Vec<Orphan>) -> Vec<(Orphan, Error)> {
    let mut left = Vec::new();
    for round in 0..ROUNDS {
        let before = orphans.len();
        let results = join_all(orphans.iter().map(|orphan| removed(cloud, orphan))).await;
        left = Vec::new();
        for (orphan, result) in std::mem::take(&mut orphans).into_iter().zip(results) {
            if let Err(error) = result {
                left.push((orphan, error));
            }
        }
        let passes = |error: &Error| !matches!(error.class(), Class::Failed | Class::Denied | Class::Invalid);
        if left.len() == before && !left.iter().any(|(_, error)| passes(error)) {
            break;
        }
        orphans = left.iter().map(|(orphan, _)| orphan.clone()).collect();
        sleep(Duration::from_secs(if round < 5 { 1 } else { 10 })).await;
    }
    left
}

/// Fails while it still exists.
async fn removed(cloud: &Arc<dyn Cloud>, orphan: &Orphan) -> Result<()> {
    let Address { region, kind, .. } = &orphan.owner.address;
    let ids = [orphan.seen.id.clone()];
    let Some(seen) = cloud.read(region, kind, &ids).await?.into_iter().next() else { return Ok(()) };
    let address = orphan.owner.address.clone();
    let site = Site { address, token: String::new(), owner: orphan.owner.clone(), known: Vec::new() };
    if seen.status != Status::Deleting {
        cloud.delete(&site, &seen).await?;
    }
    if cloud.read(region, kind, &ids).await?.is_empty() {
        return Ok(());
    }
    Err(Error::new(Class::Conflict, format!("{} still exists", orphan.seen.id)).hint("run it again later"))
}
