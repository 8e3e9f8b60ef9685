//! Converges one resource to its desired state, with journal entries before and after each change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep};

use self::waits::Waits;
use crate::address::Address;
use crate::cloud::{Known, Seen, Site, Spec, spec};
use crate::error::{Class, Error, Result};
use crate::event::Event;
use crate::import;
use crate::journal::{Change, Draft};
use crate::ownership::{Holders, claimed};
use crate::plan::{Action, Plan};
use crate::pointer::ID;
use crate::reader::Reader;
use crate::resolve::{output, pointers, resolve};
use crate::retry::reading;
use crate::run::Run;
use crate::secret::redact;
use crate::state::Record;
use crate::task::{Task, Until, usual};

mod make;
mod remove;
mod settle;
mod waits;

/// The time between two reads that prove that a resource is gone.
const SECOND: Duration = Duration::from_secs(1);
/// How often the lease is checked during a wait.
const LEASE: Duration = Duration::from_secs(1);

/// How far a task is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Milestone {
    /// It makes its first call, or only waits.
    Calls,
    /// What dependents wait for.
    Reached(Until),
}

/// The calls that may be in flight.
pub(crate) struct Lanes {
    /// The lane of each task.
    pub(crate) lane: Vec<usize>,
    /// The free slots of each lane.
    pub(crate) calls: Vec<Semaphore>,
}

/// Runs the tasks of one apply.
pub(crate) struct Converge<'a> {
    plan: &'a Plan,
    run: &'a Run<'a>,
    reader: Reader,
    epoch: Instant,
    /// Whether creates of ours may have succeeded that are not recorded.
    uncertain: bool,
    /// Where ids are recorded.
    holders: Mutex<Holders>,
    lanes: Lanes,
    /// The outputs that dependents which only need a resource to exist refer to.
    asked: HashMap<Address, BTreeSet<String>>,
    /// Receives how far each task is.
    milestones: mpsc::UnboundedSender<(usize, Milestone)>,
    /// Tasks that can no longer succeed, and why.
    doomed: watch::Sender<BTreeMap<usize, String>>,
}

impl<'a> Converge<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        run: &'a Run<'a>,
        uncertain: bool,
        lanes: Lanes,
        asked: HashMap<Address, BTreeSet<String>>,
        milestones: mpsc::UnboundedSender<(usize, Milestone)>,
    ) -> Self {
        let doomed = watch::channel(BTreeMap::new()).0;
        let holders = Mutex::new(run.journal.look(Holders::of));
        let reader = Reader::new(&run.cloud);
        Self { plan, run, reader, epoch: Instant::now(), uncertain, holders, lanes, asked, milestones, doomed }
    }

    /// Ends the wait of task `index`, because the resource that would complete it has failed.
    pub(crate) fn doom(&self, index: usize, why: String) {
        self.doomed.send_modify(|doomed| drop(doomed.insert(index, why)));
    }

    /// Runs one task; `index` is its index in the scheduler.
    pub(crate) async fn perform(&self, index: usize, task: &Task) -> Result<()> {
        let address = task.address();
        let spec = spec(&self.run.cloud, &address.kind)?;
        let planned = self.plan.steps.get(address).map_or(Action::Keep, |step| step.action);
        let action = match task {
            Task::Make(_) if matches!(planned, Action::Update | Action::Restore) => planned,
            Task::Make(_) => Action::Create,
            Task::Remove(_) | Task::Depose(_) => Action::Delete,
            Task::Forget(_) => Action::Forget,
        };
        let expected = self.run.journal.look(|state| usual(&self.run.cloud, self.plan, state, task));
        let begun = Instant::now();
        let started = Event::Started { address: address.clone(), action, expected: expected.as_secs_f64() };
        self.run.observer.notice(&started);
        let work = Work { converge: self, index, address, spec, action, begun };
        match task {
            Task::Make(_) => work.make(planned).await.map_err(|error| importable(address, error)),
            Task::Remove(_) => work.remove(planned == Action::Replace).await,
            Task::Depose(_) => work.depose().await,
            Task::Forget(_) => work.forget().await,
        }
    }
}

/// One resource that is being converged.
struct Work<'a> {
    converge: &'a Converge<'a>,
    index: usize,
    address: &'a Address,
    spec: Spec,
    action: Action,
    begun: Instant,
}

impl Work<'_> {
    fn run(&self) -> &Run<'_> {
        self.converge.run
    }

    /// Fails if we may no longer make changes.
    fn permit(&self) -> Result<()> {
        if *self.run().cancel.borrow() {
            return Err(Error::new(Class::Cancelled, "interrupted by Ctrl-C"));
        }
        self.run().journal.check()?;
        self.run().lease.check()
    }

    async fn journal(&self, change: impl FnOnce(&mut Record)) -> Result<()> {
        self.run().journal.commit(|draft| change(draft.record(self.address))).await
    }

    fn record(&self) -> Option<Record> {
        self.run().journal.look(|state| state.resources.get(self.address).cloned())
    }

    fn site(&self, record: &Record) -> Site {
        Site {
            begun: false,
            final_snapshot: record.final_snapshot,
            address: self.address.clone(),
            token: self.run().journal.look(|state| state.token(self.address, record.generation)),
            owner: self.run().journal.look(|state| crate::Owner {
                stack: state.stack.clone(),
                workspace: state.workspace.clone(),
                address: self.address.clone(),
                lineage: state.lineage.clone(),
            }),
            known: self.others(record),
        }
    }

    /// The ids of this kind in the state, except that of this address: a resource that `state mv` moved still has its
    /// old address in its tags.
    fn others(&self, record: &Record) -> Known {
        let (journal, own) = (self.run().journal.clone(), record.id.clone());
        let (region, kind) = (self.address.region.clone(), Arc::clone(&self.address.kind));
        let has = move |record: &Record, id: &str| {
            record.id.as_deref() == Some(id) || record.deposed.iter().any(|deposed| deposed.id == id)
        };
        Known::new(move |id| {
            let same = |other: &Address| (&other.region, &other.kind) == (&region, &kind);
            own.as_deref() != Some(id)
                && journal.look(|state| state.resources.iter().any(|(other, record)| same(other) && has(record, id)))
        })
    }

    fn redacted(&self, value: &Value) -> Value {
        self.run().journal.look(|state| redact(value, &state.lineage))
    }

    /// The desired arguments, with all references resolved.
    fn desired(&self) -> Result<Value> {
        let plan = self.converge.plan;
        let node = plan.graph.nodes().get(self.address).ok_or_else(|| Error::failed("the resource is not declared"))?;
        let args = self.run().journal.look(|state| resolve(&node.args, &|pointer| plan.known(state, pointer)));
        if let Some(pointer) = pointers(&args).first() {
            return Err(Error::failed(format!("cannot resolve `{pointer}`: no such output")));
        }
        self.run().cloud.normal(&self.address.kind, &args)
    }

    /// Changes the record at once.
    fn note(&self, change: impl FnOnce(&mut Record)) -> Change {
        self.run().journal.change(|draft| change(draft.record(self.address)))
    }

    /// Tells the scheduler how far this is. It may have ended, which does not matter.
    fn tell(&self, milestone: Milestone) {
        let _ = self.converge.milestones.send((self.index, milestone));
    }

    /// Ends the task with a change of the state, and waits until the change is durable. The intents of what waits for this
    /// task follow the change, so they are not durable before it.
    async fn finish(&self, change: impl FnOnce(&mut Draft<'_>)) -> Result<()> {
        let change = self.run().journal.change(change);
        self.done();
        self.run().journal.durable(change).await
    }

    /// Tells everybody that the task is done.
    fn done(&self) {
        let (address, seconds) = (self.address.clone(), self.begun.elapsed().as_secs_f64());
        self.run().observer.notice(&Event::Done { address, action: self.action, seconds });
        self.tell(Milestone::Reached(Until::Done));
    }

    /// Makes a call that changes the resource, which takes a slot while it is in flight.
    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let lanes = &self.converge.lanes;
        let _slot =
            lanes.calls[lanes.lane[self.index]].acquire().await.map_err(|error| Error::failed(error.to_string()))?;
        self.tell(Milestone::Calls);
        self.permit()?;
        call.await
    }

    /// Whether `outputs` has what dependents that only need the resource to exist refer to. Other outputs may be filled in
    /// later, or never.
    fn is_whole(&self, outputs: &Value) -> bool {
        let asked = self.converge.asked.get(self.address).into_iter().flatten();
        asked.filter(|name| *name != ID).all(|name| output("", outputs, name).is_some())
    }

    /// The address other than this one that has `id`.
    fn other(&self, id: &str) -> Option<Address> {
        let mut holders = self.converge.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let other = self.run().journal.look(|state| holders.other(state, self.address, id).cloned());
        holders.add(self.address, id);
        other
    }

    /// Checks that `seen` is ours. Called before every update and delete, because its tags may have changed since the
    /// plan.
    fn ours(&self, seen: &Seen) -> Result<()> {
        match self.run().journal.look(|state| claimed(state, seen)) {
            None => Ok(()),
            Some(whose) => Err(Error::invalid(format!("{} is not ours: {whose}", seen.id)).hint(format!(
                "remove it from the state with `payinfra state rm {}`, which does not delete it in AWS",
                self.address
            ))),
        }
    }

    /// Whether `id`, which a read did not return, is proven to be gone: by a second, independent read a moment later.
    async fn is_gone(&self, id: &str) -> Result<bool> {
        let (region, kind) = (&self.address.region, &self.address.kind);
        let cloud = &self.run().cloud;
        self.unless_ended(async {
            sleep(SECOND).await;
            reading(|| cloud.absent(region, kind, id)).await
        })
        .await
    }

    fn waits(&self) -> Waits {
        Waits { begun: Instant::now(), epoch: self.converge.epoch, told: false }
    }

    fn late(&self, id: &str, until: &str) -> Error {
        Error::failed(format!("timed out: {id} is not {until} after {} s", self.spec.timeout.as_secs()))
            .hint("check it in the AWS console; run the command again to continue waiting")
    }

    async fn pause(&self, waits: &mut Waits, until: &'static str) -> Result<()> {
        if !std::mem::replace(&mut waits.told, true) {
            self.tell(Milestone::Calls);
            self.run().observer.notice(&Event::Waiting { address: self.address.clone(), until, because: None });
        }
        self.unless_ended(sleep(waits.next()).map(Ok)).await
    }

    async fn read(&self, id: &str) -> Result<Option<Seen>> {
        self.unless_ended(self.converge.reader.read(self.address, id)).await
    }

    async fn recover(&self, site: &Site, desired: &Value) -> Result<Option<String>> {
        let cloud = &self.run().cloud;
        self.unless_ended(reading(|| cloud.recover(site, desired))).await
    }

    /// Runs `look`. It changes nothing, so it can be cancelled at any time: at Ctrl-C, and when waiting has become
    /// pointless.
    async fn unless_ended<T>(&self, look: impl Future<Output = Result<T>>) -> Result<T> {
        let mut cancel = self.run().cancel.clone();
        let mut doomed = self.converge.doomed.subscribe();
        tokio::select! {
            biased;
            // If the sender is gone, nobody can cancel any more.
            Ok(_) = cancel.wait_for(|cancelled| *cancelled) => Err(Error::new(Class::Cancelled, "interrupted by Ctrl-C")),
            Ok(doomed) = doomed.wait_for(|doomed| doomed.contains_key(&self.index)) => {
                let why = doomed.get(&self.index).cloned().unwrap_or_default();
                Err(Error::failed(why).hint("fix the failure, then run the command again"))
            }
            error = self.run().journal.failed() => Err(error),
            error = self.unleased() => Err(error),
            found = look => found,
        }
    }

    /// Returns when the lease is lost.
    async fn unleased(&self) -> Error {
        loop {
            if let Err(error) = self.run().lease.check() {
                return error;
            }
            sleep(LEASE).await;
        }
    }

    fn planned(&self) -> Action {
        self.converge.plan.steps.get(self.address).map_or(Action::Keep, |step| step.action)
    }
}

/// Adds the command that imports `id` at `address` to the error.
fn importable(address: &Address, error: Error) -> Error {
    let Some(id) = error.get_taken() else { return error };
    let hint = format!("import it with `{}`, or choose another name", import::command(address, id));
    error.hint(hint)
}
