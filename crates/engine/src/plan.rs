//! A plan: what apply will do, decided before anything is done. A value that can be saved, shown and applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::Address;
use crate::cloud::{Cloud, Seen, Spec, Status};
use crate::diff::{Change, diff};
use crate::error::{Class, Error, Result};
use crate::graph::Graph;
use crate::reference::Pointer;
use crate::resolve::{output, pointers, redact, resolve};
use crate::retry::{Patience, patiently};
use crate::state::{Intent, Record, State};
use crate::tags::Owner;

/// The version of the form of saved plans.
pub const FORMAT: u32 = 1;

/// What apply will do, and what it was decided on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of this form.
    pub format: u32,
    /// The account it was made in.
    pub account: String,
    /// The lineage of the state that it was made on.
    pub lineage: String,
    /// The serial of that state.
    pub serial: u64,
    /// The revision of that state.
    pub revision: u64,
    /// What should be; empty for a destroy.
    pub graph: Graph,
    /// What will be done, for every address in graph or state.
    pub steps: BTreeMap<Address, Step>,
    /// What changed behind payinfra's back since the last apply.
    pub drift: BTreeMap<Address, Drift>,
    /// What the lookups found.
    pub lookups: BTreeMap<Address, Value>,
    /// Addresses left out by `--target`.
    pub left_out: BTreeSet<Address>,
}

/// What will be done with one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The action.
    pub action: Action,
    /// The fields that change; for a create, all of them.
    pub changes: Vec<Change>,
    /// Why, where the changes do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// What can be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing.
    Keep,
    /// Make it.
    Create,
    /// Change it in place.
    Update,
    /// Make a new one; the old one goes first.
    Replace,
    /// Make a new one; the old one goes when nothing refers to it any more.
    ReplaceCreateFirst,
    /// Remove it.
    Delete,
    /// Drop it from the state: it is gone already.
    Forget,
}

impl Action {
    /// Whether it removes something that exists.
    #[must_use]
    pub fn removes(self) -> bool {
        matches!(self, Self::Replace | Self::ReplaceCreateFirst | Self::Delete)
    }

    /// Whether something exists afterwards that was made or changed by it.
    #[must_use]
    pub fn makes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Replace | Self::ReplaceCreateFirst)
    }
}

/// What changed behind payinfra's back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// It is gone.
    Gone,
    /// These fields are not what was applied last; `new` is what it was.
    Changed(Vec<Change>),
}

/// How many steps of each sort a plan has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Creates.
    pub create: usize,
    /// Updates.
    pub update: usize,
    /// Replacements.
    pub replace: usize,
    /// Deletes.
    pub delete: usize,
    /// What is dropped from the state.
    pub forget: usize,
}

impl Plan {
    /// The stack's outputs with `state`, as far as they are known.
    #[must_use]
    pub fn outputs(&self, state: &State) -> BTreeMap<String, Value> {
        let known = |pointer: &Pointer| crate::converge::known(self, state, pointer);
        let resolved = self.graph.outputs().iter().map(|(name, value)| (name.clone(), resolve(value, &known)));
        resolved.filter(|(_, value)| pointers(value).is_empty()).collect()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.values().all(|step| step.action == Action::Keep)
    }

    /// How many steps of each sort there are.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for step in self.steps.values() {
            match step.action {
                Action::Keep => {}
                Action::Create => summary.create += 1,
                Action::Update => summary.update += 1,
                Action::Replace | Action::ReplaceCreateFirst => summary.replace += 1,
                Action::Delete => summary.delete += 1,
                Action::Forget => summary.forget += 1,
            }
        }
        summary
    }

    /// The saved plan in `bytes`.
    ///
    /// # Errors
    /// If they are truncated, or from another version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let plan: Self = serde_json::from_slice(bytes).map_err(|error| {
            Error::invalid(format!("this is not a whole plan: {error}"))
                .hint("make it again with `payinfra plan --out`")
        })?;
        if plan.format != FORMAT {
            return Err(Error::invalid(format!("the plan has format {}, this payinfra knows {FORMAT}", plan.format))
                .hint("make it again with `payinfra plan --out`"));
        }
        Ok(plan)
    }

    /// That the plan was made for this account and on this state.
    ///
    /// # Errors
    /// [`Class::Stale`] if something was applied since, [`Class::Invalid`] if it is somebody else's.
    pub fn fits(&self, state: &State) -> Result<()> {
        state.belongs(&self.graph.stack, &self.graph.workspace, &self.account)?;
        let again = "make it again with `payinfra plan --out`";
        if state.lineage != self.lineage && self.revision > 0 {
            return Err(Error::new(Class::Stale, "the plan was made on another state").hint(again));
        }
        if (state.serial, state.revision) != (self.serial, self.revision) {
            let message = format!("the plan was made on serial {}, the state has {} by now", self.serial, state.serial);
            return Err(Error::new(Class::Stale, message).hint(again));
        }
        Ok(())
    }

    /// That nothing protected is removed: by `declared` (for a destroy, the graph that would be applied instead), and
    /// by the state for what is no longer declared.
    ///
    /// # Errors
    /// If something is, with all of the addresses.
    pub fn respects_protection(&self, state: &State, declared: &Graph) -> Result<()> {
        let protected = |address: &Address| {
            let declared = declared.nodes().get(address).map(|node| node.protect);
            declared.unwrap_or_else(|| state.resources.get(address).is_some_and(|record| record.protect))
        };
        let removed: Vec<_> = self
            .steps
            .iter()
            .filter(|(address, step)| step.action.removes() && protected(address))
            .map(|(address, _)| address.to_string())
            .collect();
        if removed.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!("this would remove what is protected: {}", removed.join(", ")))
            .hint("set `protect = false` for the workspace in payinfra.toml if you mean it"))
    }
}

/// What is planned, and for which part.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these and what they depend on (for a removal: and what depends on them). Empty: everything.
    pub targets: BTreeSet<Address>,
}

/// What there is, read once for everything in the state.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// What exists, by address.
    pub live: BTreeMap<Address, Seen>,
    /// Earlier generations that still exist.
    pub deposed: Vec<(Address, Seen)>,
}

/// Reads everything that `state` knows: one batch per kind and region, all at once.
///
/// # Errors
/// If something cannot be read, or is somebody else's.
pub async fn refresh(cloud: &Arc<dyn Cloud>, state: &State) -> Result<Refreshed> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (address, record) in &state.resources {
        let deposed = record.deposed.iter().map(|deposed| &deposed.id);
        for id in record.id.iter().chain(deposed) {
            groups.entry((address.region.clone(), Arc::clone(&address.kind))).or_default().push((address, id));
        }
    }
    let reads = groups.into_iter().map(|((region, kind), members)| async move {
        let spec = spec(cloud, &kind).map_err(|error| at(&members, &error))?;
        let mut found = Vec::new();
        for part in members.chunks(spec.batch.max(1)) {
            let ids: Vec<String> = part.iter().map(|(_, id)| (*id).clone()).collect();
            let seen = patiently(&Patience::reading(), || cloud.read(&region, &kind, &ids)).await?;
            for (address, id) in part {
                if let Some(seen) = seen.iter().find(|seen| seen.id == **id) {
                    found.push(((*address).clone(), seen.clone()));
                }
            }
        }
        Ok::<_, Error>(found)
    });
    let mut refreshed = Refreshed::default();
    for (address, seen) in try_join_all(reads).await?.into_iter().flatten() {
        let record = state.resources.get(&address);
        if record.is_some_and(|record| record.id.as_ref() == Some(&seen.id)) {
            refreshed.live.insert(address, seen);
        } else {
            refreshed.deposed.push((address, seen));
        }
    }
    ours(cloud, state, &refreshed)?;
    Ok(refreshed)
}

/// That nothing in the state is somebody else's: else their resource would be changed, or removed, as if it were ours.
fn ours(cloud: &Arc<dyn Cloud>, state: &State, refreshed: &Refreshed) -> Result<()> {
    let (mut told, mut addresses) = (Vec::new(), Vec::new());
    let mut tell = |address: &Address, seen: &Seen, whose| {
        told.push(format!("{address}: {} is not ours: {whose}", seen.id));
        addresses.push(address.to_string());
    };
    for (address, seen) in &refreshed.live {
        if let Some(whose) = foreign(&spec(cloud, &address.kind)?, state, address, seen) {
            tell(address, seen, whose);
        }
    }
    for (address, seen) in &refreshed.deposed {
        if let Some(whose) = claimed(state, seen).or_else(|| elsewhere(state, address, seen)) {
            tell(address, seen, whose);
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    let mend = format!("drop it from the state with `payinfra state rm {}`; in AWS it stays", addresses.join(" "));
    Err(Error::invalid(told.join("\n")).hint(mend))
}

/// Whose `seen` is by its tags, if it is another stack's or workspace's.
pub(crate) fn claimed(state: &State, seen: &Seen) -> Option<String> {
    [(Owner::STACK, &state.stack), (Owner::WORKSPACE, &state.workspace)].into_iter().find_map(|(key, own)| {
        let other = seen.args.get("tags")?.get(key)?.as_str()?;
        (other != own).then(|| format!("its tag `{key}` is `{other}`"))
    })
}

/// Where `seen` is recorded as what is there now: at `address` it would be removed under the other one's feet.
pub(crate) fn elsewhere(state: &State, address: &Address, seen: &Seen) -> Option<String> {
    let here = |other: &Address| (&other.region, &other.kind) == (&address.region, &address.kind);
    let mut others =
        state.resources.iter().filter(|(other, record)| here(other) && record.id.as_ref() == Some(&seen.id));
    others.next().map(|(other, _)| format!("it is recorded at {other} too"))
}

/// Whose `seen` is, if it is not ours.
///
/// Owner tags that were taken off by hand are drift, and another address of ours is what `state mv` leaves: both are
/// mended, unless it also is not what was made at this address.
fn foreign(spec: &Spec, state: &State, address: &Address, seen: &Seen) -> Option<String> {
    let tags = seen.args.get("tags")?;
    let tag = |key: &str| tags.get(key).and_then(Value::as_str);
    if let Some(whose) = claimed(state, seen) {
        return Some(whose);
    }
    let record = state.resources.get(address)?;
    let named = tag(Owner::ADDRESS);
    let other = named.filter(|named| *named != address.to_string());
    let twice = |named: &str| {
        let named = named.parse::<Address>().ok().and_then(|named| state.resources.get(&named));
        named.is_some_and(|named| named.id == record.id)
    };
    if let Some(other) = other.filter(|other| twice(other)) {
        return Some(format!("it is recorded at {other} too, and its tags say so"));
    }
    let bare = named.is_none() && tag(Owner::STACK).is_none() && tag(Owner::WORKSPACE).is_none();
    if record.intent == Some(Intent::Create) || seen.status != Status::Ready || !(bare || other.is_some()) {
        return None;
    }
    let changes = diff(&record.args, &redact(&seen.args, &state.lineage), None);
    let change = changes.iter().find(|change| spec.replace.contains(&change.field()))?;
    let whose = other.map_or_else(|| "it has no owner tags".to_owned(), |other| format!("its tags name {other}"));
    Some(format!("{whose}, and its `{}` is not what was made", change.path))
}

/// The error with the addresses that it is about.
fn at(members: &[(&Address, &String)], error: &Error) -> Error {
    let addresses: Vec<_> = members.iter().map(|(address, _)| address.to_string()).collect();
    let told = Error::new(error.class(), format!("{}: {}", addresses.join(", "), error.message()));
    error.get_hint().map(str::to_owned).into_iter().fold(told, Error::hint)
}

/// What changed behind payinfra's back: what is recorded against what is there.
#[must_use]
pub fn drift(state: &State, refreshed: &Refreshed) -> BTreeMap<Address, Drift> {
    let mut drifts = BTreeMap::new();
    for (address, record) in &state.resources {
        if record.id.is_none() || record.intent.is_some() {
            continue;
        }
        match refreshed.live.get(address) {
            None => {
                drifts.insert(address.clone(), Drift::Gone);
            }
            Some(seen) => {
                let changes = diff(&record.args, &redact(&seen.args, &state.lineage), None);
                if !changes.is_empty() {
                    drifts.insert(address.clone(), Drift::Changed(changes));
                }
            }
        }
    }
    drifts
}

/// Decides what to do so that what `graph` declares exists, and nothing else that `state` knows.
///
/// # Errors
/// If the graph is not sound, something cannot be read, or a lookup finds nothing.
pub async fn plan(cloud: &Arc<dyn Cloud>, graph: Graph, state: &State, options: &Options) -> Result<Plan> {
    let sorted = graph.sorted()?;
    for (address, node) in graph.nodes() {
        let spec = spec(cloud, &address.kind)?;
        if spec.lookup != node.lookup {
            return Err(Error::failed(format!("{address} is declared as what it is not: lookup or resource")));
        }
        cloud.normal(&address.kind, &node.args).map_err(|error| Error::invalid(format!("{address}: {error}")))?;
    }
    let selected = selected(&graph, state, &options.targets)?;
    let (refreshed, lookups) = tokio::try_join!(refresh(cloud, state), lookups(cloud, &graph))?;
    let drift = drift(state, &refreshed);
    let mut planner = Planner {
        cloud,
        graph: &graph,
        state,
        refreshed: &refreshed,
        lookups: &lookups,
        fresh: BTreeSet::new(),
        going: BTreeSet::new(),
    };
    let mut steps = BTreeMap::new();
    for address in &sorted {
        if graph.nodes()[address].lookup {
            continue;
        }
        let step = if selected.as_ref().is_none_or(|selected| selected.contains(address)) {
            planner.step(address)?
        } else {
            Step { action: Action::Keep, changes: Vec::new(), because: None }
        };
        steps.insert(address.clone(), step);
    }
    for (address, record) in &state.resources {
        if steps.contains_key(address) {
            continue;
        }
        let wanted = selected.as_ref().is_none_or(|selected| selected.contains(address));
        let exists = refreshed.live.contains_key(address) || record.intent.is_some() || !record.deposed.is_empty();
        let action = match (wanted, exists) {
            (false, _) => Action::Keep,
            (true, true) => Action::Delete,
            (true, false) => Action::Forget,
        };
        steps.insert(address.clone(), Step { action, changes: Vec::new(), because: None });
    }
    let left_out = match &selected {
        None => BTreeSet::new(),
        Some(selected) => steps.keys().filter(|address| !selected.contains(*address)).cloned().collect(),
    };
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
    })
}

pub(crate) fn spec(cloud: &Arc<dyn Cloud>, kind: &str) -> Result<Spec> {
    cloud.spec(kind).ok_or_else(|| {
        Error::invalid(format!("there is no kind `{kind}`"))
            .hint("a newer payinfra wrote it: use that version, or drop it with `payinfra state rm`")
    })
}

/// Answers the lookups, each as soon as those that it refers to are answered.
async fn lookups(cloud: &Arc<dyn Cloud>, graph: &Graph) -> Result<BTreeMap<Address, Value>> {
    let mut found: BTreeMap<Address, Value> = BTreeMap::new();
    let mut open: Vec<_> = graph.nodes().iter().filter(|(_, node)| node.lookup).collect();
    loop {
        let known = |pointer: &Pointer| output("", found.get(&pointer.address)?, &pointer.output);
        let (now, later): (Vec<_>, Vec<_>) = open
            .into_iter()
            .map(|(address, node)| (address, resolve(&node.args, &known), node))
            .partition(|(_, args, _)| pointers(args).is_empty());
        if now.is_empty() {
            let Some((address, ..)) = later.first() else { return Ok(found) };
            return Err(Error::invalid(format!("the lookup {address} refers to something that is not a lookup"))
                .hint("a lookup is answered before anything is made"));
        }
        let answers = join_all(now.iter().map(|(address, args, _)| async move {
            patiently(&Patience::reading(), || cloud.find(&address.region, &address.kind, args)).await.map_err(
                |error| {
                    let hint = error.get_hint().map(str::to_owned);
                    let error = Error::new(error.class(), format!("{address}: {error}"));
                    match hint {
                        Some(hint) => error.hint(hint),
                        None => error,
                    }
                },
            )
        }))
        .await;
        for ((address, ..), answer) in now.iter().zip(answers) {
            found.insert((*address).clone(), answer?);
        }
        open = later.into_iter().map(|(address, _, node)| (address, node)).collect();
    }
}

/// The targets with what they depend on, and what is recorded to depend on them where they are to be removed.
fn selected(graph: &Graph, state: &State, targets: &BTreeSet<Address>) -> Result<Option<BTreeSet<Address>>> {
    if targets.is_empty() {
        return Ok(None);
    }
    let mut selected = BTreeSet::new();
    let mut open: Vec<Address> = targets.iter().cloned().collect();
    while let Some(address) = open.pop() {
        let declared = graph.nodes().contains_key(&address);
        if !declared && !state.resources.contains_key(&address) {
            return Err(Error::invalid(format!("there is no {address}"))
                .hint("`payinfra state list` and `payinfra graph` show the addresses"));
        }
        if !selected.insert(address.clone()) {
            continue;
        }
        if declared {
            open.extend(graph.depends(&address));
        } else {
            let dependants = state.resources.iter().filter(|(_, record)| record.depends.contains(&address));
            open.extend(dependants.map(|(dependant, _)| dependant.clone()));
        }
    }
    Ok(Some(selected))
}

struct Planner<'a> {
    cloud: &'a Arc<dyn Cloud>,
    graph: &'a Graph,
    state: &'a State,
    refreshed: &'a Refreshed,
    lookups: &'a BTreeMap<Address, Value>,
    /// What will have a new id.
    fresh: BTreeSet<Address>,
    /// What goes before its new one is made.
    going: BTreeSet<Address>,
}

impl Planner<'_> {
    fn known(&self, pointer: &Pointer) -> Option<Value> {
        if let Some(found) = self.lookups.get(&pointer.address) {
            return output("", found, &pointer.output);
        }
        if self.fresh.contains(&pointer.address) {
            return None;
        }
        let seen = self.refreshed.live.get(&pointer.address)?;
        output(&seen.id, &seen.outputs, &pointer.output)
    }

    fn step(&mut self, address: &Address) -> Result<Step> {
        let spec = spec(self.cloud, &address.kind)?;
        let args = &self.graph.nodes()[address].args;
        let desired = self.cloud.normal(&address.kind, &resolve(args, &|pointer| self.known(pointer)))?;
        let desired = redact(&desired, &self.state.lineage);
        let record = self.state.resources.get(address);
        let step = match (record, self.refreshed.live.get(address)) {
            (Some(record), Some(seen)) => {
                let mut step = existing(&spec, record, seen, &desired);
                // What it hangs on can only go after the old one has gone, and the new one needs what comes then.
                if step.action == Action::ReplaceCreateFirst && record.depends.iter().any(|on| self.going.contains(on))
                {
                    step.action = Action::Replace;
                    step.because = Some("what it depends on is replaced and goes first".to_owned());
                }
                if step.action == Action::Update && self.holds_what_goes(&spec, args) {
                    step.action = Action::Replace;
                    step.because = Some("what it is attached to is replaced and cannot go before it".to_owned());
                }
                step
            }
            (Some(record), None) if Self::begun_otherwise(&spec, record, &desired) => Step {
                action: Action::Replace,
                changes: diff(&desired, &record.args, None),
                because: Some("an earlier create was interrupted: what it left is removed".to_owned()),
            },
            (record, _) => Step {
                action: Action::Create,
                changes: diff(&desired, &Value::Object(serde_json::Map::new()), None),
                because: record.map(|record| match record.intent {
                    Some(Intent::Create) => "an earlier create was interrupted: it is found or made".to_owned(),
                    _ => "it is gone".to_owned(),
                }),
            },
        };
        if !matches!(step.action, Action::Keep | Action::Update) {
            self.fresh.insert(address.clone());
        }
        if step.action == Action::Replace {
            self.going.insert(address.clone());
        }
        Ok(step)
    }

    /// Whether one of the fields that hold their referent refers to something that has to go before it is made anew.
    fn holds_what_goes(&self, spec: &Spec, args: &Value) -> bool {
        let held = spec.holds.iter().filter_map(|field| args.get(field)).flat_map(pointers);
        held.into_iter().any(|pointer| self.going.contains(&pointer.address))
    }

    /// Whether an interrupted create may have left something that cannot become what is desired now.
    fn begun_otherwise(spec: &Spec, record: &Record, desired: &Value) -> bool {
        let changes = diff(desired, &record.args, None);
        record.intent == Some(Intent::Create) && changes.iter().any(|change| spec.replace.contains(&change.field()))
    }
}

fn existing(spec: &Spec, record: &Record, seen: &Seen, desired: &Value) -> Step {
    let replace = if spec.create_first { Action::ReplaceCreateFirst } else { Action::Replace };
    let changes = diff(desired, &seen.args, Some(&record.args));
    let forced = changes.iter().any(|change| spec.replace.contains(&change.field()));
    let (action, because) = match (&seen.status, record.intent) {
        (Status::Failed(why), _) => (Action::Replace, Some(format!("it failed: {why}"))),
        (Status::Deleting, _) => (Action::Replace, Some("it is being deleted".to_owned())),
        (_, Some(Intent::Delete)) => (Action::Replace, Some("its removal was begun".to_owned())),
        _ if forced => (replace, None),
        _ if !changes.is_empty() => (Action::Update, None),
        (_, Some(_)) => (Action::Update, Some("what was begun is finished".to_owned())),
        (Status::Pending, None) => (Action::Update, Some("it is not ready yet".to_owned())),
        _ if !record.deposed.is_empty() => (Action::Update, Some("what it replaced is removed".to_owned())),
        _ => (Action::Keep, None),
    };
    Step { action, changes, because }
}
