//! `payinfra deploy`: starts a new image in the idle colour of a service, or publishes a new version of a function, shifts
//! requests to it in steps, and returns if it or a gate fails (M-17).

mod native;
mod versions;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use futures_util::future::try_join_all;
use payinfra_aws::{ecs, probe};
use payinfra_engine::plan::{Options, plan};
use payinfra_engine::{Address, Class, Error, Graph, Result, Roles, State, Values};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::Execute;
use crate::colours::{Colour, Service, Services};
use crate::context::{Context, Session};
use crate::events::{ColourStatus, Deploying, Emitter, Message, RegionColours, ServiceStatus, ShiftOutcome};
use crate::exit::{Exit, Outcome};
use crate::failure::Failure;
use crate::functions::Functions;
use crate::gate::{self, Gate, GateOptions, Gates, duration, millis};
use crate::lost::Missing;
use crate::native::Services as NativeServices;
use crate::operation::{self, Claim, Operation};
use crate::run::Order;
use crate::screen::{self, CREATE, DIM, ERROR, HEADING};
use crate::stepwise::{self, Listener, REVIEW};

/// The options that do not go with those of a new deployment.
const UNFIT: [&str; 3] = ["resume", "abort", "status"];
/// The options that do not go with those about services.
const NO_SERVICE: [&str; 4] = ["function", "resume", "abort", "status"];

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command line")]
pub(super) struct Deploy {
    /// New container image, with a tag or, preferably, a digest
    #[arg(long, value_name = "IMAGE", group = "what", conflicts_with_all = UNFIT)]
    image: Option<String>,
    /// Function whose pending code and configuration are deployed
    #[arg(long, value_name = "NAME", group = "what", conflicts_with_all = UNFIT)]
    function: Option<String>,
    /// Service to deploy to; not needed if there is only one
    #[arg(long, value_name = "NAME", requires = "image", conflicts_with_all = NO_SERVICE)]
    service: Option<String>,
    /// Shift this many percent of the requests at once [default: 25]
    #[arg(long, value_name = "POINTS", requires = "what", conflicts_with_all = UNFIT, value_parser = clap::value_parser!(u8).range(1..=100))]
    step: Option<u8>,
    /// Wait this long after each step, while the gates are checked [default: 60s]
    #[arg(long, value_name = "DURATION", requires = "what", conflicts_with_all = UNFIT, value_parser = duration)]
    every: Option<Duration>,
    /// After the last step, keep the tasks of the old image, or the old version, for this long, while the gates are checked [default: 5m]
    #[arg(long, value_name = "DURATION", requires = "what", conflicts_with_all = UNFIT, value_parser = duration)]
    bake: Option<Duration>,
    /// Time limit for the new tasks to become healthy, after they have started [default: 10m]
    #[arg(long, value_name = "DURATION", requires = "image", conflicts_with_all = NO_SERVICE, value_parser = duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    gates: GateOptions,
    /// Continue an interrupted deployment
    #[arg(long, conflicts_with_all = ["abort", "status"])]
    resume: bool,
    /// Return to the image before an interrupted deployment
    #[arg(long, conflicts_with = "status")]
    abort: bool,
    /// Show the colours and the deployment in progress; the default without `--image` and `--function`
    #[arg(long)]
    status: bool,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
    /// Print events as JSON, one object per line; see `schema --events`
    #[arg(long)]
    json: bool,
}

/// The defaults of the options about steps, which ECS's own deployments do not have.
const STEP: u8 = 25;
const EVERY: Duration = Duration::from_mins(1);
const BAKE: Duration = Duration::from_mins(5);
const TIMEOUT: Duration = Duration::from_mins(10);

impl Deploy {
    /// The options about steps that are given.
    fn about_steps(&self) -> Vec<&'static str> {
        let given = [
            (self.step.is_some(), "--step"),
            (self.every.is_some(), "--every"),
            (self.bake.is_some(), "--bake"),
            (self.timeout.is_some(), "--timeout"),
        ];
        given.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect()
    }
}

/// What the state records about a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Deployment {
    service: String,
    image: String,
    moves: Vec<Move>,
    step: u8,
    every_millis: u64,
    bake_millis: u64,
    timeout_millis: u64,
    gates: Vec<String>,
    samples: NonZeroU32,
    gate_timeout_millis: u64,
}

/// A deployment in one region.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Move {
    /// The ECS service of the colour that was active before.
    from: Address,
    /// The ECS service of the colour that gets the image.
    to: Address,
    /// The image that it had.
    before: String,
    /// The number of its tasks.
    tasks: i32,
}

/// The service in one region, and what becomes of its colours.
struct Pair<'a> {
    service: &'a Service,
    from: usize,
    to: usize,
    before: &'a str,
    tasks: i32,
}

impl Pair<'_> {
    fn old(&self) -> &Colour {
        &self.service.colours[self.from]
    }

    fn fresh(&self) -> &Colour {
        &self.service.colours[self.to]
    }

    /// The colour whose declared number of tasks is that of the active one.
    fn active(&self) -> &Colour {
        &self.service.colours[0]
    }

    /// The colour whose declared number of tasks is that of the idle one.
    fn idle(&self) -> &Colour {
        &self.service.colours[1]
    }
}

/// How often to look whether the new tasks are healthy.
const POLL: Duration = Duration::from_secs(2);

impl Execute for Deploy {
    const NAME: &'static str = "deploy";
    const ABOUT: &'static str =
        "Show what is deployed, or deploy a new image of a service or version of a function in steps";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        if let Some(image) = &self.image {
            ecs::image_name(image)?;
        }
        let session = cx.session().await?;
        let graph = session.graph()?;
        let by_ecs = NativeServices::find(&graph)?;
        let state = session.load(Missing::Refuse).await?.state;
        let verbose = cx.verbose();
        if by_ecs.are_meant(self.service.as_deref(), &state) {
            let driver =
                native::Driver { options: &self, session: &session, graph: &graph, services: &by_ecs, verbose };
            return match &self.image {
                _ if self.resume => Box::pin(driver.resume(&state)).await,
                _ if self.abort => driver.abort(&state).await,
                Some(image) => Box::pin(driver.begin(&state, image)).await,
                None => driver.status(&state).await,
            };
        }
        let functions = Functions::find(&graph);
        let about_functions =
            versions::Driver { options: &self, session: &session, graph: &graph, functions: &functions, verbose };
        if Functions::are_meant(self.function.as_deref(), &state) {
            return match &self.function {
                _ if self.resume => Box::pin(about_functions.resume(&state)).await,
                _ if self.abort => about_functions.abort(&state).await,
                Some(name) => Box::pin(about_functions.begin(&state, name)).await,
                None => about_functions.status(&state),
            };
        }
        let services = Services::find(&graph);
        // A workspace with functions only has nothing else to show.
        if services.is_err() && self.image.is_none() && !functions.is_empty() {
            if self.resume || self.abort {
                return Err(none(&session).into());
            }
            return about_functions.status(&state);
        }
        let services = services?;
        let found = operation::find::<Deployment>(&state, Self::NAME)?;
        let driver = Driver { options: &self, session: &session, graph: &graph, services: &services, verbose };
        if self.resume || self.abort {
            let found = found.ok_or_else(|| none(&session))?;
            return if self.abort { driver.abort(found).await } else { driver.resume(&state, found).await };
        }
        match &self.image {
            Some(image) => driver.begin(&state, image).await,
            None => driver.status(&state, found.as_ref()),
        }
    }
}

/// Makes a deployment, and tells about it.
struct Driver<'a> {
    options: &'a Deploy,
    session: &'a Session,
    graph: &'a Graph,
    services: &'a Services,
    verbose: bool,
}

impl Driver<'_> {
    async fn begin(&self, state: &State, image: &str) -> Outcome {
        operation::refuse(state)?;
        let services = self.services.named(self.options.service.as_deref())?;
        let moves = self.moves(state, &services, image).await?;
        if moves.is_empty() {
            screen::note(&format!(
                "Nothing to deploy: the active image is {image}. A tag has to be new; a digest is safer."
            ));
            self.emit(|| Message::DeployEnded {
                outcome: ShiftOutcome::Complete,
                image: image.to_owned(),
                reason: None,
            });
            return Ok(Exit::Done);
        }
        let options = &self.options;
        let gates = &options.gates;
        let watched = gates.watched(state, || gate::alarms(state))?;
        let deployment = Deployment {
            service: services[0].name.clone(),
            image: image.to_owned(),
            moves,
            step: options.step.unwrap_or(STEP),
            every_millis: millis(options.every.unwrap_or(EVERY)),
            bake_millis: millis(options.bake.unwrap_or(BAKE)),
            timeout_millis: millis(options.timeout.unwrap_or(TIMEOUT)),
            gates: watched.iter().map(ToString::to_string).collect(),
            samples: gates.samples(),
            gate_timeout_millis: millis(gates.timeout()),
        };
        let pairs = self.pairs(&deployment)?;
        self.changes_nothing_else(state, &pairs).await?;
        self.introduce(&deployment, &pairs, 0);
        stepwise::opened(&Gates::new(&self.session.access, watched.clone(), gates.timeout()), options.json).await?;
        self.confirm("Deploy the image?").await?;
        let listener = Listener::start();
        let claim = operation::begin(&self.session.kept, Deploy::NAME, deployment.clone()).await?;
        let run = Run { driver: self, deployment: &deployment, pairs: &pairs, claim: &claim };
        run.deploy(&run.gates(watched, state)?, 0, listener).await
    }

    async fn resume(&self, state: &State, found: Operation<Deployment>) -> Outcome {
        let mut deployment = found.what;
        deployment.samples = self.options.gates.samples_or(deployment.samples);
        deployment.gate_timeout_millis = self.options.gates.timeout_millis_or(deployment.gate_timeout_millis);
        let pairs = self.pairs(&deployment)?;
        let watched = stepwise::recorded(&deployment.gates, &self.options.gates.gate, state, "deployment")?;
        let reached = self.reached(state, &deployment, &pairs)?;
        // The last step may not have taken effect in AWS. If it has, repeating it does nothing.
        let first = reached.saturating_sub(1);
        self.introduce(&deployment, &pairs, first);
        self.confirm("Continue the deployment?").await?;
        let listener = Listener::start();
        let claim = operation::take_over(&self.session.kept, Deploy::NAME).await?;
        let run = Run { driver: self, deployment: &deployment, pairs: &pairs, claim: &claim };
        let gates =
            Gates::new(&self.session.access, watched.clone(), Duration::from_millis(deployment.gate_timeout_millis));
        if let Some(why) = stepwise::failing(&gates, self.options.json).await? {
            return run.go_back(&why).await;
        }
        run.deploy(&run.gates(watched, state)?, first, listener).await
    }

    async fn abort(&self, found: Operation<Deployment>) -> Outcome {
        let deployment = found.what;
        let pairs = self.pairs(&deployment)?;
        self.confirm(&format!("Abort the deployment of {}, and return?", deployment.image)).await?;
        let claim = operation::take_over(&self.session.kept, Deploy::NAME).await?;
        let run = Run { driver: self, deployment: &deployment, pairs: &pairs, claim: &claim };
        if !run.undo().await? {
            return Ok(Exit::Failed);
        }
        operation::end(&self.session.kept, &claim).await?;
        run.ended(ShiftOutcome::Returned, Some("the deployment was aborted"));
        Ok(Exit::Done)
    }

    async fn confirm(&self, question: &str) -> Result<()> {
        self.session.confirm(question, self.options.yes, self.options.json, REVIEW).await
    }

    /// What to do in each region in which the image is not active yet. The new colour gets as many tasks as the old one has
    /// now.
    async fn moves(&self, state: &State, services: &[&Service], image: &str) -> Result<Vec<Move>> {
        let current = self.graph.clone().current(state)?;
        let moves = services.iter().map(|service| async {
            let colours = service.current(&current, state)?;
            let Some(from) = colours.iter().position(|colour| colour.weight == 100) else {
                return Err(Error::invalid(format!(
                    "both colours of {} in {} get requests",
                    service.name,
                    service.region()
                ))
                .hint("run `payinfra apply`, which restores the weights"));
            };
            let to = 1 - from;
            if colours[from].image == image {
                return Ok(None);
            }
            let (old, active) = (&service.colours[from], &service.colours[0]);
            let declared = active.count(self.graph).unwrap_or_default();
            let tasks = match (active.bounds(self.graph), recorded_id(state, &old.service)) {
                (Some((least, most)), Some(arn)) => {
                    probe::tasks(&self.session.access.cx(service.region()), arn).await?.desired.clamp(least, most)
                }
                _ => declared,
            };
            Ok(Some(Move {
                from: old.service.clone(),
                to: service.colours[to].service.clone(),
                before: colours[to].image.clone(),
                tasks,
            }))
        });
        Ok(try_join_all(moves).await?.into_iter().flatten().collect())
    }

    fn pairs<'a>(&'a self, deployment: &'a Deployment) -> Result<Vec<Pair<'a>>> {
        let pair = |it: &'a Move| {
            let (service, to) = self.services.with(&it.to)?;
            Ok(Pair { service, from: 1 - to, to, before: &it.before, tasks: it.tasks })
        };
        deployment.moves.iter().map(pair).collect()
    }

    /// Checks that no other change of what the deployment changes is pending, which it would make as well. An interrupted
    /// deployment has changes pending itself, so this is only for a new one.
    async fn changes_nothing_else(&self, state: &State, pairs: &[Pair<'_>]) -> Result<()> {
        let colours = || pairs.iter().flat_map(|pair| &pair.service.colours);
        let parts =
            colours().flat_map(|colour| colour.tasks().into_iter().chain(colour.scaling()).chain(colour.routers()));
        let options = Options {
            targets: parts.cloned().collect(),
            alone: true,
            operational: colours().flat_map(|colour| colour.kept(state)).collect(),
            ..Options::default()
        };
        nothing_pending(self.session, self.graph, state, &options).await
    }

    /// How many steps have been made in all regions, according to `state`.
    fn reached(&self, state: &State, deployment: &Deployment, pairs: &[Pair<'_>]) -> Result<usize> {
        let current = self.graph.clone().current(state)?;
        let shares = pairs.iter().map(|pair| Ok(pair.service.current(&current, state)?[pair.to].weight));
        let least = shares.collect::<Result<Vec<_>>>()?.into_iter().min().unwrap_or_default();
        Ok(shares_of(deployment.step).iter().take_while(|share| **share <= least).count())
    }

    /// Shows the steps from index `first` on.
    fn introduce(&self, deployment: &Deployment, pairs: &[Pair<'_>], first: usize) {
        let shares = shares_of(deployment.step);
        let left = shares.get(first..).unwrap_or_default();
        let seconds = |millis| Duration::from_millis(millis).as_secs_f64();
        let (every, bake) = (seconds(deployment.every_millis), seconds(deployment.bake_millis));
        if !self.options.json {
            let Deployment { service, image, .. } = deployment;
            screen::line(&format!("{HEADING}Deployment of {image} to {service}:{HEADING:#}"));
            for pair in pairs {
                let (old, new, tasks) = (&pair.old().name, &pair.fresh().name, pair.tasks);
                let plural = if tasks == 1 { "" } else { "s" };
                screen::line(&format!("  {}  {old} → {new}, {tasks} task{plural}", pair.service.region()));
            }
            let steps: Vec<_> = left.iter().map(ToString::to_string).collect();
            screen::line(&format!("  steps to {} %, each followed by {every} s of checks", steps.join(", ")));
            screen::line(&format!("  then {bake} s of checks before the old tasks stop"));
        }
        self.emit(|| Message::Deploy(deploying(deployment, pairs, left)));
    }

    fn status(&self, state: &State, found: Option<&Operation<Deployment>>) -> Outcome {
        let current = self.graph.clone().current(state)?;
        let mut services = Vec::new();
        for service in self.services.iter() {
            let colours = service.current(&current, state)?;
            self.line(&format!("{HEADING}{}{HEADING:#} {DIM}{}{DIM:#}", service.name, service.region()));
            for (colour, now) in service.colours.iter().zip(&colours) {
                let idle = if now.has_tasks { "" } else { "  idle" };
                self.line(&format!("  {:6} {:3} %  {}{DIM}{idle}{DIM:#}", colour.name, now.weight, now.image));
            }
            let status = |(colour, now): (&Colour, &crate::colours::Current)| ColourStatus {
                name: colour.name.clone(),
                weight: now.weight,
                image: now.image.clone(),
                idle: !now.has_tasks,
            };
            services.push(ServiceStatus {
                service: service.name.clone(),
                region: service.region().to_string(),
                colours: service.colours.iter().zip(&colours).map(status).collect(),
            });
        }
        let mut deploy = None;
        if let Some(Operation { who, since, what, .. }) = found {
            let Deployment { image, service, .. } = what;
            self.line(&format!("\nA deployment of {image} to {service} by {who} has been in progress since {since}."));
            self.line(&format!("{}.", operation::ways(Deploy::NAME)));
            let pairs = self.pairs(what)?;
            let shares = shares_of(what.step);
            let left = shares.get(self.reached(state, what, &pairs)?..).unwrap_or_default();
            deploy = Some(deploying(what, &pairs, left));
        }
        self.emit(|| Message::Services { services, deploy });
        Ok(Exit::Done)
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
    pairs: &'a [Pair<'a>],
    claim: &'a Claim,
}

impl Run<'_> {
    /// The gates between the steps: `watched`, and the health of the new tasks.
    fn gates(&self, watched: Vec<Gate>, state: &State) -> Result<Gates> {
        let targets = self.pairs.iter().map(|pair| {
            let arn = recorded_id(state, &pair.fresh().group);
            arn.map(|arn| Gate::Targets(arn.to_owned())).ok_or_else(|| gone(&pair.fresh().group))
        });
        let all = watched.into_iter().map(Ok).chain(targets).collect::<Result<_>>()?;
        let timeout = Duration::from_millis(self.deployment.gate_timeout_millis);
        Ok(Gates::new(&self.driver.session.access, all, timeout))
    }

    /// Starts the new tasks, makes the steps from index `first` on, and stops the old tasks.
    async fn deploy(&self, gates: &Gates, first: usize, mut listener: Listener) -> Outcome {
        let Self { driver, deployment, .. } = self;
        let wait = Duration::from_millis;
        driver.line(&format!("\n{HEADING}Starting {}{HEADING:#}", deployment.image));
        let started = self.start().await.inspect_err(|_| open_ended())?;
        if listener.is_stopped() {
            return Ok(self.stopped());
        }
        if started != Exit::Done {
            let why = self.failures().await;
            return self.go_back(&format!("the tasks of the new image could not be started{why}")).await;
        }
        let new = |pair: &Pair<'_>| pair.to;
        let healthy = tokio::select! {
            healthy = self.healthy(&new) => healthy,
            () = listener.stopped() => return Ok(self.stopped()),
        };
        if let Err(why) = healthy {
            return self.go_back(&format!("the tasks of the new image do not become healthy: {why}")).await;
        }
        let shares = shares_of(deployment.step);
        let mut before = None;
        for (index, share) in shares.iter().copied().enumerate().skip(first) {
            if let Some(before) = before {
                self.unchanged(before).await.inspect_err(|_| open_ended())?;
            }
            driver.line(&format!("\n{HEADING}Step {} of {}: {share} %{HEADING:#}", index + 1, shares.len()));
            let made = self.shift(share).await.inspect_err(|_| open_ended())?;
            if listener.is_stopped() {
                return Ok(self.stopped());
            }
            if made != Exit::Done {
                return self.go_back("the step could not be made").await;
            }
            before = Some(share);
            driver.emit(|| Message::Share { step: index + 1, of: shares.len(), percent: share });
            let bake = if index + 1 == shares.len() { deployment.bake_millis } else { 0 };
            let failed = tokio::select! {
                failed = gates.watch(wait(deployment.every_millis.saturating_add(bake)), deployment.samples, |verdicts| {
                    stepwise::tell(verdicts, driver.options.json, driver.verbose);
                }) => failed,
                () = listener.stopped() => return Ok(self.stopped()),
            };
            if !failed.is_empty() {
                return self.go_back(&gate::reasons(&failed)).await;
            }
        }
        driver.line(&format!("\n{HEADING}Stopping the old tasks{HEADING:#}"));
        let finished = self.finish().await.inspect_err(|_| open_ended())?;
        if finished != Exit::Done {
            return Ok(self.stopped());
        }
        operation::end(&driver.session.kept, self.claim).await?;
        self.ended(ShiftOutcome::Complete, None);
        Ok(Exit::Done)
    }

    /// Starts the tasks of the new image, without requests. Before, auto scaling may have them, but does not start tasks of the
    /// image that the colour had; afterwards, it may not stop them.
    async fn start(&self) -> Outcome {
        let (mut allowed, mut tasks, mut needed) = (Change::default(), Change::default(), Change::default());
        for pair in self.pairs {
            let new = pair.fresh();
            allowed.limit(new, pair.active());
            allowed.values.extend(new.at_least(0));
            tasks.play(new, pair.active());
            tasks.values.extend(new.image(&self.deployment.image));
            tasks.values.extend(new.beginning_with(pair.tasks));
            needed.limit(new, pair.active());
            needed.values.extend(new.at_least(pair.tasks));
        }
        // A resumed deployment may be beyond this, and must not lose tasks.
        if !self.has_started().await? {
            match self.order(allowed).await? {
                Exit::Done => {}
                failed => return Ok(failed),
            }
        }
        match self.order(tasks).await? {
            Exit::Done => self.order(needed).await,
            failed => Ok(failed),
        }
    }

    /// Whether all new colours have tasks of the new image.
    async fn has_started(&self) -> Result<bool> {
        let state = self.driver.session.kept.load().await?.state;
        let current = self.driver.graph.clone().current(&state)?;
        let now = self.pairs.iter().map(|pair| Ok(pair.service.current(&current, &state)?[pair.to].clone()));
        let now = now.collect::<Result<Vec<_>>>()?;
        Ok(now.iter().all(|colour| colour.has_tasks && colour.image == self.deployment.image))
    }

    /// What ECS says about the failure of the new tasks.
    async fn failures(&self) -> String {
        let session = self.driver.session;
        let Ok(kept) = session.kept.load().await else { return String::new() };
        let mut told = String::new();
        for pair in self.pairs {
            let Some(arn) = recorded_id(&kept.state, &pair.fresh().service) else { continue };
            let found = probe::tasks(&session.access.cx(pair.service.region()), arn).await;
            if let Ok(Some(failure)) = found.map(|tasks| tasks.failure) {
                told.extend([": ", pair.service.region().as_str(), " ", &failure]);
            }
        }
        told
    }

    /// Waits until all tasks of one colour of each service are healthy, or returns why they are not.
    async fn healthy(&self, colour: &(dyn Fn(&Pair<'_>) -> usize + Sync)) -> Result<(), String> {
        let session = self.driver.session;
        let deadline = Instant::now() + Duration::from_millis(self.deployment.timeout_millis);
        let look = async || -> Result<Option<String>> {
            let state = session.kept.load().await?.state;
            for pair in self.pairs {
                let group = &pair.service.colours[colour(pair)].group;
                let arn = recorded_id(&state, group).ok_or_else(|| gone(group))?;
                let targets = probe::targets(&session.access.cx(pair.service.region()), arn).await?;
                let wanted = usize::try_from(pair.tasks).unwrap_or_default();
                if targets.healthy < wanted {
                    let why = targets.reason.map_or_else(String::new, |why| format!(" ({why})"));
                    return Ok(Some(format!("{} of {wanted} targets of {group} are healthy{why}", targets.healthy)));
                }
            }
            Ok(None)
        };
        loop {
            let why = match look().await {
                Ok(None) => return Ok(()),
                Ok(Some(why)) => why,
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(why);
            }
            sleep(POLL).await;
        }
    }

    /// Gives the new colours this share of the requests.
    async fn shift(&self, share: u8) -> Outcome {
        let mut change = Change::default();
        for pair in self.pairs {
            change.targets.extend(pair.fresh().routers().cloned());
            change.values.extend(pair.service.weights(pair.to, share));
        }
        self.order(change).await
    }

    /// Stops the old tasks. Auto scaling is limited first, so that it does not start them again.
    async fn finish(&self) -> Outcome {
        let (mut scaling, mut tasks) = (Change::default(), Change::default());
        for pair in self.pairs {
            scaling.limit(pair.fresh(), pair.active());
            scaling.limit(pair.old(), pair.idle());
            tasks.play(pair.fresh(), pair.active());
            tasks.play(pair.old(), pair.idle());
        }
        match self.order(scaling).await? {
            Exit::Done => self.order(tasks).await,
            failed => Ok(failed),
        }
    }

    /// Returns to the old colours, which may have been stopped already, and removes what the deployment has created. Returns
    /// whether this has succeeded.
    async fn undo(&self) -> Result<bool, Failure> {
        let driver = self.driver;
        let state = driver.session.kept.load().await?.state;
        let current = driver.graph.clone().current(&state)?;
        let (mut allowed, mut tasks) = (Change::default(), Change::default());
        for pair in self.pairs {
            if !pair.service.current(&current, &state)?[pair.from].has_tasks {
                allowed.limit(pair.old(), pair.active());
                allowed.values.extend(pair.old().at_least(pair.tasks));
                tasks.play(pair.old(), pair.active());
                tasks.values.extend(pair.old().beginning_with(pair.tasks));
            }
        }
        if !tasks.targets.is_empty() {
            if self.order(allowed).await? != Exit::Done || self.order(tasks).await? != Exit::Done {
                return Ok(false);
            }
            let old = |pair: &Pair<'_>| pair.from;
            if let Err(why) = self.healthy(&old).await {
                return Err(Error::failed(format!("the old tasks do not become healthy: {why}"))
                    .hint(operation::ways(Deploy::NAME))
                    .into());
            }
        }
        let (mut scaling, mut tasks) = (Change::default(), Change::default());
        for pair in self.pairs {
            scaling.limit(pair.old(), pair.active());
            scaling.limit(pair.fresh(), pair.idle());
            tasks.play(pair.old(), pair.active());
            tasks.play(pair.fresh(), pair.idle());
            tasks.values.extend(pair.fresh().image(pair.before));
        }
        if self.shift(0).await? != Exit::Done || self.order(scaling).await? != Exit::Done {
            return Ok(false);
        }
        Ok(self.order(tasks).await? == Exit::Done)
    }

    /// Returns to the old colours because of a failure. Another run may hold the lock for a while, so this is tried several
    /// times.
    async fn go_back(&self, why: &str) -> Outcome {
        screen::fail(&format!("{ERROR}error{ERROR:#}: {why}\n"));
        screen::note("Returning to the image before.");
        let returned = stepwise::go_back("The return is not possible yet", async || self.undo().await);
        if returned.await.inspect_err(|_| open_ended())? {
            operation::end(&self.driver.session.kept, self.claim).await?;
            self.ended(ShiftOutcome::Returned, Some(why));
            return Ok(Exit::Failed);
        }
        open_ended();
        Err(Error::failed("the return to the image before has not ended").into())
    }

    /// Checks that nobody else has changed the weights since the last step.
    async fn unchanged(&self, share: u8) -> Result<()> {
        let state = self.driver.session.kept.load().await?.state;
        let current = self.driver.graph.clone().current(&state)?;
        for pair in self.pairs {
            let now = pair.service.current(&current, &state)?[pair.to].weight;
            if now != share {
                let (name, region) = (&pair.fresh().name, pair.service.region());
                let message =
                    format!("another command has changed the weight of {name} in {region} from {share} to {now}");
                return Err(Error::new(Class::Stale, message).hint(operation::ways(Deploy::NAME)));
            }
        }
        Ok(())
    }

    async fn order(&self, Change { targets, values, roles }: Change) -> Outcome {
        // Without targets, a plan is for everything.
        if targets.is_empty() {
            return Ok(Exit::Done);
        }
        let Driver { options, session, graph, verbose, .. } = *self.driver;
        let changes = Options { targets, alone: true, operational: values, roles, ..Options::default() };
        Order::step(session, Deploy::NAME, graph, changes, self.claim, options.json, verbose).carry_out().await
    }

    fn stopped(&self) -> Exit {
        open_ended();
        self.ended(ShiftOutcome::Stopped, Some("interrupted"));
        Exit::Failed
    }

    fn ended(&self, outcome: ShiftOutcome, reason: Option<&str>) {
        let Deployment { service, image, .. } = self.deployment;
        match outcome {
            ShiftOutcome::Complete => {
                self.driver.line(&format!("\n{CREATE}Deployed{CREATE:#}: {image} is active in {service}."));
                self.driver.line(&format!(
                    "{DIM}Set the image in the configuration too: regions that are added start with the one there.{DIM:#}"
                ));
            }
            ShiftOutcome::Returned => self.driver.line(&format!("\nReturned: {service} has its image from before.")),
            ShiftOutcome::Stopped => {}
        }
        let (image, reason) = (image.clone(), reason.map(str::to_owned));
        self.driver.emit(|| Message::DeployEnded { outcome, image, reason });
    }
}

/// Checks that a plan with `options` would change nothing but drift.
async fn nothing_pending(session: &Session, graph: &Graph, state: &State, options: &Options) -> Result<()> {
    let planned = plan(&session.cloud, graph.clone(), state, options).await?;
    stepwise::changes_nothing_else(&planned, |_, _| false)
}

/// There is no deployment to continue or to abort.
fn none(session: &Session) -> Error {
    Error::invalid(format!("no deployment is in progress in workspace {}", session.kept.workspace))
        .hint("start one with `payinfra deploy --image IMAGE` or `payinfra deploy --function NAME`")
}

/// A change of operational values.
#[derive(Default)]
struct Change {
    targets: BTreeSet<Address>,
    values: Values,
    roles: Roles,
}

impl Change {
    /// `colour` gets the tasks in the role of `as_if`.
    fn play(&mut self, colour: &Colour, as_if: &Colour) {
        self.targets.extend(colour.tasks().map(Clone::clone));
        self.roles.extend(colour.service_role(as_if));
    }

    /// `colour` gets the range of tasks in the role of `as_if`.
    fn limit(&mut self, colour: &Colour, as_if: &Colour) {
        self.targets.extend(colour.scaling().cloned());
        self.roles.extend(colour.scaling_role(as_if));
    }
}

/// The shares of the new colour after each step, in percent.
fn shares_of(step: u8) -> Vec<u8> {
    let step = step.clamp(1, 100);
    (1..=100_u8.div_ceil(step)).map(|index| index.saturating_mul(step).min(100)).collect()
}

fn recorded_id<'a>(state: &'a State, address: &Address) -> Option<&'a str> {
    state.resources.get(address)?.id.as_deref()
}

fn gone(address: &Address) -> Error {
    Error::invalid(format!("{address} does not exist")).hint("create it with `payinfra apply`")
}

fn open_ended() {
    screen::note(&format!("The deployment has not ended: {}.", operation::ways(Deploy::NAME)));
}

fn deploying(deployment: &Deployment, pairs: &[Pair<'_>], steps: &[u8]) -> Deploying {
    let seconds = |millis| Duration::from_millis(millis).as_secs_f64();
    let region = |pair: &Pair<'_>| RegionColours {
        region: pair.service.region().to_string(),
        from: pair.old().name.clone(),
        to: pair.fresh().name.clone(),
        tasks: pair.tasks,
    };
    Deploying {
        service: deployment.service.clone(),
        image: deployment.image.clone(),
        regions: pairs.iter().map(region).collect(),
        steps: steps.to_vec(),
        every: seconds(deployment.every_millis),
        bake: seconds(deployment.bake_millis),
        gates: deployment.gates.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m17_the_steps_end_at_all_requests() {
        assert_eq!(shares_of(25), [25, 50, 75, 100]);
        assert_eq!(shares_of(30), [30, 60, 90, 100]);
        assert_eq!(shares_of(100), [100]);
        assert_eq!(shares_of(1).len(), 100);
        for step in 1..=100 {
            let shares = shares_of(step);
            assert!(
                shares.windows(2).all(|pair| pair[0] < pair[1]) && shares.last() == Some(&100),
                "{step}: {shares:?}"
            );
        }
    }
}
