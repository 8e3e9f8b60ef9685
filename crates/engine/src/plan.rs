//! A plan: what apply will do, decided in advance. It is a value that can be saved, shown and applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::sleep;

use crate::address::Address;
use crate::cloud::{Cloud, Seen, Spec, Status};
use crate::diff::{Change, Wanted, diff};
use crate::error::{Class, Error, Result};
use crate::graph::{Declared, Graph};
use crate::reference::Pointer;
use crate::resolve::{json_pointer, output, pointers, resolve};
use crate::retry::{Patience, patiently};
use crate::secret::{discloses, is_secret, marked, redact};
use crate::state::{Intent, Record, State};
use crate::tags::Owner;

/// The version of the plan file format.
pub const FORMAT: u32 = 2;

/// What apply will do, and what that is based on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of the plan file format.
    pub format: u32,
    /// The account.
    pub account: String,
    /// The lineage of the state that it is based on.
    pub lineage: String,
    /// The serial of that state.
    pub serial: u64,
    /// The revision of that state.
    pub revision: u64,
    /// The desired state; empty for a destroy.
    pub graph: Graph,
    /// A step for every address in the graph or the state.
    pub steps: BTreeMap<Address, Step>,
    /// Drift: changes made outside payinfra since the last apply.
    pub drift: BTreeMap<Address, Drift>,
    /// The outputs of the lookups.
    pub lookups: BTreeMap<Address, Value>,
    /// The addresses excluded by `--target`.
    pub left_out: BTreeSet<Address>,
}

/// The planned change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The action.
    pub action: Action,
    /// The fields that change; for a create, all fields.
    pub changes: Vec<Change>,
    /// The reason, if the changes do not show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The data that the step destroys, part by part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loses: Vec<String>,
}

impl Step {
    fn new(action: Action) -> Self {
        Self { action, changes: Vec::new(), because: None, loses: Vec::new() }
    }

    fn because(self, because: impl Into<String>) -> Self {
        Self { because: Some(because.into()), ..self }
    }
}

/// The action on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// No change.
    Keep,
    /// Create it.
    Create,
    /// Update it in place.
    Update,
    /// Delete the old resource, then create the new one.
    Replace,
    /// Create the new resource, then delete the old one when nothing refers to it any more.
    ReplaceCreateFirst,
    /// Delete it.
    Delete,
    /// Remove it from the state, because it no longer exists.
    Forget,
    /// Cancel its scheduled deletion.
    Restore,
}

impl Action {
    /// Whether it deletes an existing resource.
    #[must_use]
    pub fn removes(self) -> bool {
        matches!(self, Self::Replace | Self::ReplaceCreateFirst | Self::Delete)
    }

    /// Whether it creates or updates a resource.
    #[must_use]
    pub fn makes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Replace | Self::ReplaceCreateFirst | Self::Restore)
    }
}

/// A change made outside payinfra.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// The resource no longer exists.
    Gone,
    /// The resource is scheduled for deletion, and can be restored until then.
    Scheduled(String),
    /// These fields differ from the last apply; `new` is the applied value.
    Changed(Vec<Change>),
}

/// The number of steps by action.
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
    /// Resources removed from the state.
    pub forget: usize,
    /// Resources restored.
    #[serde(default)]
    pub restore: usize,
}

impl Plan {
    /// The outputs of the stack with `state`, as far as they are known, in the form that the state stores: without
    /// secrets.
    #[must_use]
    pub fn outputs(&self, state: &State) -> BTreeMap<String, Value> {
        let known = |pointer: &Pointer| crate::converge::known(self, state, pointer);
        let resolved = self.graph.outputs().iter().map(|(name, value)| (name.clone(), resolve(value, &known)));
        let known = resolved.filter(|(_, value)| pointers(value).is_empty());
        known.map(|(name, value)| (name, redact(&value, &state.lineage))).collect()
    }

    /// Whether there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.values().all(|step| step.action == Action::Keep)
    }

    /// The number of steps by action.
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
                Action::Restore => summary.restore += 1,
            }
        }
        summary
    }

    /// Parses a saved plan.
    ///
    /// # Errors
    /// If it is truncated, or has another format version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let plan: Self = serde_json::from_slice(bytes).map_err(|error| {
            Error::invalid(format!("the plan file is incomplete or corrupt: {error}"))
                .hint("create it again with `payinfra plan --out`")
        })?;
        if plan.format != FORMAT {
            return Err(Error::invalid(format!(
                "the plan has format {}, but this version of payinfra supports only format {FORMAT}",
                plan.format
            ))
            .hint("create it again with `payinfra plan --out`"));
        }
        Ok(plan)
    }

    /// Checks that the plan was created for this account and this state.
    ///
    /// # Errors
    /// [`Class::Stale`] if the state has changed since, [`Class::Invalid`] if it belongs to another deployment.
    pub fn fits(&self, state: &State) -> Result<()> {
        state.belongs(&self.graph.stack, &self.graph.workspace, &self.account)?;
        let again = "create it again with `payinfra plan --out`";
        if state.lineage != self.lineage && self.revision > 0 {
            return Err(Error::new(Class::Stale, "the plan was created from a different state").hint(again));
        }
        if (state.serial, state.revision) != (self.serial, self.revision) {
            let message = format!(
                "the plan is stale: it was created from serial {}, but the state now has serial {}",
                self.serial, state.serial
            );
            return Err(Error::new(Class::Stale, message).hint(again));
        }
        Ok(())
    }

    /// The plan in the form in which it is saved, with every secret replaced by a hash.
    ///
    /// # Errors
    /// Not in practice: only if a value cannot be written as JSON.
    pub fn sealed(&self) -> Result<Self> {
        let failed = |error: serde_json::Error| Error::failed(format!("the plan cannot be written as JSON: {error}"));
        serde_json::from_value(redact(&serde_json::to_value(self).map_err(failed)?, &self.lineage)).map_err(failed)
    }

    /// Checks that this saved plan equals `derived`, which was created from the configuration, the state and the
    /// current resources. A manipulated plan file therefore cannot change what is applied.
    ///
    /// # Errors
    /// [`Class::Stale`] with the first difference: its place, the saved value and the derived value.
    pub fn agrees(&self, derived: &Self) -> Result<()> {
        let (saved, derived) = (self.sealed()?, derived.sealed()?);
        let differs = |what: &str, says: &str, is: &str| {
            let message = format!("{what} differs from the saved plan: saved {says}, now {is}");
            Err(Error::new(Class::Stale, message)
                .hint("review the change, then create the plan again with `payinfra plan --out`"))
        };
        for (what, says, is) in [
            ("the account", &saved.account, &derived.account),
            ("the lineage of the state", &saved.lineage, &derived.lineage),
            ("the stack", &saved.graph.stack, &derived.graph.stack),
            ("the workspace", &saved.graph.workspace, &derived.graph.workspace),
        ] {
            if says != is {
                return differs(what, &format!("`{says}`"), &format!("`{is}`"));
            }
        }
        let kinds = [
            ("the declaration of ", by_address(saved.graph.nodes())?, by_address(derived.graph.nodes())?),
            ("the lookup ", by_address(&saved.lookups)?, by_address(&derived.lookups)?),
            ("the step of ", by_address(&saved.steps)?, by_address(&derived.steps)?),
        ];
        for (what, says, is) in &kinds {
            let addresses: BTreeSet<_> = says.keys().chain(is.keys()).collect();
            for address in addresses {
                let (says, is) = (says.get(address), is.get(address));
                if says != is {
                    let (says, is) = first(says.unwrap_or(&Value::Null), is.unwrap_or(&Value::Null), "");
                    return differs(&format!("{what}{address}"), &says, &is);
                }
            }
        }
        if let Some(address) = saved.left_out.symmetric_difference(&derived.left_out).next() {
            let word = |plan: &Self| if plan.left_out.contains(address) { "excluded" } else { "included" };
            return differs(&address.to_string(), word(&saved), word(&derived));
        }
        if saved.graph != derived.graph {
            return Err(Error::new(Class::Stale, "the configuration has changed since the plan was created")
                .hint("create it again with `payinfra plan --out`"));
        }
        Ok(())
    }

    /// The data that the plan destroys, by address and part.
    #[must_use]
    pub fn losses(&self) -> BTreeMap<&Address, &[String]> {
        let losing = self.steps.iter().filter(|(_, step)| !step.loses.is_empty());
        losing.map(|(address, step)| (address, &step.loses[..])).collect()
    }

    /// Checks that neither a protected resource nor a protected part of one is deleted. Protection comes from
    /// `declared` (for a destroy, the graph that would be applied instead) and, for resources that are no longer
    /// declared, from the state.
    ///
    /// # Errors
    /// If there are any, with all of their addresses.
    pub fn respects_protection(&self, state: &State, declared: &Graph) -> Result<()> {
        let protected = |address: &Address| {
            let declared = declared.nodes().get(address).map(|node| node.protect);
            declared.unwrap_or_else(|| state.resources.get(address).is_some_and(|record| record.protect))
        };
        let removed = self
            .steps
            .iter()
            .filter(|(address, step)| (step.action.removes() || !step.loses.is_empty()) && protected(address))
            .map(|(address, _)| address);
        keep_protected(removed.collect())
    }
}

/// Refuses to delete protected resources.
///
/// # Errors
/// If `protected` is not empty, with all of the addresses.
pub fn keep_protected(protected: BTreeSet<&Address>) -> Result<()> {
    if protected.is_empty() {
        return Ok(());
    }
    let protected: Vec<_> = protected.into_iter().map(ToString::to_string).collect();
    Err(Error::invalid(format!("this would delete protected resources: {}", protected.join(", ")))
        .hint("to allow it, set `protect = false` for the workspace in payinfra.toml"))
}

/// The values as JSON, by address.
fn by_address<T: Serialize>(members: &BTreeMap<Address, T>) -> Result<BTreeMap<&Address, Value>> {
    let json = |(address, member)| Ok((address, serde_json::to_value(member)?));
    members.iter().map(json).collect::<Result<_, serde_json::Error>>().map_err(|error| Error::failed(error.to_string()))
}

/// The first difference between two values, as narrow as possible, with both values.
fn first(one: &Value, other: &Value, path: &str) -> (String, String) {
    match (one, other) {
        _ if is_secret(one) && is_secret(other) => (told(one, path), "another secret".to_owned()),
        _ if is_secret(one) || is_secret(other) => (told(one, path), told(other, path)),
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            let mut differing = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
            let Some(key) = differing.next() else { return (String::new(), String::new()) };
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            first(one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null), &path)
        }
        (Value::Array(one), Value::Array(other)) => {
            let count = one.len().max(other.len());
            let mut differing = (0..count).filter(|index| one.get(*index) != other.get(*index));
            let Some(index) = differing.next() else { return (String::new(), String::new()) };
            let path = format!("{path}[{index}]");
            first(one.get(index).unwrap_or(&Value::Null), other.get(index).unwrap_or(&Value::Null), &path)
        }
        _ => (told(one, path), told(other, path)),
    }
}

/// The maximum length of a value in a difference, in characters.
const SHOWN: usize = 120;

/// A value on one line. For large values, only the names of the fields or the number of members.
fn told(value: &Value, path: &str) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        value if is_secret(value) => "(secret)".to_owned(),
        Value::Object(members) => {
            let names: Vec<_> = members.keys().map(String::as_str).collect();
            format!("an object with the fields {}", names.join(", "))
        }
        Value::Array(values) if values.iter().any(|value| value.is_array() || value.is_object()) => {
            format!("a list of {} items", values.len())
        }
        value => value.to_string(),
    };
    let text = if text.chars().count() > SHOWN {
        format!("{}…", text.chars().take(SHOWN).collect::<String>())
    } else {
        text
    };
    if path.is_empty() { text } else { format!("{path} = {text}") }
}

/// Options of a plan.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Plan only these and their dependencies (for a delete, their dependents). Empty: everything.
    pub targets: BTreeSet<Address>,
    /// Resources with data that may be replaced even if only drift requires it.
    pub accepted: Accepted,
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

/// The current resources, read once for everything in the state.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// The existing resources by address.
    pub live: BTreeMap<Address, Seen>,
    /// Deposed generations that still exist.
    pub deposed: Vec<(Address, Seen)>,
}

impl Refreshed {
    fn of(state: &State, found: Vec<(Address, Seen)>) -> Self {
        let mut refreshed = Self::default();
        for (address, seen) in found {
            let record = state.resources.get(&address);
            if record.is_some_and(|record| record.id.as_ref() == Some(&seen.id)) {
                refreshed.live.insert(address, seen);
            } else {
                refreshed.deposed.push((address, seen));
            }
        }
        refreshed
    }
}

/// The time between the first read and the second.
const SECOND: Duration = Duration::from_secs(1);
/// How often to read again if AWS neither shows a resource nor says that it does not exist.
const LOOKS: usize = 10;

/// Reads all resources in `state`: one batch per kind and region, all concurrently.
///
/// # Errors
/// If a resource cannot be read, or is not ours.
pub async fn refresh(cloud: &Arc<dyn Cloud>, state: &State) -> Result<Refreshed> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (address, record) in &state.resources {
        let deposed = record.deposed.iter().map(|deposed| &deposed.id);
        for id in record.id.iter().chain(deposed) {
            groups.entry((address.region.clone(), Arc::clone(&address.kind))).or_default().push((address, id));
        }
    }
    let reads = groups.into_iter().map(|((region, kind), members)| async move {
        let spec = spec(cloud, &kind).map_err(|error| at(&members, error))?;
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
    let found = try_join_all(reads).await?.into_iter().flatten().collect();
    let refreshed = Refreshed::of(state, second(cloud, state, found).await?);
    ours(cloud, state, &refreshed)?;
    Ok(refreshed)
}

/// The result of a second read. One read without a resource proves nothing: a filter may hide it, or a replica of the
/// service may lag behind. A resource that we started to delete may also still be shown.
async fn second(
    cloud: &Arc<dyn Cloud>,
    state: &State,
    mut found: Vec<(Address, Seen)>,
) -> Result<Vec<(Address, Seen)>> {
    let shown = |address: &Address, id: &String| found.iter().any(|(at, seen)| at == address && seen.id == *id);
    let mut doubtful = Vec::new();
    for (address, record) in &state.resources {
        let deposed = record.deposed.iter().map(|deposed| &deposed.id);
        doubtful.extend(record.id.iter().chain(deposed).filter(|id| !shown(address, id)).map(|id| (address, id)));
        let going = record.intent == Some(Intent::Delete);
        doubtful.extend(record.id.iter().filter(|id| going && shown(address, id)).map(|id| (address, id)));
    }
    if doubtful.is_empty() {
        return Ok(found);
    }
    sleep(SECOND).await;
    let again = doubtful.iter().map(|(address, id)| looked_at_again(cloud, address, id));
    let again = try_join_all(again).await?;
    for ((address, id), seen) in doubtful.into_iter().zip(again) {
        found.retain(|(at, seen)| !(at == address && seen.id == *id));
        found.extend(seen.map(|seen| (address.clone(), seen)));
    }
    Ok(found)
}

/// The resource `id`, unless it is proven that it does not exist.
async fn looked_at_again(cloud: &Arc<dyn Cloud>, address: &Address, id: &String) -> Result<Option<Seen>> {
    let (region, kind) = (&address.region, &address.kind);
    for _ in 0..LOOKS {
        let ids = [id.clone()];
        let seen = patiently(&Patience::reading(), || cloud.read(region, kind, &ids)).await?.pop();
        if seen.is_some() || patiently(&Patience::reading(), || cloud.absent(region, kind, id)).await? {
            return Ok(seen);
        }
        sleep(SECOND).await;
    }
    Err(Error::failed(format!("{address}: AWS neither returns {id} nor confirms that it does not exist"))
        .hint("run the command again in a moment"))
}

/// Checks that all resources in the state are ours. Otherwise somebody else's resource would be updated or deleted.
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
    let mend = format!(
        "remove it from the state with `payinfra state rm {}`, which does not delete it in AWS",
        addresses.join(" ")
    );
    Err(Error::invalid(told.join("\n")).hint(mend))
}

/// The reason why the tags of `seen` name another stack, workspace or deployment, if they do.
pub(crate) fn claimed(state: &State, seen: &Seen) -> Option<String> {
    let own = [(Owner::STACK, &state.stack), (Owner::WORKSPACE, &state.workspace), (Owner::LINEAGE, &state.lineage)];
    own.into_iter().find_map(|(key, own)| {
        let other = seen.args.get("tags")?.get(key)?.as_str()?;
        (other != own).then(|| format!("its tag `{key}` is `{other}`"))
    })
}

/// Where else `seen` is recorded as current. Deleting it at `address` would delete it there as well.
pub(crate) fn elsewhere(state: &State, address: &Address, seen: &Seen) -> Option<String> {
    let here = |other: &Address| (&other.region, &other.kind) == (&address.region, &address.kind);
    let mut others =
        state.resources.iter().filter(|(other, record)| here(other) && record.id.as_ref() == Some(&seen.id));
    others.next().map(|(other, _)| format!("it is also recorded at {other}"))
}

/// The reason why `seen` is not ours, if it is not.
///
/// Owner tags that were removed by hand are drift, and another address of ours is the result of `state mv`. Both are
/// repaired, unless the resource also differs from what was created at this address.
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
        return Some(format!("it is also recorded at {other}, as its tags confirm"));
    }
    let bare = named.is_none() && tag(Owner::STACK).is_none() && tag(Owner::WORKSPACE).is_none();
    if record.intent == Some(Intent::Create) || seen.status != Status::Ready || !(bare || other.is_some()) {
        return None;
    }
    let changes = diff(&record.args, &seen_as(seen, &record.args, &state.lineage), None);
    let change = changes.iter().find(|change| spec.replace.contains(&change.field()))?;
    let whose = other.map_or_else(|| "it has no owner tags".to_owned(), |other| format!("its tags name {other}"));
    Some(format!("{whose}, and its `{}` differs from the created resource", change.path))
}

/// The error, prefixed with the addresses that it concerns.
fn at(members: &[(&Address, &String)], error: Error) -> Error {
    let addresses: Vec<_> = members.iter().map(|(address, _)| address.to_string()).collect();
    error.at(addresses.join(", "))
}

/// Drift: the differences between the recorded and the current resources.
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
            Some(Seen { status: Status::Scheduled(until), .. }) => {
                drifts.insert(address.clone(), Drift::Scheduled(until.clone()));
            }
            Some(seen) => {
                let changes = diff(&record.args, &seen_as(seen, &record.args, &state.lineage), None);
                if !changes.is_empty() {
                    drifts.insert(address.clone(), Drift::Changed(changes));
                }
            }
        }
    }
    drifts
}

/// The arguments of `seen`, without what is secret in them or in `like`.
fn seen_as(seen: &Seen, like: &Value, lineage: &str) -> Value {
    redact(&marked(&seen.args, like), lineage)
}

/// Hides in `change` what is secret in `like`.
fn conceal(change: &mut Change, like: &Value, lineage: &str) {
    let Some(like) = like.pointer(&json_pointer(change.path.split('.'))) else { return };
    change.old = redact(&marked(&change.old, like), lineage);
    if let Wanted::Value(new) = &mut change.new {
        *new = redact(&marked(new, like), lineage);
    }
}

/// Plans the steps after which all resources that `graph` declares exist, and no other resources in `state` do.
///
/// # Errors
/// If the graph is invalid, a resource cannot be read, or a lookup finds nothing.
pub async fn plan(cloud: &Arc<dyn Cloud>, graph: Graph, state: &State, options: &Options) -> Result<Plan> {
    let graph = graph.of_lineage(&state.lineage);
    let sorted = graph.sorted()?;
    for (address, node) in graph.nodes() {
        let spec = spec(cloud, &address.kind)?;
        if spec.lookup != node.lookup {
            return Err(Error::failed(format!("{address} is declared as a lookup but is a resource, or the reverse")));
        }
        cloud.normal(&address.kind, &node.args).map_err(|error| Error::invalid(format!("{address}: {error}")))?;
    }
    let selected = selected(&graph, state, &options.targets)?;
    let (refreshed, lookups) = tokio::try_join!(refresh(cloud, state), lookups(cloud, &graph))?;
    let mut drift = drift(state, &refreshed);
    for (address, drift) in &mut drift {
        if let (Drift::Changed(changes), Some(node)) = (drift, graph.nodes().get(address)) {
            for change in changes {
                conceal(change, &node.args, &state.lineage);
            }
        }
    }
    let mut planner = Planner {
        cloud,
        graph: &graph,
        state,
        refreshed: &refreshed,
        lookups: &lookups,
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
    planner.cascades.retain(|(address, _)| !options.accepted.covers(address));
    cascading(&planner.cascades)?;
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

/// The loss when a whole resource with data is deleted.
pub(crate) const ALL: &str = "all of its data";

/// Sets what a deleting step destroys, and which protection has to be disabled for it.
fn lost(spec: &Spec, step: &mut Step, seen: Option<&Seen>) {
    let Some(seen) = seen.filter(|_| step.action.removes()) else { return };
    if spec.keeps_data {
        step.loses.push(ALL.to_owned());
    }
    if is_shielded(spec, seen) {
        let off = "AWS deletion protection is disabled first";
        step.because = Some(step.because.take().map_or_else(|| off.to_owned(), |because| format!("{because}; {off}")));
    }
}

/// Whether AWS's own deletion protection is enabled for `seen`.
pub(crate) fn is_shielded(spec: &Spec, seen: &Seen) -> bool {
    spec.shield.is_some_and(|field| seen.args.get(field) == Some(&Value::Bool(true)))
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

pub(crate) fn spec(cloud: &Arc<dyn Cloud>, kind: &str) -> Result<Spec> {
    cloud.spec(kind).ok_or_else(|| {
        Error::invalid(format!("unknown kind `{kind}`")).hint(
            "a newer version of payinfra may have written it: use that version, or remove it with `payinfra state rm`",
        )
    })
}

/// Resolves the lookups, each as soon as the lookups that it refers to are resolved.
pub(crate) async fn lookups(cloud: &Arc<dyn Cloud>, graph: &Graph) -> Result<BTreeMap<Address, Value>> {
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
            return Err(Error::invalid(format!("lookup {address} refers to a resource"))
                .hint("lookups are resolved before resources are created, so they can refer only to lookups"));
        }
        let answers = join_all(now.iter().map(|(address, args, _)| async move {
            patiently(&Patience::reading(), || cloud.find(&address.region, &address.kind, args))
                .await
                .map_err(|error| error.at(address))
        }))
        .await;
        for ((address, ..), answer) in now.iter().zip(answers) {
            found.insert((*address).clone(), answer?);
        }
        open = later.into_iter().map(|(address, _, node)| (address, node)).collect();
    }
}

/// The targets with their dependencies and, for those to be deleted, their recorded dependents.
fn selected(graph: &Graph, state: &State, targets: &BTreeSet<Address>) -> Result<Option<BTreeSet<Address>>> {
    if targets.is_empty() {
        return Ok(None);
    }
    let mut selected = BTreeSet::new();
    let mut open: Vec<Address> = targets.iter().cloned().collect();
    while let Some(address) = open.pop() {
        let declared = graph.nodes().contains_key(&address);
        if !declared && !state.resources.contains_key(&address) {
            return Err(Error::invalid(format!("{address} is neither declared nor in the state"))
                .hint("list the addresses with `payinfra graph` and `payinfra state list`"));
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
        let seen = self.refreshed.live.get(&pointer.address)?;
        output(&seen.id, &seen.outputs, &pointer.output)
    }

    fn step(&mut self, address: &Address) -> Result<Step> {
        let spec = spec(self.cloud, &address.kind)?;
        let node = &self.graph.nodes()[address];
        let args = &node.args;
        let desired = self.cloud.normal(&address.kind, &resolve(args, &|pointer| self.known(pointer)))?;
        let desired = redact(&desired, &self.state.lineage);
        let record = self.state.resources.get(address);
        let as_declared = |seen: &Seen| Seen { args: seen_as(seen, &desired, &self.state.lineage), ..seen.clone() };
        let seen = self.refreshed.live.get(address).map(as_declared);
        let seen = seen.as_ref();
        let moves = self.moves(&spec, args)?;
        let step = match (record, seen) {
            (Some(record), Some(seen)) => {
                let mut step = existing(&spec, record, seen, &desired);
                // A value that was secret may still be sensitive, although it is no longer declared as secret.
                step.changes.iter_mut().for_each(|change| conceal(change, &record.args, &self.state.lineage));
                if step.action == Action::Update && moves {
                    step.action = if spec.create_first { Action::ReplaceCreateFirst } else { Action::Replace };
                    step.because = Some("it moves to another network".to_owned());
                }
                if matches!(step.action, Action::Keep | Action::Update)
                    && let Some(trigger) = self.trigger(node)
                {
                    step.action = if spec.create_first { Action::ReplaceCreateFirst } else { Action::Replace };
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
                step
            }
            (Some(record), None) if Self::begun_otherwise(&spec, record, &desired) => Step {
                changes: diff(&desired, &record.args, None),
                ..Step::new(Action::Replace)
                    .because("an earlier create was interrupted and left an incomplete resource")
            },
            (record, _) => Step {
                action: Action::Create,
                changes: diff(&desired, &Value::Object(serde_json::Map::new()), None),
                because: record.map(|record| match record.intent {
                    Some(Intent::Create) => "an earlier create was interrupted".to_owned(),
                    _ => "it no longer exists".to_owned(),
                }),
                loses: Vec::new(),
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

fn existing(spec: &Spec, record: &Record, seen: &Seen, desired: &Value) -> Step {
    let replace = if spec.create_first { Action::ReplaceCreateFirst } else { Action::Replace };
    let changes = diff(desired, &seen.args, Some(&record.args));
    let forced = changes.iter().any(|change| spec.replace.contains(&change.field()));
    let (action, because) = match (&seen.status, record.intent) {
        (Status::Failed(why), _) => (Action::Replace, Some(format!("it failed: {why}"))),
        (Status::Deleting, _) => (Action::Replace, Some("it is being deleted".to_owned())),
        (Status::Scheduled(until), _) => (Action::Restore, Some(format!("it is scheduled for deletion: {until}"))),
        _ if forced => (replace, None),
        _ if !changes.is_empty() => (Action::Update, None),
        // An intent says what may have happened, never what is desired.
        (_, Some(Intent::Delete)) => (Action::Update, Some("an interrupted delete had no effect".to_owned())),
        (_, Some(_)) => (Action::Update, Some("an interrupted operation is completed".to_owned())),
        (Status::Pending, None) => (Action::Update, Some("it is not ready yet".to_owned())),
        _ if discloses(&record.args, desired) => {
            (Action::Update, Some("a value is now secret: the state keeps only its digest".to_owned()))
        }
        _ if !record.deposed.is_empty() => (Action::Update, Some("the resource it replaced is deleted".to_owned())),
        _ => (Action::Keep, None),
    };
    Step { action, changes, because, loses: Vec::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_one_field_and_no_secret() {
        let both = |one: Value, other: Value| {
            let (one, other) = first(&one, &other, "");
            format!("{one} | {other}")
        };
        for (one, other, told) in [
            (json!({ "a": 1, "b": { "c": "x" } }), json!({ "a": 1, "b": { "c": "y" } }), r#"b.c = "x" | b.c = "y""#),
            (json!({ "a": [1, { "b": 2 }] }), json!({ "a": [1, { "b": 3 }] }), "a[1].b = 2 | a[1].b = 3"),
            (json!({ "a": [1] }), json!({ "a": [1, 2] }), "a[1] = nothing | a[1] = 2"),
            (json!(null), json!({ "a": 1, "b": 2 }), "nothing | an object with the fields a, b"),
            (json!({ "p": { "$hash": "one" } }), json!({ "p": { "$hash": "two" } }), "p = (secret) | another secret"),
            (json!({ "p": { "$hash": "one" } }), json!({ "p": "plain" }), r#"p = (secret) | p = "plain""#),
        ] {
            assert_eq!(both(one, other), told);
        }
        let long = both(json!("x".repeat(500)), json!(null));
        assert!(long.chars().count() < 150 && long.contains('…'), "{long}");
    }
}
