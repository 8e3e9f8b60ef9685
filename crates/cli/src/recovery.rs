//! What can be recovered: the states that the history keeps, and the versions of the state.

use std::collections::BTreeSet;

use payinfra_engine::{Class, Error, Result, State, Version};
use payinfra_state::Backing;
use serde_json::Value;

use crate::screen;

/// The serials of the runs in the history, newest last.
pub(crate) async fn serials(backing: &Backing) -> Result<Vec<u64>> {
    payinfra_state::serials(&*backing.store).await
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

/// The versions of the state that can be restored. Without permission to list them, a first apply is still possible.
pub(crate) async fn versions(backing: &Backing) -> Result<Vec<Version>> {
    match backing.store.versions().await {
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
}
