//! Where the state is kept, and the journal that makes every step durable before the next.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use crate::error::{Class, Error, Result};
use crate::state::State;

/// What is stored, and the version by which a later write proves that nothing came between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The state.
    pub bytes: Vec<u8>,
    /// An opaque version: an ETag, a hash.
    pub version: String,
}

/// A place for one workspace's state. Every write is conditional: it fails with [`Class::Stale`] when somebody else wrote.
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
}

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

/// A lock for one workspace's state.
pub trait Lock: Send + Sync + 'static {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`Class::Locked`], naming the holder, if somebody else has it and their lease has not run out.
    fn acquire<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<Box<dyn Lease>>>;
    /// Who has it, if anybody has.
    fn holder(&self) -> BoxFuture<'_, Result<Option<Holder>>>;
    /// Takes it away from `holder` (and from nobody else).
    fn force_release<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<()>>;
}

/// Says whether anything may still be changed; whoever is about to send a request asks it, wherever they are.
pub type Guard = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// A held lock, kept alive by a heartbeat of its own.
pub trait Lease: Send + Sync {
    /// Fails with [`Class::Locked`] once the lease is lost or could not be renewed in time: nothing may be changed then.
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
    failure: Option<Failure>,
}

#[derive(Clone, Debug)]
struct Failure {
    class: Class,
    message: String,
}

impl Journal {
    /// A journal over `state`, which `store` has as `version`. The second value writes; run it beside the work, to its end.
    pub fn open(
        state: State,
        store: Arc<dyn Store>,
        version: Option<String>,
    ) -> (Self, BoxFuture<'static, Result<()>>) {
        let (durable, _) = watch::channel(Durable { changes: 0, failure: None });
        let shared = Arc::new(Shared {
            state: Mutex::new(Pending { state, changes: 0, closed: false }),
            wake: Notify::new(),
            durable,
        });
        let writer = Box::pin(write(Arc::clone(&shared), store, version));
        (Self { shared }, writer)
    }

    /// Looks at the state.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).state)
    }

    /// Changes the state and waits until the change is durable.
    ///
    /// # Errors
    /// If the state could not be written; nothing more may be done then.
    pub async fn commit(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let mine = {
            let mut pending = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut pending.state);
            pending.changes += 1;
            pending.changes
        };
        self.shared.wake.notify_one();
        let mut durable = self.shared.durable.subscribe();
        let reached = durable.wait_for(|durable| durable.failure.is_some() || durable.changes >= mine).await;
        match reached {
            Ok(durable) if durable.changes >= mine => Ok(()),
            Ok(durable) => Err(durable.failure.as_ref().map_or_else(gone, |it| Error::new(it.class, &it.message))),
            Err(_) => Err(gone()),
        }
    }

    /// That the state can still be written.
    ///
    /// # Errors
    /// If a write failed; nothing more may be done then.
    pub fn check(&self) -> Result<()> {
        match &self.shared.durable.borrow().failure {
            None => Ok(()),
            Some(failure) => Err(Error::new(failure.class, &failure.message)),
        }
    }

    /// Ends when the state can no longer be written, with the reason.
    pub async fn failed(&self) -> Error {
        let mut durable = self.shared.durable.subscribe();
        match durable.wait_for(|durable| durable.failure.is_some()).await {
            Ok(durable) => durable.failure.as_ref().map_or_else(gone, |it| Error::new(it.class, &it.message)),
            Err(_) => gone(),
        }
    }

    /// Lets the writer end once all changes are durable.
    pub fn close(&self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.wake.notify_one();
    }
}

fn gone() -> Error {
    Error::failed("the state is no longer written")
}

async fn write(shared: Arc<Shared>, store: Arc<dyn Store>, mut version: Option<String>) -> Result<()> {
    let mut written = 0;
    loop {
        let next = {
            let mut pending = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.changes > written {
                pending.state.revision += 1;
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
        match store.save(&bytes, version.as_deref()).await {
            Ok(new) => {
                version = Some(new);
                written = changes;
                shared.durable.send_modify(|durable| durable.changes = changes);
            }
            Err(error) => {
                let failure =
                    Failure { class: error.class(), message: format!("the state could not be written: {error}") };
                shared.durable.send_modify(|durable| durable.failure = Some(failure));
                return Err(error);
            }
        }
    }
}
