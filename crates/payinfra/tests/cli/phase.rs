//! `payinfra phase` (M-03).

use crate::support::Folder;
use insta::assert_snapshot;

const MIGRATION: [&str; 3] = ["phase", "--workspace", "migration"];

#[test]
fn m03_it_shows_where_the_workspace_stands() {
    let folder = Folder::new();
    folder.write_state();
    assert_snapshot!(folder.run(&MIGRATION).transcript);
    let json = folder.run(&[&MIGRATION[..], &["--json"]].concat()).stdout;
    assert_eq!(
        json,
        "{\"configuration\":\"migration\",\"deployed\":\"migration\",\"phases\":[\"legacy\",\"migration\",\"production\"],\
         \"workspace\":\"migration\"}\n"
    );
}

#[test]
fn m03_it_shows_that_the_configuration_is_ahead() {
    let folder = Folder::changed("[workspaces.migration]", "[workspaces.migration]\nphase = \"production\"");
    folder.write_state();
    assert_snapshot!(folder.run(&MIGRATION).transcript);
}

#[test]
fn m03_nothing_is_deployed() {
    assert_snapshot!(Folder::new().run(&MIGRATION).transcript);
}

/// Mistakes are found before any call.
#[test]
fn m03_impossible_phases() {
    let unknown = Folder::new().run(&[&MIGRATION[..], &["--to", "future"]].concat());
    assert_eq!(unknown.code, Some(1));
    assert_snapshot!(unknown.transcript);
    let invalid = Folder::changed(
        "[workspaces.migration]",
        "[workspaces.migration]\nweights = { us-east-1 = 50, us-east-2 = 50 }",
    );
    assert_snapshot!(invalid.run(&[&MIGRATION[..], &["--to", "legacy"]].concat()).transcript);
}
