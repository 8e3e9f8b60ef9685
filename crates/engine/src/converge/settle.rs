//! Waits until one resource is ready and matches, and updates it where it differs.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::waits::{CONSISTENT, VISIBLE};
use super::{Milestone, Work};
use crate::cloud::{Seen, Status};
use crate::diff::{Change, diff, masked};
use crate::error::{Class, Error, Result};
use crate::plan::Action;
use crate::retry::{Patience, patiently};
use crate::secret::marked;
use crate::task::Until;
use crate::version::accept;

/// How long an update may take to become visible: RDS shows the new values before it starts to change.
const SIGHT: Duration = Duration::from_secs(30);
/// How many updates without effect are an error.
const UPDATES: u32 = 2;

impl Work<'_> {
    /// Waits until the resource is ready and matches; updates it where it differs.
    pub(super) async fn settle(&self, id: &str, desired: &Value, mut recorded: Option<&Value>) -> Result<Seen> {
        let mut begun = Instant::now();
        let mut waits = self.waits();
        let mut last: Vec<Change> = Vec::new();
        let mut updates = 0;
        let mut has_matched = false;
        let mut restored = false;
        let mut shown: Option<Value> = None;
        // The status of the first read; a change that was reverted before is no failure of this one.
        let mut first: Option<Status> = None;
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
                    let patience = Patience::changing(self.spec.timeout);
                    patiently(&patience, || self.call(self.run().cloud.restore(&site, &seen))).await?;
                }
                self.pause(&mut waits, "restored").await?;
                continue;
            }
            seen.args = self.comparable(&seen.args, desired);
            let changes = diff(desired, &seen.args, recorded);
            let first = &*first.get_or_insert_with(|| seen.status.clone());
            if let Status::Reverted(why) = &seen.status
                && *first != seen.status
            {
                return Err(undone(id, why));
            }
            if seen.status.is_ready() && changes.is_empty() {
                return Ok(seen);
            }
            has_matched |= updates > 0 && changes.is_empty();
            if shown.as_ref() != Some(&seen.outputs) {
                shown = Some(seen.outputs.clone());
                let outputs = seen.outputs.clone();
                // Nothing has to wait until this is durable: the intents of dependents follow it.
                self.note(|record| record.outputs = outputs);
                if self.is_whole(&seen.outputs) {
                    self.tell(Milestone::Reached(Until::Exists));
                }
            }
            match &seen.status {
                Status::Failed(why) => return Err(Error::failed(format!("{id} failed: {why}"))),
                Status::Deleting => {
                    return Err(Error::failed(format!("{id} is being deleted"))
                        .hint("run the command again when it is gone; check CloudTrail for who deletes it"));
                }
                Status::Pending if begun.elapsed() > self.spec.timeout => return Err(self.late(id, "ready")),
                Status::Pending | Status::Waiting => {
                    if seen.status == Status::Waiting {
                        begun = Instant::now();
                    }
                    self.pause(&mut waits, "ready").await?;
                    continue;
                }
                Status::Ready | Status::Reverted(_) | Status::Scheduled(_) => {}
            }
            // A field that is no longer managed shows AWS's default after its reset, which is not a difference.
            if updates > 0 && changes == last && waits.begun.elapsed() < SIGHT {
                self.pause(&mut waits, "changed").await?;
                continue;
            }
            if changes == last && has_matched {
                return Err(reverted(&changes));
            }
            if changes == last && updates >= UPDATES {
                return Err(refused(&changes));
            }
            let record = self.record().unwrap_or_default();
            let site = self.site(&record);
            self.ours(&seen)?;
            let live = Seen { args: masked(&seen.args, desired, recorded), ..seen };
            let patience = Patience::changing(self.spec.timeout);
            patiently(&patience, || self.call(self.run().cloud.update(&site, desired, &live))).await?;
            updates = if changes == last { updates + 1 } else { 1 };
            recorded = None;
            last = diff(desired, &live.args, recorded);
            waits = self.waits();
        }
    }

    /// `live` in the form in which it is compared with `desired`.
    fn comparable(&self, live: &Value, desired: &Value) -> Value {
        let mut live = marked(live, desired);
        accept(&self.spec, desired, &mut live);
        live
    }
}

/// AWS has reverted a change, and says why.
fn undone(id: &str, why: &str) -> Error {
    Error::failed(format!("AWS has reverted the change of {id}: {why}"))
}

/// The changes took effect, and then AWS returned to the values before, as ECS does with a deployment whose tasks fail.
fn reverted(changes: &[Change]) -> Error {
    Error::failed(format!("AWS has made the change of {}, and then reverted it", fields(changes)))
        .hint("find the reason in the AWS console; for an ECS service, its events have it")
}

fn refused(changes: &[Change]) -> Error {
    Error::failed(format!("two updates succeeded, but did not change {}", fields(changes)))
        .hint("AWS may store the value in another form; compare it in the AWS console")
}

fn fields(changes: &[Change]) -> String {
    changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>().join(", ")
}
