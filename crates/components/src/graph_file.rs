//! A stack whose graph is a document that any program can write.

use std::path::PathBuf;
use std::sync::OnceLock;

use payinfra_aws::catalog;
use payinfra_engine::{Error, Graph, Region, Result, Tags};
use payinfra_stack::tags::REQUIRED;
use payinfra_stack::{AccountId, Problem, Problems, Stack, Workspace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The stack `graph`: reads the desired state of a workspace from a document, as `payinfra graph --format json` writes.
///
/// The name of the stack in states and tags is the document's, so that documents of different systems do not share a
/// state. A document is complete: nothing is added but owner tags and, with `protect` and `final_snapshot`, the
/// protection of what keeps data. The variables `environment`, `project`, `suffix`, `regions` and `tags` are checks: the
/// document has to agree with them. `key_deletion_days` has no effect, and documents cannot refer to `remote_outputs`.
#[derive(Clone, Copy, Debug)]
pub struct GraphFile;

/// The variables of the stack `graph`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphVariables {
    /// The graph document, relative to the folder of the configuration; `payinfra schema --graph` describes it.
    pub file: PathBuf,
    /// The graph in it, once it is parsed. The check of the configuration needs it, and each build.
    #[serde(skip)]
    parsed: OnceLock<Result<Graph>>,
}

/// The variable that names the document.
const FILE: &str = "file";

impl Stack for GraphFile {
    const NAME: &'static str = "graph";
    const ABOUT: &'static str = "a graph document that any program can write";
    const FILES: &'static [&'static str] = &[FILE];
    type Variables = GraphVariables;

    fn check(&self, workspace: &Workspace<GraphVariables>, problems: &mut Problems) {
        if !workspace.remote_outputs.is_empty() {
            let unused =
                Problem::new("graph documents cannot refer to remote outputs", workspace.place("remote_outputs"));
            problems.add(unused.hint("remove `remote_outputs`, and write the values into the document"));
        }
        // A file that cannot be read is reported already.
        if workspace.file(FILE).is_none() {
            return;
        }
        if let Err(error) = read(workspace) {
            let wrong = Problem::new(error.message(), workspace.place(FILE));
            problems.add(error.get_hint().into_iter().fold(wrong, Problem::hint));
        }
    }

    fn build(&self, workspace: &Workspace<GraphVariables>, _: &AccountId) -> Result<Graph> {
        read(workspace).cloned()
    }

    fn name_in(&self, workspace: &Workspace<GraphVariables>) -> Option<String> {
        parsed(workspace).ok().map(|graph| graph.stack.clone())
    }
}

/// The graph in the document, which agrees with `workspace`.
fn read(workspace: &Workspace<GraphVariables>) -> Result<&Graph> {
    let agreed = parsed(workspace).and_then(|graph| agree(graph, workspace).map(|()| graph));
    agreed.map_err(|error| error.at(workspace.variables.file.display()))
}

/// The graph in the document. It is parsed once.
fn parsed(workspace: &Workspace<GraphVariables>) -> Result<&Graph> {
    let parse = || {
        let bytes = workspace.file(FILE).ok_or_else(|| Error::invalid("the file was not read"))?;
        Graph::parse(bytes, &catalog())
    };
    workspace.variables.parsed.get_or_init(parse).as_ref().map_err(Clone::clone)
}

/// Checks that the document belongs to `workspace` of the configuration.
fn agree(graph: &Graph, workspace: &Workspace<GraphVariables>) -> Result<()> {
    let (found, expected) = (&graph.workspace, &workspace.name);
    if found != expected {
        return Err(Error::invalid(format!("`workspace` is `{found}`, but the configuration has `{expected}`"))
            .hint(format!("write `\"workspace\": \"{expected}\"`, or select another document with `{FILE}`")));
    }
    let common = workspace.graph(&Tags::new());
    for key in REQUIRED {
        // An empty value is missing, which is reported already.
        if let Some(value) = common.tags.get(key).filter(|value| !value.is_empty()) {
            agree_on(key, value, graph.tags.get(key), "tags")?;
        }
    }
    for (key, value) in workspace.tags.iter() {
        let found = graph.tags.get(key).or_else(|| graph.extra_tags().get(key));
        agree_on(key, value, found, "extra_tags")?;
    }
    has_account(graph)?;
    let declared =
        |region: &Region| region.as_str() == "global" || workspace.regions.iter().any(|it| it.region == *region);
    if let Some(address) = graph.nodes().keys().find(|address| !declared(&address.region)) {
        return Err(Error::invalid(format!(
            "{address} is in a region that workspace `{}` does not list",
            workspace.name
        ))
        .hint(format!("add {} to `regions` in the configuration, or change the address", address.region)));
    }
    Ok(())
}

/// Checks that the tag `key` of the document, in its member `section`, has the configured value.
fn agree_on(key: &str, expected: &str, found: Option<&str>, section: &str) -> Result<()> {
    let message = match found {
        Some(found) if found == expected => return Ok(()),
        Some(found) => format!("the tag `{key}` is `{found}`, but the configuration has `{expected}`"),
        None => format!("`{section}` has no tag `{key}`, which the configuration sets to `{expected}`"),
    };
    Err(Error::invalid(message)
        .hint(format!("write `\"{key}\": \"{expected}\"` into `{section}` and into the tags of all resources")))
}

/// Checks that no value has the placeholder account, which `payinfra graph` writes because it does not sign in.
fn has_account(graph: &Graph) -> Result<()> {
    let args = graph.nodes().iter().map(|(address, node)| (address.to_string(), "args", &node.args));
    let outputs = graph.outputs().iter().map(|(name, value)| (format!("output {name}"), "the value", value));
    for (place, member, value) in args.chain(outputs) {
        if let Some((path, text)) = placeholder(value, member) {
            let message = format!("{place}: `{path}` has the placeholder account: `{text}`");
            return Err(Error::invalid(message).hint(format!(
                "write the id of your account instead of {} into the whole document",
                AccountId::PLACEHOLDER
            )));
        }
    }
    Ok(())
}

/// The first string in `value`, which is at `path`, that has the placeholder account, and its path. In an ARN, an S3 key
/// or the name of a registry, the account is a word of its own; the last part of a UUID is not.
fn placeholder<'a>(value: &'a Value, path: &str) -> Option<(String, &'a str)> {
    match value {
        Value::String(text) => {
            let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
            words.any(|word| word == AccountId::PLACEHOLDER).then(|| (path.to_owned(), text.as_str()))
        }
        Value::Array(values) => {
            values.iter().enumerate().find_map(|(index, value)| placeholder(value, &format!("{path}.{index}")))
        }
        Value::Object(members) => {
            members.iter().find_map(|(name, value)| placeholder(value, &format!("{path}.{name}")))
        }
        _ => None,
    }
}
