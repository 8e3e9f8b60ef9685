//! `payinfra failover`: makes the clusters of another region the writers of the global databases, and moves the traffic there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use payinfra_aws::probe;
use payinfra_aws::rds::{Cluster, GlobalDatabase, Member};
use payinfra_engine::{Address, Class, Error, Graph, Region, Resource, Result, State};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use super::Execute;
use crate::context::{Context, Session};
use crate::databases::Databases;
use crate::events::{DatabaseRoles, Emitter, Message, ShiftOutcome};
use crate::exit::{Exit, Outcome};
use crate::gate::{self, Gate, Gates, Verdict, duration};
use crate::lock;
use crate::lost::Missing;
use crate::operation::{self, Claim};
use crate::routes::Routes;
use crate::run::{Order, interrupt};
use crate::screen::{self, CREATE, DIM, ERROR, HEADING};
use crate::weights::{Weights, shown};

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command line")]
pub(super) struct Failover {
    /// Region whose clusters become the writers, and that gets all traffic
    #[arg(long, value_name = "REGION", conflicts_with_all = ["back", "resume", "abort", "status"])]
    to: Option<String>,
    /// Return the writers and the traffic to where the configuration has them
    #[arg(long, conflicts_with_all = ["unplanned", "resume", "abort", "status"])]
    back: bool,
    /// Lose no data; all regions have to respond. This is the default
    #[arg(long, conflicts_with = "unplanned")]
    planned: bool,
    /// Do not wait for the writer's region, which does not respond: what it has not replicated is lost
    #[arg(long, requires = "to")]
    unplanned: bool,
    /// Leave the traffic weights as they are
    #[arg(long, conflicts_with_all = ["resume", "abort", "status"])]
    keep_traffic: bool,
    /// Condition that has to hold before a planned failover; can be repeated. See `traffic`. By default,
    /// `replication:5s`: no copy of a database, table or bucket is behind by more than 5 s
    #[arg(long, value_name = "GATE", conflicts_with_all = ["unplanned", "resume", "abort", "status"])]
    gate: Vec<Gate>,
    /// Time limit for each gate command, such as `30s`
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    gate_timeout: Duration,
    /// Time limit for the change of the roles, such as `15m`
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    timeout: Duration,
    /// Continue an interrupted failover
    #[arg(long, conflicts_with_all = ["abort", "status"])]
    resume: bool,
    /// Return to the writers and the weights before an interrupted failover
    #[arg(long, conflicts_with = "status")]
    abort: bool,
    /// Show the writers and the failover in progress; the default without `--to`
    #[arg(long)]
    status: bool,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
    /// Print events as JSON, one object per line; see `schema --events`
    #[arg(long)]
    json: bool,
}

/// What the state records about a failover.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Move {
    /// The writers' regions before, by database.
    from: BTreeMap<Address, String>,
    /// The writers' regions after.
    to: BTreeMap<Address, String>,
    /// Whether data may be lost.
    unplanned: bool,
    /// The traffic weights before and after; `None` if they stay.
    traffic: Option<(Weights, Weights)>,
}

impl Move {
    fn is_done(&self) -> bool {
        self.from == self.to && self.traffic.is_none()
    }
}

/// The time limit for the change of the roles, as the default of the option.
const TIMEOUT: Duration = Duration::from_mins(15);
/// The time between two reads of the roles.
const POLL: Duration = Duration::from_secs(1);
/// How long an unplanned failover waits for what may be in a region that does not respond: the state, its lock, Route 53.
const PATIENCE: Duration = Duration::from_secs(15);

impl Execute for Failover {
    const NAME: &'static str = "failover";
    const ABOUT: &'static str = "Show the writers of the global databases, or fail over to another region";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = match &self.to {
            Some(to) if self.unplanned => cx.session_in(to).await?,
            _ => cx.session().await?,
        };
        let graph = session.graph()?;
        let databases = Databases::find(&graph)?;
        let driver = Driver { options: &self, session: &session, graph: &graph, databases: &databases, cx };
        if self.unplanned {
            return driver.unplanned().await;
        }
        let state = session.load(Missing::Refuse).await?.state;
        let found = operation::find::<Move>(&state, Self::NAME)?;
        if self.resume || self.abort {
            let found = found.ok_or_else(|| {
                Error::invalid(format!("no failover is in progress in workspace {}", session.kept.workspace))
                    .hint("start one with `payinfra failover --to REGION`")
            })?;
            return driver.continued(found.what).await;
        }
        if self.to.is_none() && !self.back {
            driver.status(found.as_ref()).await?;
            return Ok(Exit::Done);
        }
        driver.planned(&state).await
    }
}

/// Whether the region of a writer leaves with `graph`, which is to be applied: it no longer has a cluster there.
pub(super) async fn leaves(session: &Session, graph: &Graph) -> Result<bool> {
    let Ok(databases) = Databases::find(graph) else { return Ok(false) };
    let roles = databases.roles(&session.access, None).await?;
    let stays = |region: &Region| {
        graph.nodes().keys().any(|address| &*address.kind == Cluster::KIND && address.region == *region)
    };
    Ok(!roles.values().filter_map(GlobalDatabase::writer).all(|writer| stays(&writer.region)))
}

/// Moves the writers home, as a planned failover without the traffic.
pub(super) async fn home(cx: &Context, session: &Session, graph: &Graph, yes: bool, json: bool) -> Outcome {
    let databases = Databases::find(graph)?;
    screen::note("The writer's region leaves. The writer moves home first.");
    let options = Failover {
        to: None,
        back: true,
        planned: true,
        unplanned: false,
        keep_traffic: true,
        gate: Vec::new(),
        gate_timeout: Duration::ZERO,
        timeout: TIMEOUT,
        resume: false,
        abort: false,
        status: false,
        yes,
        json,
    };
    let state = session.load(Missing::Refuse).await?.state;
    Driver { options: &options, session, graph, databases: &databases, cx }.planned(&state).await
}

/// Makes a failover, and tells about it.
struct Driver<'a> {
    options: &'a Failover,
    session: &'a Session,
    graph: &'a Graph,
    databases: &'a Databases,
    cx: &'a Context,
}

type Roles = BTreeMap<Address, GlobalDatabase>;

impl Driver<'_> {
    /// Moves the writers without losing data.
    async fn planned(&self, state: &State) -> Outcome {
        operation::refuse(state)?;
        let roles = self.databases.roles(&self.session.access, None).await?;
        let to = self.targets(&roles).await?;
        let what = Move { from: writers(&roles)?, to, unplanned: false, traffic: self.traffic(Some(state))? };
        if what.is_done() {
            return Ok(self.nothing(&what));
        }
        let gates = if self.options.gate.is_empty() { vec![Gate::default()] } else { self.options.gate.clone() };
        let gates = Gates::new(&self.session.access, gate::expanded(gates, state)?, self.options.gate_timeout);
        self.introduce(&what);
        self.opened(&gates.evaluate().await?)?;
        self.confirm("Fail over?").await?;
        let claim = operation::begin(&self.session.kept, Failover::NAME, what.clone()).await?;
        self.carry_out(&what, Some(&claim), ShiftOutcome::Complete).await
    }

    /// Continues a failover in the state, or undoes it.
    async fn continued(&self, what: Move) -> Outcome {
        let (what, question, outcome) = if self.options.abort {
            let Move { from, to, traffic, .. } = what;
            let traffic = traffic.map(|(before, after)| (after, before));
            let back = Move { from: to, to: from, unplanned: false, traffic };
            (back, "Abort the failover, and return?", ShiftOutcome::Returned)
        } else {
            (what, "Continue the failover?", ShiftOutcome::Complete)
        };
        self.introduce(&what);
        self.confirm(question).await?;
        let claim = operation::take_over(&self.session.kept, Failover::NAME).await?;
        self.carry_out(&what, Some(&claim), outcome).await
    }

    /// Promotes the clusters of a region although the writers' region does not respond. Nothing waits for that region: the
    /// roles are read from the target, and what may be in the region that is down, such as the state, is waited for only
    /// briefly and then left out.
    async fn unplanned(&self) -> Outcome {
        let to = Region::new(self.options.to.as_deref().unwrap_or_default());
        let roles = bounded("the databases", self.databases.roles(&self.session.access, Some(&to))).await?;
        let targets = bounded("the databases", self.targets(&roles)).await?;
        let state = match bounded("the state", self.session.load(Missing::Refuse)).await {
            Ok(loaded) => Some(loaded.state),
            Err(error) if error.is(Class::Ambiguous) => {
                screen::note(&format!(
                    "{error}. The failover continues without the state and its lock: nobody else may change the workspace."
                ));
                None
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(state) = &state {
            operation::refuse(state)?;
        }
        let is_reachable = bounded("Route 53", probe::route53(&self.session.access.cx(&Region::global()))).await;
        let traffic =
            if let (Some(_), Ok(())) = (&state, &is_reachable) { self.traffic(state.as_ref())? } else { None };
        let is_left_out = traffic.is_none() && !self.options.keep_traffic && Routes::find(self.graph).is_ok();
        let what = Move { from: writers(&roles)?, to: targets, unplanned: true, traffic };
        if what.is_done() {
            return Ok(self.nothing(&what));
        }
        self.introduce(&what);
        for (address, database) in &roles {
            self.tell_loss(address, database, &to).await;
        }
        self.confirm("Fail over, and lose what has not been replicated?").await?;
        let claim = match &state {
            None => None,
            Some(_) => Some(operation::begin(&self.session.kept, Failover::NAME, what.clone()).await?),
        };
        let exit = self.carry_out(&what, claim.as_ref(), ShiftOutcome::Complete).await?;
        if is_left_out {
            screen::note(
                "The traffic weights are unchanged. Records with health checks no longer answer with a region that is down. \
                 When its state and Route 53 respond again, `payinfra traffic --weights` changes the weights.",
            );
        }
        Ok(exit)
    }

    /// Moves the writers, then the traffic, and ends the operation.
    async fn carry_out(&self, what: &Move, claim: Option<&Claim>, outcome: ShiftOutcome) -> Outcome {
        let moved = tokio::select! {
            moved = self.move_writers(what, claim) => moved,
            () = interrupt() => {
                screen::note("\nStopped. AWS completes a change of roles that has begun.");
                open_ended(claim);
                self.ended(ShiftOutcome::Stopped, what, Some("interrupted"));
                return Ok(Exit::Failed);
            }
        };
        moved.inspect_err(|_| open_ended(claim))?;
        if let (Some((_, after)), Some(claim)) = (&what.traffic, claim) {
            let made = self.shift(after, claim).await.inspect_err(|_| open_ended(Some(claim)))?;
            if made != Exit::Done {
                open_ended(Some(claim));
                return Ok(made);
            }
        }
        if let Some(claim) = claim {
            operation::end(&self.session.kept, claim).await?;
        }
        self.ended(outcome, what, None);
        Ok(Exit::Done)
    }

    /// Makes the clusters in `what.to` the writers, under the lock if the state is available.
    async fn move_writers(&self, what: &Move, claim: Option<&Claim>) -> Result<()> {
        let Some(claim) = claim else {
            self.session.cloud.guard(Arc::new(|| Ok(())));
            return self.promote_all(what, &|| Ok(())).await;
        };
        let epoch = self.session.kept.load().await?.state.epoch;
        let lease = lock::acquire(&self.session.kept.backing, Failover::NAME, epoch).await?;
        let moved = async {
            claim.check(&self.session.kept.load().await?.state)?;
            self.session.cloud.guard(lease.guard());
            self.promote_all(what, &|| lease.check()).await
        }
        .await;
        lock::release(lease).await;
        moved
    }

    async fn promote_all(&self, what: &Move, permit: &(dyn Fn() -> Result<()> + Sync)) -> Result<()> {
        for (address, region) in &what.to {
            let moved = self.promote(address, &Region::new(region), what.unplanned, permit).await;
            moved.map_err(|error| error.at(address))?;
        }
        Ok(())
    }

    /// Makes the cluster in `to` the writer of the database at `address`, and waits for it. Starts nothing if it is the
    /// writer already, or a change is in progress. Fails as soon as `permit` does.
    async fn promote(
        &self,
        address: &Address,
        to: &Region,
        unplanned: bool,
        permit: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<()> {
        let limit = Instant::now() + self.options.timeout;
        let cx = self.session.access.cx(to);
        let mut told = None;
        loop {
            let step = self.step(&cx, address, to, unplanned).await;
            permit()?;
            let last = match step {
                Ok(true) => {
                    self.line(&format!("{CREATE}✓{CREATE:#} {address} has its writer in {to}"));
                    return Ok(());
                }
                Ok(false) => None,
                Err(error) if is_passing(&error) => Some(error),
                Err(error) => return Err(error),
            };
            let why = last.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            if told.as_ref() != Some(&why) {
                self.line(&format!("{DIM}{address}: waiting until the writer is in {to}{why} …{DIM:#}"));
                told = Some(why);
            }
            if Instant::now() > limit {
                let why = told.unwrap_or_default();
                let late = format!("the writer is not in {to} after {} s{why}", self.options.timeout.as_secs());
                return Err(Error::failed(late).hint("look at the global cluster in the RDS console"));
            }
            sleep(POLL).await;
        }
    }

    /// One look at the roles, and the call that changes them if nothing else is going on. Whether `to` is the writer.
    async fn step(&self, cx: &payinfra_aws::Cx, address: &Address, to: &Region, unplanned: bool) -> Result<bool> {
        let read = self.databases.roles_at(cx, address).await?;
        let member = target(address, &read, to)?;
        if member.is_writer && read.is_available {
            return Ok(true);
        }
        if read.is_available {
            if unplanned { read.fail_over(cx, member).await? } else { read.switch_over(cx, member).await? }
        }
        Ok(false)
    }

    /// Sets the traffic weights, as one run.
    async fn shift(&self, weights: &Weights, claim: &Claim) -> Outcome {
        let routes = Routes::find(self.graph)?;
        let options = routes.options(routes.values(weights));
        let (json, verbose) = (self.options.json, self.cx.verbose());
        Order::step(self.session, Failover::NAME, self.graph, options, claim, json, verbose).carry_out().await
    }

    /// The writers' regions afterwards.
    async fn targets(&self, roles: &Roles) -> Result<BTreeMap<Address, String>> {
        let mut to = BTreeMap::new();
        for (address, database) in roles {
            let region = self.options.to.as_deref().map_or_else(|| address.region.clone(), Region::new);
            let member = target(address, database, &region)?;
            if !member.is_writer && !member.has_instance(&self.session.access.cx(&region)).await? {
                let id = member.arn.rsplit(':').next().unwrap_or_default();
                return Err(Error::invalid(format!("{address}: the cluster {id} in {region} has no instance"))
                    .hint("add one first: nobody could connect to the writer"));
            }
            to.insert(address.clone(), region.to_string());
        }
        Ok(to)
    }

    /// The traffic weights before and after; `None` if they stay.
    fn traffic(&self, state: Option<&State>) -> Result<Option<(Weights, Weights)>> {
        let (Some(state), Ok(routes), false) = (state, Routes::find(self.graph), self.options.keep_traffic) else {
            return Ok(None);
        };
        let before = routes.current(state)?;
        let after = match &self.options.to {
            None => routes.initial(),
            Some(to) if before.contains_key(to) => {
                before.keys().map(|region| (region.clone(), if region == to { 100 } else { 0 })).collect()
            }
            Some(to) => {
                let hint = "add --keep-traffic to move only the writers";
                return Err(Error::invalid(format!("no record routes traffic to {to}")).hint(hint));
            }
        };
        Ok((before != after).then_some((before, after)))
    }

    fn nothing(&self, what: &Move) -> Exit {
        screen::note("Nothing to do: the writers and the traffic are there already.");
        self.ended(ShiftOutcome::Complete, what, None);
        Exit::Done
    }

    /// Says how much data may be lost.
    async fn tell_loss(&self, address: &Address, database: &GlobalDatabase, to: &Region) {
        let Some(from) = database.writer().filter(|writer| writer.region != *to) else { return };
        let id = database.member(to).and_then(|member| member.arn.rsplit(':').next()).unwrap_or_default();
        let metric = gate::database_lag(id, &from.region);
        let lag = timeout(PATIENCE, probe::metric(&self.session.access.cx(to), &metric)).await;
        let lag = match lag {
            Ok(Ok(Some(millis))) => format!("the last reported lag is {millis} ms"),
            _ => "no lag has been reported in the last minutes".to_owned(),
        };
        screen::note(&format!(
            "{ERROR}Data loss{ERROR:#}: {address} loses what {} has accepted and not replicated to {to}; {lag}.",
            from.region
        ));
    }

    fn opened(&self, verdicts: &[Verdict]) -> Result<()> {
        if !self.options.json {
            gate::list(verdicts);
        }
        self.emit(|| gate::results(verdicts));
        if verdicts.iter().all(|verdict| verdict.holds) {
            return Ok(());
        }
        Err(Error::failed(format!("nothing was changed: {}", gate::reasons(verdicts)))
            .hint("wait until replication is level; `--unplanned` fails over without it and loses data"))
    }

    async fn confirm(&self, question: &str) -> Result<()> {
        let Failover { yes, json, .. } = *self.options;
        self.session.confirm(question, yes, json, "review the failover, then pass --yes").await
    }

    /// Shows what will be done.
    fn introduce(&self, what: &Move) {
        let kind = if what.unplanned { "Unplanned failover" } else { "Planned failover" };
        self.line(&format!("{HEADING}{kind} of {}:{HEADING:#}", self.session.kept.workspace));
        for (address, to) in &what.to {
            let from = what.from.get(address).map_or("–", String::as_str);
            let change = if from == to { format!("stays in {to}") } else { format!("{from} → {to}") };
            self.line(&format!("  writer of {address}  {change}"));
        }
        match &what.traffic {
            Some((before, after)) => self.line(&format!("  traffic  {} → {}", shown(before), shown(after))),
            None => self.line("  traffic  unchanged"),
        }
    }

    /// Shows the roles and the failover in progress.
    async fn status(&self, found: Option<&operation::Operation<Move>>) -> Result<()> {
        let roles = self.databases.roles(&self.session.access, None).await?;
        for (address, database) in &roles {
            self.line(&format!("{HEADING}{address}{HEADING:#} {}", database.name));
            for member in &database.members {
                let role = if member.is_writer { "writer" } else { "secondary" };
                let home = if member.region == address.region { " (home)" } else { "" };
                let lost = if member.is_connected { "" } else { ", not in sync" };
                self.line(&format!("  {:12} {role}{lost}{DIM}{home}{DIM:#}", member.region.as_str()));
            }
            if !database.is_available {
                self.line("  a change of the roles is in progress");
            }
        }
        if let Some(found) = found {
            self.line(&format!("\nA failover of {} has been in progress since {}.", found.who, found.since));
            self.line(&format!("{}.", operation::ways(Failover::NAME)));
        }
        self.emit(|| Message::Databases { databases: roles.iter().map(described).collect() });
        Ok(())
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

    fn ended(&self, outcome: ShiftOutcome, what: &Move, reason: Option<&str>) {
        let writer = what.to.values().next().cloned().unwrap_or_default();
        match outcome {
            ShiftOutcome::Complete => self.line(&format!("{CREATE}Complete{CREATE:#}: the writer is in {writer}.")),
            ShiftOutcome::Returned => self.line(&format!("Returned: the writer is in {writer} again.")),
            ShiftOutcome::Stopped => {}
        }
        self.emit(|| Message::FailoverEnded { outcome, writer, reason: reason.map(str::to_owned) });
    }
}

/// The cluster of `database` in `region`.
fn target<'a>(address: &Address, database: &'a GlobalDatabase, region: &Region) -> Result<&'a Member> {
    database.member(region).ok_or_else(|| {
        let regions: Vec<_> = database.members.iter().map(|member| member.region.as_str()).collect();
        Error::invalid(format!("{address} has no cluster in `{region}`"))
            .hint(format!("its clusters are in {}", regions.join(", ")))
    })
}

/// The writers' regions.
fn writers(roles: &Roles) -> Result<BTreeMap<Address, String>> {
    let all = roles.iter().map(|(address, database)| {
        let writer = database.writer().ok_or_else(|| {
            Error::invalid(format!("{address} has no writer yet")).hint("create its clusters with `payinfra apply`")
        })?;
        Ok((address.clone(), writer.region.to_string()))
    });
    all.collect()
}

fn described((address, database): (&Address, &GlobalDatabase)) -> DatabaseRoles {
    let secondaries = || database.members.iter().filter(|member| !member.is_writer);
    DatabaseRoles {
        address: address.to_string(),
        name: database.name.clone(),
        writer: database.writer().map(|writer| writer.region.to_string()),
        secondaries: secondaries().map(|member| member.region.to_string()).collect(),
        resynchronizing: secondaries().filter(|it| !it.is_connected).map(|it| it.region.to_string()).collect(),
        available: database.is_available,
    }
}

fn open_ended(claim: Option<&Claim>) {
    if claim.is_some() {
        screen::note(&format!("The failover has not ended: {}.", operation::ways(Failover::NAME)));
    } else {
        screen::note("The failover may not have ended: run the command again.");
    }
}

/// The result of `look`, or an error after [`PATIENCE`].
async fn bounded<T>(what: &str, look: impl Future<Output = Result<T>>) -> Result<T> {
    let late = || Error::new(Class::Ambiguous, format!("{what} did not respond within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, look).await.unwrap_or_else(|_| Err(late()))
}

/// Whether the same call may succeed soon.
fn is_passing(error: &Error) -> bool {
    [Class::Ambiguous, Class::Throttled, Class::Conflict, Class::Eventual].contains(&error.class())
}
