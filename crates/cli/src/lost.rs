//! Detects a lost state: evidence that the workspace had a state, and ways to recover it.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_engine::sweep::{Orphan, census};
use payinfra_engine::{Error, Region, Result, State, Version, counted};

use crate::context::{Loaded, Session};
use crate::recovery::{serials, versions};
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
        let versions = versions(&self.kept.backing).await?;
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
    use super::*;

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
