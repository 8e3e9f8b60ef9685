//! A plan: what apply will do, decided before anything is done. A value that can be saved, shown and applied.

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
use crate::secret::{discloses, is_secret, redact, redacted_like};
use crate::state::{Intent, Record, State};
use crate::tags::Owner;

/// The version of the form of saved plans.
pub const FORMAT: u32 = 2;

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
    /// The data that is lost by it, part by part.
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
    /// Restore it: it is scheduled for deletion.
    Restore,
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
        matches!(self, Self::Create | Self::Update | Self::Replace | Self::ReplaceCreateFirst | Self::Restore)
    }
}

/// What changed behind payinfra's back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// It is gone.
    Gone,
    /// It is scheduled for deletion, and can be restored until then.
    Scheduled(String),
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
    /// What is restored.
    #[serde(default)]
    pub restore: usize,
}

impl Plan {
    /// The stack's outputs with `state`, as far as they are known, as the state keeps them: without secrets.
    #[must_use]
    pub fn outputs(&self, state: &State) -> BTreeMap<String, Value> {
        let known = |pointer: &Pointer| crate::converge::known(self, state, pointer);
        let resolved = self.graph.outputs().iter().map(|(name, value)| (name.clone(), resolve(value, &known)));
        let known = resolved.filter(|(_, value)| pointers(value).is_empty());
        known.map(|(name, value)| (name, redact(&value, &state.lineage))).collect()
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
                Action::Restore => summary.restore += 1,
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
                .hint("create it again with `payinfra plan --out`")
        })?;
        if plan.format != FORMAT {
            return Err(Error::invalid(format!("the plan has format {}, this payinfra knows {FORMAT}", plan.format))
                .hint("create it again with `payinfra plan --out`"));
        }
        Ok(plan)
    }

    /// That the plan was made for this account and on this state.
    ///
    /// # Errors
    /// [`Class::Stale`] if something was applied since, [`Class::Invalid`] if it is somebody else's.
    pub fn fits(&self, state: &State) -> Result<()> {
        state.belongs(&self.graph.stack, &self.graph.workspace, &self.account)?;
        let again = "create it again with `payinfra plan --out`";
        if state.lineage != self.lineage && self.revision > 0 {
            return Err(Error::new(Class::Stale, "the plan was made on another state").hint(again));
        }
        if (state.serial, state.revision) != (self.serial, self.revision) {
            let message = format!("the plan was made on serial {}, the state has {} by now", self.serial, state.serial);
            return Err(Error::new(Class::Stale, message).hint(again));
        }
        Ok(())
    }

    /// The plan as it is saved: every secret in it is replaced by a hash.
    ///
    /// # Errors
    /// Never in practice; JSON can refuse a value that has no form in it.
    pub fn sealed(&self) -> Result<Self> {
        let failed = |error: serde_json::Error| Error::failed(format!("the plan cannot be written as JSON: {error}"));
        serde_json::from_value(redact(&serde_json::to_value(self).map_err(failed)?, &self.lineage)).map_err(failed)
    }

    /// That this saved plan is what `derived` is, which was made from the configuration, the state and what exists now.
    /// Who can write the file cannot have anything else applied with it.
    ///
    /// # Errors
    /// [`Class::Stale`] with the first difference: where it is, what the file says, and what is derived.
    pub fn agrees(&self, derived: &Self) -> Result<()> {
        let (saved, derived) = (self.sealed()?, derived.sealed()?);
        let differs = |what: &str, says: &str, is: &str| {
            let message = format!("{what} is not what the saved plan says: the file says {says}, derived now is {is}");
            Err(Error::new(Class::Stale, message)
                .hint("review what changed, and create the plan again with `payinfra plan --out`"))
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
            let word = |plan: &Self| if plan.left_out.contains(address) { "left out" } else { "not left out" };
            return differs(&address.to_string(), word(&saved), word(&derived));
        }
        if saved.graph != derived.graph {
            return Err(Error::new(Class::Stale, "the configuration has changed since the plan was made")
                .hint("create it again with `payinfra plan --out`"));
        }
        Ok(())
    }

    /// The data that is lost by it, by address and part.
    #[must_use]
    pub fn losses(&self) -> BTreeMap<&Address, &[String]> {
        let losing = self.steps.iter().filter(|(_, step)| !step.loses.is_empty());
        losing.map(|(address, step)| (address, &step.loses[..])).collect()
    }

    /// That nothing protected is removed, and no part of it: by `declared` (for a destroy, the graph that would be applied instead), and
    /// by the state for what is no longer declared.
    ///
    /// # Errors
    /// If something is, with all of the addresses.
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

/// Refuses to remove what is protected.
///
/// # Errors
/// If there is anything in `protected`, with all of the addresses.
pub fn keep_protected(protected: BTreeSet<&Address>) -> Result<()> {
    if protected.is_empty() {
        return Ok(());
    }
    let protected: Vec<_> = protected.into_iter().map(ToString::to_string).collect();
    Err(Error::invalid(format!("this would remove what is protected: {}", protected.join(", ")))
        .hint("set `protect = false` for the workspace in payinfra.toml if you mean it"))
}

/// As JSON, address by address.
fn by_address<T: Serialize>(members: &BTreeMap<Address, T>) -> Result<BTreeMap<&Address, Value>> {
    let json = |(address, member)| Ok((address, serde_json::to_value(member)?));
    members.iter().map(json).collect::<Result<_, serde_json::Error>>().map_err(|error| Error::failed(error.to_string()))
}

/// The first place in which two values differ, as each of them has it: a field, not all that is around it.
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

/// How much of a value a difference shows, in characters.
const SHOWN: usize = 120;

/// A value in one line. Of what is on one side only, the names of its fields are enough; what holds more is counted.
fn told(value: &Value, path: &str) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        value if is_secret(value) => "(secret)".to_owned(),
        Value::Object(members) => {
            let names: Vec<_> = members.keys().map(String::as_str).collect();
            format!("something with the fields {}", names.join(", "))
        }
        Value::Array(values) if values.iter().any(|value| value.is_array() || value.is_object()) => {
            format!("a list of {}", values.len())
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

/// What is planned, and for which part.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these and what they depend on (for a removal: and what depends on them). Empty: everything.
    pub targets: BTreeSet<Address>,
    /// What keeps data and may be replaced all the same, although only drift demands it.
    pub accepted: Accepted,
}

/// Which losses of data somebody has agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Accepted {
    /// None.
    #[default]
    Nothing,
    /// Those at these addresses.
    These(BTreeSet<Address>),
    /// All.
    Everything,
}

impl Accepted {
    /// Whether the loss of what is at `address` is agreed to.
    #[must_use]
    pub fn covers(&self, address: &Address) -> bool {
        match self {
            Self::Nothing => false,
            Self::These(addresses) => addresses.contains(address),
            Self::Everything => true,
        }
    }
}

/// What there is, read once for everything in the state.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// What exists, by address.
    pub live: BTreeMap<Address, Seen>,
    /// Earlier generations that still exist.
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

/// How long after the first look the second one comes.
const SECOND: Duration = Duration::from_secs(1);
/// How often something is looked at again of which AWS neither says that it exists nor that it does not.
const LOOKS: usize = 10;

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

/// What a second look finds. That a first one did not show something proves nothing: a filter may hide it, or a replica
/// of the service may be behind. And what we began to remove may still be shown although it goes.
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

/// What is there under `id`, unless it is proven that nothing is.
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
    Err(Error::failed(format!("{address}: AWS does not show {id}, and does not say that it does not exist"))
        .hint("run it again in a moment"))
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

/// Whose `seen` is by its tags, if it is another stack's, workspace's or deployment's.
pub(crate) fn claimed(state: &State, seen: &Seen) -> Option<String> {
    let own = [(Owner::STACK, &state.stack), (Owner::WORKSPACE, &state.workspace), (Owner::LINEAGE, &state.lineage)];
    own.into_iter().find_map(|(key, own)| {
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
    let changes = diff(&record.args, &redacted_like(&seen.args, &record.args, &state.lineage), None);
    let change = changes.iter().find(|change| spec.replace.contains(&change.field()))?;
    let whose = other.map_or_else(|| "it has no owner tags".to_owned(), |other| format!("its tags name {other}"));
    Some(format!("{whose}, and its `{}` is not what was made", change.path))
}

/// The error with the addresses that it is about.
fn at(members: &[(&Address, &String)], error: Error) -> Error {
    let addresses: Vec<_> = members.iter().map(|(address, _)| address.to_string()).collect();
    error.at(addresses.join(", "))
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
            Some(Seen { status: Status::Scheduled(until), .. }) => {
                drifts.insert(address.clone(), Drift::Scheduled(until.clone()));
            }
            Some(seen) => {
                let changes = diff(&record.args, &redacted_like(&seen.args, &record.args, &state.lineage), None);
                if !changes.is_empty() {
                    drifts.insert(address.clone(), Drift::Changed(changes));
                }
            }
        }
    }
    drifts
}

/// Hides in `change` what is secret in `like`.
fn conceal(change: &mut Change, like: &Value, lineage: &str) {
    let Some(like) = like.pointer(&json_pointer(change.path.split('.'))) else { return };
    change.old = redacted_like(&change.old, like, lineage);
    if let Wanted::Value(new) = &mut change.new {
        *new = redacted_like(new, like, lineage);
    }
}

/// Decides what to do so that what `graph` declares exists, and nothing else that `state` knows.
///
/// # Errors
/// If the graph is not sound, something cannot be read, or a lookup finds nothing.
pub async fn plan(cloud: &Arc<dyn Cloud>, graph: Graph, state: &State, options: &Options) -> Result<Plan> {
    let graph = graph.of_lineage(&state.lineage);
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

/// What becomes of what is recorded and no longer declared.
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

/// What is lost with a whole resource that keeps data.
pub(crate) const ALL: &str = "all that it keeps";

/// Says what is lost by a step that removes, and what has to be switched off for it.
fn lost(spec: &Spec, step: &mut Step, seen: Option<&Seen>) {
    let Some(seen) = seen.filter(|_| step.action.removes()) else { return };
    if spec.keeps_data {
        step.loses.push(ALL.to_owned());
    }
    if is_shielded(spec, seen) {
        let off = "AWS's deletion protection is switched off first";
        step.because = Some(step.because.take().map_or_else(|| off.to_owned(), |because| format!("{because}; {off}")));
    }
}

/// Whether AWS's own protection keeps `seen` from being deleted.
pub(crate) fn is_shielded(spec: &Spec, seen: &Seen) -> bool {
    spec.shield.is_some_and(|field| seen.args.get(field) == Some(&Value::Bool(true)))
}

/// That drift alone destroys no data: which way out is right, only a person knows.
fn cascading(cascades: &[(Address, String)]) -> Result<()> {
    if cascades.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = cascades.iter().map(|(address, why)| format!("{address} would be replaced: {why}")).collect();
    let accepted: Vec<_> = cascades.iter().map(|(address, _)| format!("--accept-loss={address}")).collect();
    let message = format!("drift would destroy data that nobody gave up:\n{}", told.join("\n"));
    Err(Error::invalid(message).hint(format!(
        "restore what is gone or changed, or take what has its place into the state with `payinfra import`; to replace \
         it and lose its data, say {}",
        accepted.join(" ")
    )))
}

pub(crate) fn spec(cloud: &Arc<dyn Cloud>, kind: &str) -> Result<Spec> {
    cloud.spec(kind).ok_or_else(|| {
        Error::invalid(format!("there is no kind `{kind}`"))
            .hint("a newer payinfra wrote it: use that version, or drop it with `payinfra state rm`")
    })
}

/// Answers the lookups, each as soon as those that it refers to are answered.
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
            return Err(Error::invalid(format!("the lookup {address} refers to something that is not a lookup"))
                .hint("a lookup is answered before anything is made"));
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
    /// What will be in another network.
    moved: BTreeSet<Address>,
    /// What will have a new id because of drift, and why.
    drifted: BTreeMap<Address, String>,
    /// What keeps data and would be replaced because of drift, and why.
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
        let as_declared =
            |seen: &Seen| Seen { args: redacted_like(&seen.args, &desired, &self.state.lineage), ..seen.clone() };
        let seen = self.refreshed.live.get(address).map(as_declared);
        let seen = seen.as_ref();
        let moves = self.moves(&spec, args)?;
        let step = match (record, seen) {
            (Some(record), Some(seen)) => {
                let mut step = existing(&spec, record, seen, &desired);
                // What was a secret may still be one, although it is no longer declared as one.
                step.changes.iter_mut().for_each(|change| conceal(change, &record.args, &self.state.lineage));
                if step.action == Action::Update && moves {
                    step.action = replacement(&spec);
                    step.because = Some("it moves to another network".to_owned());
                }
                if matches!(step.action, Action::Keep | Action::Update)
                    && let Some(trigger) = self.trigger(node)
                {
                    step.action = replacement(&spec);
                    step.because = Some(format!("it is replaced whenever {trigger} is"));
                }
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
                // What is only half created keeps nothing yet.
                if step.action == Action::Update && record.intent != Some(Intent::Create) {
                    step.loses = self.cloud.losses(&address.kind, &desired, &seen.args);
                }
                step
            }
            (Some(record), None) if Self::begun_otherwise(&spec, record, &desired) => Step {
                changes: diff(&desired, &record.args, None),
                ..Step::new(Action::Replace).because("an earlier create was interrupted: what it left is removed")
            },
            (record, _) => Step {
                action: Action::Create,
                changes: diff(&desired, &Value::Object(serde_json::Map::new()), None),
                because: record.map(|record| match record.intent {
                    Some(Intent::Create) => "an earlier create was interrupted: it is found or created".to_owned(),
                    _ => "it is gone".to_owned(),
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

    /// Why a step that gives `record` a new id is a consequence of drift and of nothing that anybody wants.
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
            return record.intent.is_none().then(|| "it is gone".to_owned());
        };
        match &seen.status {
            Status::Failed(why) if record.intent != Some(Intent::Create) => return Some(format!("it failed: {why}")),
            Status::Deleting if record.intent != Some(Intent::Delete) => {
                return Some("it is being deleted, and no delete of payinfra is on record".to_owned());
            }
            _ => {}
        }
        let args = &node.args;
        let behind = |field: &str| {
            let value = args.get(field).unwrap_or(&Value::Null);
            let through = pointers(value).into_iter().find_map(|pointer| {
                let why = self.drifted.get(&pointer.address)?;
                Some(format!("its `{field}` is {}, and of that: {why}", pointer.address))
            });
            let same = || desired.get(field) == record.args.get(field);
            through.or_else(|| same().then(|| format!("its `{field}` was changed in AWS")))
        };
        let wanted = diff(desired, &record.args, None);
        let by_hand = |field: &str| wanted.iter().any(|change| change.field() == field) && behind(field).is_none();
        let mut forced: Vec<&str> = step.changes.iter().map(Change::field).collect();
        forced.retain(|field| spec.replace.contains(field));
        if forced.is_empty() {
            // It is replaced with what it is attached to, moves with its network, or is replaced with its triggers.
            let fields = spec.holds.iter().chain(spec.network).filter_map(|field| args.get(field));
            let addresses = fields.flat_map(pointers).map(|pointer| pointer.address);
            let mut addresses = addresses.chain(node.replace_triggered_by.iter().cloned());
            return addresses.find_map(|address| Some(format!("of {address}: {}", self.drifted.get(&address)?)));
        }
        if forced.iter().any(|field| by_hand(field)) { None } else { forced.into_iter().find_map(behind) }
    }

    /// Whether one of those that must be in the same network moves to another one, or is that other one.
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

    /// What `node` is replaced with, of what will have a new id. What is made for the first time replaces nothing.
    fn trigger<'b>(&self, node: &'b Declared) -> Option<&'b Address> {
        let is_replaced =
            |trigger: &Address| self.fresh.contains(trigger) && self.state.resources.contains_key(trigger);
        node.replace_triggered_by.iter().find(|trigger| is_replaced(trigger))
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

/// How something of this kind is replaced.
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
        // An intent says what may have happened, never what is wanted.
        (_, Some(Intent::Delete)) => (Action::Update, Some("its removal was begun and did not happen".to_owned())),
        (_, Some(_)) => (Action::Update, Some("what was begun is finished".to_owned())),
        (Status::Pending, None) => (Action::Update, Some("it is not ready yet".to_owned())),
        _ if discloses(&record.args, desired) => {
            (Action::Update, Some("a value of it is secret now: the state keeps only a digest".to_owned()))
        }
        _ if !record.deposed.is_empty() => (Action::Update, Some("what it replaced is removed".to_owned())),
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
            (json!(null), json!({ "a": 1, "b": 2 }), "nothing | something with the fields a, b"),
            (json!({ "p": { "$hash": "one" } }), json!({ "p": { "$hash": "two" } }), "p = (secret) | another secret"),
            (json!({ "p": { "$hash": "one" } }), json!({ "p": "plain" }), r#"p = (secret) | p = "plain""#),
        ] {
            assert_eq!(both(one, other), told);
        }
        let long = both(json!("x".repeat(500)), json!(null));
        assert!(long.chars().count() < 150 && long.contains('…'), "{long}");
    }
}
