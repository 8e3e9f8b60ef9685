//! Orphaned resources: they have our owner tags, but are in no state. They are found by asking the cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all, try_join_all};
use tokio::time::sleep;

use crate::address::{Address, Region};
use crate::cloud::{Cloud, Known, Seen, Site, Status, spec};
use crate::error::{Class, Error, Result};
use crate::plan::ALL;
use crate::retry::reading;
use crate::state::State;
use crate::tags::{Owner, Tags};

/// The number of rounds in which blocked deletes are retried.
const ROUNDS: usize = 60;

/// A resource with owner tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The owner, from its tags.
    pub owner: Owner,
    /// The region it is in. Differs from its address if it is a replica of a resource in another region.
    pub region: Region,
    /// Its id.
    pub id: String,
}

/// A cloud that can list all resources with the owner tags of a stack.
pub trait Census: Send + Sync {
    /// All resources in `region` with the owner tags of `stack`, in any workspace. Of replicas, only those that the
    /// resource in the other region no longer knows, because it deletes the others itself.
    fn owned<'a>(&'a self, region: &'a Region, stack: &'a str) -> BoxFuture<'a, Result<Vec<Owned>>>;
}

/// A resource that has our owner tags and is in no state.
#[derive(Clone, Debug, PartialEq)]
pub struct Orphan {
    /// The owner, from its tags.
    pub owner: Owner,
    /// The region it is in. Differs from its address if it is a replica of a resource in another region.
    pub region: Region,
    /// The resource.
    pub seen: Seen,
}

impl Orphan {
    /// Whether it is a replica: it is in another region than its address, and its resource is gone or no longer knows
    /// it.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.region != self.owner.address.region
    }
}

/// All resources in `regions` with the owner tags of `stack`, except those that are being deleted.
///
/// Tags of deleted resources linger (AWS-FACTS §2), so each resource is confirmed by a read of its kind.
///
/// # Errors
/// If a call fails.
pub async fn census(
    cloud: &Arc<dyn Cloud>,
    census: &dyn Census,
    stack: &str,
    regions: &BTreeSet<Region>,
) -> Result<Vec<Orphan>> {
    let asked = regions.iter().map(|region| async move { reading(|| census.owned(region, stack)).await });
    let mut groups = BTreeMap::<_, Vec<Owned>>::new();
    for owned in try_join_all(asked).await?.into_iter().flatten() {
        let kind = Arc::clone(&owned.owner.address.kind);
        groups.entry((owned.region.clone(), kind)).or_default().push(owned);
    }
    let reads = groups.into_iter().map(|((region, kind), owned)| async move {
        spec(cloud, &kind)?;
        let ids: Vec<String> = owned.iter().map(|owned| owned.id.clone()).collect();
        let seen = reading(|| cloud.read(&region, &kind, &ids)).await?;
        let going = |status: &Status| matches!(status, Status::Deleting | Status::Scheduled(_));
        let living = seen.into_iter().filter(|seen| !going(&seen.status));
        let owner = |seen: &Seen| owned.iter().find(|owned| owned.id == seen.id).map(|owned| owned.owner.clone());
        let orphan = |seen: Seen| Some(Orphan { owner: owner(&seen)?, region: region.clone(), seen });
        Ok::<_, Error>(living.filter_map(orphan).collect::<Vec<_>>())
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// Splits the resources in `found` that are in none of `states`: first the orphans, with the lineage of one of the
/// states, then the resources of other deployments, which are left alone.
#[must_use]
pub fn orphans(found: Vec<Orphan>, states: &[State]) -> (Vec<Orphan>, Vec<Orphan>) {
    // An id is unique only within its region and kind. All states are of one account.
    let known: BTreeSet<(&str, &str, &str)> = states
        .iter()
        .flat_map(|state| &state.resources)
        .flat_map(|(address, record)| {
            let deposed = record.deposed.iter().map(|deposed| &deposed.id);
            record.id.iter().chain(deposed).map(|id| (address.region.as_str(), &*address.kind, id.as_str()))
        })
        .collect();
    // A replica belongs to the resource in the state, which will create it again. If that resource exists without it,
    // the replica is an orphan.
    let alone: BTreeSet<(Address, String)> = found
        .iter()
        .filter(|orphan| !orphan.is_copy())
        .map(|orphan| (orphan.owner.address.clone(), orphan.seen.id.clone()))
        .collect();
    let unknown = |orphan: &Orphan| {
        let Address { region, kind, .. } = &orphan.owner.address;
        let known = known.contains(&(region.as_str(), &**kind, orphan.seen.id.as_str()));
        !known || (orphan.is_copy() && alone.contains(&(orphan.owner.address.clone(), orphan.seen.id.clone())))
    };
    let ours = |orphan: &Orphan| {
        let owner = &orphan.owner;
        states.iter().any(|state| (&state.lineage, &state.workspace) == (&owner.lineage, &owner.workspace))
    };
    found.into_iter().filter(unknown).partition(ours)
}

/// The data that deleting `orphans` destroys, by address and part.
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

/// Deletes `orphans`, in as many rounds as their dependencies require. Returns the ones that remain, each with the
/// error. Ends when a round deletes nothing and no failure is temporary.
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

/// Fails while the resource still exists, or if its tags no longer identify it as ours.
async fn removed(cloud: &Arc<dyn Cloud>, orphan: &Orphan) -> Result<()> {
    let address = Address { region: orphan.region.clone(), ..orphan.owner.address.clone() };
    let (region, kind) = (&address.region, &address.kind);
    let ids = [orphan.seen.id.clone()];
    let Some(seen) = cloud.read(region, kind, &ids).await?.into_iter().next() else { return Ok(()) };
    if matches!(seen.status, Status::Scheduled(_)) {
        return Ok(());
    }
    if let Some(tags) = seen.args.get("tags").filter(|_| orphan.seen.args.get("tags").is_some()) {
        let tags: Tags = serde_json::from_value(tags.clone()).unwrap_or_default();
        if Owner::of(&tags).as_ref() != Some(&orphan.owner) {
            return Err(Error::invalid(format!("{} no longer has our owner tags", orphan.seen.id)));
        }
    }
    let spec = spec(cloud, kind)?;
    let site = Site {
        address: address.clone(),
        token: String::new(),
        owner: orphan.owner.clone(),
        known: Known::default(),
        begun: false,
        // The data loss was accepted before the sweep.
        final_snapshot: false,
    };
    if spec.is_shielded(&seen) && seen.status != Status::Deleting {
        let mut open = seen.args.clone();
        open[spec.shield.unwrap_or_default()] = false.into();
        cloud.update(&site, &open, &seen).await?;
        return Err(Error::new(
            Class::Conflict,
            format!("the deletion protection of {} is being disabled", orphan.seen.id),
        ));
    }
    if seen.status != Status::Deleting {
        cloud.delete(&site, &seen).await?;
    }
    let left = cloud.read(region, kind, &ids).await?;
    if left.iter().all(|seen| matches!(seen.status, Status::Scheduled(_))) {
        return Ok(());
    }
    Err(Error::new(Class::Conflict, format!("{} still exists", orphan.seen.id)).hint("run the command again later"))
}
