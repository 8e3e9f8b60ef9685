//! The graphs of the stacks fit the JSON schemas of their kinds, and survive being written as documents.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::Command;

use payinfra_aws::catalog;
use payinfra_components::graph;
use payinfra_engine::{Graph, graph_schema};
use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;
use payinfra_testkit::violations;
use serde_json::{Value, json};

fn graphs() -> Vec<Graph> {
    let example = Configuration::parse(include_str!("../../../payinfra.toml"), "payinfra.toml", STACKS).unwrap();
    let workspaces = ["legacy", "migration", "production"];
    workspaces.iter().map(|workspace| graph(&example, workspace, "123456789012").unwrap()).collect()
}

#[test]
fn schemas_accept_all_declared_arguments() {
    let catalog = catalog();
    for graph in graphs() {
        for (address, node) in graph.nodes() {
            let found = violations(&json!(catalog.schemas(&address.kind).unwrap().args), &node.args);
            assert!(found.is_empty(), "{address}: {found:#?}");
        }
    }
}

#[test]
fn documents_fit_their_schema_and_parse_back() {
    let schema = graph_schema(&catalog());
    for graph in graphs() {
        let text = graph.document().unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(violations(&schema, &document), [""; 0]);
        assert_eq!(Graph::parse(text.as_bytes(), &catalog()).unwrap(), graph);
        let nodes = document["nodes"].as_object_mut().unwrap();
        let subnet = nodes.iter_mut().find(|(address, _)| address.contains("/ec2.subnet/")).unwrap().1;
        subnet["args"]["cidr"] = json!(17);
        assert!(!violations(&schema, &document).is_empty());
    }
}

/// The graph that `examples/python-graph` declares in Python.
#[test]
fn a_graph_of_a_python_script_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python-graph");
    let output = Command::new("python3").arg(folder.join("graph.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(violations(&graph_schema(&catalog()), &document), [""; 0]);
    let graph = Graph::parse(&output.stdout, &catalog()).unwrap();
    assert_eq!(graph.nodes().len(), 7);
    let role = &graph.nodes()[&"global/iam.role/reader".parse().unwrap()];
    assert!(graph.depends(&"global/iam.role/reader".parse().unwrap()).len() == 1 && role.args["tags"].is_object());
    let script = std::fs::read_to_string(folder.join("graph.py")).unwrap();
    assert!(script.lines().count() <= 60);
}
