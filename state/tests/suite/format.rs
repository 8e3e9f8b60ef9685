//! The format of the state: golden files, schema, and invalid states.
//!
//! `PAYINFRA_UPDATE=1 cargo test -p payinfra-state format` writes the schema. Golden files are never changed.

use std::path::Path;

use payinfra_engine::{COUNT_MAX, Class, FORMAT};
use payinfra_state::{migrate, schema};
use serde_json::Value;

use crate::bench::fails;

pub(crate) const GOLDEN: &str = include_str!("../../golden/v3.json");

/// The golden states of earlier formats.
pub(crate) const OLDER: &[&str] = &[include_str!("../../golden/v1.json"), include_str!("../../golden/v2.json")];

#[test]
fn the_golden_states_of_older_formats_come_forward() {
    assert_eq!(OLDER.len() + 1, usize::try_from(FORMAT).unwrap());
    let current = migrate(GOLDEN.as_bytes()).unwrap();
    for (older, format) in OLDER.iter().zip(1..) {
        let before: Value = serde_json::from_str(older).unwrap();
        assert_eq!(before["format"], format);
        let state = migrate(older.as_bytes()).unwrap();
        assert_eq!(state.format, FORMAT);
        assert_eq!((&state.lineage, state.serial, &state.outputs), (&current.lineage, 7, &current.outputs));
        assert_eq!(state.resources.keys().collect::<Vec<_>>(), current.resources.keys().collect::<Vec<_>>());
        // Values that were not recorded then are not invented.
        if format < 2 {
            assert_eq!(state.rescue, None);
            assert!(state.resources.values().all(|record| !record.final_snapshot));
        } else {
            assert!(state == current);
        }
        assert!(migrate(&state.bytes().unwrap()).unwrap() == state);
    }
}

#[test]
fn the_golden_state_is_read_and_written_to_the_same_bytes() {
    let state = migrate(GOLDEN.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(state.bytes().unwrap()).unwrap(), GOLDEN);
    assert!(state.is_unfinished());
}

#[test]
fn the_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/state-v{FORMAT}.json"));
    let schema = schema().unwrap();
    if std::env::var_os("PAYINFRA_UPDATE").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    assert!(value(&there) == value(&schema), "{} is out of date: run this test with PAYINFRA_UPDATE=1", path.display());
}

#[test]
fn other_formats_and_torn_files_are_refused_with_what_to_do() {
    let with = |format: &str| GOLDEN.replace("\"format\":3", &format!("\"format\":{format}"));
    let torn = &GOLDEN[..GOLDEN.len() / 2];
    for (text, parts) in [
        (&with("4")[..], ["format 4", "up to 3", "newer"]),
        (&with("0"), ["format 0", "does not exist", "restore"]),
        (torn, ["truncated", "line", "restore"]),
        ("", ["truncated", "line", "restore"]),
        ("{}", ["cannot be read", "format", "restore"]),
        ("{\"format\": 1}", ["cannot be read", "lineage", "restore"]),
        ("nonsense", ["cannot be read", "line", "restore"]),
    ] {
        let error = fails(migrate(text.as_bytes()), Class::Invalid);
        let told = format!("{error}\n{}", error.get_hint().unwrap());
        for part in parts {
            assert!(told.contains(part), "`{part}` is missing in: {told}");
        }
    }
}

#[test]
fn numbers_that_nobody_counted_to_are_refused() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let address = golden["resources"].as_object().unwrap().keys().next().unwrap();
    let with = |pointer: &str, value: Value| {
        let mut state = golden.clone();
        *state.pointer_mut(pointer).unwrap() = value;
        migrate(state.to_string().as_bytes())
    };
    for name in ["serial", "revision", "epoch"] {
        let pointer = format!("/{name}");
        assert!(with(&pointer, (COUNT_MAX - 1).into()).is_ok(), "{name}");
        for count in [COUNT_MAX, u64::MAX - 1, u64::MAX] {
            let error = fails(with(&pointer, count.into()), Class::Invalid);
            assert_eq!(
                error.message(),
                format!("the state has the invalid {name} {count}: the file is damaged or was tampered with")
            );
            assert!(error.get_hint().unwrap().contains("restore an earlier version"), "{error}");
        }
        // Negative, beyond 64 bits, fractional.
        for count in ["-1", "18446744073709551616", "1.5", "1e30"] {
            let text = format!("\"{name}\":{}", golden[name]);
            let state = golden.to_string().replace(&text, &format!("\"{name}\":{count}"));
            assert!(state.contains(count), "{name}: {state}");
            fails(migrate(state.as_bytes()), Class::Invalid);
        }
    }
    let mut state = golden.clone();
    state["resources"][address]["generation"] = u32::MAX.into();
    let error = fails(migrate(state.to_string().as_bytes()), Class::Invalid);
    assert!(error.message().contains(address) && error.message().contains("4294967295"), "{error}");
    let mut state = golden.clone();
    state["resources"][address]["deposed"] = serde_json::json!([{ "generation": u32::MAX, "id": "old" }]);
    fails(migrate(state.to_string().as_bytes()), Class::Invalid);
}

#[test]
fn a_deeply_nested_state_is_an_error_and_no_overflow() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        let within = GOLDEN.replacen("\"outputs\":{", &format!("\"outputs\":{{\"deep\":{nested},"), 1);
        assert!(within.len() > GOLDEN.len() + 20_000);
        for text in [within, nested, open.repeat(10_000)] {
            let error = fails(migrate(text.as_bytes()), Class::Invalid);
            assert!(error.get_hint().unwrap().contains("restore an earlier version"), "{error}");
        }
    }
}
