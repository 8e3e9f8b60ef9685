//! `payinfra schema`.

use std::collections::BTreeSet;

use crate::support::Folder;
use insta::assert_snapshot;
use serde_json::Value;

fn schema(arguments: &[&str]) -> Value {
    let ended = Folder::new().run(&[&["schema"], arguments].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A difference here affects other programs: it must be documented in EVENTS.md, and may require a new version.
#[test]
fn events() {
    assert_snapshot!(format!("{:#}", schema(&["--events"])));
}

#[test]
fn every_event_is_documented() {
    let schema = schema(&["--events"]);
    let events: BTreeSet<_> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["properties"]["event"]["const"].as_str().unwrap().to_owned())
        .collect();
    let page = include_str!("../../../cli/EVENTS.md");
    let documented: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(event, _)| event.to_owned()))
        .collect();
    assert_eq!(documented, events);
}

#[test]
fn configuration_and_state() {
    assert_eq!(schema(&[])["title"], "payinfra.toml");
    assert_eq!(schema(&["--state"])["title"], "State");
}

#[test]
fn a_kind_and_graph_documents() {
    let kind = schema(&["--kind", "ec2.subnet"]);
    assert_eq!(kind["args"]["properties"]["cidr"]["type"], "string");
    assert_eq!(kind["args"]["additionalProperties"], false);
    assert!(kind["outputs"].is_object());
    let ended = Folder::new().run(&["schema", "--kind", "ec2.subnt"]);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript);
    assert!(ended.transcript.contains("unknown kind `ec2.subnt`"), "{}", ended.transcript);
    assert!(ended.transcript.contains("`ec2.subnet`"), "{}", ended.transcript);
    assert_eq!(schema(&["--graph"])["title"], "Graph");
}
