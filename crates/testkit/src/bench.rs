//! A workspace on the simulated cloud: clients that plan and apply, are killed, and are started again.

use std::num::NonZeroUsize;
use std::sync::Arc;

use payinfra_engine::plan::{Options, plan};
use payinfra_engine::{
    Catalog, Cloud, Error, Graph, Holder, Journal, Lock, Observer, Plan, Report, Result, Run, State, Tags, apply, read,
};
use tokio::sync::watch;

use crate::climate::Climate;
use crate::cloud::{FakeCloud, Kinds, models, own, simulated};
use crate::faults::Faults;
use crate::store::{MemoryLock, MemoryStore};
use crate::world::World;

/// The maximum number of times that a client is started again.
const LIVES: usize = 200;

/// A workspace and its environment.
#[derive(Clone)]
pub struct Bench {
    /// The existing resources.
    pub world: Arc<World>,
    /// The state.
    pub store: MemoryStore,
    /// The lock.
    pub lock: MemoryLock,
    kinds: Kinds,
    forgetful: bool,
    /// Ctrl-C for the running client.
    pub cancel: watch::Sender<bool>,
    /// The limit for calls in flight, if not that of their lanes.
    pub width: Option<NonZeroUsize>,
    /// Whether the state may record less than was done.
    pub uncertain: bool,
    observer: Arc<dyn Observer>,
}

/// How a client ended.
#[derive(Debug)]
pub enum End {
    /// With this report.
    Done(Box<Plan>, Report),
    /// With an error of the whole run.
    Failed(Error),
    /// Killed.
    Killed,
}

impl Bench {
    /// An empty world, an empty store, a free lock.
    #[must_use]
    pub fn new() -> Self {
        Self::watched(())
    }

    /// The same, with `observer`.
    #[must_use]
    pub fn watched(observer: impl Observer + 'static) -> Self {
        let world = World::new();
        Self {
            store: MemoryStore::new(&world),
            world,
            lock: MemoryLock::default(),
            kinds: own(),
            forgetful: false,
            cancel: watch::channel(false).0,
            width: None,
            uncertain: false,
            observer: Arc::new(observer),
        }
    }

    /// The same, with simulated kinds of another cloud: those of `catalog`.
    #[must_use]
    pub fn of(catalog: &Catalog) -> Self {
        Self { kinds: simulated(catalog), ..Self::new() }
    }

    /// The same, with the kinds of shapes and AWS's times and limits.
    #[must_use]
    pub fn in_climate(climate: Climate) -> Self {
        let bench = Self { kinds: models(), ..Self::new() };
        bench.world.set_climate(climate);
        bench
    }

    /// The same, but `recover` never finds anything.
    #[must_use]
    pub fn forgetful() -> Self {
        Self { forgetful: true, ..Self::new() }
    }

    /// Another deployment of the same configuration in the same world, with its own state and lock.
    #[must_use]
    pub fn beside(&self) -> Self {
        let lock = MemoryLock::default();
        Self { store: MemoryStore::new(&self.world), lock, cancel: watch::channel(false).0, ..self.clone() }
    }

    /// The empty graph, for destroys.
    #[must_use]
    pub fn nothing() -> Graph {
        Graph::new("stack", "test", Tags::new())
    }

    /// A client that will plan `graph`.
    fn client(&self, graph: &Graph) -> (Arc<dyn Cloud>, MemoryStore) {
        self.world.ask(graph);
        let cloud = FakeCloud::of(&self.world, &self.kinds);
        let store = self.store.of(cloud.life());
        (if self.forgetful { Arc::new(cloud.forgetful()) } else { Arc::new(cloud) }, store)
    }

    /// Plans an apply of `graph`.
    ///
    /// # Errors
    /// If planning fails.
    pub async fn plan(&self, graph: &Graph) -> Result<Plan> {
        self.plan_with(graph, &Options::default()).await
    }

    /// Plans an apply of a part of `graph`.
    ///
    /// # Errors
    /// If planning fails.
    pub async fn plan_with(&self, graph: &Graph, options: &Options) -> Result<Plan> {
        let (cloud, store) = self.client(graph);
        let state = load(&store, graph).await?.0;
        plan(&cloud, graph.clone(), &state, options).await
    }

    /// Starts a client that plans and applies `graph`, and waits until it ends.
    pub async fn apply(&self, graph: &Graph) -> End {
        self.live(graph, None).await
    }

    /// Starts a client that applies `plan` unchanged, and waits until it ends.
    pub async fn perform(&self, plan: &Plan) -> End {
        self.live(&plan.graph, Some(plan.clone())).await
    }

    async fn live(&self, graph: &Graph, plan: Option<Plan>) -> End {
        let (cloud, store) = self.client(graph);
        tokio::select! {
            biased;
            () = self.world.killed() => {
                // Its lease expires.
                self.lock.lose();
                End::Killed
            }
            end = self.session(cloud, store, graph, plan) => match end {
                Ok((plan, report)) => End::Done(Box::new(plan), report),
                Err(error) => End::Failed(error),
            },
        }
    }

    async fn session(
        &self,
        cloud: Arc<dyn Cloud>,
        store: MemoryStore,
        graph: &Graph,
        made: Option<Plan>,
    ) -> Result<(Plan, Report)> {
        let holder = Holder {
            who: "tester@here".to_owned(),
            pid: 1,
            command: "apply".to_owned(),
            since: "2026-01-01T00:00:00Z".to_owned(),
            nonce: "nonce".to_owned(),
        };
        let floor = self.store.state()?.map_or(0, |state| state.epoch + 1);
        let lease = self.lock.acquire(&holder, floor).await?;
        let worked = async {
            let (mut state, version) = load(&store, graph).await?;
            let plan = match made {
                Some(plan) => {
                    if version.is_none() {
                        state.lineage.clone_from(&plan.lineage);
                    }
                    plan
                }
                None => plan(&cloud, graph.clone(), &state, &Options::default()).await?,
            };
            let (journal, writer) = Journal::open(state, Arc::new(store), version, lease.guard());
            let run = Run {
                cloud,
                journal: &journal,
                lease: &*lease,
                observer: &*self.observer,
                cancel: self.cancel.subscribe(),
                width: self.width,
                uncertain: self.uncertain,
            };
            let work = async {
                let report = apply(&plan, &run).await;
                journal.close();
                report
            };
            let (report, written) = tokio::join!(work, writer);
            let report = report?;
            written?;
            Ok((plan, report))
        };
        let worked = worked.await;
        lease.release().await?;
        worked
    }

    /// Starts clients until one of them completes, and returns how many that took.
    ///
    /// # Errors
    /// If a client fails or does not complete its plan: transient faults must not cause either.
    pub async fn converge(&self, graph: &Graph) -> Result<usize> {
        for life in 1..=LIVES {
            match self.apply(graph).await {
                End::Killed => {}
                End::Failed(error) => return Err(error),
                End::Done(_, report) => return complete(report).map(|_| life),
            }
        }
        Err(Error::failed(format!("not done after {LIVES} lives")))
    }

    /// Checks that the world matches `graph`, without duplicates, and equals `model`, a world without faults.
    ///
    /// # Errors
    /// All differences.
    pub async fn verify(&self, graph: &Graph, model: &Self) -> Result<()> {
        self.world.set_faults(Faults::none());
        let mut wrong = self.world.violations();
        let (is, should) = (self.world.inventory(), model.world.inventory());
        for label in is.keys().chain(should.keys()).collect::<std::collections::BTreeSet<_>>() {
            let (is, should) = (is.get(label), should.get(label));
            if is != should {
                wrong.push(format!("{label} is {}, but should be {}", shown(is), shown(should)));
            }
        }
        let state = self.store.state()?.unwrap_or_else(|| State::new("stack", "test", "account"));
        if state.is_unfinished() {
            wrong.push("the state has unfinished operations".to_owned());
        }
        let recorded: std::collections::BTreeSet<_> =
            state.resources.values().filter_map(|record| record.id.clone()).collect();
        if recorded != self.world.ids() {
            wrong.push(format!("the state has {recorded:?}, but {:?} exist", self.world.ids()));
        }
        let before = self.world.mutations();
        let again = self.plan(graph).await?;
        if !again.is_empty() {
            wrong.push(format!("a second apply would make changes: {:?}", again.summary()));
        }
        if !again.drift.is_empty() {
            wrong.push(format!("there is drift: {:?}", again.drift));
        }
        match self.apply(graph).await {
            End::Done(_, report) if report.is_complete() && self.world.mutations() == before => {}
            end => wrong.push(format!("a second apply makes changes: {end:?}")),
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::failed(wrong.join("\n"))) }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

fn shown(values: Option<&Vec<serde_json::Value>>) -> String {
    values.map_or_else(|| "missing".to_owned(), |values| serde_json::json!(values).to_string())
}

/// `report`, if all steps succeeded.
pub(crate) fn complete(report: Report) -> Result<Report> {
    if report.is_complete() {
        return Ok(report);
    }
    let failures: Vec<_> = report.failed.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    Err(Error::failed(format!("not complete: {}", failures.join("; "))))
}

/// The state of the workspace of `graph`, with its version.
async fn load(store: &MemoryStore, graph: &Graph) -> Result<(State, Option<String>)> {
    Ok(match read(store).await? {
        Some(kept) => {
            let state = State::parse(&kept.bytes)?;
            (State { revision: state.revision.max(kept.last), ..state }, Some(kept.version))
        }
        None => (State::new(&graph.stack, &graph.workspace, "account"), None),
    })
}
