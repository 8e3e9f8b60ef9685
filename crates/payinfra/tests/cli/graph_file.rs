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

/// The rules that a document waives are shown with their reasons, also to other programs.
#[test]
fn validate_shows_waivers_with_their_reasons() {
    let mut document = document();
    let args = document.pointer_mut(&format!("{VPC}/args")).unwrap();
    args["cidr"] = "8.8.0.0/16".into();
    args["tags"].as_object_mut().unwrap().remove("Project");
    let address = "us-east-1/ec2.vpc/main";
    document["waivers"] = json!([
        { "rule": "cidr-blocks", "at": address, "reason": "the block was assigned to us, see the contract of 2019" },
        { "rule": "tagged", "at": "everywhere", "reason": "costs are assigned by account" },
    ]);
    let folder = Folder::with(CONFIGURATION);
    folder.write("graph.json", &document.to_string());
    insta::assert_snapshot!(folder.run(&["validate"]).transcript);
    let ended = folder.run(&["validate", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    let event: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(event["event"], "validate");
    let workspace = &event["workspaces"][0];
    assert_eq!((&workspace["workspace"], &workspace["resources"]), (&json!("demo"), &json!(1)));
    assert_eq!(workspace["waivers"], document["waivers"]);
    // One that is no longer needed is an error, as an event as well.
    document.pointer_mut(&format!("{VPC}/args")).unwrap()["cidr"] = "10.9.0.0/16".into();
    folder.write("graph.json", &document.to_string());
    let ended = folder.run(&["validate", "--json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript);
    let event: Value = serde_json::from_str(&ended.stdout).unwrap();
    let message = "the waiver of `cidr-blocks` at us-east-1/ec2.vpc/main has no effect: the resource does not violate \
                   the rule";
    assert_eq!((&event["event"], &event["message"]), (&json!("error"), &json!(message)));
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
    let place = ["payinfra.toml:9:8", "graph.json: `workspace` is `other`", "write `\"workspace\": \"demo\"`"];
    wrong("/workspace", json!("other"), &place);
    let migration = ["payinfra.toml:11:13", "the stack of workspace `demo` is `migration`", "give it another name"];
    wrong("/stack", json!("migration"), &migration);
    wrong("/stack", json!("a/b"), &["the stack of workspace `demo` is `a/b`, which is not a valid name"]);
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
    wrong(&format!("{VPC}/args/tags"), json!({}), &["us-east-1/ec2.vpc/main", "lacks the tag `Environment`"]);
    wrong(&format!("{VPC}/args/cidr"), json!("8.8.0.0/16"), &["us-east-1/ec2.vpc/main", "not private"]);
}

/// Documents of two systems with the same name of the workspace, and their states in the same place.
#[test]
fn documents_of_two_stacks_have_two_states() {
    let folder = Folder::with(CONFIGURATION);
    let listed = |stack: &str| {
        let mut document = document();
        document["stack"] = stack.into();
        folder.write("graph.json", &document.to_string());
        let ended = folder.run(&["state", "list"]);
        assert_eq!(ended.code, Some(0), "{}", ended.transcript);
        ended.stdout
    };
    assert_eq!(listed("one"), "");
    let record = json!({ "generation": 1, "id": "vpc-1", "args": {}, "outputs": null, "depends": [] });
    let state = json!({
        "format": 2, "lineage": "c0ffee", "stack": "one", "workspace": "demo", "account": "123456789012", "serial": 4,
        "revision": 9, "epoch": 0, "resources": { "us-east-1/ec2.vpc/main": record }, "outputs": {},
    });
    folder.write("kept/one/demo/state.json", &state.to_string());
    assert_eq!(listed("one"), "us-east-1/ec2.vpc/main\n");
    assert_eq!(listed("two"), "");
    let graph: Value = serde_json::from_str(&folder.run(&["graph", "--format", "json"]).stdout).unwrap();
    assert_eq!(graph["nodes"]["us-east-1/ec2.vpc/main"]["args"]["tags"]["payinfra:stack"], "two");
}

/// As in a document that `payinfra graph` has written.
#[test]
fn the_placeholder_account_is_reported_with_place_and_fix() {
    let outputs = |value: Value| json!({ "where": value });
    for (value, path) in [
        (json!("arn:aws:iam::000000000000:role/x"), "the value"),
        (json!({ "$text": ["in ", "s3://logs/AWSLogs/000000000000/"] }), "the value.$text.1"),
        (json!({ "$secret": "000000000000" }), "the value.$secret"),
    ] {
        let place = format!("output where: `{path}` has the placeholder account");
        wrong("/outputs", outputs(value), &["payinfra.toml:9:8", &place, "write the id of your account instead"]);
    }
    let role = |principal: &str| {
        let statement = json!({
            "sid": "Assume", "effect": "Allow", "principals": { "AWS": [principal] }, "actions": ["sts:AssumeRole"],
            "resources": [], "conditions": {},
        });
        let mut tags = document().pointer(&format!("{VPC}/args/tags")).unwrap().clone();
        tags["Name"] = "x-role-demo-s1".into();
        json!({ "global/iam.role/role": { "args": {
            "name": "x-role-demo-s1", "description": "", "path": "/", "max_session": 3600, "trust": [statement],
            "inline": {}, "managed": [], "tags": tags,
        } } })
    };
    wrong(
        "/nodes",
        role("arn:aws:iam::000000000000:root"),
        &["global/iam.role/role: `args.trust.0.principals.AWS.0` has the placeholder account"],
    );
    // With an account, and with a UUID that ends like one.
    let folder = Folder::with(CONFIGURATION);
    let mut complete = document();
    complete["nodes"] = role("arn:aws:iam::123456789012:root");
    complete["outputs"] = outputs(json!("00000000-0000-0000-0000-000000000000"));
    folder.write("graph.json", &complete.to_string());
    let (code, message) = said(&folder, "validate");
    assert_eq!(code, Some(0), "{message}");
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
