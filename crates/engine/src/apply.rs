//! Apply: runs the steps of a plan concurrently, as far as dependencies allow, the longest remaining path first.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use petgraph::Direction;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::address::Address;
use crate::cloud::Cloud;
use crate::converge::Converge;
use crate::error::{Class, Error, Result};
use crate::event::{Event, Observer, Report};
use crate::graph::Declared;
use crate::plan::{Action, Plan, spec};
use crate::resolve::pointers;
use crate::state::State;
use crate::store::{Journal, Lease};

/// What an apply works with.
pub struct Run<'a> {
    /// The cloud.
    pub cloud: Arc<dyn Cloud>,
    /// The current state; its writer runs as a separate task.
    pub journal: &'a Journal,
    /// The lock; nothing is changed after it is lost.
    pub lease: &'a dyn Lease,
    /// Gets the events.
    pub observer: &'a dyn Observer,
    /// Becomes true at Ctrl-C: no new task is started.
    pub cancel: watch::Receiver<bool>,
    /// Whether the state may record less than was done, as after an older one was restored. If so, every create first
    /// looks for an existing resource.
    pub uncertain: bool,
    /// The limit for resources between their start and their existence. Resources that are only waited for do not
    /// count.
    pub width: NonZeroUsize,
}

/// The default of [`Run::width`]. Resources on the longest path start first, and the limit keeps others from using up
/// the request rate and CPU they need.
pub const WIDTH: NonZeroUsize = NonZeroUsize::new(10).unwrap();

/// A part of a step: creating and updating, or deleting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// Creates or updates.
    Make(Address),
    /// Deletes the resource in the state.
    Remove(Address),
    /// Deletes replaced generations.
    Depose(Address),
    /// Removes the resource from the state.
    Forget(Address),
}

impl Task {
    pub(crate) fn address(&self) -> &Address {
        match self {
            Self::Make(address) | Self::Remove(address) | Self::Depose(address) | Self::Forget(address) => address,
        }
    }
}

/// What a dependent task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The resource exists, and its outputs can be read.
    Exists,
    /// The resource is ready, or gone.
    Done,
}

/// Applies `plan`.
///
/// Failures of single steps are in the report; steps that do not depend on them continue.
///
/// # Errors
/// If the plan does not fit the state, or the state can no longer be written.
pub async fn apply(plan: &Plan, run: &Run<'_>) -> Result<Report> {
    run.journal.look(|state| plan.fits(state))?;
    run.lease.check()?;
    run.cloud.guard(run.lease.guard());
    let epoch = run.lease.epoch();
    run.journal.look(|state| fenced(state, epoch))?;
    // The epochs in between had holders of the lock whose changes may be missing from this state.
    let uncertain = run.uncertain || run.journal.look(|state| epoch > state.epoch.saturating_add(1));
    let kept = kept(plan);
    run.journal
        .commit(|state| {
            state.serial = state.serial.saturating_add(1);
            state.epoch = epoch;
            for (address, node) in kept {
                if let Some(record) = state.resources.get_mut(&address) {
                    record.depends = plan.graph.resources(&address);
                    record.protect = node.protect;
                    record.final_snapshot = node.final_snapshot;
                }
            }
        })
        .await?;
    let tasks = run.journal.look(|state| tasks(&run.cloud, plan, state))?;
    let report = Scheduler::new(plan, run, uncertain, tasks)?.run().await?;
    if report.is_complete() {
        let outputs = run.journal.look(|state| plan.outputs(state));
        run.journal.commit(|state| state.outputs = outputs).await?;
    }
    Ok(report)
}

/// The declared resources that the plan keeps. The state records their dependencies and protection, which can change
/// without a change of the resource.
fn kept(plan: &Plan) -> BTreeMap<Address, Declared> {
    let nodes = plan.graph.nodes().iter().filter(|(address, _)| {
        let step = plan.steps.get(*address);
        step.is_some_and(|step| step.action == Action::Keep) && !plan.left_out.contains(*address)
    });
    nodes.map(|(address, node)| (address.clone(), node.clone())).collect()
}

fn fenced(state: &State, epoch: u64) -> Result<()> {
    if state.epoch > epoch {
        let message = format!(
            "a newer holder of the lock has written the state: its epoch is {}, and this lock's is {epoch}",
            state.epoch
        );
        return Err(Error::new(Class::Locked, message).hint("run the command again"));
    }
    Ok(())
}

/// The tasks of `plan` with their dependencies.
pub(crate) fn tasks(cloud: &Arc<dyn Cloud>, plan: &Plan, state: &State) -> Result<DiGraph<Task, Until>> {
    let mut graph = DiGraph::new();
    let mut make: BTreeMap<&Address, NodeIndex> = BTreeMap::new();
    let mut remove: BTreeMap<&Address, NodeIndex> = BTreeMap::new();
    for (address, step) in &plan.steps {
        if step.action.makes() {
            make.insert(address, graph.add_node(Task::Make(address.clone())));
        }
        match step.action {
            Action::Replace | Action::Delete => {
                remove.insert(address, graph.add_node(Task::Remove(address.clone())));
            }
            Action::Forget => {
                graph.add_node(Task::Forget(address.clone()));
            }
            _ => {}
        }
    }
    // All create and delete tasks are known now, so that the dependents of deposed generations can be found.
    let mut depose: BTreeMap<&Address, NodeIndex> = BTreeMap::new();
    for (address, step) in &plan.steps {
        let deposed = state.resources.get(address).is_some_and(|record| !record.deposed.is_empty());
        if step.action != Action::ReplaceCreateFirst && !(deposed && step.action.makes()) {
            continue;
        }
        let task = graph.add_node(Task::Depose(address.clone()));
        depose.insert(address, task);
        graph.add_edge(make[address], task, Until::Done);
        for (dependant, node) in &make {
            if *dependant != address && depends(plan, state, dependant).contains(address) {
                graph.add_edge(*node, task, Until::Done);
            }
        }
        for (dependant, node) in &remove {
            if state.resources.get(*dependant).is_some_and(|record| record.depends.contains(address)) {
                graph.add_edge(*node, task, Until::Done);
            }
        }
    }
    for (address, node) in &make {
        let early = early(cloud, plan, address)?;
        for on in plan.graph.depends(address) {
            if let Some(on_node) = make.get(&on) {
                let until = if early.contains(&on) { Until::Exists } else { Until::Done };
                graph.add_edge(*on_node, *node, until);
            }
        }
        if let Some(removal) = remove.get(address) {
            graph.add_edge(*removal, *node, Until::Done);
        }
    }
    for (address, node) in &remove {
        for (dependant, record) in &state.resources {
            if !record.depends.contains(*address) {
                continue;
            }
            if let Some(removal) = remove.get(dependant) {
                graph.add_edge(*removal, *node, Until::Done);
            } else if let (Some(making), false) =
                (make.get(dependant), plan.graph.depends(dependant).contains(*address))
            {
                // An update detaches from a resource that is deleted, but has to wait for the replacement of that
                // resource. If this resource is itself replaced, its old generation stays attached until it is deleted.
                let frees = depose.get(dependant).unwrap_or(making);
                graph.add_edge(*frees, *node, Until::Done);
            }
        }
    }
    if toposort(&graph, None).is_err() {
        return Err(Error::failed("the steps of the plan depend on each other").hint("apply it in parts with --target"));
    }
    Ok(graph)
}

fn depends(plan: &Plan, state: &State, address: &Address) -> BTreeSet<Address> {
    let mut depends = plan.graph.depends(address);
    depends.extend(state.resources.get(address).into_iter().flat_map(|record| record.depends.iter().cloned()));
    depends
}

/// The dependencies of `address` that only have to exist: those that only early fields refer to.
fn early(cloud: &Arc<dyn Cloud>, plan: &Plan, address: &Address) -> Result<BTreeSet<Address>> {
    let spec = spec(cloud, &address.kind)?;
    let Some(node) = plan.graph.nodes().get(address) else { return Ok(BTreeSet::new()) };
    let mut early = BTreeSet::new();
    let mut late = node.after.clone();
    for (field, value) in node.args.as_object().into_iter().flatten() {
        let referents = pointers(value).into_iter().map(|pointer| pointer.address);
        if spec.early.contains(&field.as_str()) {
            early.extend(referents);
        } else {
            late.extend(referents);
        }
    }
    Ok(early.difference(&late).cloned().collect())
}

/// How long a task usually takes.
pub(crate) fn usual(cloud: &Arc<dyn Cloud>, plan: &Plan, state: &State, task: &Task) -> Duration {
    let address = task.address();
    let declared = || plan.graph.nodes().get(address).map(|node| &node.args);
    let recorded = || state.resources.get(address).map(|record| &record.args);
    let updates = plan.steps.get(address).is_some_and(|step| matches!(step.action, Action::Update | Action::Restore));
    let expected = |args: Option<&_>| cloud.expected(&address.kind, args.unwrap_or(&Value::Null));
    match task {
        Task::Make(_) if !updates => expected(declared()).create,
        Task::Remove(_) | Task::Depose(_) => expected(recorded()).delete,
        Task::Make(_) | Task::Forget(_) => Duration::ZERO,
    }
}

/// The critical path from each task on, including the task itself: a lower bound, from AWS's usual durations.
fn paths(cloud: &Arc<dyn Cloud>, plan: &Plan, state: &State, tasks: &DiGraph<Task, Until>) -> Result<Vec<Duration>> {
    let mut path = vec![Duration::ZERO; tasks.node_count()];
    let sorted = toposort(tasks, None).map_err(|_| Error::failed("the steps of the plan depend on each other"))?;
    for node in sorted.into_iter().rev() {
        let own = usual(cloud, plan, state, &tasks[node]);
        let after = |edge: petgraph::graph::EdgeReference<'_, Until>| {
            // A dependent that only needs the resource to exist does not wait until it is ready.
            let own = if *edge.weight() == Until::Done { own } else { Duration::ZERO };
            own + path[edge.target().index()]
        };
        let longest = tasks.edges(node).map(after).max().unwrap_or_default();
        path[node.index()] = longest.max(own);
    }
    Ok(path)
}

/// The critical path of `plan`: a lower bound for the duration of an apply, from AWS's usual durations.
///
/// # Errors
/// If the plan does not fit the state.
pub fn longest(cloud: &Arc<dyn Cloud>, plan: &Plan, state: &State) -> Result<Duration> {
    let paths = paths(cloud, plan, state, &tasks(cloud, plan, state)?)?;
    Ok(paths.into_iter().max().unwrap_or_default())
}

struct Scheduler<'a> {
    plan: &'a Plan,
    run: &'a Run<'a>,
    uncertain: bool,
    tasks: DiGraph<Task, Until>,
    /// The critical path from each task on.
    path: Vec<Duration>,
    /// The number of tasks that each task still waits for.
    waits: Vec<usize>,
    /// The failure that blocks each blocked task.
    barred: Vec<Option<Address>>,
    begun: Vec<bool>,
    exists: Vec<bool>,
    ready: BinaryHeap<(Duration, std::cmp::Reverse<usize>)>,
}

impl<'a> Scheduler<'a> {
    fn new(plan: &'a Plan, run: &'a Run<'a>, uncertain: bool, tasks: DiGraph<Task, Until>) -> Result<Self> {
        let count = tasks.node_count();
        let path = run.journal.look(|state| paths(&run.cloud, plan, state, &tasks))?;
        let waits: Vec<usize> =
            tasks.node_indices().map(|node| tasks.edges_directed(node, Direction::Incoming).count()).collect();
        let mut ready = BinaryHeap::new();
        for node in tasks.node_indices().filter(|node| waits[node.index()] == 0) {
            ready.push((path[node.index()], std::cmp::Reverse(node.index())));
        }
        Ok(Self {
            plan,
            run,
            uncertain,
            path,
            waits,
            barred: vec![None; count],
            begun: vec![false; count],
            exists: vec![false; count],
            ready,
            tasks,
        })
    }

    async fn run(mut self) -> Result<Report> {
        let mut report = Report::default();
        let mut cancel = self.run.cancel.clone();
        let (milestones, mut reached) = mpsc::unbounded_channel();
        let converge = Converge::new(self.plan, self.run, self.uncertain, milestones);
        let mut running = FuturesUnordered::new();
        let mut starting = BTreeSet::new();
        let mut halted: Option<Error> = None;
        loop {
            report.cancelled |= *cancel.borrow();
            while starting.len() < self.run.width.get() && !report.cancelled && halted.is_none() {
                let Some((_, std::cmp::Reverse(index))) = self.ready.pop() else { break };
                if self.barred[index].is_some() {
                    continue;
                }
                self.begun[index] = true;
                starting.insert(index);
                let task = self.tasks[NodeIndex::new(index)].clone();
                let converge = &converge;
                running.push(async move { (index, converge.perform(index, &task).await) });
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                Some(index) = reached.recv() => {
                    starting.remove(&index);
                    self.reach(index, Until::Exists);
                }
                Some((index, outcome)) = running.next() => {
                    starting.remove(&index);
                    let address = self.tasks[NodeIndex::new(index)].address().clone();
                    match outcome {
                        Ok(()) => {
                            self.reach(index, Until::Exists);
                            self.reach(index, Until::Done);
                            let action = self.plan.steps.get(&address).map_or(Action::Keep, |step| step.action);
                            report.done.push((address, action));
                        }
                        Err(error) if error.is(Class::Cancelled) => {
                            report.cancelled = true;
                            report.skipped.push((address, None));
                        }
                        Err(error) => {
                            if self.run.journal.check().is_err() || self.run.lease.check().is_err() {
                                halted.get_or_insert_with(|| error.clone());
                            }
                            self.run.observer.notice(&Event::Failed { address: address.clone(), error: error.to_string() });
                            for (waiting, why) in self.bar(index, &address)? {
                                converge.doom(waiting, why);
                            }
                            report.failed.push((address, error));
                        }
                    }
                }
                Ok(()) = cancel.changed(), if !report.cancelled => {}
            }
        }
        for index in 0..self.begun.len() {
            if !self.begun[index] {
                let address = self.tasks[NodeIndex::new(index)].address().clone();
                if let Some(because) = &self.barred[index] {
                    self.run.observer.notice(&Event::Skipped { address: address.clone(), because: because.clone() });
                }
                report.skipped.push((address, self.barred[index].clone()));
            }
        }
        match halted {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    /// Releases the tasks that waited for `index` to get this far.
    fn reach(&mut self, index: usize, until: Until) {
        if until == Until::Exists && std::mem::replace(&mut self.exists[index], true) {
            return;
        }
        let freed: Vec<usize> = self
            .tasks
            .edges_directed(NodeIndex::new(index), Direction::Outgoing)
            .filter(|edge| *edge.weight() == until)
            .map(|edge| edge.target().index())
            .collect();
        for next in freed {
            self.waits[next] -= 1;
            if self.waits[next] == 0 {
                self.ready.push((self.path[next], std::cmp::Reverse(next)));
            }
        }
    }

    /// Blocks all dependents of `index`, which failed. Returns the resources that waited for one of them to complete
    /// them, with the reason why they will not become ready.
    fn bar(&mut self, index: usize, because: &Address) -> Result<Vec<(usize, String)>> {
        let mut open = vec![NodeIndex::new(index)];
        let mut failed = open.clone();
        while let Some(node) = open.pop() {
            for next in self.tasks.neighbors(node) {
                if self.barred[next.index()].is_none() && !self.begun[next.index()] {
                    self.barred[next.index()] = Some(because.clone());
                    open.push(next);
                    failed.push(next);
                }
            }
        }
        let mut vain = Vec::new();
        for node in failed {
            let early = self.tasks.edges_directed(node, Direction::Incoming);
            for edge in early.filter(|edge| *edge.weight() == Until::Exists && self.begun[edge.source().index()]) {
                let waiting = edge.source().index();
                if spec(&self.run.cloud, &self.tasks[edge.source()].address().kind)?.completed_by_dependents {
                    vain.push((waiting, format!("it cannot become ready, because {because} failed")));
                }
            }
        }
        Ok(vain)
    }
}
