//! Decides the step of each resource.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use super::drift::drift;
use super::lookups::lookups;
use super::moves::{Normal, moves};
use super::refresh::{Refreshed, refresh};
use super::{ALL, Action, Drift, FORMAT, Plan, Step};
use crate::address::Address;
use crate::cloud::{Cloud, Seen, Spec, Status, spec};
use crate::diff::{Change, diff};
use crate::error::{Error, Result};
use crate::graph::{Declared, Graph};
use crate::operational::{Roles, Values};
use crate::pointer::Pointer;
use crate::resolve::{output, pointers, resolve};
use crate::secret::{discloses, redact, redacted_like};
use crate::state::{Intent, Record, State};

/// Options of a plan.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Plan only these and their dependencies (for a delete, their dependents). Empty: everything.
    pub targets: BTreeSet<Address>,
    /// Read and plan the targets without their dependencies, whose recorded ids and outputs are used. So a command that only
    /// changes the targets does not depend on the state of everything else.
    pub alone: bool,
    /// Resources with data that may be replaced even if only drift requires it.
    pub accepted: Accepted,
    /// New values of operational values.
    pub operational: Values,
    /// New roles.
    pub roles: Roles,
}

/// The accepted data losses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Accepted {
    /// None.
    #[default]
    Nothing,
    /// Losses at these addresses.
    These(BTreeSet<Address>),
    /// All losses.
    Everything,
}

impl Accepted {
    /// Whether the loss at `address` is accepted.
    #[must_use]
    pub fn covers(&self, address: &Address) -> bool {
        match self {
            Self::Nothing => false,
            Self::These(addresses) => addresses.contains(address),
            Self::Everything => true,
        }
    }
}

/// Plans the steps after which all resources that `graph` declares exist, and no other resources in `state` do.
///
/// # Errors
/// If the graph is invalid, a resource cannot be read, or a lookup finds nothing.
pub async fn plan(cloud: &Arc<dyn Cloud>, graph: Graph, state: &State, options: &Options) -> Result<Plan> {
    let graph = graph.of_lineage(&state.lineage);
    let sorted = graph.sorted()?;
    let mut normal = Normal::new();
    for (address, node) in graph.nodes() {
        let spec = spec(cloud, &address.kind)?;
        if spec.lookup != node.lookup {
            return Err(Error::failed(format!("{address} is declared as a lookup but is a resource, or the reverse")));
        }
        let args = cloud.normal(&address.kind, &node.args);
        normal.insert(address.clone(), args.map_err(|error| Error::invalid(format!("{address}: {error}")))?);
    }
    // A plan of targets alone is a step of an operation, which ends before anything else changes.
    let moved = if options.alone { BTreeMap::new() } else { moves(cloud, &graph, &normal, &sorted, state)? };
    let mut state = Cow::Borrowed(state);
    if !moved.is_empty() {
        state.to_mut().move_records(&moved);
    }
    let state = &*state;
    let graph = graph.with_values(state, &options.operational, &options.roles)?;
    let selected = selected(&graph, state, options)?;
    // What is read.
    let scope = selected.as_ref().filter(|_| options.alone).map(|selected| restricted(state, selected));
    let scope = scope.as_ref().unwrap_or(state);
    let needed = selected.as_ref().filter(|_| options.alone).map(|selected| graph.reach(selected));
    let (refreshed, lookups) = tokio::try_join!(refresh(cloud, scope), lookups(cloud, &graph, needed.as_ref()))?;
    let mut drift = drift(scope, &refreshed);
    for (address, drift) in &mut drift {
        if let (Drift::Changed(changes), Some(node)) = (drift, graph.nodes().get(address)) {
            for change in changes {
                change.conceal(&node.args, &state.lineage);
            }
        }
    }
    let mut planner = Planner {
        cloud,
        graph: &graph,
        normal: &normal,
        state,
        refreshed: &refreshed,
        lookups: &lookups,
        alone: options.alone,
        fresh: BTreeSet::new(),
        going: BTreeSet::new(),
        moved: BTreeSet::new(),
        drifted: BTreeMap::new(),
        cascades: Vec::new(),
    };
    let mut steps = BTreeMap::new();
    for address in &sorted {
        if graph.nodes()[address].lookup {
            continue;
        }
        let step = if selected.as_ref().is_none_or(|selected| selected.contains(address)) {
            planner.step(address)?
        } else {
            Step::new(Action::Keep)
        };
        steps.insert(address.clone(), step);
    }
    for (address, record) in &state.resources {
        if steps.contains_key(address) {
            continue;
        }
        let wanted = selected.as_ref().is_none_or(|selected| selected.contains(address));
        let step = if wanted { undeclared(record, refreshed.live.get(address)) } else { Step::new(Action::Keep) };
        steps.insert(address.clone(), step);
    }
    for (address, step) in &mut steps {
        let spec = spec(cloud, &address.kind)?;
        lost(&spec, step, refreshed.live.get(address));
    }
    count(cloud, &mut steps, &refreshed).await;
    planner.cascades.retain(|(address, _)| !options.accepted.covers(address));
    cascading(&planner.cascades)?;
    let left_out: BTreeSet<_> = match &selected {
        None => BTreeSet::new(),
        Some(selected) => steps.keys().filter(|address| !selected.contains(*address)).cloned().collect(),
    };
    outside(&graph, state, &steps, &left_out)?;
    Ok(Plan {
        format: FORMAT,
        account: state.account.clone(),
        lineage: state.lineage.clone(),
        serial: state.serial,
        revision: state.revision,
        graph,
        steps,
        drift,
        lookups,
        left_out,
        moved,
    })
}

/// The step for a resource that is recorded but no longer declared.
fn undeclared(record: &Record, seen: Option<&Seen>) -> Step {
    match seen.map(|seen| &seen.status) {
        Some(Status::Scheduled(until)) if record.deposed.is_empty() => {
            Step::new(Action::Forget).because(format!("it is scheduled for deletion: {until}"))
        }
        Some(_) => Step::new(Action::Delete),
        None if record.intent.is_some() || !record.deposed.is_empty() => Step::new(Action::Delete),
        None => Step::new(Action::Forget),
    }
}

/// Sets what a deleting step destroys, and which protection has to be disabled for it.
fn lost(spec: &Spec, step: &mut Step, seen: Option<&Seen>) {
    let Some(seen) = seen.filter(|_| step.action.removes()) else { return };
    if spec.keeps_data {
        step.loses.push(ALL.to_owned());
    }
    if spec.is_shielded(seen) {
        let off = "AWS deletion protection is disabled first";
        step.because = Some(step.because.take().map_or_else(|| off.to_owned(), |because| format!("{because}; {off}")));
    }
}

/// Sets how much data each step destroys. Where it cannot be counted, the plan says why; the loss itself is certain.
async fn count(cloud: &Arc<dyn Cloud>, steps: &mut BTreeMap<Address, Step>, refreshed: &Refreshed) {
    let losing = steps.iter_mut().filter(|(_, step)| step.loses.iter().any(|part| part == ALL));
    let counts = losing.filter_map(|(address, step)| Some((address, step, refreshed.live.get(address)?)));
    let counts = counts.map(|(address, step, seen)| async {
        step.contents = cloud
            .contents(&address.region, &address.kind, seen)
            .await
            .unwrap_or_else(|error| Some(format!("cannot be counted: {}", error.message())));
    });
    join_all(counts).await;
}

/// Fails if drift alone would destroy data. The user has to choose how to resolve it.
fn cascading(cascades: &[(Address, String)]) -> Result<()> {
    if cascades.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = cascades.iter().map(|(address, why)| format!("{address} would be replaced: {why}")).collect();
    let accepted: Vec<_> = cascades.iter().map(|(address, _)| format!("--accept-loss={address}")).collect();
    let message = format!("drift would destroy data:\n{}", told.join("\n"));
    Err(Error::invalid(message).hint(format!(
        "revert the change in AWS, or import the resource that took its place with `payinfra import`; to replace \
         it and lose its data, pass {}",
        accepted.join(" ")
    )))
}

/// Fails if a resource is replaced while the targets exclude dependents of it: they would keep it in use, and refer to a
/// resource that no longer exists.
fn outside(graph: &Graph, state: &State, steps: &BTreeMap<Address, Step>, left_out: &BTreeSet<Address>) -> Result<()> {
    let is_replaced = |on: &Address| {
        let action = steps.get(on).map(|step| step.action);
        matches!(action, Some(Action::Replace | Action::ReplaceCreateFirst))
    };
    let (mut told, mut missing) = (Vec::new(), Vec::new());
    for (address, record) in state.resources.iter().filter(|(address, _)| left_out.contains(*address)) {
        let triggers = graph.nodes().get(address).map(|node| &node.replace_triggered_by);
        if let Some(on) = record.depends.iter().chain(triggers.into_iter().flatten()).find(|on| is_replaced(on)) {
            told.push(format!("{address} depends on {on}, which would be replaced"));
            missing.push(format!("--target={address}"));
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("the targets exclude dependents of a resource to be replaced:\n{}", told.join("\n")))
        .hint(format!("add {}, or plan without --target", missing.join(" "))))
}

/// `state` with only these resources.
fn restricted(state: &State, to: &BTreeSet<Address>) -> State {
    let mut restricted = state.clone();
    restricted.resources.retain(|address, _| to.contains(address));
    restricted
}

/// The targets; unless they are planned alone, with their dependencies and, for those to be deleted, their recorded
/// dependents.
fn selected(graph: &Graph, state: &State, options: &Options) -> Result<Option<BTreeSet<Address>>> {
    let Options { targets, alone, .. } = options;
    if targets.is_empty() {
        return Ok(None);
    }
    let dependents = state.dependents();
    let mut selected = BTreeSet::new();
    let mut open: Vec<Address> = targets.iter().cloned().collect();
    while let Some(address) = open.pop() {
        let declared = graph.nodes().contains_key(&address);
        if !declared && !state.resources.contains_key(&address) {
            return Err(Error::invalid(format!("{address} is neither declared nor in the state"))
                .hint("list the addresses with `payinfra graph` and `payinfra state list`"));
        }
        if !selected.insert(address.clone()) || *alone {
            continue;
        }
        if declared {
            open.extend(graph.depends(&address));
        } else {
            open.extend(dependents.get(&address).into_iter().flatten().map(|dependent| (*dependent).clone()));
        }
    }
    Ok(Some(selected))
}

struct Planner<'a> {
    cloud: &'a Arc<dyn Cloud>,
    graph: &'a Graph,
    normal: &'a Normal,
    state: &'a State,
    refreshed: &'a Refreshed,
    lookups: &'a BTreeMap<Address, Value>,
    /// Whether dependencies are not read.
    alone: bool,
    /// Resources that will have a new id.
    fresh: BTreeSet<Address>,
    /// Resources that are deleted before their replacement is created.
    going: BTreeSet<Address>,
    /// Resources that will be in another network.
    moved: BTreeSet<Address>,
    /// Resources that will have a new id because of drift, and why.
    drifted: BTreeMap<Address, String>,
    /// Resources with data that would be replaced because of drift, and why.
    cascades: Vec<(Address, String)>,
}

impl Planner<'_> {
    fn known(&self, pointer: &Pointer) -> Option<Value> {
        if let Some(found) = self.lookups.get(&pointer.address) {
            return output("", found, &pointer.output);
        }
        if self.fresh.contains(&pointer.address) {
            return None;
        }
        match (self.refreshed.live.get(&pointer.address), self.alone) {
            (Some(seen), _) => output(&seen.id, &seen.outputs, &pointer.output),
            (None, true) => {
                let record = self.state.resources.get(&pointer.address)?;
                output(record.id.as_deref()?, &record.outputs, &pointer.output)
            }
            (None, false) => None,
        }
    }

    fn step(&mut self, address: &Address) -> Result<Step> {
        let spec = spec(self.cloud, &address.kind)?;
        let node = &self.graph.nodes()[address];
        let args = &node.args;
        let resolved = resolve(args, &|pointer| self.known(pointer));
        let desired = if resolved == *args && node.operational.is_empty() {
            redact(&self.normal[address], &self.state.lineage)
        } else {
            redact(&self.cloud.normal(&address.kind, &resolved)?, &self.state.lineage)
        };
        let record = self.state.resources.get(address);
        let as_declared =
            |seen: &Seen| Seen { args: redacted_like(&seen.args, &desired, &self.state.lineage), ..seen.clone() };
        let seen = self.refreshed.live.get(address).map(as_declared);
        let seen = seen.as_ref();
        let moves = self.moves(&spec, args)?;
        let step = match (record, seen) {
            (Some(record), Some(seen)) => {
                let mut step = existing(&spec, record, seen, &desired);
                // A value that was secret may still be sensitive, although it is no longer declared as secret.
                step.changes.iter_mut().for_each(|change| change.conceal(&record.args, &self.state.lineage));
                if step.action == Action::Update && moves {
                    step.action = replacement(&spec);
                    step.because = Some("it moves to another network".to_owned());
                }
                if matches!(step.action, Action::Keep | Action::Update)
                    && let Some(trigger) = self.trigger(node)
                {
                    step.action = replacement(&spec);
                    step.because = Some(format!("it is replaced whenever {trigger} is replaced"));
                }
                // A dependency is deleted before its replacement is created. This resource has to be deleted before
                // that, and its replacement needs the new dependency.
                if step.action == Action::ReplaceCreateFirst && record.depends.iter().any(|on| self.going.contains(on))
                {
                    step.action = Action::Replace;
                    step.because = Some("a dependency is deleted and created again".to_owned());
                }
                if step.action == Action::Update && self.holds_what_goes(&spec, args) {
                    step.action = Action::Replace;
                    step.because =
                        Some("it is attached to a resource that is replaced and has to be detached first".to_owned());
                }
                // A resource whose create has not finished has no data yet.
                if step.action == Action::Update && record.intent != Some(Intent::Create) {
                    step.loses = self.cloud.losses(&address.kind, &desired, &seen.args);
                }
                if step.action == Action::Update {
                    step.refused = self.cloud.refused(&address.kind, &desired, &seen.args);
                }
                step
            }
            (Some(record), None) if Self::begun_otherwise(&spec, record, &desired) => Step {
                changes: diff(&desired, &record.args, None),
                ..Step::new(Action::Replace)
                    .because("an earlier create was interrupted and left an incomplete resource")
            },
            (record, _) => Step {
                changes: diff(&desired, &Value::Object(serde_json::Map::new()), None),
                because: record.map(|record| match record.intent {
                    Some(Intent::Create) => "an earlier create was interrupted".to_owned(),
                    _ => "it no longer exists".to_owned(),
                }),
                ..Step::new(Action::Create)
            },
        };
        if !matches!(step.action, Action::Keep | Action::Update | Action::Restore) {
            self.fresh.insert(address.clone());
            if moves {
                self.moved.insert(address.clone());
            }
            if let Some(why) = record.and_then(|record| self.drift_behind(&spec, node, record, seen, &desired, &step)) {
                if spec.keeps_data && step.action.removes() {
                    self.cascades.push((address.clone(), why.clone()));
                }
                self.drifted.insert(address.clone(), why);
            }
        }
        if step.action == Action::Replace {
            self.going.insert(address.clone());
        }
        Ok(step)
    }

    /// Why a step that gives `record` a new id follows from drift, and not from a change of the configuration.
    fn drift_behind(
        &self,
        spec: &Spec,
        node: &Declared,
        record: &Record,
        seen: Option<&Seen>,
        desired: &Value,
        step: &Step,
    ) -> Option<String> {
        let Some(seen) = seen else {
            return record.intent.is_none().then(|| "it no longer exists".to_owned());
        };
        match &seen.status {
            Status::Failed(why) if record.intent != Some(Intent::Create) => return Some(format!("it failed: {why}")),
            Status::Deleting if record.intent != Some(Intent::Delete) => {
                return Some("it is being deleted, but not by payinfra".to_owned());
            }
            _ => {}
        }
        let args = &node.args;
        let behind = |field: &str| {
            let value = args.get(field).unwrap_or(&Value::Null);
            let through = pointers(value).into_iter().find_map(|pointer| {
                let why = self.drifted.get(&pointer.address)?;
                Some(format!("its `{field}` refers to {}: {why}", pointer.address))
            });
            let same = || desired.get(field) == record.args.get(field);
            through.or_else(|| same().then(|| format!("its `{field}` was changed in AWS")))
        };
        let wanted = diff(desired, &record.args, None);
        let by_hand = |field: &str| wanted.iter().any(|change| change.field() == field) && behind(field).is_none();
        let mut forced: Vec<&str> = step.changes.iter().map(Change::field).collect();
        forced.retain(|field| spec.replace.contains(field));
        if forced.is_empty() {
            // It is replaced with the resource that it is attached to, moves with its network, or is replaced with a
            // trigger.
            let fields = spec.holds.iter().chain(spec.network).filter_map(|field| args.get(field));
            let addresses = fields.flat_map(pointers).map(|pointer| pointer.address);
            let mut addresses = addresses.chain(node.replace_triggered_by.iter().cloned());
            return addresses.find_map(|address| Some(format!("{address}: {}", self.drifted.get(&address)?)));
        }
        if forced.iter().any(|field| by_hand(field)) { None } else { forced.into_iter().find_map(behind) }
    }

    /// Whether a resource that has to be in the same network moves to another network, or is a new network.
    fn moves(&self, here: &Spec, args: &Value) -> Result<bool> {
        for pointer in here.network.iter().filter_map(|field| args.get(field)).flat_map(pointers) {
            let to = &pointer.address;
            let is_network = || Ok::<_, Error>(spec(self.cloud, &to.kind)?.network.is_empty());
            if self.moved.contains(to) || (self.fresh.contains(to) && is_network()?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The resource among the triggers of `node` that is replaced. A first create does not count as a replacement.
    fn trigger<'b>(&self, node: &'b Declared) -> Option<&'b Address> {
        let is_replaced =
            |trigger: &Address| self.fresh.contains(trigger) && self.state.resources.contains_key(trigger);
        node.replace_triggered_by.iter().find(|trigger| is_replaced(trigger))
    }

    /// Whether a field in `holds` refers to a resource that is deleted before its replacement is created.
    fn holds_what_goes(&self, spec: &Spec, args: &Value) -> bool {
        let held = spec.holds.iter().filter_map(|field| args.get(field)).flat_map(pointers);
        held.into_iter().any(|pointer| self.going.contains(&pointer.address))
    }

    /// Whether an interrupted create may have left a resource that cannot be updated to the desired arguments.
    fn begun_otherwise(spec: &Spec, record: &Record, desired: &Value) -> bool {
        let changes = diff(desired, &record.args, None);
        record.intent == Some(Intent::Create) && changes.iter().any(|change| spec.replace.contains(&change.field()))
    }
}

/// How a resource of this kind is replaced.
fn replacement(spec: &Spec) -> Action {
    if spec.create_first { Action::ReplaceCreateFirst } else { Action::Replace }
}

fn existing(spec: &Spec, record: &Record, seen: &Seen, desired: &Value) -> Step {
    let changes = diff(desired, &seen.args, Some(&record.args));
    let forced = changes.iter().any(|change| spec.replace.contains(&change.field()));
    let (action, because) = match (&seen.status, record.intent) {
        (Status::Failed(why), _) => (Action::Replace, Some(format!("it failed: {why}"))),
        (Status::Deleting, _) => (Action::Replace, Some("it is being deleted".to_owned())),
        (Status::Scheduled(until), _) => (Action::Restore, Some(format!("it is scheduled for deletion: {until}"))),
        _ if forced => (replacement(spec), None),
        _ if !changes.is_empty() => (Action::Update, None),
        // An intent says what may have happened, never what is desired.
        (_, Some(Intent::Delete)) => (Action::Update, Some("an interrupted delete had no effect".to_owned())),
        (_, Some(_)) => (Action::Update, Some("an interrupted operation is completed".to_owned())),
        (Status::Pending | Status::Waiting, None) => (Action::Update, Some("it is not ready yet".to_owned())),
        _ if discloses(&record.args, desired) => {
            (Action::Update, Some("a value is now secret: the state keeps only its digest".to_owned()))
        }
        _ if !record.deposed.is_empty() => (Action::Update, Some("the resource it replaced is deleted".to_owned())),
        // Otherwise it would be shown as drift for ever.
        _ if !diff(&record.args, &seen.args, None).is_empty() => {
            (Action::Update, Some("the configuration now has what was changed in AWS".to_owned()))
        }
        _ => (Action::Keep, None),
    };
    Step { changes, because, ..Step::new(action) }
}
