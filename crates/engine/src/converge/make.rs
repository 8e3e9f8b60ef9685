//! Creates or updates one resource.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::Work;
use crate::address::Address;
use crate::cloud::{Identity, Seen, Site};
use crate::error::{Class, Error, Result};
use crate::event::Event;
use crate::plan::Action;
use crate::resolve::pointers;
use crate::retry::{Patience, Pause, patiently};
use crate::state::{Deposed, Intent, Record};

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
/// How many times a create may be started again after an uncertain result.
const CREATES: usize = 8;

impl Work<'_> {
    pub(super) async fn make(&self, planned: Action) -> Result<()> {
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
        let node = node.ok_or_else(|| Error::failed("the resource is not declared"))?;
        // Computed outside the journal's closure, which locks the journal.
        let meant = self.redacted(&desired);
        // AWS remembers idempotency tokens beyond the life of a resource, so one that is created again needs a new
        // token.
        let serial = self.run().journal.look(|state| u32::try_from(state.serial).unwrap_or(u32::MAX));
        self.permit()?;
        self.journal(|record| {
            record.declare(node, depends);
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
        self.finish(|draft| {
            let record = draft.record(self.address);
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
            && self.read(id).await?.is_some_and(|seen| seen.status.is_ready())
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
            if let Some(other) = self.other(&id) {
                return Err(Error::new(Class::Foreign, format!("AWS returned {id}, which is recorded at {other}"))
                    .hint("the two declare the same resource: remove one of them"));
            }
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
            match patiently(&Patience::creating(), || self.call(cloud.create(&site, desired))).await {
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
    pub(super) async fn look(&self, site: &Site, desired: &Value) -> Result<Option<String>> {
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
