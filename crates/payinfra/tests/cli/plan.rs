//! `payinfra plan`: errors before anything is planned.

use crate::support::{Ended, Folder};
use insta::assert_snapshot;

#[test]
fn no_workspace_named() {
    let ended = Folder::new().run(&["plan"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn no_credentials() {
    let folder = Folder::new();
    let mut command = folder.command(&["plan", "--workspace", "migration"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env_remove("AWS_ENDPOINT_URL");
    let ended = Ended::of(&mut command, &folder.path(""));
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn unreachable_endpoint() {
    let folder = Folder::new();
    let begun = std::time::Instant::now();
    let ended = folder.run(&["plan", "--workspace", "migration"]);
    assert!(begun.elapsed().as_secs() < 20, "took {:?}", begun.elapsed());
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
    assert!(!folder.path("kept").exists(), "nothing was written");
}

#[test]
fn a_failure_is_an_event_too() {
    let ended = Folder::new().run(&["plan", "--workspace", "staging", "--json"]);
    assert_eq!(ended.code, Some(1));
    let event: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&event["v"], &event["event"], &event["class"]), (&1.into(), &"error".into(), &"invalid".into()));
    assert!(event["message"].as_str().unwrap().contains("staging"), "{event}");
}

#[test]
fn not_an_address() {
    let ended = Folder::new().run(&["plan", "--workspace", "migration", "--target", "ec2.vpc/main"]);
    assert_eq!(ended.code, Some(1), "2 would mean changes");
    assert!(ended.stderr.contains("ec2.vpc/main"), "{}", ended.stderr);
}
