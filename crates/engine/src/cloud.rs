//! The engine's view of a cloud: kinds by name, JSON in and out.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::{Address, Region};
use crate::error::{Error, Result};
use crate::lane::Lane;
use crate::metric::Metric;
use crate::store::Guard;
use crate::tags::Owner;

/// How a resource is identified as ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By its owner tags.
    Tags,
    /// By the idempotency token of its create, which AWS shows and which is derived from the lineage.
    Token,
    /// As part of the resource that this field refers to: a route belongs to its table. One that exists before we
    /// create it belongs to somebody else, unless an intent to create it is recorded.
    Part(&'static str),
    /// Not at all, like a record in a zone that is not ours. One that exists under its name before we create it belongs
    /// to somebody else, unless an intent to create it is recorded.
    Record,
}

/// What the engine needs to know about a kind: the constants of [`crate::Resource`].
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent constant of the kind")]
pub struct Spec {
    /// The name in addresses: `ec2.subnet`.
    pub kind: &'static str,
    /// Fields that cannot be updated in place.
    pub replace: &'static [&'static str],
    /// Fields whose referenced resource only has to exist.
    pub early: &'static [&'static str],
    /// Fields whose referenced resource cannot be deleted while this one refers to it.
    pub holds: &'static [&'static str],
    /// Fields whose entries serve the dependents, such as copies in other regions. An update that removes an entry starts
    /// only after the deletes of dependents.
    pub serves: &'static [&'static str],
    /// Fields whose referenced resources must be in the same network as this one. If they move to another network, this
    /// one is replaced.
    pub network: &'static [&'static str],
    /// How a resource is identified as ours.
    pub identity: Identity,
    /// Fields that identify a resource of the kind within its region in AWS.
    pub key: &'static [&'static str],
    /// Fields with a version that AWS raises by itself.
    pub at_least: &'static [&'static str],
    /// Whether it keeps data that is lost when it is deleted.
    pub keeps_data: bool,
    /// The field for AWS's own deletion protection.
    pub shield: Option<&'static str>,
    /// Whether a read sees a created resource immediately.
    pub consistent: bool,
    /// Whether it becomes ready only through dependents that need it only to exist.
    pub completed_by_dependents: bool,
    /// The maximum number of tags.
    pub most_tags: usize,
    /// Whether a replacement can be created before the old resource is deleted.
    pub create_first: bool,
    /// The maximum number of ids per read.
    pub batch: usize,
    /// How long to wait until it is ready or gone.
    pub timeout: Duration,
    /// Whether it is a lookup, which is never created or deleted.
    pub lookup: bool,
}

impl Spec {
    /// Whether AWS's own deletion protection is enabled for `seen`.
    pub(crate) fn is_shielded(&self, seen: &Seen) -> bool {
        self.shield.is_some_and(|field| seen.args.get(field) == Some(&Value::Bool(true)))
    }
}

/// How long operations on a resource usually take, by AWS-FACTS §5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// From the create call until it is ready.
    pub create: Duration,
    /// From the delete call until it is gone.
    pub delete: Duration,
}

impl Expected {
    /// Both in milliseconds.
    #[must_use]
    pub const fn millis(create: u64, delete: u64) -> Self {
        Self { create: Duration::from_millis(create), delete: Duration::from_millis(delete) }
    }

    /// The same, with the durations of `more` added.
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self { create: self.create.saturating_add(more.create), delete: self.delete.saturating_add(more.delete) }
    }
}

/// The context of a call: which resource, and for whom.
#[derive(Clone, Debug)]
pub struct Site {
    /// The address of the resource.
    pub address: Address,
    /// The idempotency token of this generation: 32 letters and digits, the form that the strictest service accepts
    /// (ACM; AWS-FACTS §1.10).
    pub token: String,
    /// The owner.
    pub owner: Owner,
    /// The ids in the state, of earlier generations and other addresses, which `recover` must not return.
    pub known: Known,
    /// Whether an earlier create of ours may have succeeded: an intent is recorded, or a response was lost.
    pub begun: bool,
    /// Whether a delete takes a final snapshot, if the kind supports it.
    pub final_snapshot: bool,
}

/// Ids of a kind in a region. They are looked up when they are asked for, which most calls never do.
#[derive(Clone, Default)]
pub struct Known(Option<Arc<Has>>);

/// Whether an id is one of them.
type Has = dyn Fn(&str) -> bool + Send + Sync;

impl Known {
    /// Those for which `has` is true.
    pub(crate) fn new(has: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(has)))
    }

    /// Whether `id` is one of them.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.0.as_ref().is_some_and(|has| has(id))
    }
}

impl FromIterator<String> for Known {
    fn from_iter<T: IntoIterator<Item = String>>(ids: T) -> Self {
        let ids: BTreeSet<String> = ids.into_iter().collect();
        Self::new(move |id| ids.contains(id))
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

/// The status of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Being created or changed.
    Pending,
    /// AWS waits for a configured time, such as the bake time of a deployment. The time limit begins when that is over.
    Waiting,
    /// Usable.
    Ready,
    /// Usable, but AWS has reverted its last change, as ECS rolls back a deployment that fails. The reason, different for each
    /// change.
    Reverted(String),
    /// It will never be ready; the reason.
    Failed(String),
    /// Being deleted; the engine waits until it is gone.
    Deleting,
    /// Scheduled for deletion, and can be restored until then, such as a key, a secret or an inactive cluster. The
    /// time, as AWS gives it.
    Scheduled(String),
}

impl Status {
    /// Whether it is usable.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready | Self::Reverted(_))
    }
}

/// A resource as the cloud has it, untyped.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The id.
    pub id: String,
    /// Its status.
    pub status: Status,
    /// Its current arguments.
    pub args: Value,
    /// Its outputs, which others can refer to.
    pub outputs: Value,
}

/// A cloud: AWS, or the simulated one of the tests.
///
/// Calls only start operations and may be repeated; the engine waits and judges.
pub trait Cloud: Send + Sync + 'static {
    /// The facts about `kind`; `None` if there is no such kind.
    fn spec(&self, kind: &str) -> Option<Spec>;
    /// How long operations on a resource of `kind` with these `args` usually take, for scheduling. Accepts references.
    fn expected(&self, kind: &str, args: &Value) -> Expected;
    /// The calls that changes of resources of `kind` in `region` share a rate limit with.
    fn lane(&self, region: &Region, kind: &str) -> Lane {
        Lane::of_service(region, kind)
    }
    /// The parts of `live` whose data is lost when it is changed to `args`. Accepts references.
    fn losses(&self, kind: &str, args: &Value, live: &Value) -> Vec<String>;
    /// The changes from `live` to `args` that the cloud refuses, although the fields can be updated. Accepts references.
    fn refused(&self, kind: &str, args: &Value, live: &Value) -> Vec<String>;
    /// `args` in the canonical form of `kind`, so that equal arguments compare equal. Keeps references.
    ///
    /// # Errors
    /// If they are not valid arguments of `kind`.
    fn normal(&self, kind: &str, args: &Value) -> Result<Value>;
    /// Starts to create a resource, and returns its id.
    fn create<'a>(&'a self, site: &'a Site, args: &'a Value) -> BoxFuture<'a, Result<String>>;
    /// Finds the resource that an interrupted create left.
    fn recover<'a>(&'a self, site: &'a Site, args: &'a Value) -> BoxFuture<'a, Result<Option<String>>>;
    /// Reads those of `ids` that exist.
    fn read<'a>(&'a self, region: &'a Region, kind: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>>;
    /// Updates `live` to `args`.
    fn update<'a>(&'a self, site: &'a Site, args: &'a Value, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// Starts to delete a resource.
    fn delete<'a>(&'a self, site: &'a Site, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// Cancels a scheduled deletion.
    fn restore<'a>(&'a self, site: &'a Site, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// How much data `live` has, in words; `None` if that is not known.
    fn contents<'a>(
        &'a self,
        region: &'a Region,
        kind: &'a str,
        live: &'a Seen,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        let _ = (region, kind, live);
        Box::pin(async { Ok(None) })
    }
    /// Whether `id`, which a read did not return, really does not exist. Asks in the most consistent way that the
    /// service offers.
    fn absent<'a>(&'a self, region: &'a Region, kind: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>>;
    /// From now on, every mutating request asks `guard` right before it is sent. Between a decision and its request
    /// there may be a wait for a rate limit, or the machine may have been suspended.
    fn guard(&self, guard: Guard);
    /// Resolves a lookup to its outputs.
    fn find<'a>(&'a self, region: &'a Region, kind: &'a str, args: &'a Value) -> BoxFuture<'a, Result<Value>>;
    /// Publishes a metric.
    fn publish<'a>(&'a self, metric: &'a Metric) -> BoxFuture<'a, Result<()>>;
}

/// The facts about `kind`.
///
/// # Errors
/// If the cloud has no such kind.
pub(crate) fn spec(cloud: &Arc<dyn Cloud>, kind: &str) -> Result<Spec> {
    cloud.spec(kind).ok_or_else(|| {
        Error::invalid(format!("unknown kind `{kind}`")).hint(
            "a newer version of payinfra may have written it: use that version, or remove it with `payinfra state rm`",
        )
    })
}
