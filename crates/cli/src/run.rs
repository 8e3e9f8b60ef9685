//! The procedure of apply, destroy and rollback: plan, confirm, lock, plan again if the state changed, apply, save, report.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use payinfra_engine::plan::{Accepted, Options, plan};
use payinfra_engine::{
    Action, Address, Class, Declared, Error, Graph, Journal, Lease, Observer, Plan, Report, Result, Run, State, apply,
    counted, longest, publish,
};
use tokio::sync::watch;

use crate::context::{Loaded, Session};
use crate::disk::{self, Readers};
use crate::events::{Emitter, Ended, Message};
use crate::exit::{Exit, Outcome};
use crate::failure::block;
use crate::history::{self, Ending, Entry, Failed, Source};
use crate::lost::Missing;
use crate::operation::{self, Claim};
use crate::plan_view::PlanView;
use crate::progress::{Lines, Live, seconds};
use crate::rescue::Rescue;
use crate::screen::{self, CREATE, DIM, ERROR, HEADING};
use crate::{account, cost, functions, lock, losses, quotas, value_view};

/// The option `--parallelism`.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Width {
    /// Limit the calls in flight that change resources, for each rate limit of AWS; by default what the limit allows, and
    /// at least 10
    #[arg(long, value_name = "N", env = "PAYINFRA_PARALLELISM")]
    pub(crate) parallelism: Option<NonZeroUsize>,
}

/// A request to apply, destroy or roll back.
pub(crate) struct Order<'a> {
    /// The workspace, signed in.
    pub(crate) session: &'a Session,
    /// The name of the command, for the lock record and the history.
    pub(crate) command: &'static str,
    /// The serial of the run to return to.
    pub(crate) back: Option<u64>,
    /// The desired state.
    pub(crate) wanted: Graph,
    /// Where it is declared.
    pub(crate) source: Source,
    /// The declared graph, which says what is protected.
    pub(crate) declared: Graph,
    /// Targets and accepted losses.
    pub(crate) options: Options,
    /// A saved plan. It is planned again and compared before it is applied.
    pub(crate) saved: Option<Plan>,
    /// What to do if there is no state.
    pub(crate) missing: Missing,
    /// Whether to skip the confirmation prompt.
    pub(crate) yes: bool,
    /// Whether to print events.
    pub(crate) json: bool,
    /// Whether to show all fields of plans.
    pub(crate) verbose: bool,
    /// The limit for calls in flight, if not that of their rate limits.
    pub(crate) width: Option<NonZeroUsize>,
    /// The file to write the outputs to.
    pub(crate) outputs_file: Option<&'a Path>,
    /// The operation that the run is a step of. Its plan has been shown and confirmed with the operation.
    pub(crate) operation: Option<&'a Claim>,
}

/// Where the state at the start of the run came from.
struct Origin {
    /// The stored version.
    version: Option<String>,
    /// Whether a rescue file exists whose contents are in the state.
    from_file: bool,
    /// Whether AWS may hold changes that the state does not record.
    uncertain: bool,
}

impl<'a> Order<'a> {
    /// A run of `graph` that is a step of the operation of `claim`, with which its plan has been shown and confirmed.
    pub(crate) fn step(
        session: &'a Session,
        command: &'static str,
        graph: &Graph,
        options: Options,
        claim: &'a Claim,
        json: bool,
        verbose: bool,
    ) -> Self {
        Self {
            session,
            command,
            back: None,
            wanted: graph.clone(),
            source: session.source(),
            declared: graph.clone(),
            options,
            saved: None,
            missing: Missing::Refuse,
            yes: true,
            json,
            verbose,
            width: None,
            outputs_file: None,
            operation: Some(claim),
        }
    }
}

impl Order<'_> {
    /// Runs it.
    pub(crate) async fn carry_out(mut self) -> Outcome {
        self.session.may_change(self.yes).await?;
        let mut loaded = self.session.load(self.missing).await?;
        match self.operation {
            Some(claim) => claim.check(&loaded.state)?,
            None => operation::notes(&loaded.state).iter().for_each(|note| screen::note(note)),
        }
        let saved = self.saved.take();
        let is_saved = saved.is_some();
        let mut planned = match saved {
            Some(saved) => {
                fitting(&saved, &mut loaded)?;
                self.derived(&saved, &loaded.state).await?
            }
            None => self.plan(&loaded.state).await?,
        };
        if is_idle(&planned, &loaded) {
            if loaded.spent {
                self.session.kept.drop_rescue();
            }
            self.publish(&planned).await;
            return self.nothing(&planned, &loaded.state);
        }
        self.show(&planned, &loaded.state)?;
        self.check(&planned, &loaded.state).await?;
        self.confirm(&planned, "Apply this plan").await?;
        let (cancel, cancelled) = watch::channel(false);
        let signals = tokio::spawn(interrupts(cancel));
        let backing = &self.session.kept.backing;
        let lease = lock::acquire(backing, self.command, loaded.state.epoch).await?;
        let begun = Instant::now();
        let outcome = async {
            let again = self.session.kept.load().await?;
            // If the state was deleted since it was loaded, this is not a first apply.
            let vanished = again.version.is_none() && loaded.version.is_some();
            if vanished && !again.rescued {
                return Err(Error::new(Class::Stale, "the state was deleted in the meantime; nothing was changed")
                    .hint("run the command again to see how to recover the state"));
            }
            if (&again.version, again.state.revision) != (&loaded.version, loaded.state.revision) {
                loaded = again;
                if let Some(claim) = self.operation {
                    claim.check(&loaded.state)?;
                }
                if is_saved {
                    // Refuse the saved plan if the change of the state affects it.
                    planned.fits(&loaded.state)?;
                }
                planned = self.plan(&loaded.state).await?;
                if is_idle(&planned, &loaded) {
                    return Ok(None);
                }
                if self.operation.is_none() {
                    screen::note("The state has changed in the meantime. Updated plan:");
                }
                self.show(&planned, &loaded.state)?;
                self.check(&planned, &loaded.state).await?;
                let mut stopped = cancelled.clone();
                tokio::select! {
                    answer = self.confirm(&planned, "Apply the updated plan") => answer?,
                    _ = stopped.wait_for(|stopped| *stopped) => return Err(stopped_error()),
                }
            }
            if *cancelled.borrow() {
                return Err(stopped_error());
            }
            let state = std::mem::replace(&mut loaded.state, State::new("", "", ""));
            let version = loaded.version.take();
            let stored = Origin { version, from_file: loaded.rescued || loaded.spent, uncertain: loaded.uncertain };
            let (report, state) = self.act(&planned, state, stored, &*lease, cancelled.clone()).await?;
            // This needs the lease: without it, the guard rejects the request.
            if report.is_complete() {
                self.publish(&planned).await;
            }
            Ok(Some((report, state)))
        }
        .await;
        lock::release(lease).await;
        signals.abort();
        match outcome? {
            None => {
                self.publish(&planned).await;
                self.nothing(&planned, &loaded.state)
            }
            Some((report, state)) => self.tell(&report, &state, begun.elapsed().as_secs_f64()),
        }
    }

    /// Shows and checks the plan. Takes no lock, and changes nothing.
    pub(crate) async fn preview(&self) -> Outcome {
        let loaded = self.session.load(self.missing).await?;
        let planned = self.plan(&loaded.state).await?;
        if is_idle(&planned, &loaded) {
            self.no_changes(&planned);
        } else {
            self.show(&planned, &loaded.state)?;
            self.check(&planned, &loaded.state).await?;
        }
        Ok(Exit::Done)
    }

    /// Checks that the plan deletes nothing that is protected, that it can be applied, and that the account has room for it.
    async fn check(&self, planned: &Plan, state: &State) -> Result<()> {
        planned.respects_protection(state, &self.declared)?;
        self.can_be_applied(planned)?;
        quotas::check(&self.session.access, planned).await
    }

    fn can_be_applied(&self, planned: &Plan) -> Result<()> {
        let Some(serial) = self.back else { return planned.can_be_applied() };
        let commit = self.source.commit.as_ref().map_or_else(String::new, |commit| format!(" (commit {commit})"));
        let restore = format!("restore the configuration of run {serial}{commit}");
        planned.can_be_applied().map_err(|error| {
            error.hint(if planned.refused().is_empty() {
                format!("declare these values in the current configuration, or {restore} and run `payinfra apply`")
            } else {
                format!("{restore}, declare the current value there, and run `payinfra apply`")
            })
        })
    }

    /// Plans again for `saved`, from the configuration, the state and the current resources.
    async fn derived(&mut self, saved: &Plan, state: &State) -> Result<Plan> {
        if !saved.left_out.is_empty() {
            let targets = saved.steps.keys().filter(|address| !saved.left_out.contains(*address));
            self.options.targets = targets.cloned().collect();
        }
        let accepted = saved.losses().into_keys().cloned().collect();
        let options = Options { accepted: Accepted::These(accepted), ..self.options.clone() };
        let derived = plan(&self.session.cloud, self.wanted(state)?, state, &options).await?;
        saved.agrees(&derived)?;
        Ok(derived)
    }

    async fn plan(&self, state: &State) -> Result<Plan> {
        plan(&self.session.cloud, self.wanted(state)?, state, &self.options).await
    }

    /// The desired state. The steps of an operation are complete; what runs in the meantime keeps what it has reached.
    fn wanted(&self, state: &State) -> Result<Graph> {
        let wanted = self.wanted.clone();
        if self.operation.is_some() { Ok(wanted) } else { functions::with_deployment(wanted, state) }
    }

    /// Publishes the metrics of the graph. A failure is reported, but does not fail the apply.
    async fn publish(&self, planned: &Plan) {
        if !planned.left_out.is_empty() {
            return;
        }
        for (metric, error) in publish(&*self.session.cloud, &planned.graph).await {
            let (name, region) = (&metric.name, &metric.region);
            screen::note(&format!("The metric {name} could not be published in {region}: {error}"));
        }
    }

    /// Applies `planned` under the lock, and saves the run in the history.
    async fn act(
        &self,
        planned: &Plan,
        state: State,
        Origin { version, from_file, uncertain }: Origin,
        lease: &dyn Lease,
        cancel: watch::Receiver<bool>,
    ) -> Result<(Report, State)> {
        let store = &self.session.kept.backing.store;
        let begun = lock::now();
        let (journal, writer) = Journal::open(state, Arc::clone(store), version, lease.guard());
        let writer = tokio::spawn(writer);
        let live = (!self.json && !self.verbose && screen::is_watched()).then(|| Live::new(planned));
        let lines = Lines::default();
        let observer: &dyn Observer = match (&live, self.json) {
            (_, true) => &Emitter,
            (Some(live), _) => live,
            (None, _) => &lines,
        };
        let cloud = Arc::clone(&self.session.cloud);
        let outcome =
            apply(planned, &Run { cloud, journal: &journal, lease, observer, cancel, uncertain, width: self.width })
                .await;
        if let Some(live) = &live {
            live.clear();
        }
        let destroyed = planned.graph.nodes().is_empty() && matches!(&outcome, Ok(report) if report.is_complete());
        if destroyed && journal.look(|state| !state.operations.is_empty()) {
            // Nothing is left that an operation could continue with. If this cannot be written, the writer fails below.
            let _ = journal.commit(|draft| draft.operations().clear()).await;
        }
        journal.close();
        let written = writer.await.map_err(|error| Error::failed(format!("the state could not be written: {error}")));
        let state = journal.look(State::clone);
        let rescue = self.session.kept.rescue();
        if !matches!(&written, Ok(Ok(()))) {
            keep(&rescue, &state);
        }
        let report = outcome?;
        written??;
        if from_file {
            self.session.kept.drop_rescue();
        }
        let kept = async {
            let entry = self.entry(planned, &state, &report, begun)?;
            let bytes = serde_json::to_vec_pretty(&entry).map_err(|error| Error::failed(error.to_string()))?;
            lease.check()?;
            store.keep(&format!("{}.json", state.serial), &bytes).await
        };
        if let Err(error) = kept.await {
            screen::note(&format!("This run could not be saved in the history: {error}"));
        }
        Ok((report, state))
    }

    /// The history entry of the run.
    fn entry(&self, planned: &Plan, state: &State, report: &Report, begun: String) -> Result<Entry> {
        let json = |error: serde_json::Error| Error::failed(error.to_string());
        let failed =
            |(address, error): &(Address, Error)| Failed { address: address.to_string(), error: error.to_string() };
        let mut plan = planned.sealed()?;
        // What commands set is not part of the declaration, to which a rollback returns.
        plan.graph = plan.graph.as_declared();
        Ok(Entry {
            format: history::FORMAT,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            command: self.command.to_owned(),
            to: self.back,
            who: lock::who(),
            begun,
            ended: lock::now(),
            source: self.source.clone(),
            outcome: Ending::of(report),
            failed: report.failed.iter().map(failed).collect(),
            skipped: report.skipped.iter().map(|(address, _)| address.to_string()).collect(),
            plan: serde_json::to_value(&plan).map_err(json)?,
            state: Some(serde_json::to_value(state).map_err(json)?),
        })
    }

    fn show(&self, planned: &Plan, state: &State) -> Result<()> {
        if self.json {
            Emitter.plan(planned, longest(&self.session.cloud, planned, state)?);
        } else if self.operation.is_some() {
            return Ok(());
        } else {
            let losses = if self.back.is_some() { losses::FINAL } else { losses::DESTROYS };
            screen::print(&PlanView { losses, ..PlanView::new(self.verbose) }.render(planned));
            cost::tell(planned, state);
        }
        self.warn();
        Ok(())
    }

    fn warn(&self) {
        if !self.wanted.nodes().is_empty() {
            self.session.warn();
        }
    }

    async fn confirm(&self, planned: &Plan, question: &str) -> Result<()> {
        if self.yes {
            return losses::agreed(planned.losses(), &self.options.accepted);
        }
        if self.json || !screen::can_ask() {
            // Only what the configuration declares can be saved as a plan.
            let hint = if self.outputs_file.is_some() && self.back.is_none() {
                "pass --yes, or save the plan with `payinfra plan --out FILE` and apply that file"
            } else {
                "review the plan, then pass --yes"
            };
            return Err(Error::invalid("nothing was changed: confirming the plan needs a terminal").hint(hint));
        }
        let workspace = &self.session.kept.workspace;
        let target = account::target(self.session, &planned.graph.stack).await;
        let confirmed = if planned.graph.nodes().is_empty() {
            let all = counted(planned.summary().delete, "resource", "resources");
            screen::ask_for(&format!("Destroy {all} of {target}? Confirm with the name of the workspace."), workspace)
                .await
        } else {
            let question = format!("{question} to {target}?");
            losses::confirmed(&question, planned.losses(), &self.options.accepted, workspace).await
        };
        if confirmed {
            return Ok(());
        }
        Err(Error::new(Class::Cancelled, "nothing was changed: the plan was not confirmed"))
    }

    /// Reports that there are no changes. Only the file for the outputs is written.
    fn nothing(&self, planned: &Plan, state: &State) -> Outcome {
        if self.operation.is_some() {
            return Ok(Exit::Done);
        }
        if self.json {
            self.no_changes(planned);
            self.outputs(state)?;
        } else {
            let written = self.outputs(state);
            self.no_changes(planned);
            written?;
        }
        Ok(Exit::Done)
    }

    fn no_changes(&self, planned: &Plan) {
        if self.json {
            Emitter.plan(planned, Duration::ZERO);
        } else if self.wanted.nodes().is_empty() {
            screen::line("Nothing to destroy.");
        } else {
            let declared = self.back.map_or_else(|| "the configuration".to_owned(), |serial| format!("run {serial}"));
            screen::line(&format!("{CREATE}No changes.{CREATE:#} Infrastructure matches {declared}."));
            screen::print(&PlanView::new(self.verbose).operational(planned));
        }
        self.warn();
    }

    fn tell(&self, report: &Report, state: &State, took: f64) -> Outcome {
        // For people, the result is last; programs get the outputs after it.
        let written = if self.json || !report.is_complete() { Ok(()) } else { self.outputs(state) };
        if self.json {
            for (address, error) in &report.failed {
                Emitter.error(Some(address), error);
            }
            Emitter.emit(Message::Summary(Ended {
                complete: report.is_complete(),
                cancelled: report.cancelled,
                done: report.done.len(),
                failed: report.failed.len(),
                skipped: report.skipped.iter().map(|(address, _)| address.to_string()).collect(),
                seconds: took,
            }));
        } else {
            self.tell_people(report, took);
        }
        if !report.is_complete() {
            return Ok(Exit::Failed);
        }
        if self.json {
            self.outputs(state)?;
        }
        written?;
        Ok(Exit::Done)
    }

    fn tell_people(&self, report: &Report, took: f64) {
        let count = |actions: &[Action]| report.done.iter().filter(|(_, action)| actions.contains(action)).count();
        let replaced: std::collections::BTreeSet<_> = report
            .done
            .iter()
            .filter(|(_, action)| matches!(action, Action::Replace | Action::ReplaceCreateFirst))
            .map(|(address, _)| address)
            .collect();
        let (word, style) = match (report.is_complete(), report.cancelled) {
            (true, _) => ("Done", CREATE),
            (false, true) => ("Stopped", ERROR),
            (false, false) => ("Failed", ERROR),
        };
        screen::line("");
        screen::line(&format!(
            "{style}{word}{style:#} in {}: {} created, {} updated, {} replaced, {} deleted.",
            seconds(took),
            count(&[Action::Create]),
            count(&[Action::Update]),
            replaced.len(),
            count(&[Action::Delete]),
        ));
        for (address, error) in &report.failed {
            screen::fail(&format!("\n{}", block(Some(address), error)));
        }
        if !report.skipped.is_empty() {
            screen::note(&format!("\n{HEADING}Not started:{HEADING:#}"));
        }
        for (address, because) in &report.skipped {
            let why = match because {
                Some(because) => format!("{because} failed"),
                None => "interrupted".to_owned(),
            };
            screen::note(&format!("  {address} {DIM}{why}{DIM:#}"));
        }
        if !report.is_complete() {
            let next = match (self.operation.as_ref(), self.back) {
                (Some(_), _) => operation::ways(self.command),
                (None, Some(serial)) => format!("Run `payinfra {} --to {serial}` again to continue", self.command),
                (None, None) => format!("Run `payinfra {}` again to continue", self.command),
            };
            screen::note(&format!("\nCompleted changes are recorded in the state. {next}."));
        }
    }

    /// Writes the outputs to the file for other programs, and tells where they are; in full with `--verbose`.
    fn outputs(&self, state: &State) -> Result<()> {
        let Some(file) = self.outputs_file else { return Ok(()) };
        let flat = flat(state);
        if self.json {
            Emitter.emit(Message::Outputs { outputs: flat.clone() });
        } else if !self.verbose && !flat.is_empty() {
            let count = counted(flat.len(), "output is", "outputs are");
            screen::tell(&format!("\n{DIM}{count} in {}; see `payinfra output`.{DIM:#}", file.display()));
        } else if !flat.is_empty() {
            screen::line(&format!("\n{HEADING}Outputs:{HEADING:#}"));
            let width = flat.keys().map(String::len).max().unwrap_or_default();
            for (name, value) in &flat {
                screen::line(&format!("  {name:width$} = {value}"));
            }
        }
        let bytes = serde_json::to_vec_pretty(&flat).map_err(|error| Error::failed(error.to_string()))?;
        disk::write(file, &[&bytes, &b"\n"[..]].concat(), Readers::All)
            .map_err(|error| error.at("the run is complete and its outputs are in the state, but not in the file"))
    }
}

/// The outputs as strings by name.
pub(crate) fn flat(state: &State) -> std::collections::BTreeMap<String, String> {
    let shown = |value| value_view::flat(&value_view::masked(value));
    state.outputs.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

/// Whether there is nothing to do: no steps, all outputs and protection settings are recorded as declared, and a destroy
/// leaves no operation behind.
fn is_idle(plan: &Plan, loaded: &Loaded) -> bool {
    let state = &loaded.state;
    let protected = |(address, node): (&Address, &Declared)| {
        state.resources.get(address).is_none_or(|record| record.reflects(node))
    };
    let recorded = || plan.outputs(state) == state.outputs && plan.graph.nodes().iter().all(protected);
    let settled = state.operations.is_empty() || !plan.graph.nodes().is_empty();
    plan.is_empty() && settled && !loaded.rescued && !loaded.uncertain && (!plan.left_out.is_empty() || recorded())
}

/// Checks that a saved plan still fits the state. If there is no state yet, it gets the plan's lineage.
fn fitting(plan: &Plan, loaded: &mut Loaded) -> Result<()> {
    if loaded.version.is_none() && plan.revision == 0 {
        loaded.state.lineage.clone_from(&plan.lineage);
    }
    plan.fits(&loaded.state)
}

/// Saves the state to the rescue file, and tells the user; if that fails, prints the whole state.
fn keep(rescue: &Rescue, state: &State) {
    let path = rescue.path().display();
    let Err(error) = rescue.keep(state) else {
        return screen::note(&format!(
            "The state could not be written. It was saved to {path}, and the next run in this folder recovers it."
        ));
    };
    screen::note(&format!(
        "The state could not be written, and could not be saved in this folder either: {error}\nSave the following as \
         {path} in the folder of the configuration, readable only by you; the next run there recovers it:"
    ));
    screen::fail(&String::from_utf8_lossy(&state.bytes().unwrap_or_default()));
}

fn stopped_error() -> Error {
    Error::new(Class::Cancelled, "interrupted before anything was changed")
}

/// The first Ctrl-C lets running operations finish; the second exits at once. Either way the next run resumes.
async fn interrupts(cancel: watch::Sender<bool>) {
    interrupt().await;
    screen::note(
        "\nStopping: running operations finish, no new ones start. Press Ctrl-C again to exit immediately; the next run \
         resumes.",
    );
    let _ = cancel.send(true);
    interrupt().await;
    std::process::exit(130);
}

/// Waits for Ctrl-C or a request to terminate.
#[cfg(unix)]
pub(crate) async fn interrupt() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn interrupt() {
    let _ = tokio::signal::ctrl_c().await;
}
