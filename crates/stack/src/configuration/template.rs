//! A configuration to start from, written from the schema of a stack.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use toml::Value;

use super::schema;
use super::shared::default_regions;
use super::state::StateConfig;
use crate::places::below;
use crate::stack::AnyStack;
use crate::unfold::unfolded;

/// The width of comments.
const WIDTH: usize = 118;
/// The deepest section whose variables are listed.
const DEPTH: usize = 3;

/// A configuration to start from, with one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The text of `payinfra.toml`. Comments call the program `payinfra`.
    pub text: String,
    /// The paths of the variables that the user has to set. Each is in the text as a comment: `# publisher = ""`.
    pub required: Vec<String>,
}

/// A configuration of `stack` to start from: its example or, if it has none, one from the schema of its variables.
#[must_use]
pub fn template(stack: &dyn AnyStack) -> Template {
    if let Some(example) = stack.example() {
        return Template { text: example.to_owned(), required: Vec::new() };
    }
    let variables = variables(stack);
    let (required, optional): (Vec<_>, Vec<_>) = variables.iter().partition(|variable| variable.is_required);
    let lines = |variables: &[&Variable]| variables.iter().map(|variable| variable.lines()).collect::<String>();
    let (name, about) = (stack.name(), stack.about());
    let regions = default_regions(stack, &(0..0)).into_iter().map(|region| {
        let cidr = region.cidr.map(|cidr| format!(", cidr = {}", Value::from(cidr.into_inner())));
        format!("#     {{ name = {}{} }},\n", Value::from(region.name.into_inner()), cidr.unwrap_or_default())
    });
    let regions: String = regions.collect();
    let StateConfig { region, table, .. } = StateConfig::default();
    let text = format!(
        r#"{head}#
#   `payinfra validate`    checks this file without calling AWS
#   `payinfra plan`        shows the planned changes
#   `payinfra apply`       applies them
#   `payinfra schema`      prints the JSON schema of this file, with all variables

stack = "{name}"

# AWS credentials. By default, the SDK's credential provider chain applies: environment, profile, container, instance.
[aws]
# profile = "default"
# The accounts that may be used; checked before anything else. `payinfra init` adds the current account.
# account_ids = ["123456789012"]

# Where the state is stored: a bucket and a lock table, created by `payinfra bootstrap`. These are the defaults.
[state]
# bucket = "payinfra-state-ACCOUNT"
# region = "{region}"
# table = "{table}"
# Or a local folder, for trying things out:
# path = ".payinfra"

# Variables shared by all workspaces; a workspace's own variables take precedence.
[defaults]
# The value of the tag `Project`.
project = "{name}"
# Part of every name. Choose your own and keep it: a new suffix means new resources.
suffix = "demo1"
{required_lines}# The regions, the primary first, with the CIDR blocks of their networks. These are the defaults.
# regions = [
{regions}# ]
# Reject plans that would delete or replace resources with data, and enable AWS deletion protection. Set `false` for
# trying things out.
# protect = true
# Additional tags on every resource.
# tags = {{ CostCenter = "4711" }}
{optional_lines}
[workspaces.demo]
# The value of the tag `Environment`.
environment = "demo"
"#,
        required_lines = lines(&required),
        optional_lines = lines(&optional),
        head = comment(&format!("The configuration of the stack `{name}`: {about}.")),
    );
    Template { text, required: required.into_iter().map(|variable| variable.path.clone()).collect() }
}

/// A variable of a stack, or a section whose members are not listed.
struct Variable {
    path: String,
    about: String,
    value: Value,
    is_required: bool,
}

impl Variable {
    /// Its comment and, commented out, its value.
    fn lines(&self) -> String {
        let required = if self.is_required { "Required. " } else { "" };
        format!("{}# {} = {}\n", comment(&format!("{required}{}", self.about)), self.path, self.value)
    }
}

/// The own variables of `stack`, by path.
fn variables(stack: &dyn AnyStack) -> Vec<Variable> {
    let (root, own) = schema::own(stack);
    let mut found = Vec::new();
    let schemas = Schemas(&root);
    schemas.members(schemas.shape(&own), "", true, &mut found);
    found
}

/// The definitions that schemas refer to.
struct Schemas<'a>(&'a Json);

impl<'a> Schemas<'a> {
    /// The schema itself, without references and alternatives: of several, the first that is not null.
    fn shape(&self, here: &'a Json) -> &'a Json {
        let all = unfolded(self.0, here);
        let is_shape =
            |here: &&&Json| ["properties", "type", "enum", "const"].iter().any(|key| here.get(key).is_some());
        all.iter().filter(is_shape).find(|here| here["type"] != "null").copied().unwrap_or(here)
    }

    /// Adds the members of the struct with the schema `here`.
    fn members(&self, here: &'a Json, path: &str, is_required: bool, found: &mut Vec<Variable>) {
        let required: BTreeSet<_> =
            here["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        for (key, schema) in here["properties"].as_object().into_iter().flatten() {
            let path = below(path, &bare(key));
            let is_required = is_required && required.contains(&**key);
            let shape = self.shape(schema);
            // A required section without required members has to be there, although it may be empty.
            let is_listed = shape["properties"].is_object() && (!is_required || !shape["required"].is_null());
            if is_listed && path.split('.').count() < DEPTH {
                self.members(shape, &path, is_required, found);
                continue;
            }
            let about = [schema, shape].into_iter().find_map(|schema| schema["description"].as_str());
            let about = format!("{}{}", about.unwrap_or_default(), self.choices(schema));
            found.push(Variable { path, about, value: value(schema, shape), is_required });
        }
    }

    /// The values that an enum accepts, as a sentence; empty for other types.
    fn choices(&self, here: &'a Json) -> String {
        let all = unfolded(self.0, here).into_iter();
        let all = all.flat_map(|here| here["enum"].as_array().into_iter().flatten().chain(here.get("const")));
        let all: Vec<_> = all.filter(|value| !value.is_null()).map(|value| format!("`{value}`")).collect();
        if all.is_empty() { String::new() } else { format!(" One of {}.", all.join(", ")) }
    }
}

/// The default of a variable or, if it has none, a value of its type.
fn value(schema: &Json, shape: &Json) -> Value {
    let given = [&schema["default"], &shape["default"], &shape["const"], &shape["enum"][0], &shape["minimum"]];
    if let Some(value) = given.into_iter().find_map(|given| Value::try_from(given).ok()) {
        return value;
    }
    let types = shape["type"].as_array().map_or(std::slice::from_ref(&shape["type"]), Vec::as_slice);
    match types.iter().filter_map(Json::as_str).find(|name| *name != "null") {
        Some("integer") => Value::Integer(0),
        Some("number") => Value::Float(0.0),
        Some("boolean") => Value::Boolean(false),
        Some("array") => Value::Array(Vec::new()),
        Some("object") => Value::Table(toml::Table::new()),
        _ => Value::String(String::new()),
    }
}

/// `key` as TOML writes it.
fn bare(key: &str) -> String {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { Value::from(key).to_string() }
}

/// `text` as the lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    for paragraph in text.split("\n\n") {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push_str(&line);
                lines.push('\n');
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        if line.len() > 1 {
            lines.push_str(&line);
            lines.push('\n');
        }
    }
    lines
}
