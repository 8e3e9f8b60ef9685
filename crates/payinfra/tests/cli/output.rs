//! `payinfra output`.

use crate::support::Folder;
use insta::assert_snapshot;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write_state();
    folder
}

#[test]
fn x09_all_outputs() {
    assert_snapshot!(folder().run(&["output", "--workspace", "migration"]).transcript);
}

#[test]
fn x09_all_outputs_as_json() {
    assert_snapshot!(folder().run(&["output", "--workspace", "migration", "--json"]).transcript);
}

#[test]
fn x09_one_output() {
    let folder = folder();
    assert_eq!(folder.run(&["output", "--workspace", "migration", "vpc_id"]).stdout, "vpc-1\n");
    assert_eq!(folder.run(&["output", "--workspace", "migration", "vpc_id", "--json"]).stdout, "\"vpc-1\"\n");
}

#[test]
fn unknown_output() {
    let ended = folder().run(&["output", "--workspace", "migration", "vpc"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn nothing_applied_yet() {
    let ended = Folder::new().run(&["output", "--workspace", "migration", "vpc_id"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}
