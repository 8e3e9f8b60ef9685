//! Converges one resource to its desired state, with journal entries before and after each change.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::address::Address;
use crate::apply::{Run, Task, usual};
use crate::cloud::{Identity, Seen, Site, Spec, Status};
use crate::diff::{Change, diff, masked};
use crate::error::{Class, Error, Result};
use crate::event::Event;
use crate::import;
use crate::plan::{Action, Plan, claimed, is_shielded, spec};
use crate::reader::Reader;
use crate::reference::Pointer;
use crate::resolve::{output, pointers, resolve};
use crate::retry::{Patience, Pause, patiently};
use crate::secret::{marked, redact};
use crate::state::{Deposed, Intent, Record, State};

/// How long after its create a resource may be invisible (AWS-FACTS §0.4), and how long if reads are consistent.
const VISIBLE: Duration = Duration::from_mins(2);
const CONSISTENT: Duration = Duration::from_secs(5);
/// When to look for the result of an uncertain create: tags become visible with a delay.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];
/// When to look again at a resource with the same name before it is declared foreign: it may be the result of our own
/// create, whose response was lost, with tags that are not visible yet.
const TAGGED: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];
/// How often a resource is created again that disappeared after its create.
const LOST: usize = 2;
/// The time between two reads that prove that a resource is gone.
const SECOND: Duration = Duration::from_secs(1);
/// How often the lease is checked during a wait.
const LEASE: Duration = Duration::from_secs(1);
/// How many times a create may be started again after an uncertain result.
const CREATES: usize = 8;
/// How long an update may take to become visible: RDS shows the new values before it starts to change.
const SIGHT: Duration = Duration::from_secs(30);
/// When to repeat a delete of a resource that is not shown as deleting; the interval doubles each time.
const ASK: Duration = Duration::from_secs(1);
/// The minimum and maximum time between two reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How many updates without effect are an error.
const UPDATES: u32 = 2;

/// The value of `pointer`, as far as the plan and the state know it.
pub(crate) fn known(plan: &Plan, state: &State, pointer: &Pointer) -> Option<Value> {
    if let Some(found) = plan.lookups.get(&pointer.address) {
        return output("", found, &pointer.output);
    }
    let record = state.resources.get(&pointer.address)?;
    output(record.id.as_deref()?, &record.outputs, &pointer.output)
}

/// Runs the tasks of one apply.
pub(crate) struct Converge<'a> {
    plan: &'a Plan,
    run: &'a Run<'a>,
    reader: Reader,
    epoch: Instant,
    /// Whether creates of ours may have succeeded that are not recorded.
    uncertain: bool,
    /// Receives the index of each task whose resource now exists.
    milestones: mpsc::UnboundedSender<usize>,
    /// Tasks that can no longer succeed, and why.
    doomed: watch::Sender<BTreeMap<usize, String>>,
}

impl<'a> Converge<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        run: &'a Run<'a>,
        uncertain: bool,
        milestones: mpsc::UnboundedSender<usize>,
    ) -> Self {
        let doomed = watch::channel(BTreeMap::new()).0;
        Self { plan, run, reader: Reader::new(&run.cloud), epoch: Instant::now(), uncertain, milestones, doomed }
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
        let work = Work { converge: self, index, address, spec };
        match task {
            Task::Make(_) => work.make(planned).await.map_err(|error| importable(address, error))?,
            Task::Remove(_) => work.remove(planned == Action::Replace).await?,
            Task::Depose(_) => work.depose().await?,
            Task::Forget(_) => work.forget().await?,
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.run.observer.notice(&Event::Done { address: address.clone(), action, seconds });
        Ok(())
    }
}

/// One resource that is being converged.
struct Work<'a> {
    converge: &'a Converge<'a>,
    index: usize,
    address: &'a Address,
    spec: Spec,
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
        let change = |state: &mut State| change(state.resources.entry(self.address.clone()).or_default());
        self.run().journal.commit(change).await
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
            known: self.run().journal.look(|state| self.others(state, record)),
        }
    }

    /// The ids of this kind in the state, except that of this address: a resource that `state mv` moved still has its
    /// old address in its tags.
    fn others(&self, state: &State, record: &Record) -> Vec<String> {
        let same = |other: &Address| (&other.region, &other.kind) == (&self.address.region, &self.address.kind);
        let records = state.resources.iter().filter(|(other, _)| same(other)).map(|(_, record)| record);
        let ids = records.flat_map(|record| record.id.iter().chain(record.deposed.iter().map(|deposed| &deposed.id)));
        ids.filter(|id| record.id.as_ref() != Some(*id)).cloned().collect()
    }

    fn redacted(&self, value: &Value) -> Value {
        self.run().journal.look(|state| redact(value, &state.lineage))
    }

    /// The desired arguments, with all references resolved.
    fn desired(&self) -> Result<Value> {
        let plan = self.converge.plan;
        let node = plan.graph.nodes().get(self.address).ok_or_else(|| Error::failed("the resource is not declared"))?;
        let args = self.run().journal.look(|state| resolve(&node.args, &|pointer| known(plan, state, pointer)));
        if let Some(pointer) = pointers(&args).first() {
            return Err(Error::failed(format!("cannot resolve `{pointer}`: no such output")));
        }
        self.run().cloud.normal(&self.address.kind, &args)
    }

    /// Tells the scheduler that the resource exists. The scheduler may have ended, which does not matter.
    fn reached(&self) {
        let _ = self.converge.milestones.send(self.index);
    }

    async fn make(&self, planned: Action) -> Result<()> {
        let desired = self.desired()?;
        let before = self.record();
        let has_id = before.as_ref().is_some_and(|record| record.id.is_some());
        let replaces = planned == Action::ReplaceCreateFirst && has_id;
        let resume = !replaces && before.as_ref().is_some_and(|record| record.intent == Some(Intent::Create));
        let updates = matches!(planned, Action::Update | Action::Restore) && has_id;
        if planned == Action::Create && !resume {
            self.is_free(before.as_ref(), &desired).await?;
        }
        let recorded = before.filter(|_| updates || resume).map(|record| record.args);
        let depends = self.converge.plan.graph.resources(self.address);
        let node = self.converge.plan.graph.nodes().get(self.address);
        let (protect, final_snapshot) = node.map_or((false, false), |node| (node.protect, node.final_snapshot));
        // Computed outside the journal's closure, which locks the journal.
        let meant = self.redacted(&desired);
        // AWS remembers idempotency tokens beyond the life of a resource, so one that is created again needs a new
        // token.
        let serial = self.run().journal.look(|state| u32::try_from(state.serial).unwrap_or(u32::MAX));
        self.permit()?;
        self.journal(|record| {
            record.depends = depends;
            record.protect = protect;
            record.final_snapshot = final_snapshot;
            if updates {
                let creating = record.intent.filter(|intent| *intent == Intent::Create);
                record.intent = Some(creating.unwrap_or(Intent::Update));
                record.args = over(&record.args, meant);
                return;
            }
            if replaces && let Some(id) = record.id.take() {
                record.deposed.push(Deposed { generation: record.generation, id });
            }
            if resume {
                record.args = over(&record.args, meant);
            } else {
                record.generation = record.generation.saturating_add(1).max(serial);
                record.id = None;
                record.args = meant;
            }
            record.outputs = Value::Null;
            record.intent = Some(Intent::Create);
        })
        .await?;
        let seen = match self.record().unwrap_or_default().id {
            Some(id) => match self.settle(&id, &desired, recorded.as_ref()).await {
                // The create was interrupted, and the resource was deleted since.
                Err(error) if resume && error.is(Class::NotFound) => {
                    self.lost().await?;
                    self.begin(&desired, None, false).await?
                }
                settled => settled?,
            },
            None => self.begin(&desired, recorded.as_ref(), resume || self.converge.uncertain).await?,
        };
        let made = self.redacted(&desired);
        self.journal(|record| {
            record.intent = None;
            record.args = made;
            record.outputs = seen.outputs;
        })
        .await
    }

    /// Checks that the resource to be created does not exist yet. One that was gone during the plan may be back. Where
    /// neither tags nor a token identify our own, an existing one belongs to somebody else.
    ///
    /// A part of a resource that this apply creates cannot exist before it.
    async fn is_free(&self, before: Option<&Record>, desired: &Value) -> Result<()> {
        if let Some(id) = before.and_then(|record| record.id.as_ref())
            && self.read(id).await?.is_some_and(|seen| seen.status == Status::Ready)
        {
            return Err(Error::new(
                Class::Stale,
                format!("{id} exists again; it was missing when the plan was created"),
            )
            .hint("run the command again to create a new plan"));
        }
        let plan = self.converge.plan;
        let is_new = |field: &str| {
            let value = plan.graph.nodes().get(self.address).and_then(|node| node.args.get(field));
            let parents = value.into_iter().flat_map(pointers);
            let made = |address: &Address| {
                let step = plan.steps.get(address);
                step.is_some_and(|step| step.action == Action::Create && step.because.is_none())
            };
            parents.into_iter().any(|pointer| made(&pointer.address))
        };
        match self.spec.identity {
            Identity::Tags | Identity::Token => return Ok(()),
            _ if self.converge.uncertain => return Ok(()),
            Identity::Part(field) if is_new(field) => return Ok(()),
            Identity::Part(_) | Identity::Record => {}
        }
        let site = self.site(&before.cloned().unwrap_or_default());
        match self.recover(&site, desired).await? {
            None => Ok(()),
            Some(id) => Err(occupied(&id)),
        }
    }

    /// Records that the created resource is gone; the next create is a new generation.
    async fn lost(&self) -> Result<()> {
        self.journal(|record| {
            record.generation = record.generation.saturating_add(1);
            record.id = None;
        })
        .await
    }

    /// Creates the resource, records its id, and waits until it matches. If it disappears after a successful create,
    /// creates it again.
    async fn begin(&self, desired: &Value, recorded: Option<&Value>, mut uncertain: bool) -> Result<Seen> {
        for _ in 0..LOST {
            let record = self.record().unwrap_or_default();
            let id = self.create(&self.site(&record), desired, uncertain).await?;
            self.journal(|record| record.id = Some(id.clone())).await?;
            self.run().observer.notice(&Event::Exists { address: self.address.clone(), id: id.clone() });
            match self.settle(&id, desired, recorded).await {
                Err(error) if error.is(Class::NotFound) => {
                    tracing::warn!("{}: {error}; creating it again", self.address);
                    self.lost().await?;
                    uncertain = true;
                }
                settled => return settled,
            }
        }
        let message = format!("created {LOST} times, and deleted each time before it was ready");
        Err(Error::failed(message).hint("check CloudTrail for who deletes it"))
    }

    /// Creates the resource exactly once: after an uncertain result, looks for it before trying again.
    async fn create(&self, site: &Site, desired: &Value, mut uncertain: bool) -> Result<String> {
        let cloud = &self.run().cloud;
        let mut pause = Pause::default();
        let mut last = None;
        for _ in 0..CREATES {
            let site = Site { begun: uncertain, ..site.clone() };
            if uncertain && let Some(id) = self.look(&site, desired).await? {
                return Ok(id);
            }
            match patiently(&Patience::creating(), || async {
                self.permit()?;
                cloud.create(&site, desired).await
            })
            .await
            {
                Ok(id) => return Ok(id),
                Err(error) if error.is(Class::Foreign) => return self.taken(&site, desired, error).await,
                Err(error) if error.is(Class::Ambiguous) => {
                    uncertain = true;
                    sleep(pause.next(&error)).await;
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::failed("the resource could not be created")))
    }

    /// The id of an existing resource with the same name, if it is ours.
    async fn taken(&self, site: &Site, desired: &Value, error: Error) -> Result<String> {
        if site.begun {
            return self.look(site, desired).await?.ok_or(error);
        }
        match (self.spec.identity, self.recover(site, desired).await?) {
            (Identity::Tags | Identity::Token, Some(id)) => Ok(id),
            (_, Some(id)) => Err(occupied(&id)),
            (_, None) => Err(error),
        }
    }

    /// The resource that an interrupted create left, if any.
    ///
    /// # Errors
    /// [`Class::Foreign`] if a resource with the same name is not identified as ours within the consistency window.
    async fn look(&self, site: &Site, desired: &Value) -> Result<Option<String>> {
        let site = &Site { begun: true, ..site.clone() };
        let mut foreign = None;
        for wait in LOOKS {
            sleep(wait).await;
            match self.recover(site, desired).await {
                Ok(Some(id)) => return Ok(Some(id)),
                Ok(None) => {}
                Err(error) if error.is(Class::Foreign) => {
                    foreign = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let Some(mut foreign) = foreign else { return Ok(None) };
        for wait in TAGGED {
            self.unless_ended(async {
                sleep(wait).await;
                Ok(())
            })
            .await?;
            match self.recover(site, desired).await {
                Err(error) if error.is(Class::Foreign) => foreign = error,
                found => return found,
            }
        }
        Err(foreign)
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

    /// Waits until the resource is ready and matches; updates it where it differs.
    async fn settle(&self, id: &str, desired: &Value, mut recorded: Option<&Value>) -> Result<Seen> {
        let begun = Instant::now();
        let mut waits = self.waits();
        let mut last: Vec<Change> = Vec::new();
        let mut updates = 0;
        let mut restored = false;
        let mut shown: Option<Value> = None;
        let visible = if self.spec.consistent { CONSISTENT } else { VISIBLE };
        loop {
            let Some(mut seen) = self.read(id).await? else {
                if (shown.is_some() || begun.elapsed() > visible) && self.is_gone(id).await? {
                    return Err(Error::new(Class::NotFound, format!("{id} disappeared while waiting for it"))
                        .hint("run the command again; check CloudTrail for who deleted it"));
                }
                self.pause(&mut waits, "visible").await?;
                continue;
            };
            if let Status::Scheduled(until) = &seen.status {
                if self.planned() != Action::Restore {
                    return Err(Error::new(Class::Stale, format!("{id} is scheduled for deletion: {until}"))
                        .hint("run the command again to restore it"));
                }
                if begun.elapsed() > self.spec.timeout {
                    return Err(self.late(id, "restored"));
                }
                if !std::mem::replace(&mut restored, true) {
                    self.ours(&seen)?;
                    let site = self.site(&self.record().unwrap_or_default());
                    patiently(&Patience::changing(self.spec.timeout), || async {
                        self.permit()?;
                        self.run().cloud.restore(&site, &seen).await
                    })
                    .await?;
                }
                self.pause(&mut waits, "restored").await?;
                continue;
            }
            seen.args = marked(&seen.args, desired);
            let changes = diff(desired, &seen.args, recorded);
            if seen.status == Status::Ready && changes.is_empty() {
                return Ok(seen);
            }
            if shown.as_ref() != Some(&seen.outputs) {
                shown = Some(seen.outputs.clone());
                let outputs = seen.outputs.clone();
                self.journal(|record| record.outputs = outputs).await?;
                // Dependents that only need it to exist may use any of its outputs.
                if is_whole(&seen.outputs) {
                    self.reached();
                }
            }
            match &seen.status {
                Status::Failed(why) => return Err(Error::failed(format!("{id} failed: {why}"))),
                Status::Deleting => {
                    return Err(Error::failed(format!("{id} is being deleted"))
                        .hint("run the command again when it is gone; check CloudTrail for who deletes it"));
                }
                Status::Pending if begun.elapsed() > self.spec.timeout => return Err(self.late(id, "ready")),
                Status::Pending => {
                    self.pause(&mut waits, "ready").await?;
                    continue;
                }
                Status::Ready | Status::Scheduled(_) => {}
            }
            // A field that is no longer managed shows AWS's default after its reset, which is not a difference.
            if updates > 0 && changes == last && waits.begun.elapsed() < SIGHT {
                self.pause(&mut waits, "changed").await?;
                continue;
            }
            if changes == last && updates >= UPDATES {
                return Err(refused(&changes));
            }
            let record = self.record().unwrap_or_default();
            let site = self.site(&record);
            self.ours(&seen)?;
            let live = Seen { args: masked(&seen.args, desired, recorded), ..seen };
            patiently(&Patience::changing(self.spec.timeout), || async {
                self.permit()?;
                self.run().cloud.update(&site, desired, &live).await
            })
            .await?;
            updates = if changes == last { updates + 1 } else { 1 };
            recorded = None;
            last = diff(desired, &live.args, recorded);
            waits = self.waits();
        }
    }

    async fn remove(&self, replaced: bool) -> Result<()> {
        let Some(record) = self.record() else { return Ok(()) };
        let mut ids: Vec<String> = record.deposed.iter().map(|deposed| deposed.id.clone()).collect();
        match (&record.id, record.intent) {
            (Some(id), intent) => {
                if intent == Some(Intent::Create) {
                    self.visible(id).await?;
                }
                ids.push(id.clone());
            }
            (None, Some(Intent::Create)) => match self.look(&self.site(&record), &record.args).await {
                // The existing resource is somebody else's, so ours was never created.
                Err(error) if error.is(Class::Foreign) => {}
                found => ids.extend(found?),
            },
            (None, _) => {}
        }
        self.permit()?;
        self.journal(|record| {
            record.id = record.id.take().or_else(|| ids.last().cloned());
            record.intent = Some(Intent::Delete);
        })
        .await?;
        // No dependent waits for a delete to exist; this frees its slot among the operations being started.
        self.reached();
        for id in &ids {
            self.end(&record, id).await?;
        }
        if replaced {
            self.journal(|record| {
                record.id = None;
                record.intent = None;
                record.deposed.clear();
            })
            .await
        } else {
            self.run().journal.commit(|state| drop(state.resources.remove(self.address))).await
        }
    }

    /// Waits until `id`, whose create was interrupted, is visible. A resource that is not visible yet must not count as
    /// gone.
    async fn visible(&self, id: &str) -> Result<()> {
        let mut waits = self.waits();
        while waits.begun.elapsed() <= VISIBLE && self.read(id).await?.is_none() {
            self.pause(&mut waits, "visible").await?;
        }
        Ok(())
    }

    async fn depose(&self) -> Result<()> {
        let record = self.record().unwrap_or_default();
        for deposed in &record.deposed {
            self.end(&record, &deposed.id).await?;
            self.journal(|record| record.deposed.retain(|it| it.id != deposed.id)).await?;
        }
        Ok(())
    }

    /// Removes the resource from the state, if it is gone as planned.
    async fn forget(&self) -> Result<()> {
        let id = self.record().and_then(|record| record.id);
        if let Some(id) = id
            && let Some(seen) = self.read(&id).await?
            && !matches!(seen.status, Status::Scheduled(_))
        {
            return Err(Error::new(
                Class::Stale,
                format!("{id} exists again; it was missing when the plan was created"),
            )
            .hint("run the command again to create a new plan"));
        }
        self.run().journal.commit(|state| drop(state.resources.remove(self.address))).await
    }

    /// Whether `id`, which a read did not return, is proven to be gone: by a second, independent read a moment later.
    async fn is_gone(&self, id: &str) -> Result<bool> {
        let (region, kind) = (&self.address.region, &self.address.kind);
        let cloud = &self.run().cloud;
        self.unless_ended(async {
            sleep(SECOND).await;
            patiently(&Patience::reading(), || cloud.absent(region, kind, id)).await
        })
        .await
    }

    /// Disables AWS's own deletion protection, as planned.
    async fn unshield(&self, site: &Site, seen: &Seen) -> Result<()> {
        let Some(field) = self.spec.shield else { return Ok(()) };
        let mut open = seen.args.clone();
        open[field] = Value::Bool(false);
        patiently(&Patience::changing(self.spec.timeout), || async {
            self.permit()?;
            self.run().cloud.update(site, &open, seen).await
        })
        .await
    }

    /// Deletes `id` and waits until it is gone: until a delete has succeeded and it is no longer shown, or two reads
    /// agree that it does not exist.
    async fn end(&self, record: &Record, id: &str) -> Result<()> {
        let begun = Instant::now();
        let site = self.site(record);
        let mut waits = self.waits();
        let mut ask = Duration::ZERO;
        let mut deleted = false;
        loop {
            let Some(seen) = self.read(id).await? else {
                if deleted || self.is_gone(id).await? {
                    return Ok(());
                }
                if begun.elapsed() > self.spec.timeout {
                    return Err(self.late(id, "gone"));
                }
                continue;
            };
            if matches!(seen.status, Status::Scheduled(_)) {
                return Ok(());
            }
            self.ours(&seen)?;
            if is_shielded(&self.spec, &seen) && seen.status != Status::Deleting {
                if begun.elapsed() > self.spec.timeout {
                    return Err(self.late(id, "unprotected"));
                }
                self.unshield(&site, &seen).await?;
                self.pause(&mut waits, "unprotected").await?;
                continue;
            }
            // Reads may lag behind, so repeat the delete only after a while, and not while the resource is shown as
            // deleting.
            if seen.status != Status::Deleting && waits.begun.elapsed() >= ask {
                self.permit()?;
                let patience = Patience::removing(self.spec.timeout);
                let answered = patiently(&patience, || async {
                    self.permit()?;
                    self.run().cloud.delete(&site, &seen).await
                });
                match answered.await {
                    // Reads may still show it, but there is nothing left to delete.
                    Err(error) if error.is(Class::NotFound) => return Ok(()),
                    answered => answered?,
                }
                deleted = true;
                if ask == Duration::ZERO {
                    // The delete may have waited for other resources; its own timeout starts now.
                    waits = self.waits();
                    ask = ASK;
                    continue;
                }
                ask = waits.begun.elapsed() * 2;
            }
            if begun.elapsed() > self.spec.timeout {
                return Err(self.late(id, "gone"));
            }
            self.pause(&mut waits, "gone").await?;
        }
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
            self.run().observer.notice(&Event::Waiting { address: self.address.clone(), until });
        }
        self.unless_ended(sleep(waits.next()).map(Ok)).await
    }

    async fn read(&self, id: &str) -> Result<Option<Seen>> {
        self.unless_ended(self.converge.reader.read(self.address, id)).await
    }

    async fn recover(&self, site: &Site, desired: &Value) -> Result<Option<String>> {
        let cloud = &self.run().cloud;
        self.unless_ended(patiently(&Patience::reading(), || cloud.recover(site, desired))).await
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

/// The arguments that may be managed while `meant` is applied over `recorded`. A field stays managed until it is known
/// not to be, so that an interrupted change of it is completed.
fn over(recorded: &Value, meant: Value) -> Value {
    match (recorded, meant) {
        (recorded, Value::Null) => recorded.clone(),
        (Value::Object(recorded), Value::Object(meant)) => {
            let meant = meant.into_iter();
            meant.map(|(key, value)| (key.clone(), over(recorded.get(&key).unwrap_or(&Value::Null), value))).collect()
        }
        (_, meant) => meant,
    }
}

/// The error for `id`, which has the same name and is not identified as ours.
fn occupied(id: &str) -> Error {
    Error::new(Class::Foreign, format!("{id} already exists and is not managed by this deployment")).taken(id)
}

/// Adds the command that imports `id` at `address` to the error.
fn importable(address: &Address, error: Error) -> Error {
    let Some(id) = error.get_taken() else { return error };
    let hint = format!("import it with `{}`, or choose another name", import::command(address, id));
    error.hint(hint)
}

/// Whether every output is known; some are filled in only after the resource exists.
fn is_whole(outputs: &Value) -> bool {
    outputs.as_object().is_none_or(|outputs| !outputs.values().any(Value::is_null))
}

fn refused(changes: &[Change]) -> Error {
    let fields: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    Error::failed(format!("two updates succeeded, but did not change {}", fields.join(", ")))
        .hint("AWS may store the value in another form; compare it in the AWS console")
}

/// The pauses between reads: at most a twentieth of the elapsed time, so that polling adds no more than 5 % to a wait.
struct Waits {
    begun: Instant,
    /// The common start of all waits of an apply: pauses end at common times, at which one call reads many resources.
    epoch: Instant,
    told: bool,
}

impl Waits {
    fn next(&mut self) -> Duration {
        let pause = (self.begun.elapsed() / 20).clamp(PAUSES.0, PAUSES.1);
        // The largest power of two that is at most half of the pause.
        let half = u64::try_from(pause.as_millis() / 2).unwrap_or(1).max(1);
        let grid = 1_u64 << half.ilog2();
        let now = self.epoch.elapsed();
        let then = u64::try_from((now + pause).as_millis()).unwrap_or_default() / grid * grid;
        Duration::from_millis(then).saturating_sub(now)
    }
}
