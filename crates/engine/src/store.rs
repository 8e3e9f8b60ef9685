//! The traits of state stores and locks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::error::Result;

/// A stored checkpoint of the state and its version, which a later write uses to detect other writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The state.
    pub bytes: Vec<u8>,
    /// An opaque version: an ETag, a hash.
    pub version: String,
}

/// A store for the state of one workspace: a checkpoint of the whole state, and a log of what has changed since
/// ([`journal`](crate::Journal)).
///
/// Every write is conditional: it fails with [`Class::Stale`](crate::Class::Stale) after a write by somebody else. If the
/// response to a write is lost, the write is verified by a read: it succeeded if the stored bytes are ours.
pub trait Store: Send + Sync + 'static {
    /// The checkpoint; `None` if there is none yet.
    fn load(&self) -> BoxFuture<'_, Result<Option<Stored>>>;
    /// Replaces version `over` of the checkpoint with `bytes` (`None`: only if there is none), and returns the new version.
    fn save<'a>(&'a self, bytes: &'a [u8], over: Option<&'a str>) -> BoxFuture<'a, Result<String>>;
    /// Stores `bytes` as the log entry of `revision`, which is written only once.
    fn append<'a>(&'a self, revision: u64, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;
    /// The revisions above `after` that have a log entry, in ascending order.
    fn entries(&self, after: u64) -> BoxFuture<'_, Result<Vec<u64>>>;
    /// The log entry of `revision`.
    fn entry(&self, revision: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>>>;
    /// Deletes the log entries up to `revision` that are older than [`KEPT`]. A checkpoint contains them.
    fn prune(&self, revision: u64) -> BoxFuture<'_, Result<()>>;
    /// Stores `bytes` as `history/NAME`, which is written only once.
    fn keep<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;
    /// The names of all history entries, sorted.
    fn kept(&self) -> BoxFuture<'_, Result<Vec<String>>>;
    /// The history entry `name`.
    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
    /// The stored versions of the checkpoint, newest first. Empty if the store keeps no versions.
    fn versions(&self) -> BoxFuture<'_, Result<Vec<Version>>>;
    /// The checkpoint in version `id`; `None` if there is no such version, or it is a delete marker.
    fn load_version<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
}

/// How long log entries stay after a checkpoint contains them. As long as an entry is there, a run that was suspended cannot
/// write another one for the same revision. AWS accepts the signature of a request for 15 minutes.
pub const KEPT: Duration = Duration::from_hours(24);

/// One version of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Version {
    /// Its id, for [`Store::load_version`].
    pub id: String,
    /// When it was written, RFC 3339.
    pub modified: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is a delete marker.
    pub deleted: bool,
}

/// The maximum revision, serial and epoch: the largest integer that all JSON readers preserve exactly.
pub const COUNT_MAX: u64 = 1 << 53;

/// The holder of a lock, for those who wait for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// User and host.
    pub who: String,
    /// The process id.
    pub pid: u32,
    /// The command.
    pub command: String,
    /// When it acquired the lock, RFC 3339.
    pub since: String,
    /// Unique to this run.
    pub nonce: String,
}

/// The placeholder for each member of a holder's record that cannot be read.
const UNREADABLE: &str = "unreadable";

impl Holder {
    /// A holder whose record cannot be read, with the nonce that is needed to release its lock.
    #[must_use]
    pub fn unreadable(nonce: impl Into<String>) -> Self {
        let unreadable = || UNREADABLE.to_owned();
        Self { who: unreadable(), pid: 0, command: unreadable(), since: unreadable(), nonce: nonce.into() }
    }

    /// Whether the record of the holder could be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !(self.pid == 0 && self.who == UNREADABLE)
    }
}

/// A lock for the state of one workspace.
pub trait Lock: Send + Sync + 'static {
    /// Acquires the lock, with an epoch greater than the last one and at least `floor`.
    ///
    /// Pass the epoch of the state plus one, or 0 if there is no state. If the lock was lost or restored from a backup,
    /// it then continues from the epoch of the state.
    ///
    /// # Errors
    /// [`Class::Locked`](crate::Class::Locked), naming the holder, if somebody else has the lock and the lease has not
    /// expired.
    fn acquire<'a>(&'a self, holder: &'a Holder, floor: u64) -> BoxFuture<'a, Result<Box<dyn Lease>>>;
    /// The epoch of the last holder; 0 if there was none.
    fn epoch(&self) -> BoxFuture<'_, Result<u64>>;
    /// The current holder, if any; [`Holder::unreadable`] if its record cannot be read.
    fn holder(&self) -> BoxFuture<'_, Result<Option<Holder>>>;
    /// Releases the lock held by `holder`, and by nobody else.
    fn force_release<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<()>>;
}

/// Checks whether changes are still allowed; called right before every mutating request.
pub type Guard = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// A held lock, renewed by its own heartbeat.
pub trait Lease: Send + Sync {
    /// The guard that fails with [`Class::Locked`](crate::Class::Locked) once the lease is lost or could not be renewed in
    /// time.
    fn guard(&self) -> Guard;
    /// Calls the guard.
    ///
    /// # Errors
    /// If the lease is lost.
    fn check(&self) -> Result<()> {
        (self.guard())()
    }
    /// The epoch: it grows with every holder, and is stored in the state.
    fn epoch(&self) -> u64;
    /// The lock's last epoch if it was lower than the state's: the lock was recreated or restored from a backup.
    fn lifted_from(&self) -> Option<u64> {
        None
    }
    /// Releases the lock.
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}
