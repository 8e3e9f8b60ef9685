//! `payinfra state`, and invalid states.

use crate::support::{Ended, Folder};
use insta::assert_snapshot;

const VPC: &str = "us-east-1/ec2.vpc/main";
const SUBNET: &str = "us-east-1/ec2.subnet/private-1";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write_state();
    folder
}

fn state(folder: &Folder, arguments: &[&str]) -> Ended {
    folder.run(&[&["state"], arguments, &["--workspace", "migration"]].concat())
}

/// The error for a state in which `old` is replaced by `new`, which must not be changed.
fn refused(old: &str, new: &str) -> String {
    let folder = folder();
    let text = format!("{:#}", folder.state()).replacen(old, new, 1);
    folder.write("kept/migration/migration/state.json", &text);
    let ended = state(&folder, &["rm", VPC]);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript);
    assert_eq!(std::fs::read_to_string(folder.path("kept/migration/migration/state.json")).unwrap(), text);
    ended.transcript
}

#[test]
fn list() {
    assert_snapshot!(state(&folder(), &["list"]).transcript);
}

#[test]
fn show() {
    assert_snapshot!(state(&folder(), &["show", SUBNET]).transcript);
}

#[test]
fn show_what_is_not_there() {
    assert_snapshot!(state(&folder(), &["show", "us-east-1/ec2.vpc/other"]).transcript);
}

#[test]
fn pull_prints_the_state_itself() {
    let folder = folder();
    let pulled: serde_json::Value = serde_json::from_str(&state(&folder, &["pull"]).stdout).unwrap();
    assert_eq!(pulled, folder.state());
}

#[test]
fn rm_drops_and_says_what_stays() {
    let folder = folder();
    assert_snapshot!(state(&folder, &["rm", SUBNET]).transcript);
    let state = folder.state();
    assert_eq!(state["resources"].as_object().unwrap().keys().collect::<Vec<_>>(), [VPC]);
    assert_eq!((&state["serial"], &state["revision"]), (&5.into(), &10.into()));
    assert_ne!(state["epoch"], 0, "it was done under the lock");
}

#[test]
fn mv_takes_those_along_that_depend_on_it() {
    let folder = folder();
    assert_snapshot!(state(&folder, &["mv", VPC, "us-east-1/ec2.vpc/hub"]).transcript);
    let state = folder.state();
    assert_eq!(state["resources"]["us-east-1/ec2.vpc/hub"]["id"], "vpc-1");
    assert_eq!(state["resources"][SUBNET]["depends"], serde_json::json!(["us-east-1/ec2.vpc/hub"]));
}

#[test]
fn mv_changes_neither_region_nor_kind_nor_another_resource() {
    let folder = folder();
    let before = folder.state();
    for to in ["us-east-2/ec2.vpc/main", "us-east-1/ec2.subnet/main", VPC] {
        let ended = state(&folder, &["mv", VPC, to]);
        assert_eq!(ended.code, Some(1), "{}", ended.transcript);
    }
    assert_eq!(folder.state(), before);
}

#[test]
fn truncated() {
    let folder = folder();
    folder.write("kept/migration/migration/state.json", &format!("{:#}", folder.state())[..200]);
    let ended = state(&folder, &["list"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn of_a_newer_format() {
    assert_snapshot!(refused("\"format\": 3", "\"format\": 99"));
}

#[test]
fn of_another_stack() {
    assert_snapshot!(refused("\"stack\": \"migration\"", "\"stack\": \"serverless\""));
}
