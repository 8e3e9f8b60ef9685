//! Configurations of a program with two stacks: each has its own variables, and mistakes are reported with their places.

#![expect(clippy::unwrap_used, reason = "tests")]

use payinfra_engine::{Graph, Result, Tags};
use payinfra_stack::{
    AccountId, Configuration, NoVariables, Problem, Problems, Stack, Stacks, Workspace, distinct, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stack whose author wrote no `deny_unknown_fields`.
struct Website;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Variables {
    /// The number of pages.
    #[serde(default = "ten")]
    pages: u16,
    /// The title.
    title: String,
    #[serde(default)]
    cache: Cache,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Cache {
    seconds: Option<u32>,
    /// Where it is.
    place: Option<String>,
}

fn ten() -> u16 {
    10
}

impl Stack for Website {
    const NAME: &'static str = "website";
    const ABOUT: &'static str = "pages";
    type Variables = Variables;

    fn check(&self, workspace: &Workspace<Variables>, problems: &mut Problems) {
        if workspace.variables.pages == 0 {
            problems.add(Problem::new("there are no pages", workspace.place("pages")).hint("use 1 or more"));
        }
        if workspace.variables.cache.seconds == Some(0) {
            problems.add(Problem::new("the cache keeps nothing", workspace.place("cache.seconds")));
        }
    }

    fn build(&self, workspace: &Workspace<Variables>, _: &AccountId) -> Result<Graph> {
        let mut graph = workspace.graph(&Tags::new());
        graph.output("title", workspace.variables.title.as_str());
        Ok(graph)
    }
}

struct Empty;

impl Stack for Empty {
    const NAME: &'static str = "empty";
    const ABOUT: &'static str = "nothing";
    type Variables = NoVariables;

    fn build(&self, workspace: &Workspace<NoVariables>, _: &AccountId) -> Result<Graph> {
        Ok(workspace.graph(&Tags::new()))
    }
}

/// Has a variable with the name of a shared one.
struct Ambiguous;

#[derive(Serialize, Deserialize, JsonSchema)]
struct OwnTags {
    tags: Vec<String>,
}

impl Stack for Ambiguous {
    const NAME: &'static str = "ambiguous";
    const ABOUT: &'static str = "nothing";
    type Variables = OwnTags;

    fn build(&self, workspace: &Workspace<OwnTags>, _: &AccountId) -> Result<Graph> {
        Ok(workspace.graph(&Tags::new()))
    }
}

const STACKS: Stacks = &[&Website, &Empty];

const GOOD: &str = r#"stack = "website"
[defaults]
project = "p"
suffix = "s1"
environment = "e"
title = "shared"
cache = { seconds = 60, place = "here" }
[workspaces.one]
title = "own"
cache = { seconds = 5 }
[workspaces.two]
"#;

fn wrong(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    Configuration::parse(&GOOD.replacen(old, new, 1), "payinfra.toml", STACKS).unwrap_err().to_string()
}

#[test]
fn a_workspace_goes_before_the_defaults_and_both_before_the_stack() {
    let configuration = Configuration::parse(GOOD, "payinfra.toml", STACKS).unwrap();
    let variables = |name: &str| {
        let workspace: &Workspace<Variables> = configuration.workspace(name).unwrap().typed().unwrap();
        let Variables { pages, title, cache } = &workspace.variables;
        (*pages, title.clone(), cache.seconds, cache.place.clone())
    };
    let here = Some("here".to_owned());
    assert_eq!(variables("one"), (10, "own".to_owned(), Some(5), here.clone()));
    assert_eq!(variables("two"), (10, "shared".to_owned(), Some(60), here));
}

#[test]
fn a_stack_that_the_program_does_not_have() {
    assert_eq!(wrong("\"website\"", "\"webside\""), "payinfra.toml:1:9: unknown stack `webside`");
    let text = GOOD.replacen("website", "webside", 1);
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("available stacks: website, empty"));
}

#[test]
fn the_variables_of_another_stack() {
    assert_eq!(
        wrong("\"website\"", "\"empty\""),
        "payinfra.toml:6:1: unknown field `title`\n\
         payinfra.toml:7:1: unknown field `cache`\n\
         payinfra.toml:9:1: unknown field `title`\n\
         payinfra.toml:10:1: unknown field `cache`"
    );
}

#[test]
fn an_unknown_key_in_a_section_although_the_type_allows_it() {
    let error = GOOD.replacen("seconds = 5", "secs = 5", 1);
    let error = Configuration::parse(&error, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.to_string(), "payinfra.toml:10:11: unknown field `secs`");
    assert_eq!(error.hint.as_deref(), Some("did you mean `cache.seconds`?"));
}

#[test]
fn a_value_of_the_wrong_type_also_where_a_workspace_overrides_it() {
    let error = wrong("title = \"own\"", "title = 5");
    assert!(error.starts_with("payinfra.toml:9:9: invalid type: integer `5`, expected a string"), "{error}");
    let both = "title = \"own\"\npages = 3";
    let text = GOOD.replacen("title = \"own\"", both, 1).replacen("[workspaces.two]", "[workspaces.two]\npages = 2", 1);
    let text = text.replacen("title = \"shared\"", "title = \"shared\"\npages = \"many\"", 1);
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert!(error.to_string().starts_with("payinfra.toml:7:9: invalid type: string"), "{error}");
}

#[test]
fn all_problems_with_their_places() {
    let text = GOOD.replacen("seconds = 5", "seconds = 0", 1).replacen("title = \"own\"", "pages = 0", 1);
    let text = text.replacen("project = \"p\"", "project = \"p,\"", 1);
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(
        error.to_string(),
        "payinfra.toml:3:11: `project` has the character ','\n\
         payinfra.toml:9:9: there are no pages\n\
         payinfra.toml:10:21: the cache keeps nothing"
    );
}

#[test]
fn a_missing_variable_is_reported_at_the_workspace() {
    let error = wrong("title = \"shared\"\n", "");
    assert_eq!(error, "payinfra.toml:10:13: missing field `title`");
}

#[test]
fn the_schema_has_the_variables_of_the_stack_with_defaults() {
    let schema = schema(&Website).to_value();
    let variables = &schema["$defs"]["Variables"]["properties"];
    assert_eq!(
        (&variables["pages"]["default"], &variables["title"]["description"]),
        (&10.into(), &"The title.".into())
    );
    assert!(variables["suffix"].is_object());
}

#[test]
fn stacks_that_cannot_be_in_one_program() {
    assert!(distinct(STACKS).is_ok());
    let message = |stacks: Stacks| distinct(stacks).unwrap_err().message().to_owned();
    assert_eq!(message(&[&Website, &Empty, &Website]), "two stacks of this program have the name `website`");
    assert_eq!(message(&[]), "this program has no stacks");
    assert_eq!(message(&[&Ambiguous]), "the stack `ambiguous` has a variable `tags`, which all stacks share");
}
