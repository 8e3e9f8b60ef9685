//! A lost state is not a first apply: what says that there was a state, and the ways back to it.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_engine::sweep::{Orphan, census};
use payinfra_engine::{Class, Error, Region, Result, State, Version};
use payinfra_state::Backing;
use serde_json::Value;

use crate::context::{Kept, Loaded, Session};
use crate::screen;

/// How many versions of a lost state are listed.
const VERSIONS: usize = 5;

/// What is done where there is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is made, unless there was one.
    Create,
    /// It is made, whatever there was: another deployment.
    CreateAnother,
    /// It is an error.
    Refuse,
}

/// The serials of the runs that the history has, the newest last.
pub(crate) async fn serials(backing: &Backing) -> Result<Vec<u64>> {
    let names = backing.store.kept().await?;
    let serial = |name: &String| name.rsplit('/').next()?.strip_suffix(".json")?.parse().ok();
    let mut serials: Vec<u64> = names.iter().filter_map(serial).collect();
    serials.sort_unstable();
    Ok(serials)
}

/// The state at the end of the run with this serial, if the history has it.
pub(crate) async fn recalled(backing: &Backing, serial: u64) -> Result<Option<State>> {
    let Some(bytes) = backing.store.recall(&format!("{serial}.json")).await? else { return Ok(None) };
    let entry: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::invalid(format!("the entry {serial} of the history cannot be read: {error}")))?;
    let Some(state) = entry.get("state") else { return Ok(None) };
    payinfra_state::migrate(state.to_string().as_bytes()).map(Some)
}

/// Takes into `state`, which is older than the run with the serial `newest`, what that run knew: it may exist.
pub(crate) async fn catch_up(backing: &Backing, state: &mut State, newest: u64) -> Result<Option<usize>> {
    let Some(newer) = recalled(backing, newest).await?.filter(|newer| newer.lineage == state.lineage) else {
        return Ok(None);
    };
    let mut taken = 0;
    for (address, record) in newer.resources {
        if state.resources.get(&address).is_none_or(|known| known.id != record.id) {
            state.resources.insert(address, record);
            taken += 1;
        }
    }
    state.serial = state.serial.max(newest);
    state.revision = state.revision.max(newer.revision);
    Ok(Some(taken))
}

impl Session {
    /// The state for a command that needs to know whether there ever was one.
    ///
    /// # Errors
    /// If it is lost, with the ways back to it.
    pub(crate) async fn load(&self, missing: Missing) -> Result<Loaded> {
        let mut loaded = self.kept.load().await?;
        if loaded.version.is_some() || loaded.rescued {
            return Ok(loaded);
        }
        let history = serials(&self.kept.backing).await?;
        // No entry of the history is written twice.
        loaded.state.serial = history.last().copied().unwrap_or_default();
        if missing == Missing::CreateAnother {
            return Ok(loaded);
        }
        let versions = versions(&self.kept).await?;
        let lineages = self.lineages(&self.count(&loaded.state).await?);
        let workspace = &self.kept.workspace;
        if versions.is_empty() && history.is_empty() && lineages.is_empty() {
            if missing == Missing::Refuse {
                return Err(Error::invalid(format!("workspace {workspace} has not been applied"))
                    .hint("`payinfra apply` creates what it declares"));
            }
            if self.kept.backing.lock.epoch().await? > 0 {
                screen::note(&format!(
                    "The lock of {workspace} was held before, but nothing of a state, a history or a resource is there: \
                     this is the first apply."
                ));
            }
            return Ok(loaded);
        }
        Err(lost(workspace, &versions, &history, &lineages))
    }

    /// The regions in which something of this stack can be.
    pub(crate) fn regions(&self, state: &State) -> BTreeSet<Region> {
        let mut regions = BTreeSet::from([Region::global()]);
        for workspace in self.kept.project.configuration.workspaces.values() {
            regions.extend(workspace.all_regions.iter().map(|region| region.region.clone()));
        }
        regions.extend(state.resources.keys().map(|address| address.region.clone()));
        regions
    }

    /// What carries the owner tags of this workspace, of whatever lineage.
    pub(crate) async fn count(&self, state: &State) -> Result<Vec<Orphan>> {
        let stack = &self.kept.project.configuration.stack;
        let mut found = census(&self.cloud, &*self.census, stack, &self.regions(state)).await?;
        found.retain(|orphan| orphan.owner.workspace == self.kept.workspace);
        Ok(found)
    }

    /// How many resources carry each lineage.
    #[expect(clippy::unused_self, reason = "what is counted is the session's")]
    pub(crate) fn lineages(&self, found: &[Orphan]) -> BTreeMap<String, usize> {
        let mut lineages = BTreeMap::new();
        for orphan in found {
            *lineages.entry(orphan.owner.lineage.clone()).or_default() += 1;
        }
        lineages
    }
}

/// The versions of the state that can be restored. Who may not list them can still apply for the first time.
async fn versions(kept: &Kept) -> Result<Vec<Version>> {
    match kept.backing.store.versions().await {
        Ok(mut versions) => {
            versions.retain(|version| !version.deleted);
            Ok(versions)
        }
        Err(error) if error.is(Class::Denied) => {
            screen::note(&format!("Whether there are earlier versions of the state is not known: {error}"));
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn lost(workspace: &str, versions: &[Version], history: &[u64], lineages: &BTreeMap<String, usize>) -> Error {
    let mut lines = vec![format!("workspace {workspace} has no state, and it had one or belongs to another deployment:")];
    let mut ways = Vec::new();
    for version in versions.iter().take(VERSIONS) {
        lines.push(format!("  version {} of {}, {} bytes", version.id, version.modified, version.size));
    }
    if let Some(newest) = versions.first() {
        ways.push(format!("`payinfra state restore --version {}`", newest.id));
    }
    if let Some(newest) = history.last() {
        lines.push(format!("  {} runs in the history, the newest with serial {newest}", history.len()));
        ways.push(format!("`payinfra state restore --history {newest}`"));
    }
    for (lineage, count) in lineages {
        if lineage.is_empty() {
            lines.push(format!("  {count} resources in AWS without a lineage: `payinfra import` takes them one by one"));
        } else {
            lines.push(format!("  {count} resources in AWS of lineage {lineage}"));
            ways.push(format!("`payinfra adopt --lineage {lineage}`"));
        }
    }
    let another = "to create another deployment beside it, run `payinfra apply --new-deployment`";
    let ways = if ways.is_empty() { another.to_owned() } else { format!("run {}; {another}", ways.join(" or ")) };
    Error::invalid(lines.join("\n")).hint(ways)
}
