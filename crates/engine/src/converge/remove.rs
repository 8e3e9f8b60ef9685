//! Deletes one resource.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::try_join;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::waits::VISIBLE;
use super::{Milestone, Work};
use crate::cloud::{Seen, Site, Status};
use crate::error::{Class, Error, Result};
use crate::event::Event;
use crate::retry::{Patience, patiently};
use crate::state::{Intent, Record};

/// When to repeat a delete of a resource that is not shown as deleting; the interval doubles each time.
const ASK: Duration = Duration::from_secs(1);
/// After how long to tell why a delete is still rejected. Most conflicts are over before.
const HELD: Duration = Duration::from_mins(1);

impl Work<'_> {
    pub(super) async fn remove(&self, replaced: bool) -> Result<()> {
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
        let intent = self.note(|record| {
            record.id = record.id.take().or_else(|| ids.last().cloned());
            record.intent = Some(Intent::Delete);
        });
        let durable = self.run().journal.durable(intent);
        // What the first one is, is read while the intent is written.
        let mut first = match ids.first() {
            Some(id) => try_join(durable, self.read(id)).await?.1,
            None => durable.await.map(|()| None)?,
        };
        for (index, id) in ids.iter().enumerate() {
            let seen = if index == 0 { first.take() } else { self.read(id).await? };
            self.end(&record, id, seen).await?;
        }
        if !replaced {
            self.drain(&record).await?;
        }
        self.finish(|draft| {
            if replaced {
                let record = draft.record(self.address);
                record.id = None;
                record.intent = None;
                record.deposed.clear();
            } else {
                draft.remove(self.address);
            }
        })
        .await
    }

    /// Waits until clients no longer use the dependencies of a deleted resource, if others have taken over its work. Until
    /// then, it stays in the state: after an interruption, the next run waits again.
    async fn drain(&self, record: &Record) -> Result<()> {
        let Some(handover) = &record.handover else { return Ok(()) };
        let declared = self.converge.plan.graph.nodes();
        if handover.drain_seconds == 0 || !handover.to.iter().any(|to| declared.contains_key(to)) {
            return Ok(());
        }
        // What has nothing to delete has made no call.
        self.tell(Milestone::Calls);
        let drained = Event::Waiting { address: self.address.clone(), until: "drained", because: None };
        self.run().observer.notice(&drained);
        self.unless_ended(async {
            sleep(Duration::from_secs(handover.drain_seconds.into())).await;
            Ok(())
        })
        .await
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

    pub(super) async fn depose(&self) -> Result<()> {
        let record = self.record().unwrap_or_default();
        for deposed in &record.deposed {
            let seen = self.read(&deposed.id).await?;
            self.end(&record, &deposed.id, seen).await?;
            self.journal(|record| record.deposed.retain(|it| it.id != deposed.id)).await?;
        }
        self.done();
        Ok(())
    }

    /// Removes the resource from the state, if it is gone as planned.
    pub(super) async fn forget(&self) -> Result<()> {
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
        self.finish(|draft| draft.remove(self.address)).await
    }

    /// Disables AWS's own deletion protection, as planned.
    async fn unshield(&self, site: &Site, seen: &Seen) -> Result<()> {
        let Some(field) = self.spec.shield else { return Ok(()) };
        let mut open = seen.args.clone();
        open[field] = Value::Bool(false);
        let patience = Patience::changing(self.spec.timeout);
        patiently(&patience, || self.call(self.run().cloud.update(site, &open, seen))).await
    }

    /// Deletes `id` and waits until it is gone: until a delete has succeeded and it is no longer shown, or two reads
    /// agree that it does not exist. `first` is what a read has just returned.
    async fn end(&self, record: &Record, id: &str, first: Option<Seen>) -> Result<()> {
        let mut first = Some(first);
        let begun = Instant::now();
        let site = self.site(record);
        let mut waits = self.waits();
        let mut ask = Duration::ZERO;
        let mut deleted = false;
        loop {
            let seen = match first.take() {
                Some(seen) => seen,
                None => self.read(id).await?,
            };
            let Some(seen) = seen else {
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
            if self.spec.is_shielded(&seen) && seen.status != Status::Deleting {
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
                let told = AtomicBool::new(false);
                let answered = patiently(&patience, || async {
                    let deleted = self.call(self.run().cloud.delete(&site, &seen)).await;
                    if let Err(error) = &deleted
                        && error.is(Class::Conflict)
                        && begun.elapsed() >= HELD
                        && !told.swap(true, Ordering::Relaxed)
                    {
                        let because = Some(error.message().to_owned());
                        let held = Event::Waiting { address: self.address.clone(), until: "gone", because };
                        self.run().observer.notice(&held);
                    }
                    deleted
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
}
