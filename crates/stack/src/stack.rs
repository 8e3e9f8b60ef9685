//! The trait that a stack implements.

use std::any::Any;
use std::fmt;

use payinfra_engine::{Error, Graph, IgnoredTags, Result};
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Spanned;
use toml::de::DeTable;

use crate::names::{AccountId, NameForm};
use crate::problem::Problems;
use crate::rule::Rule;
use crate::typed::typed;
use crate::workspace::{RegionConfig, Workspace};

/// A stack: a system that payinfra can deploy.
///
/// It is a pure function from a workspace and an account to a graph. What it must know of the account is a lookup in
/// the graph.
pub trait Stack: Sync {
    /// Its name in configurations, states and tags: lower-case letters, digits and inner hyphens.
    const NAME: &'static str;
    /// One line about it.
    const ABOUT: &'static str;
    /// The form of its resources' names: `{type}` and `{suffix}`, usually `{workspace}`, and other text, in any order; `{stack}`
    /// is [`Stack::NAME`]. Without `{workspace}`, the workspaces need different suffixes.
    const NAMES: &'static str = "{stack}-{type}-{workspace}-{suffix}";
    /// The regions of a workspace that lists none, the primary first.
    const REGIONS: &'static [&'static str] = &["us-east-1"];
    /// The keys of tags that the stack itself sets on all resources, which a user cannot set.
    const TAGS: &'static [&'static str] = &[];
    /// The tables that a workspace replaces as a whole, by path, because their keys belong together. All others are
    /// merged key by key with those in `[defaults]`.
    const REPLACED: &'static [&'static str] = &[];
    /// The variables whose web addresses are secret although the user does not list them as sensitive, by path.
    const SECRET: &'static [&'static str] = &[];
    /// The variables that name files, by path. The files are read with the configuration; see [`Workspace::file`]. Zip files
    /// are packages of functions, which graphs name by their digests.
    const FILES: &'static [&'static str] = &[];
    /// The values of the variable `phase`, in the order of a migration; empty if the stack has no phases. `payinfra phase`
    /// moves a workspace from one to another.
    const PHASES: &'static [&'static str] = &[];
    /// A configuration to start from, for `init`.
    const EXAMPLE: Option<&'static str> = None;

    /// Its own variables, next to those that all stacks share: the keys of `[defaults]` and `[workspaces.NAME]`. Doc
    /// comments and defaults become part of the schema. Unknown keys are errors in any case.
    type Variables: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// Checks what types cannot express. Adds all problems, each with its place: a [`Section`](crate::Section) or
    /// [`Workspace::place`] finds it.
    ///
    /// It is also called if a shared text such as `environment` is missing, which is reported already; it is empty then.
    fn check(&self, _workspace: &Workspace<Self::Variables>, _problems: &mut Problems) {}

    /// The desired state of `workspace` in `account`.
    ///
    /// # Errors
    /// If a resource cannot be declared, for example because a name is too long.
    fn build(&self, workspace: &Workspace<Self::Variables>, account: &AccountId) -> Result<Graph>;

    /// Rules for its graphs in addition to those that apply to all stacks.
    fn rules(&self) -> &'static [Rule] {
        &[]
    }

    /// The regions in which `workspace` has resources.
    fn regions<'a>(&self, workspace: &'a Workspace<Self::Variables>) -> &'a [RegionConfig] {
        &workspace.regions
    }

    /// A word about `workspace` for `workspace list`, such as its phase.
    fn headline(&self, _workspace: &Workspace<Self::Variables>) -> String {
        String::new()
    }

    /// The phase of `workspace`, one of [`Stack::PHASES`].
    fn phase(&self, _workspace: &Workspace<Self::Variables>) -> Option<&'static str> {
        None
    }

    /// Its own variables with their defaults, for `workspace show`.
    fn describe(&self, workspace: &Workspace<Self::Variables>) -> Value {
        serde_json::to_value(&workspace.variables).unwrap_or_default()
    }

    /// Warnings to show with every plan of `workspace`.
    fn warnings(&self, _workspace: &Workspace<Self::Variables>) -> Vec<String> {
        Vec::new()
    }

    /// The name of the stack of `workspace` in states and tags, if it is not [`Stack::NAME`]: for a stack that reads what
    /// it declares, so that two systems that it reads do not share a state.
    fn name_in(&self, _workspace: &Workspace<Self::Variables>) -> Option<String> {
        None
    }
}

/// The variables of a stack that has none of its own.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoVariables {}

/// The own variables of a stack whose type is not known here.
pub struct Own(Box<dyn Any + Send + Sync>);

/// The stacks of a program.
pub type Stacks = &'static [&'static dyn AnyStack];

/// A stack with its type erased. Implement [`Stack`]; every one is also an `AnyStack`.
pub trait AnyStack: Sync {
    /// See [`Stack::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Stack::ABOUT`].
    fn about(&self) -> &'static str;
    /// See [`Stack::NAMES`].
    fn name_form(&self) -> NameForm;
    /// See [`Stack::REGIONS`].
    fn default_regions(&self) -> &'static [&'static str];
    /// See [`Stack::TAGS`].
    fn tags(&self) -> &'static [&'static str];
    /// See [`Stack::REPLACED`].
    fn replaced(&self) -> &'static [&'static str];
    /// See [`Stack::SECRET`].
    fn secret(&self) -> &'static [&'static str];
    /// See [`Stack::FILES`].
    fn files(&self) -> &'static [&'static str];
    /// See [`Stack::EXAMPLE`].
    fn example(&self) -> Option<&'static str>;
    /// The schema of its own variables.
    fn variables(&self, generator: &mut SchemaGenerator) -> Schema;
    /// Reads its own variables; `None` if one is missing or has a wrong type. Adds all problems.
    fn read(&self, own: Spanned<DeTable<'_>>, problems: &mut Problems) -> Option<Own>;
    /// A workspace with its own variables; `None` if they are those of another stack.
    fn join(&self, shared: Workspace<()>, own: Own) -> Option<Workspace>;
    /// See [`Stack::check`].
    fn check(&self, workspace: &Workspace, problems: &mut Problems);
    /// See [`Stack::build`].
    ///
    /// # Errors
    /// As [`Stack::build`], or if the workspace belongs to another stack.
    fn build(&self, workspace: &Workspace, account: &AccountId) -> Result<Graph>;
    /// See [`Stack::rules`].
    fn rules(&self) -> &'static [Rule];
    /// See [`Stack::regions`].
    fn regions<'a>(&self, workspace: &'a Workspace) -> &'a [RegionConfig];
    /// See [`Stack::headline`].
    fn headline(&self, workspace: &Workspace) -> String;
    /// See [`Stack::PHASES`].
    fn phases(&self) -> &'static [&'static str];
    /// See [`Stack::phase`].
    fn phase(&self, workspace: &Workspace) -> Option<&'static str>;
    /// See [`Stack::describe`].
    fn describe(&self, workspace: &Workspace) -> Value;
    /// See [`Stack::warnings`].
    fn warnings(&self, workspace: &Workspace) -> Vec<String>;
}

impl<S: Stack> AnyStack for S {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn about(&self) -> &'static str {
        S::ABOUT
    }

    fn name_form(&self) -> NameForm {
        NameForm::new(&S::NAMES.replace("{stack}", S::NAME))
    }

    fn default_regions(&self) -> &'static [&'static str] {
        S::REGIONS
    }

    fn tags(&self) -> &'static [&'static str] {
        S::TAGS
    }

    fn replaced(&self) -> &'static [&'static str] {
        S::REPLACED
    }

    fn secret(&self) -> &'static [&'static str] {
        S::SECRET
    }

    fn files(&self) -> &'static [&'static str] {
        S::FILES
    }

    fn example(&self) -> Option<&'static str> {
        S::EXAMPLE
    }

    fn variables(&self, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<S::Variables>()
    }

    fn read(&self, own: Spanned<DeTable<'_>>, problems: &mut Problems) -> Option<Own> {
        typed::<S::Variables>(own, problems).map(|variables| Own(Box::new(variables)))
    }

    fn join(&self, mut shared: Workspace<()>, own: Own) -> Option<Workspace> {
        let variables: Box<S::Variables> = own.0.downcast().ok()?;
        let mut typed = shared.clone().with(*variables);
        if let Some(name) = self.name_in(&typed) {
            shared.stack.clone_from(&name);
            typed.stack = name;
        }
        Some(Workspace::erase(shared, typed))
    }

    fn check(&self, workspace: &Workspace, problems: &mut Problems) {
        if let Some(workspace) = workspace.typed() {
            Stack::check(self, workspace, problems);
        }
    }

    fn build(&self, workspace: &Workspace, account: &AccountId) -> Result<Graph> {
        let typed = workspace.typed().ok_or_else(|| {
            Error::failed(format!("workspace `{}` does not belong to the stack `{}`", workspace.name, S::NAME))
        })?;
        owned(Stack::build(self, typed, account)?, &workspace.ignored_tags)
    }

    fn rules(&self) -> &'static [Rule] {
        Stack::rules(self)
    }

    fn regions<'a>(&self, workspace: &'a Workspace) -> &'a [RegionConfig] {
        workspace.typed().map_or(&[], |workspace| Stack::regions(self, workspace))
    }

    fn headline(&self, workspace: &Workspace) -> String {
        workspace.typed().map_or_else(String::new, |workspace| Stack::headline(self, workspace))
    }

    fn phases(&self) -> &'static [&'static str] {
        S::PHASES
    }

    fn phase(&self, workspace: &Workspace) -> Option<&'static str> {
        workspace.typed().and_then(|workspace| Stack::phase(self, workspace))
    }

    fn describe(&self, workspace: &Workspace) -> Value {
        workspace.typed().map_or(Value::Null, |workspace| Stack::describe(self, workspace))
    }

    fn warnings(&self, workspace: &Workspace) -> Vec<String> {
        workspace.typed().map_or_else(Vec::new, |workspace| Stack::warnings(self, workspace))
    }
}

/// Checks that `graph` sets no tag of others: payinfra would set it once, and then see it no more.
fn owned(graph: Graph, ignored: &IgnoredTags) -> Result<Graph> {
    for (address, node) in graph.nodes().iter().filter(|(_, node)| !node.lookup) {
        let tags = node.args.get("tags").and_then(Value::as_object);
        let mut keys = tags.into_iter().flat_map(|tags| tags.keys());
        if let Some((key, pattern)) = keys.find_map(|key| Some((key, ignored.pattern(key)?))) {
            return Err(Error::invalid(format!("{address} has the tag `{key}`, which `ignore_tags` leaves to others"))
                .hint(format!("remove the tag, or narrow the pattern `{pattern}`")));
        }
    }
    Ok(graph)
}

impl fmt::Debug for dyn AnyStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use payinfra_engine::IgnoredTags;
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_graph_with_a_tag_of_others_is_refused() -> serde_json::Result<()> {
        let graph = json!({
            "stack": "s",
            "workspace": "w",
            "tags": {},
            "nodes": { "eu-west-1/ec2.vpc/main": { "args": { "tags": { "Team": "a", "org:owner": "b" } } } },
            "outputs": {},
        });
        let graph: Graph = from_value(graph)?;
        let refused = owned(graph.clone(), &IgnoredTags::new(["scan*", "org:*"])).map_err(|error| error.to_string());
        assert!(refused.is_err_and(|it| it.contains("eu-west-1/ec2.vpc/main has the tag `org:owner`")));
        assert!(owned(graph, &IgnoredTags::new(["scan*"])).is_ok());
        Ok(())
    }
}
