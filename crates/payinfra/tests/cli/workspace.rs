//! `payinfra workspace`.

use crate::support::{Ended, Folder};
use insta::assert_snapshot;

#[test]
fn list() {
    assert_snapshot!(Folder::new().run(&["workspace", "list", "--workspace", "migration"]).transcript);
}

#[test]
fn show() {
    assert_snapshot!(Folder::new().run(&["workspace", "show", "--workspace", "legacy"]).transcript);
}

#[test]
fn the_environment_names_it_too() {
    let folder = Folder::new();
    let mut command = folder.command(&["workspace", "show"]);
    let shown = Ended::of(command.env("PAYINFRA_WORKSPACE", "legacy"), &folder.path(""));
    assert_eq!(shown.stdout.lines().next().unwrap(), "legacy");
}
