//! The journal that makes every change of the state durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::address::Address;
use crate::error::{Error, Result};
use crate::log::{self, Entry};
use crate::state::{Record, State};
use crate::store::{Guard, Store};

/// The size in bytes up to which a log grows before a checkpoint, however small the state is.
const LOG: usize = 1 << 20;

/// How long a write waits for changes that follow at once, such as the intents of what a finished resource releases.
const GATHER: Duration = Duration::from_millis(2);

/// The current state. Changes are made in memory, and are durable when [`Journal::commit`] returns.
///
/// One write carries all pending changes, so that durability costs one write per round trip, not per resource. It has only
/// what changed. A checkpoint of the whole state follows the first write, the last one, a change of the outputs, and the
/// write after which the log is larger than 1 MiB and twice the state.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Pending>,
    wake: Notify,
    /// The number of durable changes.
    durable: watch::Sender<u64>,
    /// Why the state is no longer written. Apart from `durable`, so that a write wakes only those that wait for one.
    ended: watch::Sender<Option<Error>>,
}

struct Pending {
    state: State,
    dirty: Dirty,
    changes: u64,
    closed: bool,
}

/// What has changed since the last write.
#[derive(Default)]
struct Dirty {
    resources: BTreeSet<Address>,
    outputs: bool,
    operations: bool,
}

/// A change that is made, and may not be durable yet.
pub(crate) struct Change(u64);

/// A change of the state.
pub struct Draft<'a> {
    state: &'a mut State,
    dirty: &'a mut Dirty,
}

impl Draft<'_> {
    /// The state with the changes so far.
    #[must_use]
    pub fn state(&self) -> &State {
        self.state
    }

    /// Begins a run, which holds the lock with `epoch`.
    pub fn begin(&mut self, epoch: u64) {
        self.state.serial = self.state.serial.saturating_add(1);
        self.state.epoch = epoch;
    }

    /// The record of `address`; a new one if there is none.
    pub fn record(&mut self, address: &Address) -> &mut Record {
        self.dirty.resources.insert(address.clone());
        self.state.resources.entry(address.clone()).or_default()
    }

    /// Removes the record of `address`.
    pub fn remove(&mut self, address: &Address) {
        self.dirty.resources.insert(address.clone());
        self.state.resources.remove(address);
    }

    /// Moves records to other addresses; see [`State::move_records`].
    pub fn move_records(&mut self, from: &BTreeMap<Address, Address>) {
        if from.is_empty() {
            return;
        }
        // The records that refer to them change as well.
        self.dirty.resources.extend(self.state.resources.keys().cloned());
        self.state.move_records(from);
        self.dirty.resources.extend(self.state.resources.keys().cloned());
    }

    /// The outputs.
    pub fn outputs(&mut self) -> &mut BTreeMap<String, Value> {
        self.dirty.outputs = true;
        &mut self.state.outputs
    }

    /// The operations.
    pub fn operations(&mut self) -> &mut BTreeMap<String, Value> {
        self.dirty.operations = true;
        &mut self.state.operations
    }
}

impl Journal {
    /// A journal for `state`, whose checkpoint `store` has as `version`, and its writer, which must run concurrently until it
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
        let shared = Arc::new(Shared {
            state: Mutex::new(Pending { state, dirty: Dirty::default(), changes: 0, closed: false }),
            wake: Notify::new(),
            durable: watch::channel(0).0,
            ended: watch::channel(None).0,
        });
        // Created here, so that it is also dropped if the writer never runs.
        let end = End(Arc::clone(&shared));
        let writer = Box::pin(async move {
            let writer = Writer { shared: &end.0, store, guard, version, sizes: None };
            let written = writer.run().await;
            if let Err(error) = &written {
                // The revision that failed may be stored, without what changed since. The state in memory is newer.
                let state = &mut end.0.pending().state;
                state.revision = state.revision.saturating_add(1);
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
    pub async fn commit(&self, change: impl FnOnce(&mut Draft<'_>)) -> Result<()> {
        self.durable(self.change(change)).await
    }

    /// Changes the state at once. Changes become durable in their order, so one that follows is not durable before this one.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Draft<'_>)) -> Change {
        let pending = &mut *self.shared.pending();
        change(&mut Draft { state: &mut pending.state, dirty: &mut pending.dirty });
        pending.changes += 1;
        self.shared.wake.notify_one();
        Change(pending.changes)
    }

    /// Waits until `change` is durable.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub(crate) async fn durable(&self, change: Change) -> Result<()> {
        let mut durable = self.shared.durable.subscribe();
        tokio::select! {
            biased;
            Ok(_) = durable.wait_for(|durable| *durable >= change.0) => Ok(()),
            error = self.failed() => Err(error),
        }
    }

    /// Checks that the state can still be written.
    ///
    /// # Errors
    /// If the writer has ended; no further changes may be made then.
    pub fn check(&self) -> Result<()> {
        self.shared.ended.borrow().clone().map_or(Ok(()), Err)
    }

    /// Waits until the state can no longer be written, and returns the reason.
    pub fn failed(&self) -> impl Future<Output = Error> + Send + use<> {
        let mut ended = self.shared.ended.subscribe();
        async move {
            let ended = ended.wait_for(Option::is_some).await;
            ended.ok().and_then(|ended| ended.clone()).unwrap_or_else(gone)
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
        self.ended.send_if_modified(|known| {
            let is_first = known.is_none();
            if is_first {
                *known = Some(ended);
            }
            is_first
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

/// Writes what has changed.
struct Writer<'a> {
    shared: &'a Shared,
    store: Arc<dyn Store>,
    guard: Guard,
    /// The version of the checkpoint.
    version: Option<String>,
    /// The sizes of the last checkpoint of this run, and of the log since.
    sizes: Option<(usize, usize)>,
}

impl Writer<'_> {
    async fn run(mut self) -> Result<()> {
        let mut written = 0;
        loop {
            let (changes, closed, revision) = {
                let pending = self.shared.pending();
                (pending.changes, pending.closed, pending.state.revision)
            };
            if changes == written {
                if closed {
                    return self.end().await;
                }
                self.shared.wake.notified().await;
                continue;
            }
            let next = log::next(&*self.store, revision, self.version.as_deref()).await?;
            sleep(GATHER).await;
            let (entry, checkpoint, changes) = self.take(next);
            let bytes = entry.bytes()?;
            (self.guard)()?;
            self.store.append(next, &bytes).await?;
            if let Some((_, log)) = &mut self.sizes {
                *log += bytes.len();
            }
            if let Some(state) = checkpoint {
                self.checkpoint(&state).await?;
            }
            written = changes;
            self.shared.durable.send_replace(changes);
        }
    }

    /// What has changed, as the entry of the revision `next`; if it is time for a checkpoint, the state; and the number of
    /// changes that they contain.
    fn take(&self, next: u64) -> (Entry, Option<State>, u64) {
        let pending = &mut *self.shared.pending();
        pending.state.revision = next;
        let Dirty { resources, outputs, operations } = std::mem::take(&mut pending.dirty);
        let state = &pending.state;
        // The first write of this run is a checkpoint: its state may not continue the stored one, or have an older format.
        let Some((checkpoint, log)) = self.sizes else {
            return (Entry::of(state, true), Some(state.clone()), pending.changes);
        };
        let mut entry = Entry::of(state, false);
        let records = resources.into_iter().map(|address| {
            let record = state.resources.get(&address).cloned();
            (address, record)
        });
        entry.resources = records.collect();
        entry.outputs = outputs.then(|| state.outputs.clone());
        entry.operations = operations.then(|| state.operations.clone());
        // Other workspaces read the outputs, and only from the checkpoint.
        let due = outputs || log > LOG.max(2 * checkpoint);
        (entry, due.then(|| state.clone()), pending.changes)
    }

    async fn checkpoint(&mut self, state: &State) -> Result<()> {
        let bytes = state.bytes()?;
        (self.guard)()?;
        self.version = Some(self.store.save(&bytes, self.version.as_deref()).await?);
        self.sizes = Some((bytes.len(), 0));
        Ok(())
    }

    /// Writes the last checkpoint, and deletes old entries.
    async fn end(&mut self) -> Result<()> {
        if self.sizes.is_some_and(|(_, log)| log > 0) {
            let state = self.shared.pending().state.clone();
            self.checkpoint(&state).await?;
        }
        if self.sizes.is_some() {
            let revision = self.shared.pending().state.revision;
            if let Err(error) = self.store.prune(revision).await {
                // They take up space, and the next run tries again.
                tracing::debug!("old entries of the journal could not be deleted: {error}");
            }
        }
        Ok(())
    }
}
