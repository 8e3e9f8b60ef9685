//! `payinfra graph`.

use payinfra_aws::catalog;
use payinfra_engine::Graph;

use crate::support::Folder;

#[test]
fn dot_has_every_region_and_every_edge_ends_at_a_node() {
    let ended = Folder::new().run(&["graph", "--workspace", "migration"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    for part in ["digraph payinfra {", "cluster_us-east-1", "cluster_us-east-2", "us-east-1/ec2.vpc/main"] {
        assert!(ended.stdout.contains(part), "{part}");
    }
    let lines: Vec<_> = ended.stdout.lines().map(str::trim).collect();
    let edges: Vec<_> = lines.iter().filter_map(|line| line.strip_suffix(';')?.split_once(" -> ")).collect();
    assert!(edges.len() > 50, "{}", edges.len());
    for (_, on) in edges {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{on} [label"))), "{on}");
    }
}

#[test]
fn mermaid_draws_the_same() {
    let ended = Folder::new().run(&["graph", "--workspace", "legacy", "--format", "mermaid"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    assert!(ended.stdout.starts_with("flowchart LR\n  subgraph "), "{}", ended.stdout);
    assert!(ended.stdout.contains(" --> "));
}

/// It has no secrets; whoever applies it elsewhere writes them.
#[test]
fn json_is_a_graph_document_without_secrets() {
    let ended = Folder::new().run(&["graph", "--workspace", "migration", "--format", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    let refused = Graph::parse(ended.stdout.as_bytes(), &catalog()).unwrap_err();
    let message = "global/route53.health-check/us-east-1: `args.resource_path`: the value of a secret is missing";
    assert_eq!((refused.to_string().as_str(), refused.get_hint()), (message, Some("write the value")));
    let complete = ended.stdout.replace(r#""$secret": null"#, r#""$secret": "/health""#);
    let graph = Graph::parse(complete.as_bytes(), &catalog()).unwrap();
    assert_eq!((graph.stack.as_str(), graph.workspace.as_str()), ("migration", "migration"));
    assert!(graph.nodes().len() > 100, "{}", graph.nodes().len());
}
