//! `payinfra traffic`: shifts traffic between regions in steps, and returns if a gate fails (M-26).

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use payinfra_engine::plan::plan;
use payinfra_engine::{Address, Class, Error, Graph, Result, State};
use serde::{Deserialize, Serialize};

use super::Execute;
use crate::context::{Context, Session};
use crate::events::{Emitter, Message, RegionWeight, ShiftOutcome, Shifting};
use crate::exit::{Exit, Outcome};
use crate::gate::{self, GateOptions, Gates, duration, millis};
use crate::lost::Missing;
use crate::operation::{self, Claim, Operation};
use crate::routes::Routes;
use crate::run::Order;
use crate::screen::{self, CREATE, DIM, ERROR, HEADING};
use crate::stepwise::{self, Listener, REVIEW};
use crate::weights::{Weight, Weights, distribution, shown, steps, whole};

/// The options that do not go with those of a new shift.
const UNFIT: [&str; 3] = ["resume", "abort", "status"];

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command line")]
pub(super) struct Traffic {
    /// New weights in percent for all regions, such as `us-east-1=75,us-east-2=25`
    #[arg(long, value_name = "REGION=N", value_delimiter = ',', conflicts_with_all = UNFIT)]
    weights: Vec<Weight>,
    /// Change no weight by more than this many percentage points at once; by default, there is one step
    #[arg(long, value_name = "POINTS", conflicts_with_all = UNFIT, value_parser = clap::value_parser!(u8).range(1..=100))]
    step: Option<u8>,
    /// Wait this long after each step, also the last one, while the gates are checked
    #[arg(long, value_name = "DURATION", conflicts_with_all = UNFIT, default_value = "60s", value_parser = duration)]
    every: Duration,
    #[command(flatten)]
    gates: GateOptions,
    /// Continue an interrupted shift
    #[arg(long, conflicts_with_all = ["abort", "status"])]
    resume: bool,
    /// Return to the weights before an interrupted shift
    #[arg(long, conflicts_with = "status")]
    abort: bool,
    /// Show the weights and the shift in progress; the default without `--weights`
    #[arg(long)]
    status: bool,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
    /// Print events as JSON, one object per line; see `schema --events`
    #[arg(long)]
    json: bool,
}

/// What the state records about a shift.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shift {
    from: Weights,
    to: Weights,
    step: u8,
    every_millis: u64,
    gates: Vec<String>,
    samples: NonZeroU32,
    gate_timeout_millis: u64,
}

impl Execute for Traffic {
    const NAME: &'static str = "traffic";
    const ABOUT: &'static str = "Show the traffic weights of the regions, or shift traffic between them in steps";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let graph = session.graph()?;
        let routes = Routes::find(&graph)?;
        let state = session.load(Missing::Refuse).await?.state;
        let found = operation::find::<Shift>(&state, Self::NAME)?;
        let driver =
            Driver { session: &session, graph: &graph, routes: &routes, json: self.json, verbose: cx.verbose() };
        if self.resume || self.abort {
            let found = found.ok_or_else(|| {
                Error::invalid(format!("no shift of traffic is in progress in workspace {}", session.kept.workspace))
                    .hint("start one with `payinfra traffic --weights`")
            })?;
            return if self.abort {
                self.abort(&driver, found).await
            } else {
                self.resume(&driver, &state, found).await
            };
        }
        if self.weights.is_empty() {
            driver.status(&state, found.as_ref());
            return Ok(Exit::Done);
        }
        self.start(&driver, &state).await
    }
}

impl Traffic {
    async fn start(&self, driver: &Driver<'_>, state: &State) -> Outcome {
        let Driver { session, routes, .. } = driver;
        operation::refuse(state)?;
        let to = distribution(&self.weights, &routes.regions())?;
        let from = routes.current(state)?;
        whole(&from, "the current weights")?;
        let steps = steps(&from, &to, self.step.unwrap_or(100));
        if steps.is_empty() {
            screen::note(&format!("Nothing to shift: the weights are {}.", shown(&from)));
            driver.emit(|| Message::ShiftEnded { outcome: ShiftOutcome::Complete, weights: from, reason: None });
            return Ok(Exit::Done);
        }
        driver.changes_weights_only(state).await?;
        let own = || [gate::alarms(state), routes.health_checks(state, &to)].concat();
        let gates = self.gates.watched(state, own)?;
        let shift = Shift {
            from,
            to,
            step: self.step.unwrap_or(100),
            every_millis: millis(self.every),
            gates: gates.iter().map(ToString::to_string).collect(),
            samples: self.gates.samples(),
            gate_timeout_millis: millis(self.gates.timeout()),
        };
        let gates = Gates::new(&session.access, gates, self.gates.timeout());
        driver.introduce(&shift, &steps, 0);
        stepwise::opened(&gates, self.json).await?;
        driver.session.confirm("Shift the traffic?", self.yes, self.json, REVIEW).await?;
        let listener = Listener::start();
        let claim = operation::begin(&session.kept, Self::NAME, shift.clone()).await?;
        driver.shift(&shift, &claim, &gates, &steps, 0, listener).await
    }

    async fn resume(&self, driver: &Driver<'_>, state: &State, found: Operation<Shift>) -> Outcome {
        let mut shift = found.what;
        shift.samples = self.gates.samples_or(shift.samples);
        shift.gate_timeout_millis = self.gates.timeout_millis_or(shift.gate_timeout_millis);
        let all = steps(&shift.from, &shift.to, shift.step);
        let reached = driver.reached(state, &shift, &all);
        // The last step may not have taken effect in AWS. If it has, repeating it does nothing.
        let first = reached.saturating_sub(1);
        driver.changes_weights_only(state).await?;
        let gates = stepwise::recorded(&shift.gates, &self.gates.gate, state, "shift")?;
        let gates = Gates::new(&driver.session.access, gates, Duration::from_millis(shift.gate_timeout_millis));
        driver.introduce(&shift, &all, first);
        stepwise::opened(&gates, self.json).await?;
        driver.session.confirm("Continue the shift?", self.yes, self.json, REVIEW).await?;
        let listener = Listener::start();
        let claim = operation::take_over(&driver.session.kept, Self::NAME).await?;
        driver.shift(&shift, &claim, &gates, &all, first, listener).await
    }

    async fn abort(&self, driver: &Driver<'_>, found: Operation<Shift>) -> Outcome {
        let Shift { from, to, .. } = found.what;
        let question = format!("Abort the shift to {}, and return to {}?", shown(&to), shown(&from));
        driver.session.confirm(&question, self.yes, self.json, REVIEW).await?;
        let claim = operation::take_over(&driver.session.kept, Self::NAME).await?;
        if driver.set(&from, &claim).await? != Exit::Done {
            return Ok(Exit::Failed);
        }
        operation::end(&driver.session.kept, &claim).await?;
        driver.ended(ShiftOutcome::Returned, &from, Some("the shift was aborted"));
        Ok(Exit::Done)
    }
}

/// Makes changes of weights, and tells about them.
struct Driver<'a> {
    session: &'a Session,
    graph: &'a Graph,
    routes: &'a Routes,
    json: bool,
    verbose: bool,
}

impl Driver<'_> {
    /// Makes the steps from index `first` on.
    async fn shift(
        &self,
        shift: &Shift,
        claim: &Claim,
        gates: &Gates,
        steps: &[Weights],
        first: usize,
        mut listener: Listener,
    ) -> Outcome {
        let every = Duration::from_millis(shift.every_millis);
        let mut before = None;
        for (index, weights) in steps.iter().enumerate().skip(first) {
            if listener.is_stopped() {
                return Ok(self.stopped(before.unwrap_or(&shift.from)));
            }
            if let Some(before) = before {
                self.unchanged(before).await.inspect_err(|_| open_ended())?;
            }
            self.stepping(index + 1, steps.len(), weights);
            let made = self.set(weights, claim).await.inspect_err(|_| open_ended())?;
            if listener.is_stopped() {
                return Ok(self.stopped(weights));
            }
            if made != Exit::Done {
                return self.go_back(shift, claim, "the step could not be made").await;
            }
            before = Some(weights);
            self.stepped(index + 1, steps.len(), weights);
            let failed = tokio::select! {
                failed = gates.watch(every, shift.samples, |verdicts| stepwise::tell(verdicts, self.json, self.verbose)) => failed,
                () = listener.stopped() => return Ok(self.stopped(weights)),
            };
            if !failed.is_empty() {
                return self.go_back(shift, claim, &gate::reasons(&failed)).await;
            }
        }
        operation::end(&self.session.kept, claim).await?;
        self.ended(ShiftOutcome::Complete, &shift.to, None);
        Ok(Exit::Done)
    }

    /// Sets the weights, as one or two runs. If more than two regions change, those that gain traffic are first: otherwise
    /// one of them could get all of it for a moment.
    async fn set(&self, weights: &Weights, claim: &Claim) -> Outcome {
        let all = self.routes.all(&self.session.kept.load().await?.state);
        let highest = |region: &String| all.get(region).and_then(|all| all.iter().max()).copied().unwrap_or_default();
        let changed = weights.iter().filter(|(region, weight)| highest(region) != **weight).count();
        if changed > 2 {
            let risen = weights.iter().map(|(region, weight)| (region.clone(), highest(region).max(*weight))).collect();
            let made = self.order(&risen, claim).await?;
            if made != Exit::Done {
                return Ok(made);
            }
        }
        self.order(weights, claim).await
    }

    async fn order(&self, weights: &Weights, claim: &Claim) -> Outcome {
        let options = self.routes.options(self.routes.values(weights));
        let Self { session, graph, json, verbose, .. } = *self;
        Order::step(session, Traffic::NAME, graph, options, claim, json, verbose).carry_out().await
    }

    /// Checks that no other change of the records is pending, which a shift would make as well.
    async fn changes_weights_only(&self, state: &State) -> Result<()> {
        let options = self.routes.options(self.routes.kept(state));
        let planned = plan(&self.session.cloud, self.graph.clone(), state, &options).await?;
        let is_interrupted =
            |address: &Address| state.resources.get(address).is_some_and(|record| record.intent.is_some());
        stepwise::changes_nothing_else(&planned, |address, _| is_interrupted(address))
    }

    /// Checks that nobody else has changed the weights since the last step.
    async fn unchanged(&self, before: &Weights) -> Result<()> {
        let now = self.routes.current(&self.session.kept.load().await?.state)?;
        if now == *before {
            return Ok(());
        }
        let message = format!("another command has changed the weights from {} to {}", shown(before), shown(&now));
        Err(Error::new(Class::Stale, message).hint(operation::ways(Traffic::NAME)))
    }

    /// How many of the steps `all` have been reached according to `state`.
    fn reached(&self, state: &State, shift: &Shift, all: &[Weights]) -> usize {
        let current = self.routes.all(state);
        let is_reached = |weights: &&Weights| {
            weights.iter().all(|(region, weight)| {
                let end = shift.to.get(region).copied().unwrap_or_default();
                let records = current.get(region).into_iter().flatten();
                records.into_iter().all(|now| now.abs_diff(end) <= weight.abs_diff(end))
            })
        };
        all.iter().take_while(is_reached).count()
    }

    /// Returns to the weights before the shift. Another run may hold the lock for a while, so this is tried several times.
    async fn go_back(&self, shift: &Shift, claim: &Claim, why: &str) -> Outcome {
        screen::fail(&format!("{ERROR}error{ERROR:#}: {why}\n"));
        screen::note(&format!("Returning to the weights before: {}", shown(&shift.from)));
        let returned = stepwise::go_back("The weights could not be changed yet", async || {
            Ok(self.set(&shift.from, claim).await? == Exit::Done)
        });
        if returned.await.inspect_err(|_| open_ended())? {
            operation::end(&self.session.kept, claim).await?;
            self.ended(ShiftOutcome::Returned, &shift.from, Some(why));
            return Ok(Exit::Failed);
        }
        open_ended();
        Err(Error::failed(format!("the weights could not be returned to {}", shown(&shift.from))).into())
    }

    fn stopped(&self, weights: &Weights) -> Exit {
        screen::note(&format!("\nStopped at {}.", shown(weights)));
        open_ended();
        self.ended(ShiftOutcome::Stopped, weights, Some("interrupted"));
        Exit::Failed
    }

    fn emit(&self, message: impl FnOnce() -> Message) {
        if self.json {
            Emitter.emit(message());
        }
    }

    fn status(&self, state: &State, found: Option<&Operation<Shift>>) {
        let (current, initial) = (self.routes.all(state), self.routes.initial());
        let weight = |region: &String| current.get(region).and_then(|all| all.first()).copied();
        if !self.json {
            let width = initial.keys().map(String::len).max().unwrap_or_default();
            for (region, initial) in &initial {
                let now = weight(region).map_or_else(|| "–".to_owned(), |weight| weight.to_string());
                screen::line(&format!("{region:width$}  {now:>3}  {DIM}configured: {initial}{DIM:#}"));
            }
            if let Some(Operation { who, since, what, .. }) = found {
                let (from, to) = (shown(&what.from), shown(&what.to));
                screen::line(&format!("\nA shift of {who} from {from} to {to} has been in progress since {since}."));
                screen::line(&format!("{}.", operation::ways(Traffic::NAME)));
            }
        }
        self.emit(|| Message::Traffic {
            regions: initial
                .iter()
                .map(|(region, initial)| RegionWeight {
                    region: region.clone(),
                    weight: weight(region),
                    initial: *initial,
                })
                .collect(),
            shift: found.map(|found| {
                let all = steps(&found.what.from, &found.what.to, found.what.step);
                shifting(&found.what, all.get(self.reached(state, &found.what, &all)..).unwrap_or_default())
            }),
        });
    }

    /// Shows the steps from index `first` on.
    fn introduce(&self, shift: &Shift, all: &[Weights], first: usize) {
        let left = all.get(first..).unwrap_or_default();
        if !self.json {
            let every = Duration::from_millis(shift.every_millis).as_secs_f64();
            let workspace = &self.session.kept.workspace;
            let plural = if left.len() == 1 { "" } else { "s" };
            screen::line(&format!(
                "{HEADING}Shift of traffic of {workspace} in {} step{plural}, each followed by {every} s of checks:{HEADING:#}",
                left.len()
            ));
            let row = |name: &str, weights: &Weights| {
                let cells = weights.iter().map(|(region, weight)| format!("{weight:>width$}", width = region.len()));
                format!("  {name:>6}  {}", cells.collect::<Vec<_>>().join("  "))
            };
            screen::line(&format!("  {:6}  {}", "", shift.to.keys().cloned().collect::<Vec<_>>().join("  ")));
            screen::line(&row("before", &shift.from));
            for (index, weights) in all.iter().enumerate().skip(first) {
                screen::line(&row(&(index + 1).to_string(), weights));
            }
        }
        self.emit(|| Message::Shift(shifting(shift, left)));
    }

    fn stepping(&self, step: usize, of: usize, weights: &Weights) {
        if !self.json {
            screen::line(&format!("\n{HEADING}Step {step} of {of}: {}{HEADING:#}", shown(weights)));
        }
    }

    fn stepped(&self, step: usize, of: usize, weights: &Weights) {
        self.emit(|| Message::Weights { step, of, weights: weights.clone() });
    }

    fn ended(&self, outcome: ShiftOutcome, weights: &Weights, reason: Option<&str>) {
        if !self.json {
            match outcome {
                ShiftOutcome::Complete => {
                    screen::line(&format!("{CREATE}Shifted{CREATE:#}: the weights are {}.", shown(weights)));
                }
                ShiftOutcome::Returned => screen::line(&format!("Returned: the weights are {} again.", shown(weights))),
                ShiftOutcome::Stopped => {}
            }
        }
        let reason = reason.map(str::to_owned);
        self.emit(|| Message::ShiftEnded { outcome, weights: weights.clone(), reason });
    }
}

fn open_ended() {
    screen::note(&format!("The shift has not ended: {}.", operation::ways(Traffic::NAME)));
}

fn shifting(shift: &Shift, steps: &[Weights]) -> Shifting {
    let Shift { from, to, gates, every_millis, .. } = shift.clone();
    let every = Duration::from_millis(every_millis).as_secs_f64();
    Shifting { from, to, steps: steps.to_vec(), every, gates }
}
