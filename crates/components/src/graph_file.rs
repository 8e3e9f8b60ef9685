//! A stack whose graph is a document that any program can write.

use std::path::PathBuf;

use payinfra_aws::catalog;
use payinfra_engine::{Error, Graph, Region, Result, Tags};
use payinfra_stack::tags::REQUIRED;
use payinfra_stack::{AccountId, Problem, Problems, Stack, Workspace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stack `graph`: reads the desired state of a workspace from a document, as `payinfra graph --format json` writes.
///
/// A document is complete: nothing is added but owner tags and, with `protect` and `final_snapshot`, the protection of
/// what keeps data. The variables `environment`, `project`, `suffix`, `regions` and `tags` are checks: the document has
/// to agree with them. `key_deletion_days` has no effect, and documents cannot refer to `remote_outputs`.
#[derive(Clone, Copy, Debug)]
pub struct GraphFile;

/// The variables of the stack `graph`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphVariables {
    /// The graph document, relative to the folder of the configuration; `payinfra schema --graph` describes it.
    pub file: PathBuf,
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
        read(workspace)
    }
}

/// The graph in the document, which agrees with `workspace`.
fn read(workspace: &Workspace<GraphVariables>) -> Result<Graph> {
    let file = workspace.variables.file.display().to_string();
    let bytes = workspace.file(FILE).ok_or_else(|| Error::invalid(format!("{file} was not read")))?;
    let agreed = Graph::parse(bytes, &catalog()).and_then(|graph| agree(&graph, workspace).map(|()| graph));
    agreed.map_err(|error| error.at(file))
}

/// Checks that the document belongs to `workspace` of the configuration.
fn agree(graph: &Graph, workspace: &Workspace<GraphVariables>) -> Result<()> {
    for (member, found, expected) in
        [("stack", &*graph.stack, workspace.stack), ("workspace", &*graph.workspace, &*workspace.name)]
    {
        if found != expected {
            return Err(Error::invalid(format!("`{member}` is `{found}`, but the configuration has `{expected}`"))
                .hint(format!("write `\"{member}\": \"{expected}\"`, or select another document with `{FILE}`")));
        }
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
