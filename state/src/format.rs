//! The format of the state: older ones are brought forward, newer ones refused, and a schema describes the present one.

use payinfra_engine::{COUNT_MAX, Class, Error, FORMAT, Result, State};
use serde::Deserialize;
use serde_json::Value;

/// From one format to the next.
type Step = fn(Value) -> Result<Value>;

/// The step from each older format, the first from format 1. Steps are added and never changed.
const STEPS: &[Step] = &[
    // Format 2 adds `rescue` of the state and `final_snapshot` of a record; a state of format 1 has neither.
    Ok,
];

/// The state that `bytes` hold, brought to the present format.
///
/// # Errors
/// If they are cut off, are no state, have a newer format, or have numbers that no run can have counted to.
pub fn migrate(bytes: &[u8]) -> Result<State> {
    let current = forward(bytes, STEPS, FORMAT)?;
    let state = State::parse(current.as_deref().unwrap_or(bytes))?;
    sound(&state)?;
    Ok(state)
}

/// The highest generation that is believed; what is created anew every minute needs thousands of years.
const GENERATION_MAX: u32 = 1 << 31;

/// That the numbers of `state` can be counted on from.
fn sound(state: &State) -> Result<()> {
    let damaged = |what: String| Error::invalid(format!("{what}: the file is damaged or forged")).hint(RESTORE);
    for (what, count) in [("serial", state.serial), ("revision", state.revision), ("epoch", state.epoch)] {
        // There is room for the next one.
        if count >= COUNT_MAX {
            return Err(damaged(format!("the state's {what} is {count}")));
        }
    }
    for (address, record) in &state.resources {
        let generations = record.deposed.iter().map(|deposed| deposed.generation).chain([record.generation]);
        if let Some(generation) = generations.filter(|generation| *generation >= GENERATION_MAX).max() {
            return Err(damaged(format!("the generation of {address} in the state is {generation}")));
        }
    }
    Ok(())
}

/// The schema of the present format: `state/schema/`.
///
/// # Errors
/// Never in practice.
pub fn schema() -> Result<String> {
    let schema = schemars::schema_for!(State);
    let text = serde_json::to_string_pretty(&schema);
    text.map(|text| text + "\n").map_err(|error| Error::failed(error.to_string()))
}

/// `bytes` in the format `current`; `None` if they have it already.
fn forward(bytes: &[u8], steps: &[Step], current: u32) -> Result<Option<Vec<u8>>> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| broken(&error))?;
    if head.format > current {
        let text = format!("the state has format {}, this payinfra knows formats up to {current}", head.format);
        return Err(Error::invalid(text).hint("use the version of payinfra that wrote it, or a newer one"));
    }
    if head.format == current {
        return Ok(None);
    }
    let unknown = || Error::invalid(format!("the state has format {}, which never was", head.format)).hint(RESTORE);
    let first = usize::try_from(head.format).ok().and_then(|format| format.checked_sub(1)).ok_or_else(unknown)?;
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| broken(&error))?;
    for (format, step) in (head.format..).zip(steps.get(first..).ok_or_else(unknown)?) {
        value = step(value)?;
        value["format"] = (format + 1).into();
    }
    serde_json::to_vec(&value).map(Some).map_err(|error| broken(&error))
}

const RESTORE: &str = "restore an earlier version of the object: the bucket keeps all of them";

fn broken(error: &serde_json::Error) -> Error {
    let what = if error.is_eof() { "is cut off" } else { "cannot be read" };
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
