//! The traits of state stores and locks, and the journal that makes every transition durable.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use crate::error::{Error, Result};
use crate::state::State;

/// A stored state and its version, which a later write uses to detect other writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The state.
    pub bytes: Vec<u8>,
    /// An opaque version: an ETag, a hash.
    pub version: String,
}

/// A store for the state of one workspace. Every write is conditional: it fails with
/// [`Class::Stale`](crate::Class::Stale) after a write by somebody else.
pub trait Store: Send + Sync + 'static {
    /// The state; `None` if there is none yet.
    fn load(&self) -> BoxFuture<'_, Result<Option<Stored>>>;
    /// Replaces version `over` with `bytes` (`None`: only if there is no state), and returns the new version.
    ///
    /// If the response is lost, the write is verified by a read: it succeeded if the stored bytes are ours.
    fn save<'a>(&'a self, bytes: &'a [u8], over: Option<&'a str>) -> BoxFuture<'a, Result<String>>;
    /// Stores `bytes` as `history/NAME`, which is written only once.
    fn keep<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;
    /// The names of all history entries, sorted.
    fn kept(&self) -> BoxFuture<'_, Result<Vec<String>>>;
    /// The history entry `name`.
    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
    /// The stored versions of the state, newest first. Empty if the store keeps no versions.
    fn versions(&self) -> BoxFuture<'_, Result<Vec<Version>>>;
    /// The state in version `id`; `None` if there is no such version, or it is a delete marker.
    fn load_version<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
}

/// One version of the state.
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

/// The current state. Changes are made in memory, and are durable when [`Journal::commit`] returns.
///
/// One write carries all pending changes, so that durability costs one write per round trip, not per resource.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Pending>,
    wake: Notify,
    durable: watch::Sender<Durable>,
}

struct Pending {
    state: State,
    changes: u64,
    closed: bool,
}

#[derive(Clone, Debug)]
struct Durable {
    changes: u64,
    /// Why the state is no longer written.
    ended: Option<Error>,
}

impl Journal {
    /// A journal for `state`, which `store` has as `version`, and its writer, which must run concurrently until it
    /// ends. The writer calls `guard` before every write, so that a holder that lost the lock does not interfere with
    /// the next one.
    ///
    /// However the writer ends (error, panic, abort), everything that waits for it gets an error with the reason.
    pub fn open(
        state: State,
        store: Arc<dyn Store>,
        version: Option<String>,
        guard: Guard,
    ) -> (Self, BoxFuture<'static, Result<()>>) {
        let (durable, _) = watch::channel(Durable { changes: 0, ended: None });
        let shared = Arc::new(Shared {
            state: Mutex::new(Pending { state, changes: 0, closed: false }),
            wake: Notify::new(),
            durable,
        });
        // Created here, so that it is also dropped if the writer never runs.
        let end = End(Arc::clone(&shared));
        let writer = Box::pin(async move {
            let written = write(&end.0, store, version, guard).await;
            if let Err(error) = &written {
                end.0.end(error.clone().at("the state could not be written"));
            }
            written
        });
        (Self { shared }, writer)
    }

    /// Reads the state.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.pending().state)
    }

    /// Changes the state, and waits until the change is durable.
    ///
    /// # Errors
    /// If the state could not be written; no further changes may be made then. The change is still made in memory, for
    /// the rescue file.
    pub async fn commit(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let mut durable = self.shared.durable.subscribe();
        let mine = {
            let mut pending = self.shared.pending();
            change(&mut pending.state);
            pending.changes += 1;
            pending.changes
        };
        self.shared.wake.notify_one();
        let reached = durable.wait_for(|durable| durable.ended.is_some() || durable.changes >= mine).await;
        match reached {
            Ok(durable) if durable.changes >= mine => Ok(()),
            Ok(durable) => Err(durable.ended.clone().unwrap_or_else(gone)),
            Err(_) => Err(gone()),
        }
    }

    /// Checks that the state can still be written.
    ///
    /// # Errors
    /// If the writer has ended; no further changes may be made then.
    pub fn check(&self) -> Result<()> {
        self.shared.durable.borrow().ended.clone().map_or(Ok(()), Err)
    }

    /// Waits until the state can no longer be written, and returns the reason.
    pub fn failed(&self) -> impl Future<Output = Error> + Send + use<> {
        let mut durable = self.shared.durable.subscribe();
        async move {
            let ended = durable.wait_for(|durable| durable.ended.is_some()).await;
            ended.ok().and_then(|durable| durable.ended.clone()).unwrap_or_else(gone)
        }
    }

    /// Tells the writer to end once all changes are durable.
    pub fn close(&self) {
        self.shared.pending().closed = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all that wait. The first reason is kept.
    fn end(&self, ended: Error) {
        self.durable.send_modify(|durable| {
            if durable.ended.is_none() {
                durable.ended = Some(ended);
            }
        });
    }
}

/// Wakes all that wait when the writer ends, however it ends.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let panicked = if std::thread::panicking() { ": its writer panicked" } else { "" };
        self.0.end(Error::failed(format!("{GONE}{panicked}")));
    }
}

const GONE: &str = "the state can no longer be written";

fn gone() -> Error {
    Error::failed(GONE)
}

async fn write(shared: &Shared, store: Arc<dyn Store>, mut version: Option<String>, guard: Guard) -> Result<()> {
    let mut written = 0;
    loop {
        let next = {
            let mut pending = shared.pending();
            if pending.changes > written {
                let revision = pending.state.revision;
                pending.state.revision =
                    revision.checked_add(1).filter(|next| *next <= COUNT_MAX).ok_or_else(|| {
                        Error::invalid(format!(
                            "the state has the invalid revision {revision}: the file is damaged or was tampered with"
                        ))
                        .hint("restore an earlier version of the state")
                    })?;
                Some((pending.state.bytes()?, pending.changes))
            } else if pending.closed {
                return Ok(());
            } else {
                None
            }
        };
        let Some((bytes, changes)) = next else {
            shared.wake.notified().await;
            continue;
        };
        guard()?;
        version = Some(store.save(&bytes, version.as_deref()).await?);
        written = changes;
        shared.durable.send_modify(|durable| durable.changes = changes);
    }
}
