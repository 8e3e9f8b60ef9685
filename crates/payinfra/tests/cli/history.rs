//! `payinfra history`, with the state in a folder.

use crate::support::{Ended, Folder};
use insta::assert_snapshot;
use serde_json::{Value, json};

const VPC: &str = "us-east-1/ec2.vpc/main";
const SUBNET: &str = "us-east-1/ec2.subnet/private-1";
const SUBSCRIPTION: &str = "us-east-1/sns.subscription/alarms";

/// The run `serial`: what it declared, its steps, and members of its entry that are special.
fn run(serial: u64, nodes: &Value, steps: &Value, members: &Value) -> Value {
    let graph = json!({
        "stack": "migration", "workspace": "migration", "tags": {}, "nodes": nodes,
        "outputs": { "vpc_id": { "$ref": format!("{VPC}#id") }, "run": serial.to_string() },
    });
    let mut entry = json!({
        "format": 3, "version": "0.1.0", "command": "apply", "who": "ann@laptop",
        "begun": format!("2026-03-0{serial}T02:00:00Z"), "ended": format!("2026-03-0{serial}T02:07:00Z"),
        "headline": "migration", "outcome": "complete", "failed": [], "skipped": [],
        "plan": {
            "format": 2, "account": "123456789012", "lineage": "c0ffee", "serial": serial - 1, "revision": serial,
            "graph": graph, "steps": steps, "drift": {}, "lookups": {}, "left_out": [],
        },
        "state": {
            "format": 2, "lineage": "c0ffee", "stack": "migration", "workspace": "migration", "account": "123456789012",
            "serial": serial, "revision": serial, "epoch": 0, "resources": {}, "outputs": { "vpc_id": "vpc-1" },
        },
    });
    for (name, value) in members.as_object().into_iter().flatten() {
        entry[name] = value.clone();
    }
    entry
}

/// A folder with a history: an apply by an earlier version, two by this one, of which the second failed, and a rollback.
pub(crate) fn folder() -> Folder {
    let folder = Folder::new();
    folder.write_state();
    let subnet = json!({ "args": { "vpc": { "$ref": format!("{VPC}#id") }, "cidr": "10.0.1.0/24" } });
    let vpc = |cidr: &str, protect: bool| json!({ "args": { "cidr": cidr, "dns": true }, "protect": protect });
    let endpoint = |digest: &str| json!({ "args": { "endpoint": { "$hash": digest } } });
    let create = |args: Value| {
        let changes = args.as_object().unwrap().iter();
        let changes = changes.map(|(path, value)| json!({ "path": path, "old": null, "new": { "value": value } }));
        json!({ "action": "create", "changes": changes.collect::<Vec<_>>() })
    };
    let two = json!({ VPC: vpc("10.0.0.0/16", false), SUBNET: subnet, SUBSCRIPTION: endpoint("0a") });
    let three = json!({ VPC: vpc("10.1.0.0/16", true), SUBSCRIPTION: endpoint("0b") });
    let created = json!({ VPC: create(json!({ "cidr": "10.0.0.0/16", "dns": true })) });
    let replaced = json!({
        VPC: { "action": "replace", "changes": [
            { "path": "cidr", "old": "10.0.0.0/16", "new": { "value": "10.1.0.0/16" } },
        ] },
        SUBNET: { "action": "delete", "changes": [] },
        SUBSCRIPTION: { "action": "update", "changes": [
            { "path": "endpoint", "old": { "$hash": "0a" }, "new": { "value": { "$hash": "0b" } } },
        ] },
    });
    let mut old =
        run(1, &json!({ VPC: vpc("10.0.0.0/16", false) }), &created, &json!({ "format": 2, "who": "bob@ci" }));
    for newer in ["version", "headline"] {
        old.as_object_mut().unwrap().remove(newer);
    }
    let commit = json!({ "commit": { "id": "0123456789abcdef0123456789abcdef01234567" } });
    let modified = json!({
        "commit": { "id": "89abcdef0123456789abcdef0123456789abcdef", "modified": true },
        "outcome": "failed",
        "failed": [{ "address": VPC, "error": "ec2:DeleteVpc: DependencyViolation: it has dependencies" }],
        "skipped": [SUBNET],
    });
    let mut back = commit.clone();
    back["command"] = json!("rollback");
    back["to"] = json!(2);
    for (serial, entry) in [
        (1, old),
        (2, run(2, &two, &created, &commit)),
        (3, run(3, &three, &replaced, &modified)),
        (4, run(4, &two, &json!({ VPC: { "action": "keep", "changes": [] } }), &back)),
    ] {
        folder.write(&format!("kept/migration/migration/history/{serial}.json"), &format!("{entry:#}"));
    }
    folder
}

fn history(folder: &Folder, arguments: &[&str]) -> Ended {
    folder.run(&[&["history"], arguments, &["--workspace", "migration"]].concat())
}

#[test]
fn m04_list() {
    let listed = history(&folder(), &[]);
    assert_eq!(history(&folder(), &["list"]).transcript, listed.transcript, "it is the default");
    assert_snapshot!(listed.transcript);
}

#[test]
fn m04_list_of_the_newest_as_json() {
    assert_snapshot!(history(&folder(), &["--json", "--limit", "2"]).transcript);
}

#[test]
fn an_entry_that_cannot_be_read_is_listed() {
    let folder = folder();
    folder.write("kept/migration/migration/history/5.json", r#"{ "format": 4 }"#);
    assert_snapshot!(history(&folder, &["--limit", "2"]).transcript);
    assert_snapshot!(history(&folder, &["show", "5"]).transcript, @"
    exit 1
    --- stdout
    --- stderr
    error: run 5 of the history has format 4, but this version of payinfra supports only formats up to 3
      help: use the version of payinfra that wrote it, or a newer one
    ");
}

#[test]
fn m04_show() {
    assert_snapshot!(history(&folder(), &["show", "2"]).transcript);
}

#[test]
fn m04_show_a_failed_run() {
    assert_snapshot!(history(&folder(), &["show", "3"]).transcript);
}

#[test]
fn show_a_run_of_an_earlier_version() {
    assert_snapshot!(history(&folder(), &["show", "1"]).transcript);
}

#[test]
fn m04_show_as_json() {
    let shown: Value = serde_json::from_str(&history(&folder(), &["show", "3", "--json"]).stdout).unwrap();
    assert_eq!((&shown["serial"], &shown["outcome"]), (&json!(3), &json!("failed")));
    assert_eq!(shown["summary"]["replace"], 1);
    assert_eq!(shown["outputs"], json!({ "vpc_id": "vpc-1" }));
    assert_eq!(shown["plan"]["graph"]["nodes"][SUBSCRIPTION]["args"]["endpoint"], "(secret)");
    assert!(shown.get("state").is_none());
}

#[test]
fn m04_diff() {
    assert_snapshot!(history(&folder(), &["diff", "2", "3"]).transcript);
}

#[test]
fn diff_of_runs_that_declare_the_same() {
    let folder = folder();
    let same = std::fs::read_to_string(folder.path("kept/migration/migration/history/2.json")).unwrap();
    folder.write("kept/migration/migration/history/6.json", &same);
    assert_snapshot!(history(&folder, &["diff", "2", "6"]).transcript, @"
    exit 0
    --- stdout
    Runs 2 and 6 declare the same.
    --- stderr
    ");
}

#[test]
fn a_run_that_is_not_there() {
    assert_snapshot!(history(&folder(), &["diff", "2", "9"]).transcript, @"
    exit 1
    --- stdout
    --- stderr
    error: run 9 is not in the history of migration
      help: list the runs with `payinfra history`
    ");
}

#[test]
fn nothing_applied_yet() {
    assert_snapshot!(history(&Folder::new(), &[]).transcript, @"
    exit 0
    --- stdout
    No runs in the history of migration.
    --- stderr
    ");
}
