//! The configuration that `init` writes for a stack without an example: its variables come from the schema.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use payinfra_engine::{Graph, Result, Tags};
use payinfra_stack::{AccountId, Configuration, NoVariables, Stack, Stacks, Workspace, template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

struct Shop;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Variables {
    /// The title.
    ///
    /// Shown on every page, in the window of the browser, in search results, in the subject of all mails, and on the first page of invoices.
    title: String,
    /// The number of pages.
    #[serde(default = "ten")]
    pages: u16,
    theme: Theme,
    /// A theme for the night.
    night: Option<Theme>,
    database: Database,
    /// The cache.
    #[serde(default)]
    cache: Cache,
    links: BTreeMap<String, String>,
    /// Of the owners.
    mails: Vec<String>,
    legacy: Legacy,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Theme {
    Light,
    Dark,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Database {
    /// The size in GB.
    size: u32,
    /// Whether a second one runs.
    standby: bool,
    /// The name.
    name: Option<String>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Cache {
    /// How long it keeps a page.
    seconds: Option<u32>,
}

/// All of its members are optional, but it is required.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Legacy {
    url: Option<String>,
}

fn ten() -> u16 {
    10
}

impl Stack for Shop {
    const NAME: &'static str = "shop";
    const ABOUT: &'static str = "a shop";
    const REGIONS: &'static [&'static str] = &["eu-west-1", "eu-north-1"];
    type Variables = Variables;

    fn build(&self, workspace: &Workspace<Variables>, _: &AccountId) -> Result<Graph> {
        Ok(workspace.graph(&Tags::new()))
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

struct WithExample;

impl Stack for WithExample {
    const NAME: &'static str = "with-example";
    const ABOUT: &'static str = "nothing";
    const EXAMPLE: Option<&'static str> = Some("stack = \"with-example\"");
    type Variables = NoVariables;

    fn build(&self, workspace: &Workspace<NoVariables>, _: &AccountId) -> Result<Graph> {
        Ok(workspace.graph(&Tags::new()))
    }
}

const STACKS: Stacks = &[&Shop, &Empty, &WithExample];

/// The part of a text between two lines.
fn between<'a>(text: &'a str, first: &str, last: &str) -> &'a str {
    text.split_once(first).unwrap().1.split_once(last).unwrap().0
}

#[test]
fn required_variables_come_first_and_all_have_values_of_their_types() {
    let template = template(&Shop);
    let required = between(&template.text, "suffix = \"demo1\"\n", "# The regions,");
    let optional = between(&template.text, "# tags = { CostCenter = \"4711\" }\n", "\n[workspaces.demo]");
    let expected = r#"# Required. The size in GB.
# database.size = 0
# Required. Whether a second one runs.
# database.standby = false
# Required. All of its members are optional, but it is required.
# legacy = {}
# Required.
# links = {}
# Required. Of the owners.
# mails = []
# Required. One of `"light"`, `"dark"`.
# theme = "light"
# Required. The title.
# Shown on every page, in the window of the browser, in search results, in the subject of all mails, and on the first
# page of invoices.
# title = ""
"#;
    assert_eq!(required, expected);
    let expected = r#"# How long it keeps a page.
# cache.seconds = 0
# The name.
# database.name = ""
# A theme for the night. One of `"light"`, `"dark"`.
# night = "light"
# The number of pages.
# pages = 10
"#;
    assert_eq!(optional, expected);
    let required = ["database.size", "database.standby", "legacy", "links", "mails", "theme", "title"];
    assert_eq!(template.required, required);
}

#[test]
fn it_is_valid_once_the_required_variables_are_set() {
    let template = template(&Shop);
    assert!(Configuration::parse(&template.text, "payinfra.toml", STACKS).is_err(), "variables are missing");
    let mut text = template.text.clone();
    for path in &template.required {
        text = text.replace(&format!("\n# {path} = "), &format!("\n{path} = "));
    }
    let configuration = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap();
    let workspace = configuration.workspace("demo").unwrap();
    assert_eq!((&*workspace.project, &*workspace.environment, workspace.protect), ("shop", "demo", true));
    // What the comments call the defaults are the defaults, and every commented variable exists.
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(code) if code.starts_with(|letter: char| letter.is_lowercase()) && code.contains(" = ") => code,
        Some(code) if code.starts_with("    {") || code == "]" => code,
        _ => line,
    });
    let all: Vec<_> = lines.filter(|line| !line.starts_with("path = ")).collect();
    let all = Configuration::parse(&all.join("\n"), "payinfra.toml", STACKS).unwrap();
    let with_all = all.workspace("demo").unwrap();
    assert_eq!((&with_all.regions, with_all.protect), (&workspace.regions, workspace.protect));
    assert_eq!(all.aws.account_ids.len(), 1);
}

#[test]
fn a_stack_without_variables_needs_nothing() {
    let template = template(&Empty);
    assert!(template.required.is_empty());
    assert!(Configuration::parse(&template.text, "payinfra.toml", STACKS).is_ok());
}

#[test]
fn an_example_is_used_as_it_is() {
    let template = template(&WithExample);
    assert_eq!((&*template.text, template.required.len()), ("stack = \"with-example\"", 0));
}
