//! `payinfra init`.

use std::collections::BTreeMap;
use std::fs;

use crate::support::Folder;
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn unreachable_endpoint() {
    let ended = Folder::new().run(&["init", "--yes"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn unreadable_configuration() {
    let ended = Folder::changed("path = \"kept\"", "path = ").run(&["init", "--yes"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn a_program_with_several_stacks_has_to_be_told_which() {
    let folder = Folder::empty();
    let ended = folder.run(&["init", "--yes"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
    assert!(!folder.path("payinfra.toml").exists(), "nothing was written");
}

#[test]
fn unknown_stack() {
    let folder = Folder::empty();
    let ended = folder.run(&["init", "--stack", "banking"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
    assert!(!folder.path("payinfra.toml").exists(), "nothing was written");
}

#[test]
fn the_configuration_of_another_stack_is_not_replaced() {
    let ended = Folder::new().run(&["init", "--stack", "graph"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn a_new_configuration_says_what_to_set() {
    let folder = Folder::empty();
    let ended = folder.run(&["init", "--stack", "graph"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    assert_snapshot!(format!("{}\n{}", ended.transcript, fs::read_to_string(folder.path("payinfra.toml")).unwrap()));
    let ended = folder.run(&["validate"]);
    assert!(ended.stderr.contains("missing field `file`"), "{}", ended.transcript);
}

#[test]
fn the_configuration_of_every_stack_is_valid_once_its_variables_are_set() {
    let document = json!({
        "format": 1, "stack": "graph", "workspace": "demo", "nodes": {},
        "tags": { "Environment": "demo", "ManagedBy": "payinfra", "Project": "graph" },
    });
    let values = BTreeMap::from([("file", "\"graph.json\"")]);
    for stack in payinfra_stacks::STACKS {
        let folder = Folder::empty();
        folder.write("graph.json", &document.to_string());
        folder.write("object-processor.zip", "a package");
        folder.write("payment-processor.zip", "a package");
        // A configuration that is complete is followed by the sign-in, which fails here.
        let ended = folder.run(&["init", "--yes", "--stack", stack.name()]);
        assert!(ended.stdout.contains("Created payinfra.toml"), "{}", ended.transcript);
        let mut text = fs::read_to_string(folder.path("payinfra.toml")).unwrap();
        for path in payinfra::stack::template(*stack).required {
            let (before, after) = text.split_once(&format!("\n# {path} = ")).unwrap();
            let (_, after) = after.split_once('\n').unwrap();
            text = format!("{before}\n{path} = {}\n{after}", values[&*path]);
        }
        folder.write("payinfra.toml", &text);
        let ended = folder.run(&["validate"]);
        assert_eq!(ended.code, Some(0), "{}: {}", stack.name(), ended.transcript);
    }
}
