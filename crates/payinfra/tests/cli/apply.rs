//! `payinfra apply`: errors before any call to AWS.

use crate::support::Folder;
use insta::assert_snapshot;

#[test]
fn truncated_plan() {
    let folder = Folder::new();
    folder.write("saved.plan", r#"{ "format": 1, "account": "1234"#);
    let ended = folder.run(&["apply", "--workspace", "migration", "saved.plan"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn missing_plan() {
    let ended = Folder::new().run(&["apply", "--workspace", "migration", "saved.plan"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
}

#[test]
fn a_saved_plan_has_its_targets_already() {
    let ended = Folder::new().run(&["apply", "saved.plan", "--target", "us-east-1/ec2.vpc/main"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot be used with"), "{}", ended.stderr);
}

#[test]
fn nothing_at_once_is_refused() {
    for command in ["apply", "destroy"] {
        let ended = Folder::new().run(&[command, "--workspace", "migration", "--parallelism", "0"]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("invalid value '0' for '--parallelism <N>'"), "{}", ended.stderr);
    }
}

#[test]
fn unknown_workspace() {
    let folder = Folder::new();
    let ended = folder.run(&["apply", "--workspace", "staging", "--yes"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
    assert!(!folder.path("cfn-outputs").exists(), "nothing was written");
}
