//! `payinfra history`: lists the runs, and shows what they declared and changed.

use std::num::NonZeroUsize;

use clap::{Args, Subcommand};
use payinfra_engine::plan::Summary;
use payinfra_engine::{Action as Step, Difference, Error, Plan, Result};
use serde_json::{Value, json};

use super::Execute;
use crate::context::{Context, Kept};
use crate::exit::{Exit, Outcome};
use crate::history::{self, Ending, Entry, Source};
use crate::plan_view::PlanView;
use crate::recovery;
use crate::run::flat;
use crate::screen::{self, ADDRESS, CREATE, DIM, ERROR, HEADING};
use crate::value_view::masked;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct History {
    #[command(flatten)]
    list: List,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Args)]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Limit the number of runs
    #[arg(long, value_name = "N", default_value = "20")]
    limit: NonZeroUsize,
}

#[derive(Subcommand)]
enum Action {
    /// List the runs, newest first; this is the default
    List(List),
    /// Show the plan of a run, its failures and its outputs
    Show {
        /// Serial of the run
        serial: u64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what one run declared differently from another one
    Diff {
        /// Serial of the earlier run
        from: u64,
        /// Serial of the later run
        to: u64,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Execute for History {
    const NAME: &'static str = "history";
    const ABOUT: &'static str = "Show earlier runs of apply, destroy and rollback, and what they declared";

    async fn execute(self, cx: &Context) -> Outcome {
        let kept = cx.kept().await?;
        match self.action.unwrap_or(Action::List(self.list)) {
            Action::List(options) => list(&kept, &options).await?,
            Action::Show { serial, json } => show(serial, &run(&kept, serial).await?, json, cx.verbose())?,
            Action::Diff { from, to, json } => diff(&kept, (from, to), json, cx.verbose()).await?,
        }
        Ok(Exit::Done)
    }
}

/// The run with this serial.
async fn run(kept: &Kept, serial: u64) -> Result<Entry> {
    history::read(&*kept.backing.store, serial).await?.ok_or_else(|| {
        Error::invalid(format!("run {serial} is not in the history of {}", kept.workspace))
            .hint("list the runs with `payinfra history`")
    })
}

async fn list(kept: &Kept, options: &List) -> Result<()> {
    let serials = recovery::serials(&kept.backing).await?;
    let runs = history::newest(&kept.backing.store, &serials, options.limit.get()).await?;
    if options.json {
        let rows = runs.iter().map(row).collect::<Result<_>>()?;
        screen::line(&pretty(&rows)?);
        return Ok(());
    }
    if runs.is_empty() {
        screen::line(&format!("No runs in the history of {}.", kept.workspace));
        return Ok(());
    }
    let head = ["serial", "ended", "command", "outcome", "changes", "commit", "declares", "by"].map(str::to_owned);
    let rows: Vec<_> = [head].into_iter().chain(runs.iter().map(columns)).collect();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
            format!("{cell:width$}")
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        screen::line(&if index == 0 { format!("{DIM}{line}{DIM:#}") } else { line.to_owned() });
    }
    for error in runs.iter().filter_map(|(_, entry)| entry.as_ref().err()) {
        screen::note(&error.to_string());
    }
    let hidden = serials.len().saturating_sub(runs.len());
    if hidden > 0 {
        screen::note(&format!("{hidden} earlier runs are not listed; see --limit."));
    }
    Ok(())
}

/// A run without its plan, or why it cannot be read.
fn row((serial, entry): &history::Run) -> Result<Value> {
    match entry {
        Ok(entry) => members(*serial, &Entry { plan: Value::Null, ..entry.clone() }, entry.plan().ok().as_ref()),
        Err(error) => Ok(json!({ "serial": serial, "error": error.to_string() })),
    }
}

/// The members of a run, with its serial and the numbers of steps, and without the state.
fn members(serial: u64, entry: &Entry, plan: Option<&Plan>) -> Result<Value> {
    let entry = Entry { state: None, ..entry.clone() };
    let mut value = serde_json::to_value(entry).map_err(|error| Error::failed(error.to_string()))?;
    value["serial"] = json!(serial);
    value["summary"] = json!(plan.map(Plan::summary));
    Ok(value)
}

/// The columns of a run; `?` for those that are not known.
fn columns((serial, entry): &history::Run) -> [String; 8] {
    let unknown = || "?".to_owned();
    let serial = serial.to_string();
    let Ok(entry) = entry else {
        return [serial, unknown(), unknown(), unknown(), unknown(), unknown(), unknown(), unknown()];
    };
    let changes = entry.plan().map_or_else(|_| unknown(), |plan| counts(plan.summary()));
    let Source { commit, headline } = &entry.source;
    let since = |known: Option<String>| match known {
        Some(known) if !known.is_empty() => known,
        _ if entry.format < history::FORMAT => unknown(),
        _ => "–".to_owned(),
    };
    let commit = since(commit.as_ref().map(ToString::to_string));
    let (ended, outcome) = (entry.ended.clone(), entry.outcome.word().to_owned());
    [serial, ended, entry.title(), outcome, changes, commit, since(Some(headline.clone())), entry.who.clone()]
}

/// The numbers of steps by symbol.
fn counts(summary: Summary) -> String {
    let Summary { create, update, replace, delete, forget, restore, moved } = summary;
    let parts =
        [("+", create), ("~", update), ("-/+", replace), ("-", delete), ("✗", forget), ("↺", restore), ("→", moved)];
    let parts: Vec<_> =
        parts.iter().filter(|(_, count)| *count > 0).map(|(symbol, count)| format!("{symbol}{count}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(" ") }
}

fn show(serial: u64, entry: &Entry, as_json: bool, whole: bool) -> Result<()> {
    let (plan, state) = (entry.plan(), entry.state());
    let outputs = state.as_ref().ok().and_then(Option::as_ref).map(flat).unwrap_or_default();
    if as_json {
        let mut value = members(serial, entry, plan.as_ref().ok())?;
        value["outputs"] = json!(outputs);
        screen::line(&pretty(&masked(&value))?);
        return Ok(());
    }
    let style = if entry.outcome == Ending::Complete { CREATE } else { ERROR };
    let (title, outcome) = (entry.title(), entry.outcome.word());
    screen::line(&format!("{HEADING}Run {serial}: {title}{HEADING:#}, {style}{outcome}{style:#}"));
    for (name, value) in facts(entry) {
        screen::line(&format!("  {name:9} {value}"));
    }
    screen::line("");
    match &plan {
        Ok(plan) => screen::print(&PlanView::new(whole).render(plan)),
        Err(error) => screen::line(&format!("{DIM}{error}{DIM:#}")),
    }
    for failed in &entry.failed {
        screen::line(&format!("\n{ERROR}failed{ERROR:#}: {ADDRESS}{}{ADDRESS:#}: {}", failed.address, failed.error));
    }
    if !entry.skipped.is_empty() {
        screen::line(&format!("\n{HEADING}Not started:{HEADING:#} {}", entry.skipped.join(", ")));
    }
    if !outputs.is_empty() {
        screen::line(&format!("\n{HEADING}Outputs:{HEADING:#}"));
        let width = outputs.keys().map(String::len).max().unwrap_or_default();
        for (name, value) in &outputs {
            screen::line(&format!("  {name:width$} = {value}"));
        }
    }
    Ok(())
}

/// What is known about a run besides its plan.
fn facts(entry: &Entry) -> Vec<(&'static str, String)> {
    let Entry { source: Source { commit, headline }, version, .. } = entry;
    let mut facts = vec![
        ("by", entry.who.clone()),
        ("begun", entry.begun.clone()),
        ("ended", entry.ended.clone()),
        (
            "commit",
            match commit {
                Some(commit) if commit.modified => format!("{}, with a modified configuration", commit.id),
                Some(commit) => commit.id.clone(),
                None if entry.format < history::FORMAT => "not recorded by this earlier version of payinfra".to_owned(),
                None => "none: the configuration was in no git repository".to_owned(),
            },
        ),
    ];
    facts.extend((!headline.is_empty()).then(|| ("declares", headline.clone())));
    facts.extend(version.as_ref().map(|version| ("payinfra", version.clone())));
    facts
}

async fn diff(kept: &Kept, (from, to): (u64, u64), as_json: bool, whole: bool) -> Result<()> {
    let plan = async |serial| run(kept, serial).await?.plan().map_err(|error| error.at(format!("run {serial}")));
    let (before, after) = (plan(from).await?, plan(to).await?);
    let difference = before.graph.difference(&after.graph);
    if as_json {
        let Difference { steps, outputs } = &difference;
        let value = json!({ "from": from, "to": to, "steps": steps, "outputs": outputs });
        screen::line(&pretty(&masked(&value))?);
        return Ok(());
    }
    let view = PlanView::new(whole);
    screen::print(&view.steps(&difference.steps));
    if !difference.outputs.is_empty() {
        screen::line(&format!("\n{HEADING}Outputs:{HEADING:#}"));
        screen::print(&view.changes(&difference.outputs));
    }
    if difference.steps.is_empty() && difference.outputs.is_empty() {
        screen::line(&format!("Runs {from} and {to} declare the same."));
        return Ok(());
    }
    let count = |action: Step| difference.steps.values().filter(|step| step.action == action).count();
    screen::line(&format!(
        "\n{HEADING}From run {from} to run {to}:{HEADING:#} {} added, {} changed, {} removed.",
        count(Step::Create),
        count(Step::Update),
        count(Step::Delete),
    ));
    Ok(())
}

fn pretty(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| Error::failed(error.to_string()))
}
