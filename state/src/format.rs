//! The format of the state: migrates older versions, refuses newer ones, and has a schema of the current one.

use payinfra_engine::{COUNT_MAX, Class, Error, FORMAT, Result, State, Store, read};
use serde::Deserialize;
use serde_json::Value;

/// A migration from one version to the next.
type Step = fn(Value) -> Result<Value>;

/// The migration from each older version, starting with 1. Migrations are added and never changed.
const STEPS: &[Step] = &[
    // Version 2 adds `rescue` to the state and `final_snapshot` to records; a state of version 1 has neither.
    Ok,
    // Since version 3, the journal beside the state has what changed since. A version of payinfra that does not read the
    // journal must not read the state.
    Ok,
];

/// The state in a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The state: the checkpoint with what changed since.
    pub state: State,
    /// The version of the checkpoint.
    pub version: String,
    /// The revision after which the next write continues ([`Kept::last`](payinfra_engine::Kept::last)).
    pub last: u64,
}

/// Loads the state with its changes since the checkpoint; `None` if there is no state.
///
/// # Errors
/// If it cannot be read, or as [`migrate`].
pub async fn load(store: &dyn Store) -> Result<Option<Loaded>> {
    let Some(kept) = read(store).await? else { return Ok(None) };
    Ok(Some(Loaded { state: migrate(&kept.bytes)?, version: kept.version, last: kept.last }))
}

/// Parses a state and migrates it to the current format.
///
/// # Errors
/// If it is truncated, not a state, of a newer format, or has impossible counters.
pub fn migrate(bytes: &[u8]) -> Result<State> {
    let current = forward(bytes, STEPS, FORMAT)?;
    let state = State::parse(current.as_deref().unwrap_or(bytes))?;
    sound(&state)?;
    Ok(state)
}

/// The highest plausible generation: a resource that is created again every minute needs thousands of years to reach
/// it.
const GENERATION_MAX: u32 = 1 << 31;

/// Checks that the counters of `state` can be incremented.
fn sound(state: &State) -> Result<()> {
    let damaged =
        |what: String| Error::invalid(format!("{what}: the file is damaged or was tampered with")).hint(RESTORE);
    for (what, count) in [("serial", state.serial), ("revision", state.revision), ("epoch", state.epoch)] {
        // Leave room for the next value.
        if count >= COUNT_MAX {
            return Err(damaged(format!("the state has the invalid {what} {count}")));
        }
    }
    for (address, record) in &state.resources {
        let generations = record.deposed.iter().map(|deposed| deposed.generation).chain([record.generation]);
        if let Some(generation) = generations.filter(|generation| *generation >= GENERATION_MAX).max() {
            return Err(damaged(format!("the state has the invalid generation {generation} for {address}")));
        }
    }
    Ok(())
}

/// The schema of the current format: `state/schema/`.
///
/// # Errors
/// Not in practice.
pub fn schema() -> Result<String> {
    let schema = schemars::schema_for!(State);
    let text = serde_json::to_string_pretty(&schema);
    text.map(|text| text + "\n").map_err(|error| Error::failed(error.to_string()))
}

/// `bytes` migrated to the format `current`; `None` if they already have it.
fn forward(bytes: &[u8], steps: &[Step], current: u32) -> Result<Option<Vec<u8>>> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| broken(&error))?;
    if head.format > current {
        let text = format!(
            "the state has format {}, but this version of payinfra supports formats up to {current}",
            head.format
        );
        return Err(Error::invalid(text).hint("use the version of payinfra that wrote it, or a newer one"));
    }
    if head.format == current {
        return Ok(None);
    }
    let unknown =
        || Error::invalid(format!("the state has format {}, which does not exist", head.format)).hint(RESTORE);
    let first = usize::try_from(head.format).ok().and_then(|format| format.checked_sub(1)).ok_or_else(unknown)?;
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| broken(&error))?;
    for (format, step) in (head.format..).zip(steps.get(first..).ok_or_else(unknown)?) {
        value = step(value)?;
        value["format"] = (format + 1).into();
    }
    serde_json::to_vec(&value).map(Some).map_err(|error| broken(&error))
}

const RESTORE: &str = "restore an earlier version of the state object; the bucket keeps versions for 90 days";

fn broken(error: &serde_json::Error) -> Error {
    let what = if error.is_eof() { "is truncated" } else { "cannot be read" };
    Error::new(Class::Invalid, format!("the state {what}: {error}")).hint(RESTORE)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn older_formats_come_forward_step_by_step() {
        let steps: &[Step] = &[
            |mut value| {
                value["second"] = value["first"].take();
                Ok(value)
            },
            |mut value| {
                value["third"] = value["second"].take();
                Ok(value)
            },
        ];
        let forward = |text: &str| {
            let bytes = forward(text.as_bytes(), steps, 3).unwrap();
            bytes.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap())
        };
        assert_eq!(forward(r#"{"format":3,"third":"it"}"#), None);
        for text in [r#"{"format":1,"first":"it"}"#, r#"{"format":2,"second":"it"}"#] {
            let value = forward(text).unwrap();
            assert_eq!((&value["format"], &value["third"]), (&3.into(), &"it".into()), "{text}");
        }
    }

    #[test]
    fn every_format_has_its_step() {
        assert_eq!(STEPS.len() + 1, usize::try_from(FORMAT).unwrap());
    }
}
