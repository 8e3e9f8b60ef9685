//! `payinfra workspace`: shows the declared workspaces.

use clap::{Args, Subcommand};
use payinfra_stack::{Configuration, Workspace as Declared};
use serde_json::{Value, json};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::screen::{self, ADDRESS};
use crate::value_view;

#[derive(Args)]
pub(super) struct Workspace {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the workspaces with phase and regions
    List,
    /// Show all variables of the workspace
    Show,
}

impl Execute for Workspace {
    const NAME: &'static str = "workspace";
    const ABOUT: &'static str = "Show the workspaces declared in the configuration";

    async fn execute(self, cx: &Context) -> Outcome {
        let project = cx.project()?;
        match self.action {
            Action::List => {
                let all = &project.configuration.workspaces;
                let width = all.keys().map(String::len).max().unwrap_or_default();
                for (name, workspace) in all {
                    let mark = if project.chosen() == Some(name) { '*' } else { ' ' };
                    let stack = project.configuration.stack;
                    let regions = stack.regions(workspace).iter().map(|region| region.region.as_str());
                    let (headline, regions) = (stack.headline(workspace), regions.collect::<Vec<_>>().join(", "));
                    screen::line(&format!("{mark} {name:width$}  {headline:10}  {regions}"));
                }
            }
            Action::Show => show(&project.configuration, project.workspace()?),
        }
        Ok(Exit::Done)
    }
}

fn show(configuration: &Configuration, workspace: &Declared) {
    let (stack, sensitive) = (configuration.stack, configuration.sensitive(&workspace.name));
    screen::line(&format!("{ADDRESS}{}{ADDRESS:#}", workspace.name));
    let field = |path: &str, value: &str| {
        let is_secret = sensitive.iter().any(|variable| variable.touches(path));
        screen::line(&format!("  {path:34} {}", if is_secret { value_view::SECRET } else { value }));
    };
    field("stack", &workspace.stack);
    field("environment", &workspace.environment);
    field("project", &workspace.project);
    field("suffix", &workspace.suffix.to_string());
    for region in &workspace.regions {
        let exists = stack.regions(workspace).contains(region);
        let unused = if exists { "" } else { ", not used" };
        field(region.region.as_str(), &format!("{}{unused}", region.cidr));
    }
    let yes = |on: bool| if on { "yes" } else { "no" };
    field("protect", yes(workspace.protect));
    field("final_snapshot", yes(workspace.final_snapshot));
    field("key_deletion_days", &workspace.key_deletion_days.to_string());
    let own = stack.describe(workspace);
    for (name, value) in own.as_object().into_iter().flatten() {
        members(name, value, &field);
    }
    members("remote_outputs", &json!(workspace.remote_outputs), &field);
    for (key, value) in workspace.tags.iter() {
        field(&format!("tags.{key}"), value);
    }
    if !workspace.ignored_tags.patterns().is_empty() {
        members("ignore_tags", &json!(workspace.ignored_tags.patterns()), &field);
    }
}

/// Shows a variable, or each member of a section.
fn members(path: &str, value: &Value, field: &dyn Fn(&str, &str)) {
    match value {
        Value::Null => {}
        Value::Object(section) => {
            section.iter().for_each(|(name, value)| field(&format!("{path}.{name}"), &value_view::flat(value)));
        }
        value => field(path, &value_view::flat(value)),
    }
}
