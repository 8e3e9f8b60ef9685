//! The stack `graph`: documents with mistakes fail with place and fix, before any call.

use std::fs::File;

use payinfra_engine::GRAPH_BYTES;
use serde_json::{Value, json};

use crate::support::Folder;

pub(crate) const CONFIGURATION: &str = r#"stack = "graph"

[state]
path = "kept"

[defaults]
project = "p"
suffix = "s1"
file = "graph.json"

[workspaces.demo]
environment = "demo"
tags = { Team = "blue" }
"#;

pub(crate) fn document() -> Value {
    let tags = json!({ "Environment": "demo", "ManagedBy": "payinfra", "Project": "p" });
    let args = json!({
        "cidr": "10.9.0.0/16", "dns_support": true, "dns_hostnames": true,
        "tags": {
            "Environment": "demo", "ManagedBy": "payinfra", "Project": "p", "Team": "blue", "Name": "x-main-demo-s1",
        },
    });
    json!({
        "format": 1, "stack": "graph", "workspace": "demo", "tags": tags, "extra_tags": { "Team": "blue" },
        "nodes": { "us-east-1/ec2.vpc/main": { "args": args } },
    })
}

/// The exit code and the message, on one line without the frame around it.
pub(crate) fn said(folder: &Folder, command: &str) -> (Option<i32>, String) {
    let ended = folder.run(&[command]);
    let words = ended.stderr.split(|letter: char| letter.is_whitespace() || "│├╰─▶×".contains(letter));
    (ended.code, words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

#[track_caller]
pub(crate) fn check(document: &str, expected: &[&str]) {
    let folder = Folder::with(CONFIGURATION);
    folder.write("graph.json", document);
    // Without AWS: a plan that gets as far as signing in says something else.
    let (code, said) = said(&folder, "plan");
    assert_eq!(code, Some(1), "{said}");
    for part in expected {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// The document with another value at `path`.
#[track_caller]
pub(crate) fn wrong(path: &str, value: Value, expected: &[&str]) {
    let mut document = document();
    let (parent, key) = path.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key.replace("~1", "/")] = value;
    check(&document.to_string(), expected);
}

pub(crate) const VPC: &str = "/nodes/us-east-1~1ec2.vpc~1main";

#[test]
fn a_sound_document_is_a_valid_configuration() {
    let folder = Folder::with(CONFIGURATION);
    folder.write("graph.json", &document().to_string());
    let (code, message) = said(&folder, "validate");
    assert_eq!(code, Some(0), "{message}");
    let written = folder.run(&["graph", "--format", "json"]);
    // What payinfra writes is what it reads, also where the configuration protects more.
    folder.write("graph.json", &written.stdout);
    let again = folder.run(&["graph", "--format", "json"]);
    assert_eq!((again.code, again.stdout), (Some(0), written.stdout));
}

#[test]
fn what_keeps_data_is_protected_unless_the_configuration_says_otherwise() {
    let mut document = document();
    let mut tags = document.pointer(&format!("{VPC}/args/tags")).unwrap().clone();
    tags["Name"] = "x-zone-demo-s1".into();
    document["nodes"]["global/route53.hosted-zone/zone"] = json!({
        "args": { "name": "example.com", "comment": "", "tags": tags },
    });
    for (protect, expected) in [("", true), ("protect = false\n", false)] {
        let folder = Folder::with(&format!("{CONFIGURATION}{protect}"));
        folder.write("graph.json", &document.to_string());
        let ended = folder.run(&["graph", "--format", "json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.transcript);
        let graph: Value = serde_json::from_str(&ended.stdout).unwrap();
        let is = |address: &str| graph["nodes"][address]["protect"] == json!(true);
        assert_eq!(is("global/route53.hosted-zone/zone"), expected);
        assert!(!is("us-east-1/ec2.vpc/main"));
    }
}

#[test]
fn a_document_of_something_else_is_rejected() {
    let place = ["payinfra.toml:9:8", "graph.json: `stack` is `python`, but the configuration has `graph`"];
    wrong("/stack", json!("python"), &place);
    wrong("/workspace", json!("other"), &["`workspace` is `other`", "write `\"workspace\": \"demo\"`"]);
    wrong("/tags/Project", json!("q"), &["the tag `Project` is `q`, but the configuration has `p`"]);
    wrong("/extra_tags", json!({}), &["`extra_tags` has no tag `Team`", "write `\"Team\": \"blue\"`"]);
    let moved = json!({ "eu-west-1/ec2.vpc/main": document().pointer(VPC).unwrap() });
    wrong("/nodes", moved, &["eu-west-1/ec2.vpc/main is in a region that workspace `demo` does not list"]);
}

#[test]
fn mistakes_are_reported_with_place_and_fix() {
    let text = document().to_string();
    check(&text[..text.len() - 5], &["payinfra.toml:9:8", "EOF while parsing", "line 1 column", "write it again"]);
    wrong("/format", json!(2), &["has format 2, but this version supports 1", "use a newer version of payinfra"]);
    let unknown = json!({ "us-east-1/ec2.vpcs/main": document().pointer(VPC).unwrap() });
    wrong("/nodes", unknown, &["us-east-1/ec2.vpcs/main", "unknown kind `ec2.vpcs`", "`ec2.vpc`"]);
    let after = |on: &str| json!([on]);
    wrong(&format!("{VPC}/after"), after("us-east-1/ec2.vpc/main"), &["us-east-1/ec2.vpc/main", "cycle"]);
    wrong(&format!("{VPC}/after"), after("us-east-1/ec2.vpc/none"), &["us-east-1/ec2.vpc/none"]);
    wrong(&format!("{VPC}/args/sidr"), json!(1), &["us-east-1/ec2.vpc/main", "sidr"]);
    wrong(&format!("{VPC}/args/cidr"), json!(1), &["us-east-1/ec2.vpc/main", "cidr"]);
    wrong(&format!("{VPC}/args/tags"), json!({}), &["us-east-1/ec2.vpc/main", "lacks the required tag `Environment`"]);
    wrong(&format!("{VPC}/args/cidr"), json!("8.8.0.0/16"), &["us-east-1/ec2.vpc/main", "not private"]);
}

#[test]
fn a_file_that_is_missing_or_too_large_is_reported_with_its_place() {
    let folder = Folder::with(CONFIGURATION);
    let (code, message) = said(&folder, "plan");
    assert_eq!(code, Some(1), "{message}");
    for part in ["payinfra.toml:9:8", "`file`: graph.json cannot be read", "relative to the folder"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("not read"), "{message}");
    File::create(folder.path("graph.json")).unwrap().set_len(50_000_000).unwrap();
    let (code, message) = said(&folder, "plan");
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains(&format!("graph.json is larger than {} MB", GRAPH_BYTES / 1_000_000)), "{message}");
    assert!(message.contains("split it into several workspaces"), "{message}");
    let folder = Folder::with(&CONFIGURATION.replace("file = \"graph.json\"\n", ""));
    let (code, message) = said(&folder, "plan");
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("`file`"), "{message}");
}
