//! Apply: runs the steps of a plan concurrently, as far as dependencies allow, the longest remaining path first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use tokio::sync::{Semaphore, mpsc};

use crate::address::Address;
use crate::cloud::spec;
use crate::converge::{Converge, Lanes, Milestone};
use crate::error::{Class, Error, Result};
use crate::event::{Event, Report};
use crate::graph::Declared;
use crate::lane::Lane;
use crate::plan::{Action, Plan};
use crate::run::Run;
use crate::state::State;
use crate::task::{Task, Until, asked, paths, tasks};

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
        .commit(|draft| {
            draft.begin(epoch);
            draft.move_records(&plan.moved);
            for (address, node) in kept {
                let Some(mut record) = draft.state().resources.get(&address).cloned() else { continue };
                record.declare(&node, plan.graph.resources(&address));
                if draft.state().resources.get(&address) != Some(&record) {
                    *draft.record(&address) = record;
                }
            }
        })
        .await?;
    let tasks = run.journal.look(|state| tasks(&run.cloud, plan, state))?;
    let report = Scheduler::new(plan, run, uncertain, tasks)?.run().await?;
    if report.is_complete() {
        let outputs = run.journal.look(|state| plan.outputs(state));
        run.journal
            .commit(|draft| {
                // What a plan of a part of the graph does not know is still as it was.
                let is_partial = !plan.left_out.is_empty();
                let known = draft.outputs();
                known.retain(|name, _| is_partial && plan.graph.outputs().contains_key(name));
                known.extend(outputs);
            })
            .await?;
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
    ends: Vec<bool>,
    /// The lane of each task.
    lane: Vec<usize>,
    queues: Vec<Queue>,
}

/// The tasks of a lane that can start, the longest path first.
#[derive(Default)]
struct Queue {
    width: usize,
    ready: BinaryHeap<(Duration, Reverse<usize>)>,
    /// Those that have started, but have not made their first call. Intents are written while the calls before them are in
    /// flight, but not long before their own: the next run would have to look for what an interrupted one never created.
    starting: BTreeSet<usize>,
}

impl<'a> Scheduler<'a> {
    fn new(plan: &'a Plan, run: &'a Run<'a>, uncertain: bool, tasks: DiGraph<Task, Until>) -> Result<Self> {
        let count = tasks.node_count();
        let path = run.journal.look(|state| paths(&run.cloud, plan, state, &tasks))?;
        let waits: Vec<usize> =
            tasks.node_indices().map(|node| tasks.edges_directed(node, Direction::Incoming).count()).collect();
        let mut names = HashMap::new();
        let mut queues: Vec<Queue> = Vec::new();
        let lane: Vec<usize> = tasks
            .node_weights()
            .map(|task| {
                let Lane { name, width } = run.cloud.lane(&task.address().region, &task.address().kind);
                let width = run.width.unwrap_or(width).get();
                *names.entry(name).or_insert_with(|| {
                    queues.push(Queue { width, ..Queue::default() });
                    queues.len() - 1
                })
            })
            .collect();
        for index in (0..count).filter(|index| waits[*index] == 0) {
            queues[lane[index]].ready.push((path[index], Reverse(index)));
        }
        let (barred, begun) = (vec![None; count], vec![false; count]);
        let (exists, ends) = (vec![false; count], vec![false; count]);
        Ok(Self { plan, run, uncertain, tasks, path, waits, barred, begun, exists, ends, lane, queues })
    }

    async fn run(mut self) -> Result<Report> {
        let mut report = Report::default();
        let mut cancel = self.run.cancel.clone();
        let (milestones, mut reached) = mpsc::unbounded_channel();
        let calls = self.queues.iter().map(|queue| Semaphore::new(queue.width.min(Semaphore::MAX_PERMITS))).collect();
        let asked = asked(&self.run.cloud, self.plan)?;
        let converge = Converge::new(
            self.plan,
            self.run,
            self.uncertain,
            Lanes { lane: self.lane.clone(), calls },
            asked,
            milestones,
        );
        let mut running = FuturesUnordered::new();
        let mut halted: Option<Error> = None;
        loop {
            report.cancelled |= *cancel.borrow();
            while !report.cancelled && halted.is_none() {
                let Some(index) = self.next() else { break };
                let task = self.tasks[NodeIndex::new(index)].clone();
                let converge = &converge;
                running.push(async move { (index, converge.perform(index, &task).await) });
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                Some((index, milestone)) = reached.recv() => {
                    match milestone {
                        Milestone::Calls => drop(self.queues[self.lane[index]].starting.remove(&index)),
                        Milestone::Reached(until) => self.reach(index, until),
                    }
                }
                Some((index, outcome)) = running.next() => {
                    self.queues[self.lane[index]].starting.remove(&index);
                    let address = self.tasks[NodeIndex::new(index)].address().clone();
                    match outcome {
                        Ok(()) => {
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

    /// The next task to start, if one can.
    fn next(&mut self) -> Option<usize> {
        let Self { queues, barred, begun, .. } = self;
        for queue in queues {
            while queue.starting.len() < queue.width {
                let Some((_, Reverse(index))) = queue.ready.pop() else { break };
                if barred[index].is_none() {
                    begun[index] = true;
                    queue.starting.insert(index);
                    return Some(index);
                }
            }
        }
        None
    }

    /// Releases the tasks that waited for `index` to get this far.
    fn reach(&mut self, index: usize, until: Until) {
        if until == Until::Done {
            self.reach(index, Until::Exists);
        }
        let known = if until == Until::Done { &mut self.ends } else { &mut self.exists };
        if std::mem::replace(&mut known[index], true) {
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
                self.queues[self.lane[next]].ready.push((self.path[next], Reverse(next)));
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
