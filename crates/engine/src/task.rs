//! The tasks of a plan: what can start when, and how long it takes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use petgraph::algo::{has_path_connecting, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde_json::Value;

use crate::address::Address;
use crate::cloud::{Cloud, spec};
use crate::error::{Error, Result};
use crate::plan::{Action, Plan};
use crate::resolve::{pointers, resolve};
use crate::state::State;

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
    // Who depends on what, in the plan and in the state.
    let declared: BTreeMap<&Address, BTreeSet<Address>> =
        make.keys().map(|address| (*address, plan.graph.depends(address))).collect();
    let mut users = BTreeMap::<&Address, BTreeSet<&Address>>::new();
    for (address, depends) in &declared {
        for on in depends {
            users.entry(on).or_default().insert(address);
        }
    }
    let recorded = state.dependents();
    let recorded = |address: &Address| recorded.get(address).into_iter().flatten().copied();
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
        let declared = users.get(address).into_iter().flatten().copied();
        let dependents: BTreeSet<&Address> = declared.chain(recorded(address)).filter(|on| *on != address).collect();
        for node in dependents.iter().filter_map(|dependent| make.get(dependent)) {
            graph.add_edge(*node, task, Until::Done);
        }
        for node in recorded(address).filter_map(|dependent| remove.get(dependent)) {
            graph.add_edge(*node, task, Until::Done);
        }
    }
    for (address, node) in &make {
        let early = early(cloud, plan, address)?;
        for on in &declared[address] {
            if let Some(on_node) = make.get(on) {
                let until = if early.contains(on) { Until::Exists } else { Until::Done };
                graph.add_edge(*on_node, *node, until);
            }
        }
        if let Some(removal) = remove.get(address) {
            graph.add_edge(*removal, *node, Until::Done);
        }
    }
    for (address, node) in &remove {
        for dependent in recorded(address) {
            if let Some(removal) = remove.get(dependent) {
                graph.add_edge(*removal, *node, Until::Done);
            } else if let Some(making) = make.get(dependent).filter(|_| !declared[dependent].contains(*address)) {
                // An update detaches from a resource that is deleted, but has to wait for the replacement of that
                // resource. If this resource is itself replaced, its old generation stays attached until it is deleted.
                let frees = depose.get(dependent).unwrap_or(making);
                graph.add_edge(*frees, *node, Until::Done);
            }
        }
    }
    // What takes over the work of a resource is ready before the resource is deleted, unless it can only be created after
    // the delete.
    for (address, node) in &remove {
        let handover = state.resources.get(*address).and_then(|record| record.handover.as_ref());
        for making in handover.into_iter().flat_map(|handover| &handover.to).filter_map(|to| make.get(to)) {
            if !has_path_connecting(&graph, *node, *making, None) {
                graph.add_edge(*making, *node, Until::Done);
            }
        }
    }
    for (address, node) in &make {
        let Some(shrinking) = shrinking(cloud, plan, state, address)? else { continue };
        for user in recorded(address).filter(|user| user != address).filter_map(|user| remove.get(user)) {
            after_user(&mut graph, *node, *user, shrinking);
        }
    }
    if toposort(&graph, None).is_err() {
        return Err(Error::failed("the steps of the plan depend on each other").hint("apply it in parts with --target"));
    }
    Ok(graph)
}

/// What an update that takes something from its dependents does besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shrinking {
    /// Nothing.
    Only,
    /// It may also add something that dependents need.
    AndMore,
}

/// Whether the step of `address` is an update that takes something from its dependents: that removes an entry of a field
/// that serves them.
fn shrinking(cloud: &Arc<dyn Cloud>, plan: &Plan, state: &State, address: &Address) -> Result<Option<Shrinking>> {
    let updates = plan.steps.get(address).is_some_and(|step| step.action == Action::Update);
    let (Some(node), Some(record), true) = (plan.graph.nodes().get(address), state.resources.get(address), updates)
    else {
        return Ok(None);
    };
    let serves = spec(cloud, &address.kind)?.serves;
    if serves.is_empty() {
        return Ok(None);
    }
    let (desired, recorded) = (resolve(&node.args, &|pointer| plan.known(state, pointer)), &record.args);
    if !serves.iter().any(|field| loses(&recorded[*field], &desired[*field])) {
        return Ok(None);
    }
    let grows = serves.iter().any(|field| loses(&desired[*field], &recorded[*field]));
    Ok(Some(if grows { Shrinking::AndMore } else { Shrinking::Only }))
}

/// Whether an entry of `before`, at any depth, is not in `after`. A value that has changed is not lost, except in a list.
fn loses(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            before.iter().any(|(key, before)| loses(before, after.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(before), Value::Array(after)) => {
            before.iter().any(|before| !after.iter().any(|after| covers(after, before)))
        }
        (Value::Object(_) | Value::Array(_), _) => true,
        _ => false,
    }
}

/// Whether `whole` has all of `part`: a statement of a policy that names more resources.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| covers(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => part.iter().all(|part| whole.iter().any(|it| covers(it, part))),
        (whole, part) => whole == part,
    }
}

/// Lets the update `update` start only after the delete `user`. What is created or updated on the way to that delete need not
/// wait for an update that only shrinks: it knows the resource already. Where something has to wait for the update, the two
/// stay unordered.
fn after_user(graph: &mut DiGraph<Task, Until>, update: NodeIndex, user: NodeIndex, shrinking: Shrinking) {
    let ways: Vec<_> = graph.neighbors(update).filter(|next| has_path_connecting(&*graph, *next, user, None)).collect();
    let can_pass = |next: &NodeIndex| shrinking == Shrinking::Only && matches!(graph[*next], Task::Make(_));
    if !ways.iter().all(can_pass) {
        return;
    }
    for next in ways {
        if let Some(edge) = graph.find_edge(update, next) {
            graph.remove_edge(edge);
        }
    }
    graph.update_edge(user, update, Until::Done);
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

/// The outputs that dependents which only need a resource to exist refer to, by its address.
pub(crate) fn asked(cloud: &Arc<dyn Cloud>, plan: &Plan) -> Result<HashMap<Address, BTreeSet<String>>> {
    let mut asked = HashMap::<Address, BTreeSet<String>>::new();
    for (address, node) in plan.graph.nodes() {
        let early = spec(cloud, &address.kind)?.early;
        for pointer in early.iter().filter_map(|field| node.args.get(field)).flat_map(pointers) {
            asked.entry(pointer.address).or_default().insert(pointer.output);
        }
    }
    Ok(asked)
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
pub(crate) fn paths(
    cloud: &Arc<dyn Cloud>,
    plan: &Plan,
    state: &State,
    tasks: &DiGraph<Task, Until>,
) -> Result<Vec<Duration>> {
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
    let state = &plan.before(state);
    let paths = paths(cloud, plan, state, &tasks(cloud, plan, state)?)?;
    Ok(paths.into_iter().max().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_afterwards_is_lost() {
        let both =
            json!({ "copies": { "east": { "size": 1 }, "west": {} }, "may": [{ "do": "write", "on": ["a", "b"] }] });
        let less = json!({ "copies": { "east": { "size": 2 } }, "may": [{ "do": "write", "on": ["b"] }] });
        let other =
            json!({ "copies": { "east": { "size": 1 }, "west": {} }, "may": [{ "do": "read", "on": ["a", "b"] }] });
        assert!(loses(&both, &less) && !loses(&less, &both), "only less");
        assert!(loses(&both, &other) && loses(&other, &both), "something else");
        assert!(!loses(&both, &both) && loses(&both, &Value::Null) && !loses(&Value::Null, &both));
    }
}
