//! Detects a lost state: evidence that the workspace had a state, and ways to recover it.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_engine::sweep::{Orphan, census};
use payinfra_engine::{Class, Error, Region, Result, State, Version, counted};
use payinfra_state::Backing;
use serde_json::Value;

use crate::context::{Kept, Loaded, Session};
use crate::screen;

/// What to do if there is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Create one, unless there was one before.
    Create,
    /// Create one even if there was one before: a new deployment.
    CreateAnother,
    /// Fail.
    Refuse,
}

/// The serials of the runs in the history, newest last.
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
        .map_err(|error| Error::invalid(format!("history entry {serial} cannot be read: {error}")))?;
    let Some(state) = entry.get("state") else { return Ok(None) };
    payinfra_state::migrate(state.to_string().as_bytes()).map(Some)
}

/// What a state recovered from a newer run of its lineage.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CaughtUp {
    /// The serial of that run.
    pub(crate) serial: u64,
    /// The number of records that were missing, different or superfluous.
    pub(crate) records: usize,
}

/// Updates `state` from the newest run of its lineage, if the history, with these `serials`, has a newer one. The
/// serial continues from the newest of all runs, so that no history entry is overwritten.
pub(crate) async fn catch_up(backing: &Backing, state: &mut State, serials: &[u64]) -> Result<Option<CaughtUp>> {
    let mut caught = None;
    for serial in serials.iter().rev().copied().take_while(|serial| *serial > state.serial) {
        let newer = match recalled(backing, serial).await {
            Ok(Some(newer)) => newer,
            Ok(None) => continue,
            Err(error) if error.is(Class::Invalid) => {
                screen::note(&format!("Ignoring history entry {serial}: {error}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        if (&newer.lineage, &newer.account) != (&state.lineage, &state.account) {
            continue;
        }
        let ids = |state: &State| -> BTreeSet<_> {
            let ids = state.resources.iter().map(|(address, record)| (address.clone(), record.id.clone()));
            ids.collect()
        };
        let (before, after) = (ids(state), ids(&newer));
        let records: BTreeSet<_> = before.symmetric_difference(&after).map(|(address, _)| address).collect();
        caught = Some(CaughtUp { serial, records: records.len() });
        state.resources = newer.resources;
        state.outputs = newer.outputs;
        state.revision = state.revision.max(newer.revision);
        break;
    }
    state.serial = state.serial.max(serials.last().copied().unwrap_or_default());
    Ok(caught)
}

impl Session {
    /// Loads the state for a command that must know whether the workspace ever had one.
    ///
    /// # Errors
    /// If the state is lost. The hint lists the ways to recover it.
    pub(crate) async fn load(&self, missing: Missing) -> Result<Loaded> {
        let mut loaded = self.kept.load().await?;
        if loaded.version.is_some() || loaded.rescued {
            return Ok(loaded);
        }
        let history = serials(&self.kept.backing).await?;
        // Never overwrite a history entry.
        loaded.state.serial = history.last().copied().unwrap_or_default();
        if missing == Missing::CreateAnother {
            return Ok(loaded);
        }
        let versions = versions(&self.kept).await?;
        let lineages = lineages(&self.count(&loaded.state).await?);
        let workspace = &self.kept.workspace;
        if versions.is_empty() && history.is_empty() && lineages.is_empty() {
            if missing == Missing::Refuse {
                return Err(Error::invalid(format!("workspace {workspace} has not been applied yet"))
                    .hint("create its resources with `payinfra apply`"));
            }
            if self.kept.backing.lock.epoch().await? > 0 {
                screen::note(&format!(
                    "The lock of {workspace} was held before, but there is no state, no history and no resource: \
                     treating this as the first apply."
                ));
            }
            return Ok(loaded);
        }
        // Another first apply may be running. It writes the state before it creates anything, so look again.
        let again = self.kept.load().await?;
        if again.version.is_some() {
            return Ok(again);
        }
        Err(lost(workspace, &versions, &history, &lineages))
    }

    /// The regions that resources of this stack can be in.
    pub(crate) fn regions(&self, state: &State) -> BTreeSet<Region> {
        let mut regions = BTreeSet::from([Region::global()]);
        for workspace in self.kept.project.configuration.workspaces.values() {
            regions.extend(workspace.regions.iter().map(|region| region.region.clone()));
        }
        regions.extend(state.resources.keys().map(|address| address.region.clone()));
        regions
    }

    /// Resources with the owner tags of this workspace, of any lineage.
    pub(crate) async fn count(&self, state: &State) -> Result<Vec<Orphan>> {
        let mut found = census(&self.cloud, &*self.census, &self.kept.stack, &self.regions(state)).await?;
        found.retain(|orphan| orphan.owner.workspace == self.kept.workspace);
        Ok(found)
    }
}

/// The number of resources by lineage.
pub(crate) fn lineages(found: &[Orphan]) -> BTreeMap<String, usize> {
    let mut lineages = BTreeMap::new();
    for orphan in found {
        *lineages.entry(orphan.owner.lineage.clone()).or_default() += 1;
    }
    lineages
}

/// The versions of the state that can be restored. Without permission to list them, a first apply is still possible.
pub(crate) async fn versions(kept: &Kept) -> Result<Vec<Version>> {
    match kept.backing.store.versions().await {
        Ok(mut versions) => {
            versions.retain(|version| !version.deleted);
            Ok(versions)
        }
        Err(error) if error.is(Class::Denied) => {
            screen::note(&format!("Cannot check for earlier versions of the state: {error}"));
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn lost(workspace: &str, versions: &[Version], history: &[u64], lineages: &BTreeMap<String, usize>) -> Error {
    let mut lines = vec![format!("workspace {workspace} has no state, but it has been applied before:")];
    let mut ways = Vec::new();
    if let Some(newest) = versions.first() {
        let Version { id, modified, size, .. } = newest;
        let versions = counted(versions.len(), "version", "versions");
        let size = counted(*size, "byte", "bytes");
        lines.push(format!("  {versions} of the state; newest: {id}, {modified}, {size}"));
        ways.push(format!("`payinfra state restore --version {id}`"));
    }
    if let Some(newest) = history.last() {
        let runs = counted(history.len(), "run", "runs");
        lines.push(format!("  {runs} in the history; newest serial: {newest}"));
        ways.push(format!("`payinfra state restore --history {newest}`"));
    }
    for (lineage, count) in lineages {
        let resources = counted(*count, "resource", "resources");
        if lineage.is_empty() {
            lines.push(format!("  {resources} in AWS without a lineage; `payinfra import` imports one at a time"));
        } else {
            lines.push(format!("  {resources} in AWS with lineage {lineage}"));
            ways.push(format!("`payinfra adopt --lineage {lineage}`"));
        }
    }
    let list = "`payinfra state history` lists all versions and runs";
    let another = "to create a separate deployment, run `payinfra apply --new-deployment`";
    let back = if ways.is_empty() { String::new() } else { format!("run {}; {list}; ", ways.join(" or ")) };
    Error::invalid(lines.join("\n")).hint(format!("{back}{another}"))
}

#[cfg(test)]
mod tests {
    use payinfra_engine::Record;
    use payinfra_state::Backend;
    use serde_json::json;

    use super::*;

    const ADDRESSES: [&str; 3] = ["r/a.b/one", "r/a.b/two", "r/a.b/three"];

    fn state(serial: u64, ids: [Option<&str>; 3]) -> Result<State> {
        let mut state = State::new("stack", "one", "123456789012");
        (state.lineage, state.serial, state.revision) = ("lineage".to_owned(), serial, serial * 10);
        for (address, id) in ADDRESSES.iter().zip(ids) {
            if let Some(id) = id {
                let record = Record { id: Some(id.to_owned()), ..Record::default() };
                state.resources.insert(address.parse()?, record);
            }
        }
        Ok(state)
    }

    /// A folder with a history of these states; an entry without a state has the previous format.
    async fn history(entries: &[(u64, Option<&State>)]) -> Result<(tempfile::TempDir, Backing)> {
        let folder = tempfile::tempdir().map_err(|error| Error::failed(error.to_string()))?;
        let backend = Backend::File { path: folder.path().to_owned() };
        let config = aws_config::SdkConfig::builder().build();
        let backing = payinfra_state::open(&backend, &config, "123456789012", "stack", "one")?;
        for (serial, state) in entries {
            let entry = state.map_or_else(|| json!({ "format": 1 }), |state| json!({ "format": 2, "state": state }));
            backing.store.keep(&format!("{serial}.json"), entry.to_string().as_bytes()).await?;
        }
        Ok((folder, backing))
    }

    #[tokio::test]
    async fn an_older_state_becomes_what_the_newest_run_of_its_lineage_left() -> Result<()> {
        let newer = state(9, [Some("1"), Some("new"), Some("3")])?;
        let other = State { lineage: "other".to_owned(), ..state(11, [None, None, Some("foreign")])? };
        let entries = [(8, None), (9, Some(&newer)), (10, None), (11, Some(&other))];
        let (_folder, backing) = history(&entries).await?;
        let known = serials(&backing).await?;
        assert_eq!(known, [8, 9, 10, 11]);
        let mut older = state(2, [Some("1"), Some("old"), None])?;
        let caught = catch_up(&backing, &mut older, &known).await?;
        assert_eq!(caught, Some(CaughtUp { serial: 9, records: 2 }));
        assert_eq!(older.resources, newer.resources);
        assert_eq!((older.serial, older.revision), (11, 90), "no entry is written twice");
        let mut newest = state(12, [Some("1"), None, None])?;
        assert_eq!(catch_up(&backing, &mut newest, &known).await?, None);
        assert_eq!((newest.serial, newest.resources.len()), (12, 1));
        Ok(())
    }

    #[test]
    fn every_way_back_is_named() {
        let version =
            |id: &str| Version { id: id.to_owned(), modified: "yesterday".to_owned(), size: 7, deleted: false };
        let lineages = BTreeMap::from([(String::new(), 1), ("abc".to_owned(), 84)]);
        let error = lost("one", &[version("v2"), version("v1")], &[3, 4], &lineages);
        assert_eq!(
            error.message(),
            "workspace one has no state, but it has been applied before:\n  2 versions of the state; newest: v2, \
             yesterday, 7 bytes\n  2 runs in the history; newest serial: 4\n  1 resource in AWS without a lineage; \
             `payinfra import` imports one at a time\n  84 resources in AWS with lineage abc"
        );
        assert_eq!(
            error.get_hint(),
            Some(
                "run `payinfra state restore --version v2` or `payinfra state restore --history 4` or `payinfra adopt \
                 --lineage abc`; `payinfra state history` lists all versions and runs; to create a separate \
                 deployment, run `payinfra apply --new-deployment`"
            )
        );
    }
}
