//! Graph documents with mistakes of their structure: references, cycles, tags, size and form. Each is one message with
//! the place in the document and what to do, before any call.

use std::fs;

use payinfra_engine::GRAPH_BYTES;
use serde_json::{Value, json};

use crate::graph_file::{CONFIGURATION, VPC, check, document, said, wrong};
use crate::support::Folder;

const SUBNET: &str = "us-east-1/ec2.subnet/a";

/// The document with a subnet whose network is `vpc`.
fn with_subnet(vpc: &Value) -> Value {
    let mut document = document();
    let mut tags = document.pointer(&format!("{VPC}/args/tags")).unwrap().clone();
    tags["Name"] = "x-a-demo-s1".into();
    document["nodes"][SUBNET] = json!({
        "args": { "vpc": vpc, "cidr": "10.9.0.0/24", "zone": "us-east-1a", "public": false, "tags": tags },
    });
    document
}

/// A document that is not text, or not a document at all.
#[track_caller]
fn check_bytes(bytes: &[u8], expected: &[&str]) {
    let folder = Folder::with(CONFIGURATION);
    fs::write(folder.path("graph.json"), bytes).unwrap();
    let (code, said) = said(&folder, "plan");
    assert_eq!(code, Some(1), "{said}");
    for part in expected.iter().chain(&["payinfra.toml:9:8", "help:"]) {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_reference_to_what_is_not_declared() {
    let sound = with_subnet(&json!({ "$ref": "us-east-1/ec2.vpc/main#id" }));
    let folder = Folder::with(CONFIGURATION);
    folder.write("graph.json", &sound.to_string());
    let (code, message) = said(&folder, "validate");
    assert_eq!(code, Some(0), "{message}");
    for (to, expected) in [
        ("us-east-1/ec2.vpc/other#id", ["us-east-1/ec2.vpc/other", "declare"]),
        ("us-east-1/ec2.vpc/main#name", ["`args.vpc`", "name"]),
        ("us-east-1/ec2.vpc/main", ["vpc", "help:"]),
        ("vpc-1", ["vpc", "help:"]),
    ] {
        let document = with_subnet(&json!({ "$ref": to }));
        check(&document.to_string(), &[&["payinfra.toml:9:8", SUBNET, "help:"], &expected[..]].concat());
    }
}

#[test]
fn an_output_of_what_is_not_declared() {
    let text = json!({ "$text": [{ "$ref": "us-east-1/ec2.vpc/other#id" }] });
    wrong("/outputs", json!({ "vpc": text }), &["us-east-1/ec2.vpc/other", "output vpc", "help:"]);
}

#[test]
fn a_cycle_of_several_resources_names_them() {
    let mut document = with_subnet(&json!({ "$ref": "us-east-1/ec2.vpc/main#id" }));
    document.pointer_mut(VPC).unwrap()["after"] = json!([SUBNET]);
    check(&document.to_string(), &["payinfra.toml:9:8", "cycle", SUBNET, "us-east-1/ec2.vpc/main", "help:"]);
}

#[test]
fn tags_that_are_missing_for_all_resources() {
    for key in ["Environment", "ManagedBy", "Project"] {
        let mut document = document();
        document["tags"].as_object_mut().unwrap().remove(key);
        check(&document.to_string(), &["payinfra.toml:9:8", &format!("`tags` has no tag `{key}`"), "help:"]);
    }
    let mut document = document();
    document.as_object_mut().unwrap().remove("tags");
    check(&document.to_string(), &["payinfra.toml:9:8", "tags", "help:"]);
}

#[test]
fn tags_that_are_missing_at_a_resource_are_all_reported_with_their_address() {
    for key in ["Environment", "ManagedBy", "Project"] {
        let mut document = document();
        document.pointer_mut(&format!("{VPC}/args/tags")).unwrap().as_object_mut().unwrap().remove(key);
        check(&document.to_string(), &["us-east-1/ec2.vpc/main", &format!("lacks the tag `{key}`"), "help:"]);
    }
}

#[test]
fn a_newer_format_is_reported_before_what_is_new_in_it() {
    let mut document = document();
    document["format"] = 2.into();
    document["regions"] = json!([]);
    check(&document.to_string(), &["has format 2, but this version supports 1", "use a newer version of payinfra"]);
    document.as_object_mut().unwrap().remove("format");
    check(&document.to_string(), &["`format` of the graph document is missing", "write `\"format\": 1`"]);
}

#[test]
fn what_is_no_document_at_all() {
    check_bytes(b"", &["EOF while parsing", "write it again"]);
    check_bytes(b"[]", &["`format` of the graph document is missing"]);
    check_bytes(b"{\"format\": 1, \"stack\": \"\xff\"}", &["line 1 column", "write the document with a JSON library"]);
    check_bytes("[".repeat(1_000_000).as_bytes(), &["recursion limit exceeded", "line 1 column"]);
}

/// A document of the maximum size is read; what it describes is checked.
#[test]
fn a_document_as_large_as_allowed_is_read_and_a_larger_one_is_not() {
    let text = document().to_string();
    let folder = Folder::with(CONFIGURATION);
    let size = usize::try_from(GRAPH_BYTES).unwrap();
    folder.write("graph.json", &format!("{text}{}", " ".repeat(size - text.len())));
    let (code, message) = said(&folder, "validate");
    assert_eq!(code, Some(0), "{message}");
    check(
        &format!("{text}{}", " ".repeat(50_000_000 - text.len())),
        &["payinfra.toml:9:8", "graph.json is larger than 40 MB", "split it into several workspaces"],
    );
}
