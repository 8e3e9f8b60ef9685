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

/// Two systems that are deployed from documents with the same name of the workspace do not touch each other, although
/// their states are in the same bucket.
#[tokio::test(flavor = "multi_thread")]
async fn documents_of_two_stacks_do_not_share_resources() {
    let bench = Bench::new().await;
    bench.configure(
        r#"stack = "graph"
[defaults]
environment = "demo"
project = "p"
suffix = "s1"
file = "graph.json"
protect = false
[workspaces.demo]
"#,
    );
    let write = |stack: &str, cidr: &str| {
        let common = json!({ "Environment": "demo", "ManagedBy": "payinfra", "Project": "p" });
        let mut tags = common.clone();
        tags["Name"] = json!("x-main-demo-s1");
        let args = json!({ "cidr": cidr, "dns_support": true, "dns_hostnames": true, "tags": tags });
        let document = json!({
            "format": 1, "stack": stack, "workspace": "demo", "tags": common,
            "nodes": { "us-east-1/ec2.vpc/main": { "args": args } },
        });
        std::fs::write(bench.file("graph.json"), document.to_string()).unwrap();
    };
    let vpc = || bench.id("demo", "us-east-1/ec2.vpc/main");
    write("one", "10.8.0.0/16");
    bench.run(&["apply", "--yes"]).ok();
    let one = vpc();
    write("two", "10.9.0.0/16");
    bench.run(&["apply", "--yes"]).ok();
    assert_ne!(vpc(), one);
    bench.run(&["sweep"]).ok();
    bench.run(&bench.consenting(&["destroy"])).ok();
    write("one", "10.8.0.0/16");
    bench.run(&["plan", "--exit-code"]).ok();
    assert_eq!(vpc(), one);
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

/// A request that AWS refuses ends with an error that says what is wrong where, and the rest is created.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_is_an_error_with_address_member_constraint_and_value() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python-graph");
    let bench = Bench::new().await;
    bench.configure(&std::fs::read_to_string(folder.join("payinfra.toml")).unwrap());
    let script = Command::new("python3").arg(folder.join("graph.py")).arg(ACCOUNT_ID).output().unwrap();
    let document = String::from_utf8(script.stdout).unwrap().replace("\"max_session\": 3600", "\"max_session\": 60");
    std::fs::write(bench.file("graph.json"), document).unwrap();
    let outcome = bench.run(&["apply", "--yes"]).expect(1);
    let message = "1 validation error detected: Value '60' at 'maxSessionDuration' failed to satisfy constraint: Member \
                   must have value greater than or equal to 3600";
    let error = format!("error: global/iam.role/reader: {message}\n  call: iam:CreateRole\n  code: ValidationError\n");
    assert!(outcome.stderr.contains(&error), "{}", outcome.stderr);
    let violations: Vec<_> = bench.aws.calls().into_iter().filter_map(|call| call.violation).collect();
    assert_eq!(violations, [message]);
    // The others exist.
    assert!(bench.state("demo")["resources"].get("us-east-1/s3.bucket/reports").is_some());
    bench.run(&bench.consenting(&["destroy"])).ok();
}
