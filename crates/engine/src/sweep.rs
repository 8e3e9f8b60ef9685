//! What carries our owner tags and is in no state: found by asking the cloud, not the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all, try_join_all};
use tokio::time::sleep;

use crate::address::{Address, Region};
use crate::cloud::{Cloud, Seen, Site, Status};
use crate::error::{Class, Error, Result};
use crate::plan::{ALL, is_shielded, spec};
use crate::retry::{Patience, patiently};
use crate::state::State;
use crate::tags::{Owner, Tags};

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
        let going = |status: &Status| matches!(status, Status::Deleting | Status::Scheduled(_));
        let living = seen.into_iter().filter(|seen| !going(&seen.status));
        let owner = |seen: &Seen| owned.iter().find(|owned| owned.id == seen.id).map(|owned| owned.owner.clone());
        Ok::<_, Error>(living.filter_map(|seen| Some(Orphan { owner: owner(&seen)?, seen })).collect::<Vec<_>>())
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// Those of `found` that none of `states` knows: first those that carry the lineage of one of them, which are orphans,
/// then those of other deployments, which are nobody's business here.
#[must_use]
pub fn orphans(found: Vec<Orphan>, states: &[State]) -> (Vec<Orphan>, Vec<Orphan>) {
    // An id means something only in its region and for its kind; the account is that of the states.
    let known: BTreeSet<(&str, &str, &str)> = states
        .iter()
        .flat_map(|state| &state.resources)
        .flat_map(|(address, record)| {
            let deposed = record.deposed.iter().map(|deposed| &deposed.id);
            record.id.iter().chain(deposed).map(|id| (address.region.as_str(), &*address.kind, id.as_str()))
        })
        .collect();
    let unknown = |orphan: &Orphan| {
        let Address { region, kind, .. } = &orphan.owner.address;
        !known.contains(&(region.as_str(), &**kind, orphan.seen.id.as_str()))
    };
    let ours = |orphan: &Orphan| {
        let owner = &orphan.owner;
        states.iter().any(|state| (&state.lineage, &state.workspace) == (&owner.lineage, &owner.workspace))
    };
    found.into_iter().filter(unknown).partition(ours)
}

/// The data that is lost with `orphans`, by address and part.
///
/// # Errors
/// If one is of an unknown kind.
pub fn losses(cloud: &Arc<dyn Cloud>, orphans: &[Orphan]) -> Result<BTreeMap<Address, Vec<String>>> {
    let mut losses = BTreeMap::new();
    for orphan in orphans {
        let address = &orphan.owner.address;
        if spec(cloud, &address.kind)?.keeps_data {
            losses.insert(address.clone(), vec![ALL.to_owned()]);
        }
    }
    Ok(losses)
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
        let passes =
            |error: &Error| !matches!(error.class(), Class::Failed | Class::Denied | Class::Expired | Class::Invalid);
        if left.len() == before && !left.iter().any(|(_, error)| passes(error)) {
            break;
        }
        orphans = left.iter().map(|(orphan, _)| orphan.clone()).collect();
        sleep(Duration::from_secs(if round < 5 { 1 } else { 10 })).await;
    }
    left
}

/// Fails while it still exists, and at once if its tags no longer say that it is ours.
async fn removed(cloud: &Arc<dyn Cloud>, orphan: &Orphan) -> Result<()> {
    let Address { region, kind, .. } = &orphan.owner.address;
    let ids = [orphan.seen.id.clone()];
    let Some(seen) = cloud.read(region, kind, &ids).await?.into_iter().next() else { return Ok(()) };
    if matches!(seen.status, Status::Scheduled(_)) {
        return Ok(());
    }
    if let Some(tags) = seen.args.get("tags").filter(|_| orphan.seen.args.get("tags").is_some()) {
        let tags: Tags = serde_json::from_value(tags.clone()).unwrap_or_default();
        if Owner::of(&tags).as_ref() != Some(&orphan.owner) {
            return Err(Error::invalid(format!("{} no longer carries our tags", orphan.seen.id)));
        }
    }
    let spec = spec(cloud, kind)?;
    let address = orphan.owner.address.clone();
    let site = Site {
        address,
        token: String::new(),
        owner: orphan.owner.clone(),
        known: Vec::new(),
        begun: false,
        // A sweep that may delete it at all was told that its data may go.
        final_snapshot: false,
    };
    if is_shielded(&spec, &seen) && seen.status != Status::Deleting {
        let mut open = seen.args.clone();
        open[spec.shield.unwrap_or_default()] = false.into();
        cloud.update(&site, &open, &seen).await?;
        return Err(Error::new(Class::Conflict, format!("the protection of {} is being switched off", orphan.seen.id)));
    }
    if seen.status != Status::Deleting {
        cloud.delete(&site, &seen).await?;
    }
    let left = cloud.read(region, kind, &ids).await?;
    if left.iter().all(|seen| matches!(seen.status, Status::Scheduled(_))) {
        return Ok(());
    }
    Err(Error::new(Class::Conflict, format!("{} still exists", orphan.seen.id)).hint("run it again later"))
}
