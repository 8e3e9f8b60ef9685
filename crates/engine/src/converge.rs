//! One resource at a time: from what is to what should be, journalled before and after each act.

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
use crate::resolve::{output, pointers, redact, resolve};
use crate::retry::{Patience, Pause, patiently};
use crate::state::{Deposed, Intent, Record, State};

/// How long after its creation a resource may be invisible (AWS-FACTS §0.4), and how long where reads are consistent.
const VISIBLE: Duration = Duration::from_mins(2);
const CONSISTENT: Duration = Duration::from_secs(5);
/// When to look for what an uncertain create may have made: tags are found a moment late.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];
/// When to look again at what has the place of ours before it is called somebody else's, where it may be what our
/// create, whose answer was lost, has made: its tags may not be visible yet.
const TAGGED: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];
/// How often one that was created and is not there is created again.
const LOST: usize = 2;
/// How long between two looks that prove that something is gone.
const SECOND: Duration = Duration::from_secs(1);
/// How often it is asked whether the lease still holds while something is waited for.
const LEASE: Duration = Duration::from_secs(1);
/// How many times a create may be begun anew after an uncertain end.
const CREATES: usize = 8;
/// How long an update may take to become visible: RDS shows what it was told before it begins.
const SIGHT: Duration = Duration::from_secs(30);
/// When to ask again for the removal of what does not say that it goes; from then on after twice the time each.
const ASK: Duration = Duration::from_secs(1);
/// Between two reads at the least and at the most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How many updates may change nothing before that is an error.
const UPDATES: u32 = 2;

/// What `pointer` points at, as far as plan and state know.
pub(crate) fn known(plan: &Plan, state: &State, pointer: &Pointer) -> Option<Value> {
    if let Some(found) = plan.lookups.get(&pointer.address) {
        return output("", found, &pointer.output);
    }
    let record = state.resources.get(&pointer.address)?;
    output(record.id.as_deref()?, &record.outputs, &pointer.output)
}

/// Performs the tasks of one apply.
pub(crate) struct Converge<'a> {
    plan: &'a Plan,
    run: &'a Run<'a>,
    reader: Reader,
    epoch: Instant,
    /// Whether creates of ours may have happened that are not on record.
    uncertain: bool,
    /// Takes the index of each task whose resource exists now.
    milestones: mpsc::UnboundedSender<usize>,
    /// Tasks that cannot end well any more, and why.
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

    /// Lets the task that the scheduler calls `index` wait no longer: what its wait depends on has failed.
    pub(crate) fn doom(&self, index: usize, why: String) {
        self.doomed.send_modify(|doomed| drop(doomed.insert(index, why)));
    }

    /// Performs one task; `index` is how the scheduler calls it.
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

/// One resource under work.
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

    /// That the world may still be changed by us.
    fn permit(&self) -> Result<()> {
        if *self.run().cancel.borrow() {
            return Err(Error::new(Class::Cancelled, "stopped by Ctrl-C"));
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

    /// The ids of this kind that the state has, but for the one that is worked on: what `state mv` moved to another
    /// address still has this one in its tags.
    fn others(&self, state: &State, record: &Record) -> Vec<String> {
        let same = |other: &Address| (&other.region, &other.kind) == (&self.address.region, &self.address.kind);
        let records = state.resources.iter().filter(|(other, _)| same(other)).map(|(_, record)| record);
        let ids = records.flat_map(|record| record.id.iter().chain(record.deposed.iter().map(|deposed| &deposed.id)));
        ids.filter(|id| record.id.as_ref() != Some(*id)).cloned().collect()
    }

    fn redacted(&self, value: &Value) -> Value {
        self.run().journal.look(|state| redact(value, &state.lineage))
    }

    /// What it should be, all references resolved.
    fn desired(&self) -> Result<Value> {
        let plan = self.converge.plan;
        let node = plan.graph.nodes().get(self.address).ok_or_else(|| Error::failed("it is not declared"))?;
        let args = self.run().journal.look(|state| resolve(&node.args, &|pointer| known(plan, state, pointer)));
        if let Some(pointer) = pointers(&args).first() {
            return Err(Error::failed(format!("`{pointer}` is not known: no such output")));
        }
        self.run().cloud.normal(&self.address.kind, &args)
    }

    /// Tells the scheduler that it exists; a scheduler that has ended does not mind.
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
        // Outside of the journal's closure, which holds the journal.
        let meant = self.redacted(&desired);
        // AWS remembers tokens for longer than what they made: one that was removed and comes back needs another one.
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
                // Its create was interrupted, and since then somebody removed it.
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

    /// That what is about to be created has a free place. What was gone when the plan was made may be back, and where
    /// neither tags nor a token would tell it from ours, what exists in its place is somebody else's.
    ///
    /// Nothing that is part of what this apply creates can be there before.
    async fn is_free(&self, before: Option<&Record>, desired: &Value) -> Result<()> {
        if let Some(id) = before.and_then(|record| record.id.as_ref())
            && self.read(id).await?.is_some_and(|seen| seen.status == Status::Ready)
        {
            return Err(Error::new(Class::Stale, format!("{id} is there again, which the plan did not know"))
                .hint("run it again: it plans anew"));
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

    /// Makes durable that what was created is gone: the next create is of another generation.
    async fn lost(&self) -> Result<()> {
        self.journal(|record| {
            record.generation = record.generation.saturating_add(1);
            record.id = None;
        })
        .await
    }

    /// Creates it, makes its id durable, and waits until it is as desired. What is not there although its create
    /// succeeded is created again.
    async fn begin(&self, desired: &Value, recorded: Option<&Value>, mut uncertain: bool) -> Result<Seen> {
        for _ in 0..LOST {
            let record = self.record().unwrap_or_default();
            let id = self.create(&self.site(&record), desired, uncertain).await?;
            self.journal(|record| record.id = Some(id.clone())).await?;
            self.run().observer.notice(&Event::Exists { address: self.address.clone(), id: id.clone() });
            match self.settle(&id, desired, recorded).await {
                Err(error) if error.is(Class::NotFound) => {
                    tracing::warn!("{}: {error}; it is created again", self.address);
                    self.lost().await?;
                    uncertain = true;
                }
                settled => return settled,
            }
        }
        let message = format!("it was created {LOST} times, and each time it was gone before it was ready");
        Err(Error::failed(message).hint("look in CloudTrail for who deletes it"))
    }

    /// Creates it exactly once: an uncertain end is cleared up by looking before anything is tried again.
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
        Err(last.unwrap_or_else(|| Error::failed("it could not be created")))
    }

    /// The id of what has the place of ours, if it is ours.
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

    /// What an interrupted create left, if anything.
    ///
    /// # Errors
    /// [`Class::Foreign`] if what has its place does not show within the service's consistency window that it is ours.
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

    /// That `seen` is not somebody else's: asked before every change and every delete, because its tags may have changed
    /// since the plan was made.
    fn ours(&self, seen: &Seen) -> Result<()> {
        match self.run().journal.look(|state| claimed(state, seen)) {
            None => Ok(()),
            Some(whose) => Err(Error::invalid(format!("{} is not ours: {whose}", seen.id))
                .hint(format!("drop it from the state with `payinfra state rm {}`; in AWS it stays", self.address))),
        }
    }

    /// Waits until it is ready and as desired, updating what is not.
    async fn settle(&self, id: &str, desired: &Value, mut recorded: Option<&Value>) -> Result<Seen> {
        let begun = Instant::now();
        let mut waits = self.waits();
        let mut last: Vec<Change> = Vec::new();
        let mut updates = 0;
        let mut restored = false;
        let mut shown: Option<Value> = None;
        let visible = if self.spec.consistent { CONSISTENT } else { VISIBLE };
        loop {
            let Some(seen) = self.read(id).await? else {
                if (shown.is_some() || begun.elapsed() > visible) && self.is_gone(id).await? {
                    return Err(Error::new(Class::NotFound, format!("{id} vanished while it was waited for"))
                        .hint("run it again; CloudTrail knows who deleted it"));
                }
                self.pause(&mut waits, "visible").await?;
                continue;
            };
            if let Status::Scheduled(until) = &seen.status {
                if self.planned() != Action::Restore {
                    return Err(Error::new(Class::Stale, format!("{id} is scheduled for deletion: {until}"))
                        .hint("run it again: it plans to restore it"));
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
            let changes = diff(desired, &seen.args, recorded);
            if seen.status == Status::Ready && changes.is_empty() {
                return Ok(seen);
            }
            if shown.as_ref() != Some(&seen.outputs) {
                shown = Some(seen.outputs.clone());
                let outputs = seen.outputs.clone();
                self.journal(|record| record.outputs = outputs).await?;
                // Those that need it only to exist may refer to any of its outputs.
                if is_whole(&seen.outputs) {
                    self.reached();
                }
            }
            match &seen.status {
                Status::Failed(why) => return Err(Error::failed(format!("{id} failed: {why}"))),
                Status::Deleting => {
                    return Err(Error::failed(format!("{id} is being deleted"))
                        .hint("run it again when it is gone; CloudTrail knows who deletes it"));
                }
                Status::Pending if begun.elapsed() > self.spec.timeout => return Err(self.late(id, "ready")),
                Status::Pending => {
                    self.pause(&mut waits, "ready").await?;
                    continue;
                }
                Status::Ready | Status::Scheduled(_) => {}
            }
            // A field that was managed and no longer is shows AWS's default after its reset: that is no difference.
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
                // Somebody else's has its place, so that ours was never made.
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
        // Nobody waits for a removal to exist; this frees its place among those that start.
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

    /// Waits until `id`, whose create was interrupted, can be seen: what is not visible yet must not be taken for gone.
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

    /// Drops it from the state, if it is gone as the plan says.
    async fn forget(&self) -> Result<()> {
        let id = self.record().and_then(|record| record.id);
        if let Some(id) = id
            && let Some(seen) = self.read(&id).await?
            && !matches!(seen.status, Status::Scheduled(_))
        {
            return Err(Error::new(Class::Stale, format!("{id} is there again, which the plan did not know"))
                .hint("run it again: it plans anew"));
        }
        self.run().journal.commit(|state| drop(state.resources.remove(self.address))).await
    }

    /// Whether `id`, which a read did not show, is proven to be gone: by a second, independent look a moment later.
    async fn is_gone(&self, id: &str) -> Result<bool> {
        let (region, kind) = (&self.address.region, &self.address.kind);
        let cloud = &self.run().cloud;
        self.unless_ended(async {
            sleep(SECOND).await;
            patiently(&Patience::reading(), || cloud.absent(region, kind, id)).await
        })
        .await
    }

    /// Switches AWS's own protection off, which the plan has allowed.
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

    /// Deletes `id` and waits until it is gone: until its delete was answered and it is no longer shown, or two looks
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
            // A read may lag behind: ask again only when a while has passed, and not at all while it says it goes.
            if seen.status != Status::Deleting && waits.begun.elapsed() >= ask {
                self.permit()?;
                let patience = Patience::removing(self.spec.timeout);
                let answered = patiently(&patience, || async {
                    self.permit()?;
                    self.run().cloud.delete(&site, &seen).await
                });
                match answered.await {
                    // Whatever a read may still show: there is nothing that anyone could delete.
                    Err(error) if error.is(Class::NotFound) => return Ok(()),
                    answered => answered?,
                }
                deleted = true;
                if ask == Duration::ZERO {
                    // It may have had to wait for others; its own time begins now.
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
        Error::failed(format!("{id} is not {until} after {} s", self.spec.timeout.as_secs()))
            .hint("look at it in the AWS console; run it again to go on waiting")
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

    /// What `look` finds, which may be given up at any time because it changes nothing: at Ctrl-C, and when nothing can
    /// come of it any more.
    async fn unless_ended<T>(&self, look: impl Future<Output = Result<T>>) -> Result<T> {
        let mut cancel = self.run().cancel.clone();
        let mut doomed = self.converge.doomed.subscribe();
        tokio::select! {
            biased;
            // One who cannot cancel any more does not cancel.
            Ok(_) = cancel.wait_for(|cancelled| *cancelled) => Err(Error::new(Class::Cancelled, "stopped by Ctrl-C")),
            Ok(doomed) = doomed.wait_for(|doomed| doomed.contains_key(&self.index)) => {
                let why = doomed.get(&self.index).cloned().unwrap_or_default();
                Err(Error::failed(why).hint("mend what failed, and run it again"))
            }
            error = self.run().journal.failed() => Err(error),
            error = self.unleased() => Err(error),
            found = look => found,
        }
    }

    /// Ends when the lease is lost.
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

/// What may be managed while `meant` is being applied over `recorded`: a field counts as managed until it is known that
/// it is not, so that an interrupted change of it is neither forgotten nor left half done.
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

/// That `id` has the place of ours, and nothing says that it is ours.
fn occupied(id: &str) -> Error {
    Error::new(Class::Foreign, format!("{id} exists already, and payinfra did not create it")).taken(id)
}

/// The failure with the command that takes what has the place of `address` into the state.
fn importable(address: &Address, error: Error) -> Error {
    let Some(id) = error.get_taken() else { return error };
    let hint = format!("import it with `{}`, or rename ours", import::command(address, id));
    error.hint(hint)
}

/// Whether every output is known: some are told a while after the resource begins to exist.
fn is_whole(outputs: &Value) -> bool {
    outputs.as_object().is_none_or(|outputs| !outputs.values().any(Value::is_null))
}

fn refused(changes: &[Change]) -> Error {
    let fields: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    Error::failed(format!("AWS took two updates and did not change {}", fields.join(", ")))
        .hint("the value may be one that AWS writes in another form; see what it shows in the console")
}

/// The pauses between reads: at most a twentieth of the time that has passed, so that however long it takes, no more
/// than that is lost.
struct Waits {
    begun: Instant,
    /// What all waits of an apply count from: pauses end at common moments, at which one call reads for many.
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
