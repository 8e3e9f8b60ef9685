//! The stack `graph`: a document that a Python script writes is applied, plans empty, and is destroyed.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use payinfra_localstack::ACCOUNT_ID;
use payinfra_tests::Bench;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_of_a_python_script_applies_plans_empty_and_is_destroyed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python-graph");
    // The state backend exists before there is a document.
    let bench = Bench::new().await;
    bench.configure(&std::fs::read_to_string(folder.join("payinfra.toml")).unwrap());
    let script = Command::new("python3").arg(folder.join("graph.py")).arg(ACCOUNT_ID).output().unwrap();
    assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    std::fs::write(bench.file("graph.json"), &script.stdout).unwrap();
    bench.run(&["apply", "--yes"]).ok();
    bench.run(&["plan", "--exit-code"]).ok();
    let outputs = bench.outputs("demo");
    // The text refers to the bucket's id.
    assert_eq!(outputs["reports"], json!("s3://python-reports-demo-py1/"), "{outputs}");
    assert_eq!(outputs["reader"], json!(format!("arn:aws:iam::{ACCOUNT_ID}:role/python-reader-demo-py1")), "{outputs}");
    bench.run(&bench.consenting(&["destroy"])).ok();
    assert_eq!(bench.state("demo")["resources"], json!({}));
}

/// A mistake in the document fails before any call, even one to sign in.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_document_fails_before_any_call() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python-graph");
    let bench = Bench::new().await;
    bench.configure(&std::fs::read_to_string(folder.join("payinfra.toml")).unwrap());
    std::fs::write(bench.file("graph.json"), r#"{"format": 1, "stack": "#).unwrap();
    bench.aws.clear_calls();
    bench.run(&["apply", "--yes"]).expect(1);
    assert_eq!(bench.aws.calls().len(), 0);
}
