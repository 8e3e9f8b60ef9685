//! `payinfra validate`: every error in a configuration is one message with the place and a hint.

use crate::support::Folder;
use insta::assert_snapshot;

/// The output of `validate` for a valid configuration in which `old` is replaced by `new`.
fn refused(old: &str, new: &str) -> String {
    let ended = Folder::changed(old, new).run(&["validate"]);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript);
    ended.transcript
}

#[test]
fn a_sound_configuration() {
    let ended = Folder::new().run(&["validate"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("legacy     valid: "), "{}", ended.stdout);
    assert!(lines[1].starts_with("migration  valid: "), "{}", ended.stdout);
}

#[test]
fn no_configuration() {
    assert_snapshot!(Folder::new().run(&["validate", "--config", "other.toml"]).transcript);
}

#[test]
fn malformed_toml() {
    assert_snapshot!(refused("project = \"payments\"", "project = \"payments"));
}

#[test]
fn unknown_key() {
    assert_snapshot!(refused("suffix = \"demo1\"", "suffix = \"demo1\"\nsufix = \"demo2\""));
}

#[test]
fn unknown_stack() {
    assert_snapshot!(refused("stack = \"migration\"", "stack = \"migrations\""));
}

#[test]
fn unknown_workspace() {
    let ended = Folder::new().run(&["validate", "--workspace", "staging"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn missing_suffix() {
    assert_snapshot!(refused("suffix = \"demo1\"\n", ""));
}

#[test]
fn x02_missing_required_tag() {
    assert_snapshot!(refused("project = \"payments\"\n", ""));
}

#[test]
fn x08_overlapping_cidr() {
    let regions = r#"regions = [
    { name = "us-east-1", cidr = "10.0.0.0/16" },
    { name = "us-east-2", cidr = "10.0.128.0/17" },
]"#;
    assert_snapshot!(refused("suffix = \"demo1\"", &format!("suffix = \"demo1\"\n{regions}")));
}

#[test]
fn x08_public_cidr() {
    let regions = r#"regions = [{ name = "us-east-1", cidr = "52.0.0.0/16" }, { name = "us-east-2" }]"#;
    assert_snapshot!(refused("suffix = \"demo1\"", &format!("suffix = \"demo1\"\n{regions}")));
}

#[test]
fn x08_unparseable_cidr() {
    let regions = r#"regions = [{ name = "us-east-1", cidr = "10.0.0/16" }, { name = "us-east-2" }]"#;
    assert_snapshot!(refused("suffix = \"demo1\"", &format!("suffix = \"demo1\"\n{regions}")));
}

#[test]
fn x10_region_twice() {
    let regions = r#"regions = [{ name = "us-east-1" }, { name = "us-east-1", cidr = "10.1.0.0/16" }]"#;
    assert_snapshot!(refused("suffix = \"demo1\"", &format!("suffix = \"demo1\"\n{regions}")));
}

#[test]
fn bucket_name_over_63_characters() {
    assert_snapshot!(refused("suffix = \"demo1\"", "suffix = \"demonstration-of-names-that-are-much-too-long\""));
}

#[test]
fn state_in_a_folder_and_in_a_bucket() {
    assert_snapshot!(refused("path = \"kept\"", "path = \"kept\"\nbucket = \"states\""));
}
