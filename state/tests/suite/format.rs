//! The format of the state: golden file, schema, and what is refused.
//!
//! `PAYINFRA_UPDATE=1 cargo test -p payinfra-state format` writes the schema anew. Golden files are never changed.

use std::path::Path;

use payinfra_engine::{Class, FORMAT};
use payinfra_state::{migrate, schema};
use serde_json::Value;

use crate::bench::fails;

const GOLDEN: &str = include_str!("../../golden/v1.json");

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
    let with = |format: &str| GOLDEN.replace("\"format\": 1", &format!("\"format\": {format}"));
    let torn = &GOLDEN[..GOLDEN.len() / 2];
    for (text, parts) in [
        (&with("2")[..], ["format 2", "up to 1", "newer"]),
        (&with("0"), ["format 0", "never was", "restore"]),
        (torn, ["cut off", "line", "restore"]),
        ("", ["cut off", "line", "restore"]),
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
