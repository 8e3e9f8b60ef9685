//! Deployments that ECS makes itself (M-17): ECS starts the new tasks, shifts the requests and stops the old tasks; this follows
//! it, and has it roll back if a gate fails.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use payinfra_aws::ecs::deployment::{self, ServiceDeployment};
use payinfra_engine::plan::Options;
use payinfra_engine::{Address, Class, Error, Graph, Result, State, Values};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{Deploy, gone, none, nothing_pending, open_ended, recorded_id};
use crate::command::Execute;
use crate::context::Session;
use crate::events::{Emitter, Message, NativeDeploying, NativeStatus, ShiftOutcome};
use crate::exit::{Exit, Outcome};
use crate::failure::Failure;
use crate::gate::{self, Gates, Verdict, millis};
use crate::lock;
use crate::native::{Service, Services};
use crate::operation::{self, Claim, Operation};
use crate::run::Order;
use crate::screen::{self, CREATE, DIM, ERROR, HEADING};
use crate::stepwise::{self, Listener, REVIEW};

/// How often to look at the gates and at the deployments.
const LOOK: Duration = Duration::from_secs(5);
/// The time limit for a rollback by ECS.
const LIMIT: Duration = Duration::from_hours(1);

/// What the state records about a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Deployment {
    /// Always true; see [`MARK`](crate::native::MARK).
    native: bool,
    service: String,
    image: String,
    moves: Vec<Move>,
    gates: Vec<String>,
    gate_timeout_millis: u64,
}

/// A deployment in one region.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Move {
    /// The ECS service.
    service: Address,
    /// The image that it had.
    before: String,
}

/// Makes a deployment, and tells about it.
pub(super) struct Driver<'a> {
    pub(super) options: &'a Deploy,
    pub(super) session: &'a Session,
    pub(super) graph: &'a Graph,
    pub(super) services: &'a Services,
    pub(super) verbose: bool,
}

impl Driver<'_> {
    /// Starts a deployment.
    pub(super) async fn begin(&self, state: &State, image: &str) -> Outcome {
        self.refuse_steps()?;
        operation::refuse(state)?;
        let options = self.options;
        let services = self.services.named(options.service.as_deref())?;
        let current = self.graph.clone().current(state)?;
        let mut changes = Vec::new();
        for service in &services {
            let before = service.current(&current, state)?;
            if before != image {
                changes.push(Move { service: service.address.clone(), before });
            }
        }
        if changes.is_empty() {
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
        let gates = &options.gates;
        let watched = gates.watched(state, || gate::alarms(state))?;
        let deployment = Deployment {
            native: true,
            service: services[0].name().to_owned(),
            image: image.to_owned(),
            moves: changes,
            gates: watched.iter().map(ToString::to_string).collect(),
            gate_timeout_millis: millis(gates.timeout()),
        };
        let moved = self.moved(&deployment)?;
        let targets = moved.iter().flat_map(|(service, _)| service.parts()).cloned().collect();
        nothing_pending(self.session, self.graph, state, &Options { targets, alone: true, ..Options::default() })
            .await?;
        self.introduce(&deployment, &moved);
        let gates = Gates::new(&self.session.access, watched, gates.timeout());
        stepwise::opened(&gates, options.json).await?;
        self.confirm("Deploy the image?").await?;
        let listener = Listener::start();
        let claim = operation::begin(&self.session.kept, Deploy::NAME, deployment.clone()).await?;
        let run = Run { driver: self, deployment: &deployment, moved: &moved, claim: &claim };
        Box::pin(run.deploy(&gates, &listener)).await
    }

    /// Continues an interrupted deployment; ECS has continued it in the meantime.
    pub(super) async fn resume(&self, state: &State) -> Outcome {
        let mut deployment = recorded(state)?.ok_or_else(|| none(self.session))?.what;
        deployment.gate_timeout_millis = self.options.gates.timeout_millis_or(deployment.gate_timeout_millis);
        let moved = self.moved(&deployment)?;
        let watched = stepwise::recorded(&deployment.gates, &self.options.gates.gate, state, "deployment")?;
        self.introduce(&deployment, &moved);
        self.confirm("Continue the deployment?").await?;
        let listener = Listener::start();
        let claim = operation::take_over(&self.session.kept, Deploy::NAME).await?;
        let run = Run { driver: self, deployment: &deployment, moved: &moved, claim: &claim };
        let gates = Gates::new(&self.session.access, watched, Duration::from_millis(deployment.gate_timeout_millis));
        if let Some(why) = stepwise::failing(&gates, self.options.json).await? {
            return run.go_back(&why).await;
        }
        Box::pin(run.deploy(&gates, &listener)).await
    }

    /// Returns to the image before an interrupted deployment.
    pub(super) async fn abort(&self, state: &State) -> Outcome {
        let deployment = recorded(state)?.ok_or_else(|| none(self.session))?.what;
        let moved = self.moved(&deployment)?;
        self.confirm(&format!("Abort the deployment of {}, and return?", deployment.image)).await?;
        let claim = operation::take_over(&self.session.kept, Deploy::NAME).await?;
        let run = Run { driver: self, deployment: &deployment, moved: &moved, claim: &claim };
        if !run.undo().await? {
            return Ok(Exit::Failed);
        }
        operation::end(&self.session.kept, &claim).await?;
        run.ended(ShiftOutcome::Returned, Some("the deployment was aborted"));
        Ok(Exit::Done)
    }

    /// Shows the images, and what ECS is doing.
    pub(super) async fn status(&self, state: &State) -> Outcome {
        let current = self.graph.clone().current(state)?;
        let look = self.services.iter().map(async |service| {
            let image = service.current(&current, state)?;
            Ok::<_, Error>((service, image, self.newest(service, state).await?))
        });
        let found: Vec<(&Service, String, Option<ServiceDeployment>)> = try_join_all(look).await?;
        let mut native = Vec::new();
        for (service, image, newest) in found {
            let told = newest.as_ref().map_or_else(|| "no deployment".to_owned(), describe);
            let (name, region) = (service.name(), service.region());
            self.line(&format!("{HEADING}{name}{HEADING:#} {DIM}{region}{DIM:#}  {image}  {DIM}{told}{DIM:#}"));
            native.push(NativeStatus {
                service: name.to_owned(),
                region: region.to_string(),
                image,
                in_progress: newest.as_ref().is_some_and(ServiceDeployment::is_in_progress),
                stage: newest.as_ref().and_then(|newest| newest.stage.clone()),
                failure: newest.as_ref().and_then(ServiceDeployment::failure),
            });
        }
        let mut deploy = None;
        if let Some(Operation { who, since, what, .. }) = recorded(state)? {
            let Deployment { image, service, .. } = &what;
            self.line(&format!("\nA deployment of {image} to {service} by {who} has been in progress since {since}."));
            self.line(&format!("{}.", operation::ways(Deploy::NAME)));
            deploy = Some(deploying(&what, &self.moved(&what)?));
        }
        self.emit(|| Message::NativeServices { services: native, deploy });
        Ok(Exit::Done)
    }

    /// ECS shifts all requests at once, and the bake time is an argument of the service.
    fn refuse_steps(&self) -> Result<()> {
        let given = self.options.about_steps();
        if given.is_empty() {
            return Ok(());
        }
        let message = format!("{} cannot be used: ECS deploys this service itself, in one step", given.join(" and "));
        Err(Error::invalid(message).hint(
            "leave it out; the bake time is the variable `service.bake_minutes`, and `service.strategy = \"stepwise\"` has steps",
        ))
    }

    async fn confirm(&self, question: &str) -> Result<()> {
        self.session.confirm(question, self.options.yes, self.options.json, REVIEW).await
    }

    fn moved<'a>(&'a self, deployment: &'a Deployment) -> Result<Vec<(&'a Service, &'a str)>> {
        deployment.moves.iter().map(|it| Ok((self.services.at(&it.service)?, &*it.before))).collect()
    }

    async fn newest(&self, service: &Service, state: &State) -> Result<Option<ServiceDeployment>> {
        let arn = recorded_id(state, &service.address).ok_or_else(|| gone(&service.address))?;
        deployment::newest(&self.session.access.cx(service.region()), arn).await
    }

    fn introduce(&self, deployment: &Deployment, moved: &[(&Service, &str)]) {
        let Deployment { service, image, .. } = deployment;
        self.line(&format!("{HEADING}Deployment of {image} to {service} by ECS:{HEADING:#}"));
        for (service, before) in moved {
            self.line(&format!("  {}  replaces {before}", service.region()));
        }
        self.line(&format!("  all requests at once, then {} s before the old tasks stop", bake(moved).as_secs()));
        self.emit(|| Message::NativeDeploy(deploying(deployment, moved)));
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
    moved: &'a [(&'a Service, &'a str)],
    claim: &'a Claim,
}

impl Run<'_> {
    /// Updates the services, which ends when ECS has deployed the image in all regions, and checks the gates until then.
    async fn deploy(&self, gates: &Gates, listener: &Listener) -> Outcome {
        let driver = self.driver;
        driver.line(&format!("\n{HEADING}Deploying {}{HEADING:#}", self.deployment.image));
        let update = self.order(|(service, _)| service.image(&self.deployment.image));
        tokio::pin!(update);
        let failed = tokio::select! {
            ended = &mut update => Err(ended),
            failed = self.watch(gates) => Ok(failed),
        };
        let ended = match failed {
            Err(ended) => ended,
            Ok(failed) => {
                let why = gate::reasons(&failed);
                screen::note(&format!("A gate does not hold: {why}. ECS rolls back the deployment."));
                // The update may be about to start it.
                tokio::select! {
                    _ = &mut update => {}
                    () = self.keep_rolling_back() => {}
                }
                return if listener.is_stopped() { Ok(self.stopped()) } else { self.go_back(&why).await };
            }
        };
        if listener.is_stopped() {
            return Ok(self.stopped());
        }
        if ended.inspect_err(|_| open_ended())? != Exit::Done {
            let why = self.failures().await;
            return self.go_back(&format!("ECS could not deploy the image{why}")).await;
        }
        operation::end(&driver.session.kept, self.claim).await?;
        self.ended(ShiftOutcome::Complete, None);
        Ok(Exit::Done)
    }

    /// Returns the gates that do not hold, as soon as there are some.
    async fn watch(&self, gates: &Gates) -> Vec<Verdict> {
        let driver = self.driver;
        let mut stages = BTreeMap::new();
        loop {
            let tell = |verdicts: &[Verdict]| stepwise::tell(verdicts, driver.options.json, driver.verbose);
            let failed = gates.watch(LOOK, std::num::NonZeroU32::MIN, tell).await;
            if !failed.is_empty() {
                return failed;
            }
            // What ECS does is only shown, so an error in between is no failure.
            for (service, newest) in self.newest().await.unwrap_or_default() {
                let stage = newest.and_then(|newest| newest.stage);
                if stages.insert(service.region(), stage.clone()).flatten() != stage
                    && let Some(stage) = stage
                {
                    driver.emit(|| Message::NativeStage { region: service.region().to_string(), stage });
                }
            }
        }
    }

    /// The newest deployment of each service.
    async fn newest(&self) -> Result<Vec<(&Service, Option<ServiceDeployment>)>> {
        let state = &self.driver.session.kept.load().await?.state;
        let look =
            self.moved.iter().map(async |(service, _)| Ok((*service, self.driver.newest(service, state).await?)));
        try_join_all(look).await
    }

    /// Whether ECS is deploying, or rolling back.
    async fn is_in_progress(&self) -> Result<bool> {
        let newest = self.newest().await?;
        Ok(newest.iter().any(|(_, newest)| newest.as_ref().is_some_and(ServiceDeployment::is_in_progress)))
    }

    /// Has ECS roll back what is in progress. The lock must be held.
    async fn roll_back(&self) -> Result<()> {
        for (service, newest) in self.newest().await? {
            let Some(newest) = newest.filter(ServiceDeployment::is_in_progress) else { continue };
            let cx = self.driver.session.access.cx(service.region());
            match deployment::roll_back(&cx, &newest).await {
                // It is being rolled back already, or has only its old tasks to stop.
                Err(error) if [Class::Conflict, Class::Invalid].contains(&error.class()) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// The same under the lock.
    async fn stop(&self) -> Result<()> {
        let Driver { session, .. } = *self.driver;
        let epoch = session.kept.load().await?.state.epoch;
        let lease = lock::acquire(&session.kept.backing, Deploy::NAME, epoch).await?;
        let stopped = async {
            self.claim.check(&session.kept.load().await?.state)?;
            session.cloud.guard(lease.guard());
            self.roll_back().await
        }
        .await;
        lock::release(lease).await;
        stopped
    }

    /// Rolls back every deployment that starts, for as long as it is polled, while a run holds the lock.
    async fn keep_rolling_back(&self) {
        loop {
            if let Err(error) = self.roll_back().await {
                screen::note(&format!("The deployment cannot be rolled back yet: {error}"));
            }
            sleep(LOOK).await;
        }
    }

    /// What ECS says about the failures.
    async fn failures(&self) -> String {
        let found = self.newest().await.unwrap_or_default();
        let failed = found.into_iter().filter_map(|(service, newest)| {
            Some(format!(": {} {}", service.region(), newest.as_ref().and_then(ServiceDeployment::failure)?))
        });
        failed.collect()
    }

    /// Returns to the image before. Returns whether this has succeeded.
    async fn undo(&self) -> Result<bool, Failure> {
        if self.is_in_progress().await? {
            self.stop().await?;
        }
        let limit = Instant::now() + LIMIT;
        while self.is_in_progress().await? {
            if Instant::now() > limit {
                let late = format!("ECS has not rolled back the deployment after {} minutes", LIMIT.as_secs() / 60);
                return Err(Error::failed(late)
                    .hint("look at the deployments of the service in the ECS console")
                    .into());
            }
            sleep(LOOK).await;
        }
        Ok(self.order(|(service, before)| service.image(before)).await? == Exit::Done)
    }

    /// Returns to the image before because of a failure. Another run may hold the lock for a while, so this is tried several
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

    /// Gives the services images.
    async fn order(&self, image: impl Fn(&(&Service, &str)) -> Values) -> Outcome {
        let Driver { options, session, graph, verbose, .. } = *self.driver;
        let changed = Options {
            targets: self.moved.iter().flat_map(|(service, _)| service.parts()).cloned().collect(),
            alone: true,
            operational: self.moved.iter().flat_map(image).collect(),
            ..Options::default()
        };
        Order::step(session, Deploy::NAME, graph, changed, self.claim, options.json, verbose).carry_out().await
    }

    fn stopped(&self) -> Exit {
        screen::note("ECS continues what it has begun.");
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

fn recorded(state: &State) -> Result<Option<Operation<Deployment>>> {
    operation::find(state, Deploy::NAME)
}

/// The longest bake time.
fn bake(moved: &[(&Service, &str)]) -> Duration {
    moved.iter().map(|(service, _)| service.bake).max().unwrap_or_default()
}

fn describe(newest: &ServiceDeployment) -> String {
    match (newest.failure(), &newest.stage) {
        (Some(failure), _) => failure,
        (None, Some(stage)) => format!("deployment in progress: {stage}"),
        (None, None) if newest.is_in_progress() => "deployment in progress".to_owned(),
        (None, None) => "deployed".to_owned(),
    }
}

fn deploying(deployment: &Deployment, moved: &[(&Service, &str)]) -> NativeDeploying {
    NativeDeploying {
        service: deployment.service.clone(),
        image: deployment.image.clone(),
        regions: moved.iter().map(|(service, _)| service.region().to_string()).collect(),
        bake: bake(moved).as_secs_f64(),
        gates: deployment.gates.clone(),
    }
}
