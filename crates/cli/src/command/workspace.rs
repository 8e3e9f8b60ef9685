//! `payinfra workspace`: shows the declared workspaces.

use clap::{Args, Subcommand};
use payinfra_stacks as stacks;
use serde_json::json;

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
                    let phase = workspace.phase.as_str();
                    screen::line(&format!("{mark} {name:width$}  {phase:10}  {}", regions(workspace)));
                }
            }
            Action::Show => show(&project.configuration.stack, project.workspace()?),
        }
        Ok(Exit::Done)
    }
}

fn regions(workspace: &stacks::Workspace) -> String {
    let names: Vec<_> = workspace.regions().iter().map(|region| region.region.as_str()).collect();
    names.join(", ")
}

fn show(stack: &str, workspace: &stacks::Workspace) {
    screen::line(&format!("{ADDRESS}{}{ADDRESS:#}", workspace.name));
    let field = |name: &str, value: &str| screen::line(&format!("  {name:34} {value}"));
    field("stack", stack);
    field("phase", workspace.phase.as_str());
    field("environment", &workspace.environment);
    field("project", &workspace.project);
    field("suffix", &workspace.suffix.to_string());
    field("cutover", &workspace.cutover.to_string());
    for region in &workspace.all_regions {
        let exists = workspace.regions().iter().any(|other| other.region == region.region);
        let not_yet = if exists { "" } else { ", not in this phase" };
        let value = format!("{}, {} % of the traffic{not_yet}", region.cidr, region.weight);
        field(region.region.as_str(), &value);
    }
    field("nat", if workspace.nat == stacks::config::Nat::Single { "single" } else { "per-zone" });
    let yes = |on: bool| if on { "yes" } else { "no" };
    field("protect", yes(workspace.protect));
    field("final_snapshot", yes(workspace.final_snapshot));
    field("flow_log_retention_days", &workspace.flow_log_retention_days.to_string());
    field("key_deletion_days", &workspace.key_deletion_days.to_string());
    for (section, variables) in [
        ("database", json!(workspace.database)),
        ("service", json!(workspace.service)),
        ("domain", json!(workspace.domain)),
        ("alarms", json!(workspace.alarms)),
        ("waf", json!(workspace.waf)),
        ("remote_outputs", json!(workspace.remote_outputs)),
    ] {
        for (name, value) in variables.as_object().into_iter().flatten() {
            let path = format!("{section}.{name}");
            let is_secret = workspace.sensitive.iter().any(|variable| variable.touches(&path));
            field(&path, &if is_secret { value_view::SECRET.to_owned() } else { value_view::flat(value) });
        }
    }
    if let Some(legacy) = &workspace.legacy_network {
        let cidrs: Vec<_> = legacy.cidrs.iter().map(ToString::to_string).collect();
        field("legacy_network", &cidrs.join(", "));
    }
    for (key, value) in workspace.tags.iter() {
        field(&format!("tags.{key}"), value);
    }
}
