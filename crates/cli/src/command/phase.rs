//! `payinfra phase`: shows where a workspace stands in its migration, and moves it to another phase.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use payinfra_engine::plan::Options;
use payinfra_engine::{Error, Result, State};
use serde_json::json;
use toml_edit::{DocumentMut, Item};

use super::{Execute, failover, plan};
use crate::context::{Context, Project, Session};
use crate::disk::{self, Readers};
use crate::exit::{Exit, Outcome};
use crate::gate::{self, GateOptions, Gates, Verdict, duration};
use crate::losses::{self, Losses};
use crate::lost::Missing;
use crate::operation;
use crate::run::{Order, Width};
use crate::screen::{self, CREATE, DIM};

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct Phase {
    /// Phase to move the workspace to; without it, the command shows where the workspace stands
    #[arg(long, value_name = "PHASE")]
    to: Option<String>,
    /// Show the plan of the move, and change nothing
    #[arg(long, requires = "to")]
    plan: bool,
    /// Do not write the phase into the configuration after the move
    #[arg(long, requires = "to")]
    no_write: bool,
    #[command(flatten)]
    gates: GateOptions,
    /// After the move, check the gates for this long, such as `10m`
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    bake: Duration,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    losses: Losses,
    #[command(flatten)]
    width: Width,
    /// Print the phase as JSON; with --to, print events as JSON, one object per line; see `schema --events`
    #[arg(long)]
    json: bool,
    /// File to write the outputs to, as one JSON object of strings
    #[arg(long, value_name = "FILE", default_value = "cfn-outputs/flat-outputs.json")]
    outputs_file: PathBuf,
}

impl Execute for Phase {
    const NAME: &'static str = "phase";
    const ABOUT: &'static str = "Show the phase of the workspace, or move it to another one";

    fn emits(&self) -> bool {
        self.json && self.to.is_some()
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let project = cx.project()?;
        let stack = project.configuration.stack;
        if stack.phases().is_empty() {
            let message = format!("the stack `{}` has no phases", stack.name());
            return Err(Error::invalid(message).hint("use `payinfra plan` and `payinfra apply`").into());
        }
        match &self.to {
            None => self.show(cx, &project).await,
            Some(to) => Box::pin(self.travel(cx, &project, to)).await,
        }
    }
}

impl Phase {
    /// Shows the phases, the declared one, and the one of the last complete apply.
    async fn show(&self, cx: &Context, project: &Project) -> Outcome {
        let workspace = project.workspace()?;
        let (stack, name) = (project.configuration.stack, &workspace.name);
        let declared = stack.phase(workspace).unwrap_or_default();
        let kept = cx.kept().await?;
        let state = kept.load().await?.state;
        let deployed = deployed(&state);
        if self.json {
            let shown = json!({
                "workspace": name,
                "phases": stack.phases(),
                "configuration": declared,
                "deployed": deployed,
            });
            screen::line(&shown.to_string());
            return Ok(Exit::Done);
        }
        screen::line(&format!("Workspace {name}:"));
        for phase in stack.phases() {
            let notes = [(deployed == Some(*phase), "deployed"), (declared == *phase, "in the configuration")];
            let notes: Vec<_> = notes.iter().filter(|(applies, _)| *applies).map(|(_, note)| *note).collect();
            let (mark, style) = if deployed == Some(*phase) { ("●", CREATE) } else { ("○", DIM) };
            let notes = if notes.is_empty() { String::new() } else { format!(" {DIM}({}){DIM:#}", notes.join(", ")) };
            screen::line(&format!("  {style}{mark}{style:#} {phase}{notes}"));
        }
        screen::line("");
        match deployed {
            None => screen::line("Nothing is deployed. Run `payinfra apply` first."),
            Some(deployed) if deployed == declared => {
                screen::line("Move it with `payinfra phase --to PHASE`; add --plan to see the plan of the move.");
            }
            Some(deployed) => screen::line(&format!(
                "`payinfra apply` would move it to {declared}. To stay, set `phase = \"{deployed}\"` for the workspace."
            )),
        }
        Ok(Exit::Done)
    }

    /// Moves the workspace: plans with the new phase, applies, and then writes the phase into the configuration.
    async fn travel(&self, cx: &Context, project: &Project, to: &str) -> Outcome {
        let (stack, workspace) = (project.configuration.stack, project.workspace()?.name.clone());
        if !stack.phases().contains(&to) {
            let message = format!("the stack `{}` has no phase `{to}`", stack.name());
            return Err(Error::invalid(message).hint(format!("phases: {}", stack.phases().join(", "))).into());
        }
        let file = project.file();
        if !self.no_write && !self.plan {
            writable(file)?;
        }
        let session =
            cx.session_with(|text| with_phase(&text, &workspace, to).map_err(|why| unchanged(file, &why))).await?;
        let declared = session.graph()?;
        let loaded = session.load(Missing::Create).await?;
        if loaded.version.is_none() && !loaded.rescued {
            let message = format!("nothing is deployed in workspace `{workspace}`");
            return Err(Error::invalid(message).hint("run `payinfra apply` first").into());
        }
        operation::refuse(&loaded.state)?;
        let options = Options { accepted: self.losses.accepted(), ..Options::default() };
        if self.plan {
            let planned = plan::planned(&session, declared, &loaded.state, &options).await?;
            return plan::show(&session, &planned, &loaded.state, self.json, cx.verbose()).await;
        }
        let closed = failing(&self.gates(&session, &loaded.state)?.evaluate().await?);
        if !closed.is_empty() {
            let message = format!("nothing was changed, because gates do not hold:\n{}", closed.join("\n"));
            return Err(Error::invalid(message)
                .hint("fix the cause, or pass --ignore-alarm NAME or other gates")
                .into());
        }
        if failover::leaves(&session, &declared).await? {
            // What would refuse the move afterwards refuses it now.
            let planned = plan::planned(&session, declared.clone(), &loaded.state, &options).await?;
            plan::check(&session, &planned, &loaded.state).await?;
            if self.yes {
                losses::agreed(planned.losses(), &options.accepted)?;
            }
            let moved = failover::home(cx, &session, &declared, self.yes, self.json).await?;
            if moved != Exit::Done {
                return Ok(moved);
            }
        }
        let order = Order {
            session: &session,
            back: None,
            command: Self::NAME,
            source: session.source(),
            wanted: declared.clone(),
            declared,
            options,
            saved: None,
            missing: Missing::Create,
            yes: self.yes,
            json: self.json,
            verbose: cx.verbose(),
            width: self.width.parallelism,
            outputs_file: Some(&self.outputs_file),
            operation: None,
        };
        let exit = order.carry_out().await?;
        if exit != Exit::Done {
            let before = deployed(&loaded.state).unwrap_or_default();
            screen::note(&format!(
                "The move to {to} is incomplete. Run `payinfra phase --to {to}` again to complete it, or `payinfra phase --to \
                 {before}` to go back."
            ));
            return Ok(exit);
        }
        self.write(file, &workspace, to)?;
        let state = session.load(Missing::Create).await?.state;
        let gates = self.gates(&session, &state)?;
        let closed = failing(&gates.watch(self.bake, self.gates.samples(), |_| ()).await);
        if closed.is_empty() {
            return Ok(exit);
        }
        let before = deployed(&loaded.state).unwrap_or_default();
        let message = format!("the move to {to} is complete, but gates do not hold:\n{}", closed.join("\n"));
        Err(Error::failed(message).hint(format!("`payinfra phase --to {before}` goes back")).into())
    }

    /// The gates that were given, or else the workspace's alarms.
    fn gates(&self, session: &Session, state: &State) -> Result<Gates> {
        let gates = self.gates.watched(state, || gate::alarms(state))?;
        Ok(Gates::new(&session.access, gates, self.gates.timeout()))
    }

    /// Writes the phase into the configuration.
    fn write(&self, file: &Path, workspace: &str, to: &str) -> Result<()> {
        if self.no_write {
            screen::note(&format!(
                "Set `phase = \"{to}\"` for workspace {workspace} in {}, so that the next apply keeps it.",
                file.display()
            ));
            return Ok(());
        }
        // Read again: somebody may have edited the file during the move.
        let text = fs::read_to_string(file).map_err(|error| unchanged(file, &error.to_string()))?;
        let edited = with_phase(&text, workspace, to).map_err(|why| unchanged(file, &why))?;
        if edited != text {
            // If the file is a symbolic link, write to its target so that the link survives.
            let target = fs::canonicalize(file).map_err(|error| unchanged(file, &error.to_string()))?;
            disk::write(&target, edited.as_bytes(), Readers::All).map_err(|error| unchanged(file, error.message()))?;
            screen::note(&format!("{} now has `phase = \"{to}\"` for workspace {workspace}.", file.display()));
        }
        Ok(())
    }
}

/// The gates that do not hold, with reasons.
fn failing(verdicts: &[Verdict]) -> Vec<String> {
    let failing = verdicts.iter().filter(|verdict| !verdict.holds);
    failing.map(|verdict| format!("{}: {}", verdict.gate, verdict.reason)).collect()
}

/// The phase of the last complete apply: the stack's output `phase`.
fn deployed(state: &State) -> Option<&str> {
    state.outputs.get("phase").and_then(serde_json::Value::as_str)
}

/// Fails if `file` cannot be replaced, before the move starts.
fn writable(file: &Path) -> Result<()> {
    let opened = OpenOptions::new().append(true).open(file);
    opened.map(drop).map_err(|error| {
        Error::invalid(format!("{} cannot be written: {error}", file.display()))
            .hint("make it writable, or pass --no-write and set the phase yourself after the move")
    })
}

/// The error that the phase cannot be written into the configuration.
fn unchanged(file: &Path, why: &str) -> Error {
    Error::failed(format!("the phase cannot be written into {}: {why}", file.display()))
        .hint("set `phase` for the workspace yourself, so that the next apply keeps the phase")
}

/// `text` with another phase for `workspace`; comments and layout stay.
pub(super) fn with_phase(text: &str, workspace: &str, phase: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let table = document.get_mut("workspaces").and_then(|all| all.get_mut(workspace)).and_then(Item::as_table_like_mut);
    let table = table.ok_or_else(|| format!("`workspaces.{workspace}` is not a table"))?;
    match table.get_mut("phase").and_then(Item::as_value_mut) {
        Some(value) => {
            let decor = value.decor().clone();
            *value = phase.into();
            *value.decor_mut() = decor;
        }
        None => drop(table.insert("phase", toml_edit::value(phase))),
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_is_written_and_all_else_stays() -> Result<(), String> {
        let with = |text| with_phase(text, "live", "migration");
        assert_eq!(
            with("# top\n[workspaces.live] # here\nphase = \"legacy\"   # first\nsuffix = \"a\"\n")?,
            "# top\n[workspaces.live] # here\nphase = \"migration\"   # first\nsuffix = \"a\"\n"
        );
        assert_eq!(
            with("[workspaces.live]\nsuffix = \"a\"\n\n[workspaces.live.tags]\nA = \"b\"\n")?,
            "[workspaces.live]\nsuffix = \"a\"\nphase = \"migration\"\n\n[workspaces.live.tags]\nA = \"b\"\n"
        );
        assert_eq!(
            with("workspaces = { live = { phase = 'legacy', n = 1 } }\n")?,
            "workspaces = { live = { phase = \"migration\", n = 1 } }\n"
        );
        assert!(with("[workspaces.other]\n").is_err() && with("workspaces = 1").is_err() && with("[").is_err());
        Ok(())
    }
}
