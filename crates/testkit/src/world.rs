//! The resources in the simulated cloud, and the rules that a cloud enforces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use payinfra_engine::{
    Address, Class, Error, Graph, Known, Metric, Owner, Pointer, Region, Result, Status, Tags, pointers,
};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::climate::{self, Climate};
use crate::faults::{Fault, Faults, Operation, When};
use crate::limits::{Buckets, Limits, bucket, service};

/// The latency of a call.
const LATENCY: Duration = Duration::from_millis(40);

/// The delays after which changes become visible.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lags {
    /// How long a new resource is invisible.
    pub visible: Duration,
    /// How long a new resource is not found by its tags.
    pub tags: Duration,
    /// How long reads return the earlier values after a change.
    pub stale: Duration,
}

/// A recorded call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation.
    pub operation: Operation,
    /// The kind; empty for the store.
    pub kind: String,
    /// The address or ids.
    pub subject: String,
    /// The start, since the start of the world.
    pub at: Duration,
    /// The fault.
    pub fault: Option<(When, Fault)>,
}

/// A simulated cloud, shared by all clients.
pub struct World {
    inner: Mutex<Inner>,
    begun: Instant,
    /// The current client, and whether it was killed.
    life: watch::Sender<(usize, bool)>,
}

struct Inner {
    things: BTreeMap<String, Thing>,
    /// Those that refer to each and have to be deleted before it.
    holders: HashMap<String, BTreeSet<String>>,
    /// Those that are being deleted, by the end of that.
    going: BTreeSet<(Instant, String)>,
    climate: Option<Climate>,
    buckets: Buckets,
    tokens: BTreeMap<String, String>,
    made: usize,
    calls: Vec<Call>,
    published: Vec<Metric>,
    /// The number of calls of the current client.
    count: usize,
    faults: Faults,
    lags: Lags,
    violations: Vec<String>,
    stubborn: BTreeSet<(String, String)>,
    /// The kinds whose updates are reverted.
    reverting: BTreeSet<String>,
    /// How long updates of a kind are watched.
    baking: BTreeMap<String, Duration>,
    stillborn: bool,
    /// Kinds whose creates return an existing resource with the same name.
    adopting: BTreeSet<String>,
    /// The resources that the next reads do not return, and the number of these reads.
    hidden: BTreeMap<String, usize>,
    /// The outputs that graphs refer to.
    asked: BTreeSet<Pointer>,
}

/// A resource in the world.
#[derive(Clone, Debug)]
struct Thing {
    kind: &'static str,
    region: Region,
    /// The property that is unique for its kind in its region: a name, a natural key.
    unique: Option<String>,
    args: Value,
    /// The ids that it refers to, and whether they cannot be deleted before it.
    refers: BTreeMap<String, bool>,
    /// Whom it was created for, if its tags need not say so.
    owner: Option<Owner>,
    /// The field for deletion protection.
    shield: Option<&'static str>,
    made: Instant,
    /// When reads begin to show it, apart from [`Lags`].
    visible: Instant,
    ready: Instant,
    failed: bool,
    /// Why its last update was reverted.
    reverted: Option<String>,
    /// How long its last update is watched.
    bakes: Option<Instant>,
    lingers: Duration,
    gone: Option<Instant>,
    /// Its deletion is scheduled.
    scheduled: bool,
    /// The values before the last change, and the time of that change.
    before: Option<(Value, Instant)>,
}

/// A resource to create.
pub(crate) struct New<'a> {
    pub(crate) kind: &'static str,
    pub(crate) region: &'a Region,
    pub(crate) token: Option<&'a str>,
    pub(crate) unique: Option<String>,
    pub(crate) args: Value,
    pub(crate) refers: Vec<Referent>,
    /// Whom it is created for, if its tags need not say so.
    pub(crate) owner: Option<&'a Owner>,
    /// The field for deletion protection.
    pub(crate) shield: Option<&'static str>,
    /// Where it is declared.
    pub(crate) at: Option<&'a Address>,
    pub(crate) create: Duration,
    pub(crate) delete: Duration,
}

/// A resource that another one refers to.
#[derive(Clone, Debug)]
pub(crate) struct Referent {
    pub(crate) id: String,
    /// Whether it only has to exist, not be ready.
    pub(crate) early: bool,
    /// Whether it cannot be deleted while it is referred to.
    pub(crate) held: bool,
}

/// A resource as a read returns it.
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) args: Value,
}

/// A call in progress.
pub(crate) struct Ticket {
    life: usize,
    after: Option<Fault>,
    answer: Duration,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let inner = Inner {
            things: BTreeMap::new(),
            holders: HashMap::new(),
            going: BTreeSet::new(),
            climate: None,
            buckets: Buckets::default(),
            tokens: BTreeMap::new(),
            made: 0,
            calls: Vec::new(),
            published: Vec::new(),
            count: 0,
            faults: Faults::none(),
            lags: Lags::default(),
            violations: Vec::new(),
            stubborn: BTreeSet::new(),
            reverting: BTreeSet::new(),
            baking: BTreeMap::new(),
            stillborn: false,
            adopting: BTreeSet::new(),
            hidden: BTreeMap::new(),
            asked: BTreeSet::new(),
        };
        Arc::new(Self { inner: Mutex::new(inner), begun: Instant::now(), life: watch::channel((0, false)).0 })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, metric: &Metric) {
        self.inner().published.push(metric.clone());
    }

    /// The published metrics, in order.
    #[must_use]
    pub fn published(&self) -> Vec<Metric> {
        self.inner().published.clone()
    }

    /// From now on, these faults are active.
    pub fn set_faults(&self, faults: Faults) {
        self.inner().faults = faults;
    }

    /// From now on, changes become visible with these delays.
    pub fn set_lags(&self, lags: Lags) {
        self.inner().lags = lags;
    }

    /// From now on, updates of `field` of `kind` succeed without effect.
    pub fn ignore_updates(&self, kind: &str, field: &str) {
        self.inner().stubborn.insert((kind.to_owned(), field.to_owned()));
    }

    /// From now on, updates of `kind` are reverted.
    pub fn revert_updates(&self, kind: &str) {
        self.inner().reverting.insert(kind.to_owned());
    }

    /// From now on, updates of `kind` take effect again.
    pub fn keep_updates(&self, kind: &str) {
        self.inner().reverting.remove(kind);
    }

    /// From now on, updates of `kind` are complete after this time, for which they are watched.
    pub fn watch_updates(&self, kind: &str, time: Duration) {
        self.inner().baking.insert(kind.to_owned(), time);
    }

    /// From now on, a create of `kind` returns the existing resource with its name, as SNS does.
    pub fn return_existing(&self, kind: &str) {
        self.inner().adopting.insert(kind.to_owned());
    }

    /// All calls since the last [`World::clear_calls`].
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    /// The number of calls of `operation` on `kind` (empty: any).
    #[must_use]
    pub fn count(&self, operation: Operation, kind: &str) -> usize {
        let inner = self.inner();
        inner.calls.iter().filter(|call| call.operation == operation && (kind.is_empty() || call.kind == kind)).count()
    }

    /// The number of mutating calls.
    #[must_use]
    pub fn mutations(&self) -> usize {
        self.inner().calls.iter().filter(|call| call.operation.mutates()).count()
    }

    /// Clears the calls.
    pub fn clear_calls(&self) {
        self.inner().calls.clear();
    }

    /// Violations of the rules for clients.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.inner().violations.clone()
    }

    /// The time since its start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The ids of existing resources, including those that are being deleted.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<String> {
        self.inner().alive().map(|(id, _)| id.clone()).collect()
    }

    /// The resources in a form in which two worlds can be compared: by owner, with owners instead of ids and lineages.
    #[must_use]
    pub fn inventory(&self) -> BTreeMap<String, Vec<Value>> {
        let inner = self.inner();
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        let mut open: Vec<(&String, &Thing)> = inner.alive().collect();
        // Resources without tags are identified by the resources that they refer to.
        for _ in 0..=open.len() {
            open.retain(|(id, thing)| {
                let owner =
                    thing.args.pointer("/tags").and_then(|tags| tags.get(Owner::ADDRESS)).and_then(Value::as_str);
                let end = |field: &str| labels.get(thing.args.get(field)?.as_str()?).cloned();
                let own = thing.owner.as_ref().map(|owner| owner.address.to_string());
                let label = own.or_else(|| owner.map(str::to_owned)).or_else(|| {
                    Some(format!("{}({},{},{})", thing.kind, end("left")?, end("right")?, thing.args.get("slot")?))
                });
                label.is_none_or(|label| labels.insert((*id).clone(), label).is_some())
            });
        }
        for (id, _) in open {
            labels.insert(id.clone(), format!("lost {id}"));
        }
        let mut inventory: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (id, thing) in inner.alive() {
            let mut args = renamed(&thing.args, &labels);
            // Every world has its own lineage.
            if let Some(lineage) = args.pointer_mut(&format!("/tags/{}", Owner::LINEAGE)) {
                *lineage = "lineage".into();
            }
            if thing.gone.is_some() {
                args["$deleting"] = true.into();
            }
            inventory.entry(labels[id].clone()).or_default().push(args);
        }
        inventory
    }

    /// Somebody else creates `name` of `kind`.
    pub fn intrude(&self, kind: &'static str, region: &Region, name: &str, args: Value) {
        let mut inner = self.inner();
        let now = Instant::now();
        let id = inner.next_id(kind);
        inner.things.insert(
            id,
            Thing {
                kind,
                region: region.clone(),
                unique: Some(name.to_owned()),
                args,
                refers: BTreeMap::new(),
                owner: None,
                shield: None,
                made: now,
                visible: now,
                ready: now,
                failed: false,
                reverted: None,
                bakes: None,
                lingers: Duration::ZERO,
                gone: None,
                scheduled: false,
                before: None,
            },
        );
    }

    /// Somebody else changes `field` of `id`.
    pub fn tamper(&self, id: &str, field: &str, value: Value) {
        if let Some(thing) = self.inner().things.get_mut(id) {
            thing.args[field] = value;
        }
    }

    /// The next `reads` reads do not return `id`, although it exists.
    pub fn hide(&self, id: &str, reads: usize) {
        self.inner().hidden.insert(id.to_owned(), reads);
    }

    /// Somebody else schedules the deletion of `id`.
    pub fn schedule(&self, id: &str) {
        if let Some(thing) = self.inner().things.get_mut(id) {
            thing.scheduled = true;
        }
    }

    /// Somebody else deletes `id`, immediately.
    pub fn vanish(&self, id: &str) {
        self.inner().remove(id);
    }

    /// From now on, calls take as long as AWS's, wait for AWS's limits, and have effects that take as long as AWS's.
    pub fn set_climate(&self, climate: Climate) {
        self.inner().climate = Some(climate);
    }

    pub(crate) fn climate(&self) -> Option<Climate> {
        self.inner().climate
    }

    /// Starts a new client; calls of earlier ones are never answered.
    pub(crate) fn reborn(&self) -> usize {
        self.inner().count = 0;
        self.life.send_modify(|life| *life = (life.0 + 1, false));
        self.life.borrow().0
    }

    /// Ends when the client is killed.
    pub(crate) async fn killed(&self) {
        let mut life = self.life.subscribe();
        if life.wait_for(|life| life.1).await.is_err() {
            pending::<()>().await;
        }
    }

    async fn kill<T>(&self) -> T {
        self.life.send_modify(|life| life.1 = true);
        pending().await
    }

    fn lives(&self, life: usize) -> bool {
        *self.life.borrow() == (life, false)
    }

    /// Starts a call. Its effect comes when this returns.
    pub(crate) async fn depart(
        &self,
        life: usize,
        operation: Operation,
        kind: &str,
        rate: Option<(Limits, &Region)>,
        subject: &str,
    ) -> Result<Ticket> {
        if !self.lives(life) {
            pending::<()>().await;
        }
        let (fault, wait, answer) = {
            let inner = &mut *self.inner();
            let index = inner.count;
            inner.count += 1;
            let fault = inner.faults.draw(index, operation, kind);
            let at = self.begun.elapsed();
            inner.calls.push(Call { operation, kind: kind.to_owned(), subject: subject.to_owned(), at, fault });
            let answer = inner.climate.map_or(LATENCY, |_| climate::answer(service(kind)));
            let wait = rate.filter(|_| inner.climate.is_some()).map_or(Duration::ZERO, |(limits, region)| {
                let (name, limit) = bucket(&limits, region, kind, operation);
                let reads = operation == Operation::Read && !limits.batch;
                let calls = if reads { subject.split(' ').count() } else { 1 };
                inner.buckets.take(name, limit, calls, at)
            });
            (fault, wait, answer)
        };
        if let Some((When::Before, Fault::Crash)) = fault {
            return self.kill().await;
        }
        sleep(wait + answer / 2).await;
        if !self.lives(life) {
            pending::<()>().await;
        }
        match fault {
            Some((When::Before, Fault::Stillborn)) => {
                self.inner().stillborn = true;
                Ok(Ticket { life, after: None, answer })
            }
            Some((When::Before, Fault::Hang)) => {
                sleep(Fault::HANG).await;
                Err(Fault::Hang.error())
            }
            Some((When::Before, fault)) => Err(fault.error()),
            Some((When::After, fault)) => Ok(Ticket { life, after: Some(fault), answer }),
            None => Ok(Ticket { life, after: None, answer }),
        }
    }

    /// Completes a call.
    pub(crate) async fn arrive<T>(&self, ticket: Ticket, answer: Result<T>) -> Result<T> {
        if ticket.after == Some(Fault::Crash) {
            return self.kill().await;
        }
        sleep(ticket.answer / 2).await;
        if !self.lives(ticket.life) {
            pending::<()>().await;
        }
        match ticket.after {
            Some(Fault::Hang) => {
                sleep(Fault::HANG).await;
                Err(Fault::Hang.error())
            }
            Some(fault) => Err(fault.error()),
            None => answer,
        }
    }

    pub(crate) fn create(&self, new: New<'_>) -> Result<String> {
        let mut inner = self.inner();
        let now = Instant::now();
        inner.sweep(now);
        let stillborn = std::mem::take(&mut inner.stillborn);
        if let Some(token) = new.token
            && let Some(id) = inner.tokens.get(token).cloned()
        {
            return match inner.things.get(&id) {
                Some(thing) if thing.args != new.args && thing.before.is_none() => {
                    Err(Error::invalid("the token was used with other arguments").code("IdempotentParameterMismatch"))
                }
                _ => Ok(id),
            };
        }
        inner.referents(new.kind, &new.refers, now)?;
        if let Some(unique) = &new.unique {
            let taken = |thing: &Thing| {
                thing.kind == new.kind && thing.region == *new.region && thing.unique.as_ref() == Some(unique)
            };
            if let Some((id, other)) = inner.things.iter().find(|(_, thing)| taken(thing)) {
                if other.gone.is_none() && inner.adopting.contains(new.kind) {
                    return Ok(id.clone());
                }
                return Err(match other.gone {
                    Some(_) => {
                        Error::new(Class::Conflict, format!("{unique} is being deleted")).code("OperationAborted")
                    }
                    None => {
                        Error::new(Class::Foreign, format!("{unique} already exists")).code("AlreadyExists").taken(id)
                    }
                });
            }
        }
        let id = match &new.unique {
            Some(unique) if new.token.is_none() => format!("{}:{unique}", new.region),
            _ => inner.next_id(new.kind),
        };
        if let Some(token) = new.token {
            inner.tokens.insert(token.to_owned(), id.clone());
        }
        let invisible = inner.climate.zip(new.at).map(|(climate, address)| climate.invisible(address));
        inner.hold(&id, &new.refers);
        inner.things.insert(
            id.clone(),
            Thing {
                kind: new.kind,
                region: new.region.clone(),
                unique: new.unique,
                args: new.args,
                refers: new.refers.into_iter().map(|referent| (referent.id, referent.held)).collect(),
                owner: new.owner.cloned(),
                shield: new.shield,
                made: now,
                visible: now + invisible.unwrap_or_default(),
                ready: now + new.create,
                failed: stillborn,
                reverted: None,
                bakes: None,
                lingers: new.delete,
                gone: None,
                scheduled: false,
                before: None,
            },
        );
        Ok(id)
    }

    /// Those of `ids` that a read returns.
    pub(crate) fn show(&self, kind: &str, ids: &[String]) -> Vec<Shown> {
        let mut inner = self.inner();
        let now = Instant::now();
        inner.sweep(now);
        let lags = inner.lags;
        let visible = |thing: &Thing| thing.kind == kind && now >= thing.visible.max(thing.made + lags.visible);
        let mut hidden = BTreeSet::new();
        for id in ids {
            if let Some(reads) = inner.hidden.get_mut(id).filter(|reads| **reads > 0) {
                *reads -= 1;
                hidden.insert(id);
            }
        }
        let ids = ids.iter().filter(|id| !hidden.contains(id));
        let shown = ids.filter_map(|id| Some((id, inner.things.get(id).filter(|thing| visible(thing))?)));
        shown
            .map(|(id, thing)| Shown {
                id: id.clone(),
                status: match thing.gone {
                    Some(_) => Status::Deleting,
                    None if thing.scheduled => Status::Scheduled("tomorrow".to_owned()),
                    None if thing.failed => Status::Failed("it failed on creation".to_owned()),
                    None if now < thing.ready => Status::Pending,
                    None if thing.bakes.is_some_and(|end| now < end) => Status::Waiting,
                    None => thing.reverted.clone().map_or(Status::Ready, Status::Reverted),
                },
                args: match &thing.before {
                    Some((before, changed)) if now < *changed + lags.stale => before.clone(),
                    _ => thing.args.clone(),
                },
            })
            .collect()
    }

    /// The resources with the owner's tags that are not being deleted and not among `known`.
    pub(crate) fn owned(&self, kind: &str, owner: &Owner, known: &Known) -> Option<String> {
        let mut inner = self.inner();
        let now = Instant::now();
        inner.sweep(now);
        let lag = inner.lags.tags.max(inner.lags.visible);
        let mut found = inner.things.iter().filter(|(id, thing)| {
            thing.kind == kind
                && thing.region == owner.address.region
                && thing.gone.is_none()
                && now >= thing.made + lag
                && !known.has(id)
                && owner.owns(&tags_of(&thing.args))
        });
        found.next().map(|(id, _)| id.clone())
    }

    /// The resource that was created for `owner`, is not being deleted, and is not among `known`.
    pub(crate) fn made_for(&self, owner: &Owner, known: &Known) -> Option<String> {
        let mut inner = self.inner();
        let now = Instant::now();
        inner.sweep(now);
        let lag = inner.lags.tags.max(inner.lags.visible);
        let mut found = inner.things.iter().filter(|(id, thing)| {
            thing.owner.as_ref() == Some(owner) && thing.gone.is_none() && now >= thing.made + lag && !known.has(id)
        });
        found.next().map(|(id, _)| id.clone())
    }

    /// The ids of resources that occur in `value`, alone or within a text.
    pub(crate) fn ids_in(&self, value: &Value) -> BTreeSet<String> {
        let inner = self.inner();
        let mut texts = Vec::new();
        gather(value, &mut texts);
        inner.things.keys().filter(|id| texts.iter().any(|text| mentions(text, id))).cloned().collect()
    }

    /// From now on, made-up outputs have the items and members that `graph` refers to.
    pub(crate) fn ask(&self, graph: &Graph) {
        let values = graph.nodes().values().map(|node| &node.args).chain(graph.outputs().values());
        self.inner().asked.extend(values.flat_map(pointers));
    }

    /// The paths into `output` of `kind` that graphs refer to, such as `0` for the first item of a list.
    pub(crate) fn asked(&self, kind: &str, output: &str) -> Vec<String> {
        let inner = self.inner();
        let pointers = inner.asked.iter().filter(|pointer| *pointer.address.kind == *kind);
        let paths = pointers.filter_map(|pointer| pointer.output.strip_prefix(output)?.strip_prefix('/'));
        paths.map(str::to_owned).collect()
    }

    /// The addresses of existing resources of kinds that are not made for this cloud.
    pub(crate) fn addresses(&self) -> BTreeSet<Address> {
        self.inner().alive().filter_map(|(_, thing)| Some(thing.owner.as_ref()?.address.clone())).collect()
    }

    /// The resource with the unique property `unique`, with its tags.
    pub(crate) fn called(&self, kind: &str, region: &Region, unique: &str) -> Option<(String, Tags)> {
        let mut inner = self.inner();
        let now = Instant::now();
        inner.sweep(now);
        let lag = inner.lags.visible;
        let mut found = inner.things.iter().filter(|(_, thing)| {
            thing.kind == kind
                && thing.region == *region
                && thing.gone.is_none()
                && now >= thing.made + lag
                && thing.unique.as_deref() == Some(unique)
        });
        found.next().map(|(id, thing)| (id.clone(), tags_of(&thing.args)))
    }

    /// Changes `fields` of `id`, which then refers to `refers`.
    pub(crate) fn update(&self, id: &str, fields: Map<String, Value>, refers: Vec<Referent>) -> Result<()> {
        let mut inner = self.inner();
        let now = Instant::now();
        inner.sweep(now);
        let stubborn = inner.stubborn.clone();
        let Some(thing) = inner.things.get(id).filter(|thing| thing.gone.is_none()).cloned() else {
            return Err(Error::new(Class::NotFound, format!("{id} does not exist")));
        };
        if now < thing.ready || thing.bakes.is_some_and(|end| now < end) {
            return Err(inner.violation(format!("{id} was updated before it was ready")));
        }
        let (is_reverted, bake) = (inner.reverting.contains(thing.kind), inner.baking.get(thing.kind).copied());
        let new: Vec<_> = refers.iter().filter(|on| !thing.refers.contains_key(&on.id)).cloned().collect();
        inner.referents(thing.kind, &new, now)?;
        inner.release(id);
        inner.hold(id, &refers);
        if let Some(thing) = inner.things.get_mut(id) {
            thing.before = Some((thing.args.clone(), now));
            thing.refers = refers.into_iter().map(|referent| (referent.id, referent.held)).collect();
            thing.bakes = bake.map(|time| now + time);
            thing.reverted = is_reverted.then(|| format!("its tasks failed at {now:?}"));
            for (field, value) in fields.into_iter().filter(|_| !is_reverted) {
                if !stubborn.contains(&(thing.kind.to_owned(), field.clone())) {
                    thing.args[&field] = value;
                }
            }
        }
        Ok(())
    }

    /// Records a violation of the rules for clients.
    pub(crate) fn violate(&self, what: String) -> Error {
        self.inner().violation(what)
    }

    /// Restores a resource that is scheduled for deletion.
    pub(crate) fn restore(&self, id: &str) -> Result<()> {
        let mut inner = self.inner();
        match inner.things.get_mut(id) {
            Some(thing) if thing.scheduled => {
                thing.scheduled = false;
                Ok(())
            }
            Some(_) => Err(inner.violation(format!("{id} was to be restored, but is not scheduled for deletion"))),
            None => Err(Error::new(Class::NotFound, format!("{id} does not exist"))),
        }
    }

    /// Whether `id` exists, whatever reads return.
    pub(crate) fn exists(&self, id: &str) -> bool {
        let mut inner = self.inner();
        inner.sweep(Instant::now());
        inner.things.contains_key(id)
    }

    pub(crate) fn delete(&self, id: &str) -> Result<()> {
        let inner = &mut *self.inner();
        let now = Instant::now();
        inner.sweep(now);
        let holder = inner.holders.get(id).and_then(|holders| holders.first().cloned());
        let Some(thing) = inner.things.get_mut(id) else { return Ok(()) };
        if thing.is_shielded() {
            return Err(Error::invalid(format!("{id} is protected")));
        }
        if let Some(holder) = holder {
            return Err(Error::new(Class::Conflict, format!("{holder} refers to {id}")).code("DependencyViolation"));
        }
        if thing.kind == "fake.vault" {
            thing.scheduled = true;
            inner.release(id);
        } else {
            let gone = *thing.gone.get_or_insert(now + thing.lingers);
            inner.going.insert((gone, id.to_owned()));
        }
        Ok(())
    }
}

impl Thing {
    fn is_shielded(&self) -> bool {
        self.shield.is_some_and(|field| self.args.get(field) == Some(&Value::Bool(true)))
    }
}

impl Inner {
    fn alive(&self) -> impl Iterator<Item = (&String, &Thing)> {
        let now = Instant::now();
        self.things.iter().filter(move |(_, thing)| !thing.scheduled && thing.gone.is_none_or(|gone| now < gone))
    }

    fn sweep(&mut self, now: Instant) {
        while self.going.first().is_some_and(|(gone, _)| *gone <= now) {
            if let Some((_, id)) = self.going.pop_first() {
                self.remove(&id);
            }
        }
    }

    fn remove(&mut self, id: &str) {
        self.release(id);
        self.things.remove(id);
    }

    /// Records that `id` refers to `refers`.
    fn hold(&mut self, id: &str, refers: &[Referent]) {
        for on in refers.iter().filter(|on| on.held) {
            self.holders.entry(on.id.clone()).or_default().insert(id.to_owned());
        }
    }

    /// Records that `id` refers to nothing.
    fn release(&mut self, id: &str) {
        let Some(thing) = self.things.get_mut(id) else { return };
        for on in std::mem::take(&mut thing.refers).into_keys() {
            if let Some(holders) = self.holders.get_mut(&on) {
                holders.remove(id);
                if holders.is_empty() {
                    self.holders.remove(&on);
                }
            }
        }
    }

    fn next_id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{}-{:04}", kind.rsplit('.').next().unwrap_or(kind), self.made)
    }

    fn violation(&mut self, what: String) -> Error {
        self.violations.push(what.clone());
        Error::invalid(what)
    }

    /// Checks that the resources to refer to exist.
    fn referents(&mut self, kind: &str, refers: &[Referent], now: Instant) -> Result<()> {
        for Referent { id, early, .. } in refers {
            match self.things.get(id) {
                None => {
                    return Err(Error::new(Class::NotFound, format!("{id} does not exist")).code("InvalidId.NotFound"));
                }
                Some(thing) if thing.gone.is_some() => {
                    return Err(
                        Error::new(Class::NotFound, format!("{id} is being deleted")).code("InvalidId.NotFound")
                    );
                }
                Some(thing) if self.climate.is_some() && now < thing.made + climate::unknown(thing.kind, kind) => {
                    return Err(Error::new(Class::Eventual, format!("{id} has not propagated")).code("InvalidRole"));
                }
                Some(thing) if !early && now < thing.ready => {
                    return Err(self.violation(format!("a {kind} was to refer to {id} before it was ready")));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn gather<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| gather(value, texts)),
        Value::Object(members) => members.values().for_each(|value| gather(value, texts)),
        _ => {}
    }
}

/// Whether `id`, which ends with a number, occurs in `text`.
fn mentions(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(at, _)| !text[at + id.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

fn tags_of(args: &Value) -> Tags {
    let tags = args.get("tags").and_then(Value::as_object).into_iter().flatten();
    tags.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn renamed(value: &Value, labels: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => labels.get(text).map_or_else(|| value.clone(), |label| json!(label)),
        Value::Array(values) => {
            let mut values: Vec<Value> = values.iter().map(|value| renamed(value, labels)).collect();
            values.sort_by_key(ToString::to_string);
            Value::Array(values)
        }
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.clone(), renamed(value, labels))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}
