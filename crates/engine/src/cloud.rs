//! What the engine knows of the world: kinds by name, JSON in and out.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::{Address, Region};
use crate::error::Result;
use crate::metric::Metric;
use crate::store::Guard;
use crate::tags::Owner;

/// How a resource is known to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By the owner tags that it carries.
    Tags,
    /// By the token that it was created with, which AWS shows and which is derived from the lineage.
    Token,
    /// As a part of the resource that this field refers to: a route is its table's. What exists there before we create
    /// it is somebody else's, unless an intent of ours to create it is on record.
    Part(&'static str),
    /// Not at all, as a record of a zone that is not ours. What exists under its name before we create it is
    /// somebody else's, unless an intent of ours to create it is on record.
    Record,
}

/// What the engine must know of a kind; a copy of the constants of [`crate::Resource`].
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a constant of the kind, and none depends on another")]
pub struct Spec {
    /// As in addresses: `ec2.subnet`.
    pub kind: &'static str,
    /// Fields that cannot change in place.
    pub replace: &'static [&'static str],
    /// Fields whose referent need only exist.
    pub early: &'static [&'static str],
    /// Fields whose referent cannot go while this one refers to it.
    pub holds: &'static [&'static str],
    /// Fields whose referents must be in the same network as this one: where they move to another, it is replaced.
    pub network: &'static [&'static str],
    /// How one is known to be ours.
    pub identity: Identity,
    /// Whether it keeps data that is lost with it.
    pub keeps_data: bool,
    /// The field that is AWS's own protection against deletion.
    pub shield: Option<&'static str>,
    /// Whether a read shows at once what a create made.
    pub consistent: bool,
    /// Whether it becomes ready only through those that need it only to exist.
    pub completed_by_dependents: bool,
    /// How many tags AWS accepts on one.
    pub most_tags: usize,
    /// Whether the new one may exist before the old one goes.
    pub create_first: bool,
    /// How many ids one read takes.
    pub batch: usize,
    /// How long to wait until ready, or gone.
    pub timeout: Duration,
    /// Whether it is only looked up, never made or removed.
    pub lookup: bool,
}

/// How long a resource usually takes, by AWS-FACTS §5.
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

    /// As much longer as `more` takes.
    #[must_use]
    pub const fn and(self, more: Self) -> Self {
        Self { create: self.create.saturating_add(more.create), delete: self.delete.saturating_add(more.delete) }
    }
}

/// Where and as what a call acts.
#[derive(Clone, Debug)]
pub struct Site {
    /// The resource.
    pub address: Address,
    /// The idempotency token of this generation of it: 32 digits and letters, which is what the strictest service takes (ACM; AWS-FACTS §1.10).
    pub token: String,
    /// Whose it is.
    pub owner: Owner,
    /// Ids that the state has already, of earlier generations and of others: `recover` must not find these.
    pub known: Vec<String>,
    /// Whether an earlier create of ours may have happened: an intent is on record, or the answer to a call was lost.
    pub begun: bool,
    /// Whether a delete takes a final snapshot of what it keeps, where the kind can.
    pub final_snapshot: bool,
}

/// How far a resource is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// On its way.
    Pending,
    /// Usable.
    Ready,
    /// It will never be ready; why.
    Failed(String),
    /// On its way out; the engine waits until it is gone.
    Deleting,
    /// Scheduled for deletion, and can be restored until then: a key, a secret, an inactive cluster. When, as AWS says.
    Scheduled(String),
}

/// A resource as the cloud has it, without its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The id.
    pub id: String,
    /// How far it is.
    pub status: Status,
    /// What it is now, in the form of its args.
    pub args: Value,
    /// What others can refer to.
    pub outputs: Value,
}

/// A cloud: AWS, or the one that the tests make up.
///
/// Every call only starts things and may be repeated; waiting and judgement are the engine's.
pub trait Cloud: Send + Sync + 'static {
    /// What there is to know of `kind`; `None` if there is no such kind.
    fn spec(&self, kind: &str) -> Option<Spec>;
    /// How long one of `kind` with these `args` usually takes, for scheduling; references stay.
    fn expected(&self, kind: &str, args: &Value) -> Expected;
    /// The parts of `live` whose data is lost when it is changed to `args`; references stay.
    fn losses(&self, kind: &str, args: &Value, live: &Value) -> Vec<String>;
    /// `args` in the one form that `kind` writes, so that equal things compare equal; references stay.
    ///
    /// # Errors
    /// If they are not arguments of `kind`.
    fn normal(&self, kind: &str, args: &Value) -> Result<Value>;
    /// Starts a resource's life and returns its id.
    fn create<'a>(&'a self, site: &'a Site, args: &'a Value) -> BoxFuture<'a, Result<String>>;
    /// Finds what an interrupted create left.
    fn recover<'a>(&'a self, site: &'a Site, args: &'a Value) -> BoxFuture<'a, Result<Option<String>>>;
    /// Reads those of `ids` that exist.
    fn read<'a>(&'a self, region: &'a Region, kind: &'a str, ids: &'a [String]) -> BoxFuture<'a, Result<Vec<Seen>>>;
    /// Changes `live` to `args`.
    fn update<'a>(&'a self, site: &'a Site, args: &'a Value, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// Starts a resource's end.
    fn delete<'a>(&'a self, site: &'a Site, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// Restores what is scheduled for deletion.
    fn restore<'a>(&'a self, site: &'a Site, live: &'a Seen) -> BoxFuture<'a, Result<()>>;
    /// Whether `id`, which a read did not show, really does not exist: asked in the most consistent form that the
    /// service has.
    fn absent<'a>(&'a self, region: &'a Region, kind: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>>;
    /// From now on, every request that changes something asks `guard` at the moment when it is sent: between a decision
    /// and its request there may be a wait for a rate limit, or the sleep of a whole machine.
    fn guard(&self, guard: Guard);
    /// Answers a lookup with its outputs.
    fn find<'a>(&'a self, region: &'a Region, kind: &'a str, args: &'a Value) -> BoxFuture<'a, Result<Value>>;
    /// Publishes a metric.
    fn publish<'a>(&'a self, metric: &'a Metric) -> BoxFuture<'a, Result<()>>;
}
