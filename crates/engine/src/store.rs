//! Where the state is kept, and the journal that makes every step durable before the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use crate::error::{Error, Result};
use crate::state::State;

/// What is stored, and the version by which a later write proves that nothing came between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The state.
    pub bytes: Vec<u8>,
    /// An opaque version: an ETag, a hash.
    pub version: String,
}

/// A place for one workspace's state. Every write is conditional: it fails with [`Class::Stale`](crate::Class::Stale)
/// when somebody else wrote.
pub trait Store: Send + Sync + 'static {
    /// The state; `None` if there is none yet.
    fn load(&self) -> BoxFuture<'_, Result<Option<Stored>>>;
    /// Writes `bytes` over the version `over` (`None`: only if nothing is there) and returns the new version.
    ///
    /// An answer that was lost is settled by reading: if the stored bytes are ours, it is success.
    fn save<'a>(&'a self, bytes: &'a [u8], over: Option<&'a str>) -> BoxFuture<'a, Result<String>>;
    /// Keeps `bytes` under `history/NAME`, written once.
    fn keep<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;
    /// The names under `history/`, sorted.
    fn kept(&self) -> BoxFuture<'_, Result<Vec<String>>>;
    /// What was kept under `name`.
    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
    /// The versions of the state that the place still has, newest first. Empty where the place keeps none.
    fn versions(&self) -> BoxFuture<'_, Result<Vec<Version>>>;
    /// The state as it was in the version `id`; `None` if there is no such version, or it is a deletion.
    fn load_version<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
}

/// One version of the state that its place still has.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Version {
    /// Its id, for [`Store::load_version`].
    pub id: String,
    /// When it was written, RFC 3339.
    pub modified: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it says that the state was deleted.
    pub deleted: bool,
}

/// The largest revision, serial or epoch: the largest integer that every reader of JSON keeps exactly.
pub const COUNT_MAX: u64 = 1 << 53;

/// Who holds a lock, for the one who waits for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// User and host.
    pub who: String,
    /// The process.
    pub pid: u32,
    /// The command.
    pub command: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Unique to this run.
    pub nonce: String,
}

/// What stands for each member of a holder's record that cannot be read.
const UNREADABLE: &str = "unreadable";

impl Holder {
    /// The holder whose record cannot be read, with the nonce by which the lock can be taken away from it.
    #[must_use]
    pub fn unreadable(nonce: impl Into<String>) -> Self {
        let unreadable = || UNREADABLE.to_owned();
        Self { who: unreadable(), pid: 0, command: unreadable(), since: unreadable(), nonce: nonce.into() }
    }

    /// Whether the record said who it is.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !(self.pid == 0 && self.who == UNREADABLE)
    }
}

/// A lock for one workspace's state.
pub trait Lock: Send + Sync + 'static {
    /// Takes the lock with an epoch that is greater than the lock's last one, and at least `floor`.
    ///
    /// Pass the epoch of the state plus one, or 0 if there is no state. A lock that was lost or restored from a backup
    /// then continues from the epoch of the state.
    ///
    /// # Errors
    /// [`Class::Locked`](crate::Class::Locked), naming the holder, if somebody else has it and their lease has not run
    /// out.
    fn acquire<'a>(&'a self, holder: &'a Holder, floor: u64) -> BoxFuture<'a, Result<Box<dyn Lease>>>;
    /// The last epoch that was given to a holder; 0 if nobody ever held it.
    fn epoch(&self) -> BoxFuture<'_, Result<u64>>;
    /// Who has it, if anybody has. A record that cannot be read is [`Holder::unreadable`].
    fn holder(&self) -> BoxFuture<'_, Result<Option<Holder>>>;
    /// Takes it away from `holder` (and from nobody else).
    fn force_release<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<()>>;
}

/// Says whether anything may still be changed; whoever is about to send a request asks it, wherever they are.
pub type Guard = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// A held lock, kept alive by a heartbeat of its own.
pub trait Lease: Send + Sync {
    /// Fails with [`Class::Locked`](crate::Class::Locked) once the lease is lost or could not be renewed in time: nothing
    /// may be changed then.
    fn guard(&self) -> Guard;
    /// Asks the guard.
    ///
    /// # Errors
    /// If the lease is lost.
    fn check(&self) -> Result<()> {
        (self.guard())()
    }
    /// Grows with every holder; stored in the state.
    fn epoch(&self) -> u64;
    /// The last epoch that the lock knew, if it knew less than the state: it was recreated or restored from a backup.
    fn lifted_from(&self) -> Option<u64> {
        None
    }
    /// Gives the lock back.
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

/// The state under way: changes are made in memory and are durable when [`Journal::commit`] returns.
///
/// One write carries all changes that are waiting, so that durability costs one write per round trip, not per resource.
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
    /// A journal over `state`, which `store` has as `version`. The second value writes; run it beside the work, to its end.
    /// It asks `guard` before every write: whoever has lost the lock must not get in the way of the next holder.
    ///
    /// However the writer ends (an error, a panic, an abort), everybody who waits for it gets an error with the reason.
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
        // Made here, not in the writer: it also has to be dropped with a writer that never ran.
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

    /// Looks at the state.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.pending().state)
    }

    /// Changes the state and waits until the change is durable.
    ///
    /// # Errors
    /// If the state could not be written; nothing more may be done then. The change is made in memory even so, for the
    /// copy of the state that is kept elsewhere.
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

    /// That the state can still be written.
    ///
    /// # Errors
    /// If the writer has ended; nothing more may be done then.
    pub fn check(&self) -> Result<()> {
        self.shared.durable.borrow().ended.clone().map_or(Ok(()), Err)
    }

    /// Waits until the state can no longer be written, and says why.
    pub fn failed(&self) -> impl Future<Output = Error> + Send + use<> {
        let mut durable = self.shared.durable.subscribe();
        async move {
            let ended = durable.wait_for(|durable| durable.ended.is_some()).await;
            ended.ok().and_then(|durable| durable.ended.clone()).unwrap_or_else(gone)
        }
    }

    /// Lets the writer end once all changes are durable.
    pub fn close(&self) {
        self.shared.pending().closed = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits. The first reason counts.
    fn end(&self, ended: Error) {
        self.durable.send_modify(|durable| {
            if durable.ended.is_none() {
                durable.ended = Some(ended);
            }
        });
    }
}

/// Wakes everybody who waits when the writer is gone, however it ended.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let panicked = if std::thread::panicking() { ": its writer panicked" } else { "" };
        self.0.end(Error::failed(format!("{GONE}{panicked}")));
    }
}

const GONE: &str = "the state is no longer written";

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
                        Error::invalid(format!("the state's revision is {revision}: the file is damaged or forged"))
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
