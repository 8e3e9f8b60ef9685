//! `payinfra rollback`: returns to what an earlier run declared.

use std::path::{Path, PathBuf};

use clap::Args;
use payinfra_engine::plan::Options;
use payinfra_engine::{Class, Error, Plan, Result, State};
use payinfra_state::Backing;

use super::Execute;
use crate::commit::Commit;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::history::{self, Entry, Source};
use crate::losses::Losses;
use crate::lost::Missing;
use crate::operation;
use crate::recovery;
use crate::run::{Order, Width};
use crate::screen;

#[derive(Args)]
pub(super) struct Rollback {
    /// Serial of the run to return to; without it, the newest successful run that declared something else than the last one
    #[arg(long, value_name = "SERIAL")]
    to: Option<u64>,
    /// Show the plan without applying it
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    losses: Losses,
    #[command(flatten)]
    width: Width,
    /// Print events as JSON, one object per line; see `schema --events`
    #[arg(long)]
    json: bool,
    /// File to write the outputs to, as one JSON object of strings
    #[arg(long, value_name = "FILE", default_value = "cfn-outputs/flat-outputs.json")]
    outputs_file: PathBuf,
}

impl Execute for Rollback {
    const NAME: &'static str = "rollback";
    const ABOUT: &'static str = "Return to what an earlier successful run declared";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let declared = session.graph()?;
        let state = session.load(Missing::Refuse).await?.state;
        operation::refuse(&state)?;
        let lineage = state.lineage;
        let goal = Goal::find(&session.kept.backing, &lineage, self.to).await?;
        goal.is_known()?;
        let project = &session.kept.project;
        let commit = goal.source.commit.as_ref();
        let committed = commit.and_then(|commit| project.graph_in(commit, &session.kept.workspace, &session.account));
        let sources: Vec<_> = [Some(&declared), committed.as_ref()].into_iter().flatten().collect();
        let wanted = goal.plan.recalled(&goal.state, &sources);
        let is_declared = declared.clone().sealed(&lineage)? == goal.plan.graph;
        let order = Order {
            session: &session,
            command: Self::NAME,
            back: Some(goal.serial),
            wanted,
            source: goal.source.clone(),
            declared,
            options: Options { accepted: self.losses.accepted(), ..Options::default() },
            saved: None,
            missing: Missing::Refuse,
            yes: self.yes,
            json: self.json,
            verbose: cx.verbose(),
            width: self.width.parallelism,
            outputs_file: Some(&self.outputs_file),
            operation: None,
        };
        if self.plan {
            return order.preview().await;
        }
        let exit = order.carry_out().await?;
        if exit == Exit::Done && !is_declared {
            screen::note(&goal.ahead(project.file()));
        }
        Ok(exit)
    }
}

/// The run to return to.
struct Goal {
    serial: u64,
    version: Option<String>,
    source: Source,
    plan: Plan,
    state: State,
}

/// The maximum number of runs that are searched for those that can be restored, for a hint.
const SEARCHED: usize = 50;

impl Goal {
    /// The run `to`, or the newest one that can be restored and declared something else than the newest run.
    async fn find(backing: &Backing, lineage: &str, to: Option<u64>) -> Result<Self> {
        let serials = recovery::serials(backing).await?;
        let found = match to {
            Some(serial) => match history::read(&*backing.store, serial).await {
                Ok(Some(entry)) => Self::of(serial, &entry, lineage)
                    .map_err(|why| Error::invalid(format!("cannot return to run {serial}: {}", why.message()))),
                Ok(None) => Err(Error::invalid(format!("cannot return to run {serial}: it is not in the history"))),
                Err(error) => return Err(error),
            },
            None => Self::previous(backing, lineage, &serials).await?.ok_or_else(|| {
                Error::invalid("there is nothing to return to: no earlier successful run declared anything else")
            }),
        };
        let Err(error) = found else { return found };
        let runs = history::newest(&backing.store, &serials, SEARCHED).await?;
        let restorable =
            runs.iter().filter(|(_, entry)| entry.as_ref().is_ok_and(|entry| entry.restorable(lineage).is_ok()));
        let restorable: Vec<_> = restorable.map(|(serial, _)| serial.to_string()).collect();
        Err(error.hint(match &restorable[..] {
            [] => "no run can be returned to; list the runs with `payinfra history`".to_owned(),
            serials => format!("runs that can be returned to: {}; `payinfra history` lists all", serials.join(", ")),
        }))
    }

    fn of(serial: u64, entry: &Entry, lineage: &str) -> Result<Self> {
        let (plan, state) = entry.restorable(lineage)?;
        Ok(Self { serial, version: entry.version.clone(), source: entry.source.clone(), plan, state })
    }

    /// The newest run that can be restored and declared something else than the newest run of the deployment, whose
    /// failure may be the reason to go back.
    async fn previous(backing: &Backing, lineage: &str, serials: &[u64]) -> Result<Option<Self>> {
        let mut newest = None;
        for serial in serials.iter().rev().copied() {
            let entry = match history::read(&*backing.store, serial).await {
                Ok(Some(entry)) => entry,
                Ok(None) => continue,
                Err(error) if error.is(Class::Invalid) => continue,
                Err(error) => return Err(error),
            };
            let Ok(plan) = entry.plan() else { continue };
            if plan.lineage != lineage {
                continue;
            }
            let newest = newest.get_or_insert_with(|| plan.graph.clone());
            if *newest != plan.graph
                && let Ok(goal) = Self::of(serial, &entry, lineage)
            {
                return Ok(Some(goal));
            }
        }
        Ok(None)
    }

    /// Checks that this version of payinfra has all kinds that the run declared.
    fn is_known(&self) -> Result<()> {
        let catalog = payinfra_aws::catalog();
        let unknown = self.plan.graph.nodes().keys().find(|address| catalog.kind(&address.kind).is_err());
        let Some(address) = unknown else { return Ok(()) };
        let message = format!(
            "run {} declared {address}, but this version of payinfra has no kind `{}`",
            self.serial, address.kind
        );
        let version =
            self.version.as_ref().map_or_else(|| "an earlier version".to_owned(), |it| format!("version {it}"));
        Err(Error::invalid(message).hint(format!("use {version} of payinfra, which made that run")))
    }

    /// What to tell about a configuration that still declares something else.
    fn ahead(&self, file: &Path) -> String {
        let (serial, file) = (self.serial, file.display());
        let how = match &self.source.commit {
            Some(Commit { id, modified: false }) => {
                format!("`git checkout {id} -- {file}` restores that of run {serial}")
            }
            Some(Commit { id, modified: true }) => {
                format!("run {serial} had a modified configuration of commit {id}")
            }
            None => "`payinfra plan` shows the difference".to_owned(),
        };
        format!(
            "\nThe configuration still declares something else: the next `payinfra apply` would undo this rollback. Change \
             {file} to keep it; {how}."
        )
    }
}
