//! The log of a state: entries with what has changed since the checkpoint.
//!
//! The checkpoint is the whole state at some revision. Each later revision has one entry, which is written only once. So
//! whoever wants to write the next revision fails if somebody else has done so, whether that was a suspended run or the run
//! that took over its lock.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::Value;

use crate::address::Address;
use crate::error::{Class, Error, Result};
use crate::state::{Record, State};
use crate::store::{COUNT_MAX, Store};

/// The number of entries that are read at the same time.
const READS: usize = 16;

/// The name of the log entry of `revision`. Names are in the order of their revisions.
#[must_use]
pub fn entry_name(revision: u64) -> String {
    format!("{revision:016}.json")
}

/// The revision of the log entry `name`; `None` if it is not the name of an entry.
#[must_use]
pub fn entry_revision(name: &str) -> Option<u64> {
    let revision = name.strip_suffix(".json")?.parse().ok()?;
    (entry_name(revision) == name).then_some(revision)
}

/// What is stored of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The state as JSON: the checkpoint with the changes of the log.
    pub bytes: Vec<u8>,
    /// The version of the checkpoint.
    pub version: String,
    /// The revision of the newest entry, after which the next write continues. It is beyond that of the state if a run was
    /// interrupted before its checkpoint, or an operator has replaced the checkpoint with an older one.
    pub last: u64,
}

/// A change of the state. Members that did not change are missing.
///
/// The first entry of a run bars others from its revision, and has no changes: they are in the checkpoint that follows, because
/// the run may begin with a state that is not the stored one, such as that of a rescue file.
#[derive(Serialize)]
pub(crate) struct Entry {
    format: u32,
    lineage: String,
    serial: u64,
    revision: u64,
    epoch: u64,
    /// Whether the changes are in a checkpoint of this revision. Without it, the write was interrupted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    checkpoint: bool,
    /// The records that changed; `null` for one that was removed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<Address, Option<Record>>,
    /// All outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<BTreeMap<String, Value>>,
    /// All operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<BTreeMap<String, Value>>,
}

impl Entry {
    /// An entry for the revision of `state`, whose changes are in a `checkpoint` or are added.
    pub(crate) fn of(state: &State, checkpoint: bool) -> Self {
        Self {
            format: state.format,
            lineage: state.lineage.clone(),
            serial: state.serial,
            revision: state.revision,
            epoch: state.epoch,
            checkpoint,
            resources: BTreeMap::new(),
            outputs: None,
            operations: None,
        }
    }

    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        json(self)
    }
}

/// Reads the stored state; `None` if there is none.
///
/// # Errors
/// If it cannot be read, or is not JSON.
pub async fn read(store: &dyn Store) -> Result<Option<Kept>> {
    let Some(stored) = store.load().await? else { return Ok(None) };
    let mut kept = Kept { bytes: stored.bytes, version: stored.version, last: 0 };
    let mut state: Value = serde_json::from_slice(&kept.bytes).unwrap_or_default();
    // The caller reports a checkpoint that cannot be read.
    let revision = state["revision"].as_u64();
    let revisions = store.entries(revision.unwrap_or(0)).await?;
    kept.last = revisions.last().copied().or(revision).unwrap_or(0);
    let Some(revision) = revision else { return Ok(Some(kept)) };
    let entries = entries(store, revisions).await?;
    if replay(&mut state, revision, &entries)? {
        kept.bytes = json(&state)?;
    }
    Ok(Some(kept))
}

/// The checkpoint `bytes`, which may be an earlier version, with the later entries of the run that wrote it.
///
/// # Errors
/// If one of them cannot be read, or is missing.
pub async fn completed(store: &dyn Store, bytes: &[u8]) -> Result<Vec<u8>> {
    let state: Value = serde_json::from_slice(bytes).unwrap_or_default();
    // The caller reports a checkpoint that cannot be read.
    let Some(revision) = state["revision"].as_u64() else { return Ok(bytes.to_vec()) };
    let revisions = store.entries(revision).await?;
    replayed(bytes, &entries(store, revisions).await?)
}

/// The entries of these revisions, as far as they still exist.
async fn entries(store: &dyn Store, revisions: Vec<u64>) -> Result<BTreeMap<u64, Vec<u8>>> {
    let entries = revisions.into_iter().map(|revision| async move { Ok((revision, store.entry(revision).await?)) });
    let entries: Vec<_> = stream::iter(entries).buffered(READS).try_collect().await?;
    Ok(entries.into_iter().filter_map(|(revision, bytes)| Some((revision, bytes?))).collect())
}

/// The state with the checkpoint `bytes` and the log `entries` after it, by revision.
///
/// # Errors
/// If one of them cannot be read, or is missing.
pub fn replayed(bytes: &[u8], entries: &BTreeMap<u64, Vec<u8>>) -> Result<Vec<u8>> {
    let mut state: Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::new(Class::Invalid, format!("the checkpoint cannot be read: {error}")))?;
    let revision = state["revision"].as_u64().unwrap_or(0);
    replay(&mut state, revision, entries)?;
    json(&state)
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::failed(format!("the state cannot be written as JSON: {error}")))
}

/// Adds the changes of the entries to `state`, which has `revision`, and returns whether there are any.
///
/// They end at the first entry of another run: either it was interrupted before its checkpoint, and did nothing, or an
/// operator has replaced the checkpoint with an older one, which the history shows.
fn replay(state: &mut Value, revision: u64, entries: &BTreeMap<u64, Vec<u8>>) -> Result<bool> {
    let mut last = revision;
    for (revision, bytes) in entries.range(revision + 1..) {
        let entry: Value =
            serde_json::from_slice(bytes).map_err(|error| broken(*revision, &format!("cannot be read: {error}")))?;
        if entry["revision"].as_u64() != Some(*revision) {
            return Err(broken(*revision, "has another revision"));
        }
        if entry["checkpoint"] == true || (&entry["lineage"], &entry["serial"]) != (&state["lineage"], &state["serial"])
        {
            break;
        }
        if *revision != last + 1 {
            return Err(broken(last + 1, "is missing"));
        }
        fold(state, entry).map_err(|what| broken(*revision, what))?;
        last = *revision;
    }
    Ok(last > revision)
}

/// Adds the changes of `entry` to `state`.
fn fold(state: &mut Value, entry: Value) -> std::result::Result<(), &'static str> {
    let (Some(state), Value::Object(entry)) = (state.as_object_mut(), entry) else { return Err("is no object") };
    for (member, value) in entry {
        if member != "resources" {
            state.insert(member, value);
            continue;
        }
        let (Some(records), Value::Object(changed)) =
            (state.get_mut("resources").and_then(Value::as_object_mut), value)
        else {
            return Err("has resources that are no object");
        };
        for (address, record) in changed {
            if record.is_null() {
                records.remove(&address);
            } else {
                records.insert(address, record);
            }
        }
    }
    Ok(())
}

fn broken(revision: u64, what: &str) -> Error {
    let message = format!("the journal entry `journal/{}` beside the state {what}", entry_name(revision));
    Error::new(Class::Invalid, message).hint(
        "restore an earlier version of this object, or restore an earlier state with `payinfra state restore`, which \
         `payinfra state history` lists",
    )
}

/// The revision after `revision`, that of the state with the checkpoint `version`.
pub(crate) async fn next(store: &dyn Store, revision: u64, version: Option<&str>) -> Result<u64> {
    // Without a checkpoint, entries are left of a state that was deleted, or of a first write that was interrupted.
    let left = if version.is_none() { store.entries(revision).await?.last().copied() } else { None };
    left.unwrap_or(revision).checked_add(1).filter(|next| *next <= COUNT_MAX).ok_or_else(|| {
        Error::invalid(format!(
            "the state has the invalid revision {revision}: the file is damaged or was tampered with"
        ))
        .hint("restore an earlier version of the state")
    })
}

/// Replaces the stored state with `state`, which was loaded with the checkpoint `version`.
///
/// # Errors
/// [`Class::Stale`] if somebody else wrote the state since.
pub async fn overwrite(store: &dyn Store, mut state: State, version: Option<&str>) -> Result<()> {
    state.revision = next(store, state.revision, version).await?;
    // The entry bars others from this revision.
    store.append(state.revision, &Entry::of(&state, true).bytes()?).await?;
    store.save(&state.bytes()?, version).await.map(drop)
}
