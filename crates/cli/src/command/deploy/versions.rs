//! Deployments of functions (M-17, G-03): publishes the version that the configuration declares, shifts the invocations of the
//! alias to it in steps, and returns if a gate fails.
//!
//! The regions follow one another, standby regions first: what fails at once, or raises an alarm there, fails where it costs
//! the fewest requests.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use payinfra_engine::plan::{Options, plan};
use payinfra_engine::{Action, Address, Class, Error, Graph, Result, State};
use serde::{Deserialize, Serialize};

use super::{BAKE, Deploy, EVERY, STEP, none, open_ended, shares_of};
use crate::command::Execute;
use crate::context::Session;
use crate::events::{Emitter, FunctionDeploying, FunctionStatus, FunctionVersion, Message, ShiftOutcome};
use crate::exit::{Exit, Outcome};
use crate::failure::Failure;
use crate::functions::{Functions, Move, Versions};
use crate::gate::{self, Gates, millis};
use crate::operation::{self, Claim, Operation};
use crate::run::Order;
use crate::screen::{self, CREATE, DIM, ERROR, HEADING};
use crate::stepwise::{self, Listener, REVIEW};

/// What the state records about a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Deployment {
    /// Always true; see [`MARK`](crate::functions::MARK).
    versions: bool,
    function: String,
    /// In the order in which the regions follow one another.
    moves: Vec<Move>,
    step: u8,
    every_millis: u64,
    bake_millis: u64,
    gates: Vec<String>,
    samples: NonZeroU32,
    gate_timeout_millis: u64,
}

impl Deployment {
    /// All steps: the index of the region, and the share of its new version in percent.
    fn steps(&self) -> Vec<(usize, u8)> {
        let shares = shares_of(self.step);
        (0..self.moves.len()).flat_map(|region| shares.iter().map(move |share| (region, *share))).collect()
    }

    /// How many steps have been made, according to `state`.
    fn reached(&self, state: &State) -> usize {
        let is_made = |(region, share): &(usize, u8)| self.moves[*region].share(state) >= *share;
        self.steps().into_iter().take_while(is_made).count()
    }

    /// Whether the new version has taken the place of the old one, so that only that remains to be deleted.
    fn is_handed_over(&self, state: &State) -> bool {
        self.moves.iter().all(|it| it.is_handed_over(state))
    }
}

/// Makes a deployment, and tells about it.
pub(super) struct Driver<'a> {
    pub(super) options: &'a Deploy,
    pub(super) session: &'a Session,
    pub(super) graph: &'a Graph,
    pub(super) functions: &'a Functions,
    pub(super) verbose: bool,
}

impl Driver<'_> {
    /// Starts a deployment of the function `name`.
    pub(super) async fn begin(&self, state: &State, name: &str) -> Outcome {
        operation::refuse(state)?;
        let functions = self.functions.named(name, &self.session.declared_regions())?;
        let mut moves = Vec::new();
        for function in functions {
            moves.extend(function.pending(self.graph, state)?);
        }
        if moves.is_empty() {
            screen::note(&format!(
                "Nothing to deploy: the code and configuration of {name} are active. Build its package, or change the configuration."
            ));
            self.emit(|| Message::FunctionDeployEnded {
                outcome: ShiftOutcome::Complete,
                function: name.to_owned(),
                reason: None,
            });
            return Ok(Exit::Done);
        }
        let options = self.options;
        let gates = &options.gates;
        let watched = gates.watched(state, || gate::alarms(state))?;
        let deployment = Deployment {
            versions: true,
            function: name.to_owned(),
            moves,
            step: options.step.unwrap_or(STEP),
            every_millis: millis(options.every.unwrap_or(EVERY)),
            bake_millis: millis(options.bake.unwrap_or(BAKE)),
            gates: watched.iter().map(ToString::to_string).collect(),
            samples: gates.samples(),
            gate_timeout_millis: millis(gates.timeout()),
        };
        self.changes_nothing_else(state, &deployment).await?;
        self.introduce(&deployment, 0);
        let gates = Gates::new(&self.session.access, watched, gates.timeout());
        stepwise::opened(&gates, options.json).await?;
        self.confirm("Deploy the function?").await?;
        let listener = Listener::start();
        let claim = operation::begin(&self.session.kept, Deploy::NAME, deployment.clone()).await?;
        let run = Run { driver: self, deployment: &deployment, claim: &claim };
        Box::pin(run.deploy(&gates, 0, listener)).await
    }

    /// Continues an interrupted deployment.
    pub(super) async fn resume(&self, state: &State) -> Outcome {
        let mut deployment = recorded(state)?.ok_or_else(|| none(self.session))?.what;
        deployment.samples = self.options.gates.samples_or(deployment.samples);
        deployment.gate_timeout_millis = self.options.gates.timeout_millis_or(deployment.gate_timeout_millis);
        let watched = stepwise::recorded(&deployment.gates, &self.options.gates.gate, state, "deployment")?;
        deployment.moves.iter().try_for_each(|it| it.is_still_declared(self.graph, state))?;
        // The last step may not have taken effect in AWS. If it has, repeating it does nothing.
        let first = deployment.reached(state).saturating_sub(1);
        self.introduce(&deployment, first);
        self.confirm("Continue the deployment?").await?;
        let listener = Listener::start();
        let claim = operation::take_over(&self.session.kept, Deploy::NAME).await?;
        let run = Run { driver: self, deployment: &deployment, claim: &claim };
        if deployment.is_handed_over(state) {
            return run.finish().await;
        }
        let gates = Gates::new(&self.session.access, watched, Duration::from_millis(deployment.gate_timeout_millis));
        if let Some(why) = stepwise::failing(&gates, self.options.json).await? {
            return run.go_back(&why).await;
        }
        Box::pin(run.deploy(&gates, first, listener)).await
    }

    /// Returns to the version before an interrupted deployment.
    pub(super) async fn abort(&self, state: &State) -> Outcome {
        let deployment = recorded(state)?.ok_or_else(|| none(self.session))?.what;
        if deployment.is_handed_over(state) {
            return Err(Error::invalid("the deployment has succeeded; only old versions are still to be deleted")
                .hint("end it with `payinfra deploy --resume`")
                .into());
        }
        self.confirm(&format!("Abort the deployment of {}, and return?", deployment.function)).await?;
        let claim = operation::take_over(&self.session.kept, Deploy::NAME).await?;
        let run = Run { driver: self, deployment: &deployment, claim: &claim };
        if !run.undo().await? {
            return Ok(Exit::Failed);
        }
        operation::end(&self.session.kept, &claim).await?;
        run.ended(ShiftOutcome::Returned, Some("the deployment was aborted"));
        Ok(Exit::Done)
    }

    /// Shows the versions, and the deployment in progress.
    pub(super) fn status(&self, state: &State) -> Outcome {
        let mut functions = Vec::new();
        for function in self.functions.iter() {
            let (name, region) = (function.name(), function.region());
            let Versions { active, additional } = function.versions(state)?;
            let rest = additional.as_ref().map_or(0, |(_, share)| *share);
            let shares = [(active, 100_u8.saturating_sub(rest))].into_iter().chain(additional);
            let versions: Vec<_> = shares.map(|(version, weight)| FunctionVersion { version, weight }).collect();
            let told: Vec<_> = versions.iter().map(|it| format!("version {} {} %", it.version, it.weight)).collect();
            self.line(&format!("{HEADING}{name}{HEADING:#} {DIM}{region}{DIM:#}  {}", told.join(", ")));
            functions.push(FunctionStatus { function: name.to_owned(), region: region.to_string(), versions });
        }
        let mut deploy = None;
        if let Some(Operation { who, since, what, .. }) = recorded(state)? {
            self.line(&format!("\nA deployment of {} by {who} has been in progress since {since}.", what.function));
            self.line(&format!("{}.", operation::ways(Deploy::NAME)));
            deploy = Some(deploying(&what, what.reached(state)));
        }
        self.emit(|| Message::Functions { functions, deploy });
        Ok(Exit::Done)
    }

    async fn confirm(&self, question: &str) -> Result<()> {
        self.session.confirm(question, self.options.yes, self.options.json, REVIEW).await
    }

    /// Checks that the function is updated in place, and that nothing else of what the deployment changes is pending.
    async fn changes_nothing_else(&self, state: &State, deployment: &Deployment) -> Result<()> {
        let mut graph = self.graph.clone();
        deployment.moves.iter().try_for_each(|it| it.split(&mut graph, 0))?;
        let all = deployment.moves.iter().flat_map(|it| [&it.function, &it.version, &it.next, &it.alias]);
        let options = Options { targets: all.cloned().collect(), alone: true, ..Options::default() };
        let planned = plan(&self.session.cloud, graph, state, &options).await?;
        stepwise::changes_nothing_else(&planned, |address, step| {
            deployment.moves.iter().any(|it| match step.action {
                Action::Update => *address == it.function,
                Action::Create => *address == it.next,
                _ => false,
            })
        })
    }

    /// Shows the steps from index `first` on.
    fn introduce(&self, deployment: &Deployment, first: usize) {
        let shares: Vec<_> = shares_of(deployment.step).iter().map(ToString::to_string).collect();
        let seconds = |millis| Duration::from_millis(millis).as_secs_f64();
        self.line(&format!("{HEADING}Deployment of {}:{HEADING:#}", deployment.function));
        for it in &deployment.moves {
            self.line(&format!("  {}  code {}", it.region(), it.code()));
        }
        let every = seconds(deployment.every_millis);
        self.line(&format!("  steps to {} %, each followed by {every} s of checks", shares.join(", ")));
        if deployment.moves.len() > 1 {
            self.line("  one region after the other, in this order");
        }
        let bake = seconds(deployment.bake_millis);
        self.line(&format!("  then {bake} s of checks before the old version is deleted"));
        self.emit(|| Message::FunctionDeploy(deploying(deployment, first)));
    }

    fn line(&self, text: &str) {
        if !self.options.json {
            screen::line(text);
        }
    }

    fn emit(&self, message: impl FnOnce() -> Message) {
        if self.options.json {
            Emitter.emit(message());
        }
    }
}

/// One run of a deployment.
struct Run<'a> {
    driver: &'a Driver<'a>,
    deployment: &'a Deployment,
    claim: &'a Claim,
}

impl Run<'_> {
    /// Publishes the new versions, makes the steps from index `first` on, and deletes the old versions.
    async fn deploy(&self, gates: &Gates, first: usize, mut listener: Listener) -> Outcome {
        let Self { driver, deployment, .. } = self;
        driver.line(&format!("\n{HEADING}Publishing the new version of {}{HEADING:#}", deployment.function));
        let published = self.publish().await.inspect_err(|_| open_ended())?;
        if listener.is_stopped() {
            return Ok(self.stopped());
        }
        if published != Exit::Done {
            return self.go_back("the new version could not be published").await;
        }
        let steps = deployment.steps();
        let mut before = None;
        for (index, (region, share)) in steps.iter().copied().enumerate().skip(first) {
            if let Some((region, share)) = before {
                self.unchanged(region, share).await.inspect_err(|_| open_ended())?;
            }
            let (step, of) = (index + 1, steps.len());
            let name = deployment.moves[region].region();
            driver.line(&format!("\n{HEADING}Step {step} of {of}: {share} % in {name}{HEADING:#}"));
            let made = self.shift(region, share).await.inspect_err(|_| open_ended())?;
            if listener.is_stopped() {
                return Ok(self.stopped());
            }
            if made != Exit::Done {
                return self.go_back("the step could not be made").await;
            }
            before = Some((region, share));
            driver.emit(|| Message::FunctionShare { step, of, region: name.to_string(), percent: share });
            let bake = if step == of { deployment.bake_millis } else { 0 };
            let wait = Duration::from_millis(deployment.every_millis.saturating_add(bake));
            let failed = tokio::select! {
                failed = gates.watch(wait, deployment.samples, |verdicts| {
                    stepwise::tell(verdicts, driver.options.json, driver.verbose);
                }) => failed,
                () = listener.stopped() => return Ok(self.stopped()),
            };
            if !failed.is_empty() {
                return self.go_back(&gate::reasons(&failed)).await;
            }
        }
        self.finish().await
    }

    /// Updates the functions, which nobody invokes without a version, and publishes the new versions, without invocations if they
    /// have none yet.
    async fn publish(&self) -> Outcome {
        let state = self.driver.session.kept.load().await?.state;
        let (graph, targets) = (self.graph(&state, None)?, |it: &Move| [it.function.clone(), it.next.clone()]);
        self.order(graph, self.deployment.moves.iter().flat_map(targets).collect()).await
    }

    /// Gives the new version in this region this share of the invocations.
    async fn shift(&self, region: usize, share: u8) -> Outcome {
        let state = self.driver.session.kept.load().await?.state;
        let graph = self.graph(&state, Some((region, share)))?;
        self.order(graph, BTreeSet::from([self.deployment.moves[region].alias.clone()])).await
    }

    /// Lets the new versions take the places of the old ones, and deletes those.
    async fn finish(&self) -> Outcome {
        let Self { driver, deployment, claim } = self;
        driver.line(&format!("\n{HEADING}Deleting the old version{HEADING:#}"));
        let exchanged = driver.session.kept.change(Deploy::NAME, async |state| {
            claim.check(state)?;
            for it in deployment.moves.iter().filter(|it| !it.is_handed_over(state)).collect::<Vec<_>>() {
                state.exchange(&it.version, &it.next);
            }
            Ok(state.clone())
        });
        let state = exchanged.await.inspect_err(|_| open_ended())?;
        let old = self.existing(&state);
        if self.order(driver.graph.clone(), old).await.inspect_err(|_| open_ended())? != Exit::Done {
            return Ok(self.stopped());
        }
        operation::end(&driver.session.kept, claim).await?;
        self.ended(ShiftOutcome::Complete, None);
        Ok(Exit::Done)
    }

    /// Returns to the old versions, and deletes the new ones. Returns whether this has succeeded.
    async fn undo(&self) -> Result<bool, Failure> {
        let Self { driver, deployment, .. } = self;
        let state = driver.session.kept.load().await?.state;
        let mut graph = driver.graph.clone();
        deployment.moves.iter().try_for_each(|it| it.split(&mut graph, 0))?;
        let aliases = deployment.moves.iter().map(|it| it.alias.clone()).collect();
        if self.order(graph, aliases).await? != Exit::Done {
            return Ok(false);
        }
        let mut graph = driver.graph.clone();
        deployment.moves.iter().try_for_each(|it| it.keep(&mut graph))?;
        Ok(self.order(graph, self.existing(&state)).await? == Exit::Done)
    }

    /// Returns to the old versions because of a failure. Another run may hold the lock for a while, so this is tried several
    /// times.
    async fn go_back(&self, why: &str) -> Outcome {
        screen::fail(&format!("{ERROR}error{ERROR:#}: {why}\n"));
        screen::note("Returning to the version before.");
        let returned = stepwise::go_back("The return is not possible yet", async || self.undo().await);
        if returned.await.inspect_err(|_| open_ended())? {
            operation::end(&self.driver.session.kept, self.claim).await?;
            self.ended(ShiftOutcome::Returned, Some(why));
            return Ok(Exit::Failed);
        }
        open_ended();
        Err(Error::failed("the return to the version before has not ended").into())
    }

    /// The versions beside the declared ones that the state records.
    fn existing(&self, state: &State) -> BTreeSet<Address> {
        let all = self.deployment.moves.iter().map(|it| &it.next);
        all.filter(|next| state.resources.contains_key(*next)).cloned().collect()
    }

    /// Checks that nobody else has changed the weights since the last step.
    async fn unchanged(&self, region: usize, share: u8) -> Result<()> {
        let state = self.driver.session.kept.load().await?.state;
        let it = &self.deployment.moves[region];
        let now = it.share(&state);
        if now == share {
            return Ok(());
        }
        let message = format!("another command has changed the weight of {} from {share} to {now}", it.alias);
        Err(Error::new(Class::Stale, message).hint(operation::ways(Deploy::NAME)))
    }

    /// The graph with both versions of all regions. Their shares are those in `state`, except for the region in `new`.
    fn graph(&self, state: &State, new: Option<(usize, u8)>) -> Result<Graph> {
        let mut graph = self.driver.graph.clone();
        for (region, it) in self.deployment.moves.iter().enumerate() {
            let share = new.filter(|(index, _)| *index == region).map_or_else(|| it.share(state), |(_, share)| share);
            it.split(&mut graph, share)?;
        }
        Ok(graph)
    }

    async fn order(&self, graph: Graph, targets: BTreeSet<Address>) -> Outcome {
        // Without targets, a plan is for everything.
        if targets.is_empty() {
            return Ok(Exit::Done);
        }
        let Driver { options, session, verbose, .. } = *self.driver;
        let changes = Options { targets, alone: true, ..Options::default() };
        Order::step(session, Deploy::NAME, &graph, changes, self.claim, options.json, verbose).carry_out().await
    }

    fn stopped(&self) -> Exit {
        open_ended();
        self.ended(ShiftOutcome::Stopped, Some("interrupted"));
        Exit::Failed
    }

    fn ended(&self, outcome: ShiftOutcome, reason: Option<&str>) {
        let function = &self.deployment.function;
        match outcome {
            ShiftOutcome::Complete => {
                self.driver.line(&format!("\n{CREATE}Deployed{CREATE:#}: the new version of {function} is active."));
            }
            ShiftOutcome::Returned => {
                self.driver.line(&format!("\nReturned: {function} has its version from before."));
                self.driver.line(&format!(
                    "{DIM}The configuration still declares the new one: `payinfra apply` would publish it for all requests at once. \
                     Restore the package or the configuration first.{DIM:#}"
                ));
            }
            ShiftOutcome::Stopped => {}
        }
        let (function, reason) = (function.clone(), reason.map(str::to_owned));
        self.driver.emit(|| Message::FunctionDeployEnded { outcome, function, reason });
    }
}

fn recorded(state: &State) -> Result<Option<Operation<Deployment>>> {
    operation::find(state, Deploy::NAME)
}

fn deploying(deployment: &Deployment, first: usize) -> FunctionDeploying {
    let seconds = |millis| Duration::from_millis(millis).as_secs_f64();
    FunctionDeploying {
        function: deployment.function.clone(),
        regions: deployment.moves.iter().map(|it| it.region().to_string()).collect(),
        steps: shares_of(deployment.step),
        left: deployment.steps().len().saturating_sub(first),
        every: seconds(deployment.every_millis),
        bake: seconds(deployment.bake_millis),
        gates: deployment.gates.clone(),
    }
}
