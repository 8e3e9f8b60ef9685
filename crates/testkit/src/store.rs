//! An in-memory store and lock with the guarantees of the real ones.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use payinfra_engine::{Class, Error, Guard, Holder, Lease, Lock, Result, State, Store, Stored, Version, replayed};
use tokio::time::sleep;

use crate::faults::{Fault, Operation};
use crate::world::World;

/// The maximum number of attempts to resolve an uncertain write.
const SETTLES: usize = 20;

/// An in-memory store for a state. Its calls are calls of the [`World`], with faults and kills.
#[derive(Clone)]
pub struct MemoryStore {
    world: Arc<World>,
    life: usize,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// `None` is a delete marker.
    versions: Vec<Option<Vec<u8>>>,
    log: BTreeMap<u64, Vec<u8>>,
    history: BTreeMap<String, Vec<u8>>,
}

impl MemoryStore {
    /// An empty store in `world`.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), life: 0, kept: Arc::default() }
    }

    /// The same store for another client.
    #[must_use]
    pub fn of(&self, life: usize) -> Self {
        Self { life, ..self.clone() }
    }

    fn inner(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stored state, without faults.
    ///
    /// # Errors
    /// If it is not a state.
    pub fn state(&self) -> Result<Option<State>> {
        let Some(stored) = self.latest() else { return Ok(None) };
        let entries = self.after(stored_revision(&stored.bytes));
        State::parse(&replayed(&stored.bytes, &entries)?).map(Some)
    }

    /// The number of writes: of checkpoints and of log entries.
    #[must_use]
    pub fn writes(&self) -> usize {
        let inner = self.inner();
        inner.versions.len() + inner.log.len()
    }

    /// Simulates that somebody else replaces the state with `bytes`, as the next revision if it is a state.
    pub fn intrude(&self, bytes: &[u8]) {
        let mut inner = self.inner();
        let checkpoint = inner.versions.iter().flatten().map(|bytes| stored_revision(bytes)).max();
        let last = checkpoint.max(inner.log.keys().last().copied()).unwrap_or_default();
        let revision = last.max(stored_revision(bytes)) + 1;
        let bytes = State::parse(bytes).and_then(|state| State { revision, ..state }.bytes()).unwrap_or(bytes.to_vec());
        inner.versions.push(Some(bytes));
        inner.log.insert(revision, Vec::new());
    }

    /// The checkpoints and log entries so far, in bytes.
    #[must_use]
    pub fn written(&self) -> usize {
        let inner = self.inner();
        inner.versions.iter().flatten().chain(inner.log.values()).map(Vec::len).sum()
    }

    /// Simulates the deletion of the state; its versions remain.
    pub fn delete(&self) {
        self.inner().versions.push(None);
    }

    fn latest(&self) -> Option<Stored> {
        let inner = self.inner();
        let bytes = inner.versions.last()?.clone()?;
        Some(Stored { bytes, version: inner.versions.len().to_string() })
    }

    /// Writes, if there was no other write since.
    fn put(&self, bytes: &[u8], over: Option<&str>) -> Result<String> {
        let current = self.latest().map(|stored| stored.version);
        if current.as_deref() != over {
            return Err(Error::new(Class::Stale, "somebody else has written the state").code("PreconditionFailed"));
        }
        let mut inner = self.inner();
        inner.versions.push(Some(bytes.to_vec()));
        Ok(inner.versions.len().to_string())
    }

    /// The log entries after `revision`.
    fn after(&self, revision: u64) -> BTreeMap<u64, Vec<u8>> {
        self.inner().log.range(revision + 1..).map(|(revision, bytes)| (*revision, bytes.clone())).collect()
    }

    /// Calls until there is an answer.
    async fn read<T>(&self, effect: impl Fn() -> T) -> Result<T> {
        for _ in 0..SETTLES {
            match self.call(Operation::Load, || Ok(effect())).await {
                Err(error) if error.is(Class::Ambiguous) || error.is(Class::Throttled) => sleep(Fault::HANG).await,
                answer => return answer,
            }
        }
        Err(Error::failed("the store does not respond"))
    }

    async fn call<T>(&self, operation: Operation, effect: impl Fn() -> Result<T>) -> Result<T> {
        let ticket = self.world.depart(self.life, operation, "", None, "state").await?;
        let answer = effect();
        self.world.arrive(ticket, answer).await
    }
}

impl Store for MemoryStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Stored>>> {
        self.read(|| self.latest()).boxed()
    }

    fn save<'a>(&'a self, bytes: &'a [u8], over: Option<&'a str>) -> BoxFuture<'a, Result<String>> {
        async move {
            let mut lost = false;
            for _ in 0..SETTLES {
                match self.call(Operation::Save, || self.put(bytes, over)).await {
                    Err(error) if error.is(Class::Throttled) => {}
                    Err(error) if error.is(Class::Ambiguous) => lost = true,
                    Err(error) if error.is(Class::Stale) && lost => {
                        let ours = self.load().await?.filter(|stored| stored.bytes == bytes);
                        return ours.map(|stored| stored.version).ok_or(error);
                    }
                    answer => return answer,
                }
            }
            Err(Error::failed("the store does not respond"))
        }
        .boxed()
    }

    fn append<'a>(&'a self, revision: u64, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        let put = move || match self.inner().log.entry(revision) {
            Entry::Occupied(_) => {
                Err(Error::new(Class::Stale, "somebody else has written the state").code("PreconditionFailed"))
            }
            Entry::Vacant(place) => {
                place.insert(bytes.to_vec());
                Ok(())
            }
        };
        async move {
            let mut lost = false;
            for _ in 0..SETTLES {
                match self.call(Operation::Save, put).await {
                    Err(error) if error.is(Class::Throttled) => {}
                    Err(error) if error.is(Class::Ambiguous) => lost = true,
                    Err(error) if error.is(Class::Stale) && lost => {
                        let ours = self.entry(revision).await?.is_some_and(|there| there == bytes);
                        return if ours { Ok(()) } else { Err(error) };
                    }
                    answer => return answer,
                }
            }
            Err(Error::failed("the store does not respond"))
        }
        .boxed()
    }

    fn entries(&self, after: u64) -> BoxFuture<'_, Result<Vec<u64>>> {
        self.read(move || self.after(after).into_keys().collect()).boxed()
    }

    fn entry(&self, revision: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>>> {
        self.read(move || self.inner().log.get(&revision).cloned()).boxed()
    }

    fn prune(&self, _: u64) -> BoxFuture<'_, Result<()>> {
        // No run takes longer than log entries stay.
        async { Ok(()) }.boxed()
    }

    fn keep<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        async move {
            self.inner().history.entry(name.to_owned()).or_insert_with(|| bytes.to_vec());
            Ok(())
        }
        .boxed()
    }

    fn kept(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        async move { Ok(self.inner().history.keys().cloned().collect()) }.boxed()
    }

    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        async move { Ok(self.inner().history.get(name).cloned()) }.boxed()
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<Version>>> {
        async move {
            let inner = self.inner();
            let versions = inner.versions.iter().zip(1..).map(|(bytes, number)| Version {
                id: format!("{number}"),
                // A second for each write since the start of the world.
                modified: format!("2026-01-01T{:02}:{:02}:{:02}Z", number / 3600 % 24, number / 60 % 60, number % 60),
                size: bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
                deleted: bytes.is_none(),
            });
            let mut versions: Vec<_> = versions.collect();
            versions.reverse();
            Ok(versions)
        }
        .boxed()
    }

    fn load_version<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        async move {
            let index = id.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            Ok(index.and_then(|index| self.inner().versions.get(index).cloned()).flatten())
        }
        .boxed()
    }
}

/// The revision of a state, 0 if there is none.
fn stored_revision(bytes: &[u8]) -> u64 {
    State::parse(bytes).map_or(0, |state| state.revision)
}

/// A lock in memory.
#[derive(Clone, Default)]
pub struct MemoryLock {
    held: Arc<Mutex<Option<Held>>>,
    epoch: Arc<AtomicU64>,
}

struct Held {
    holder: Holder,
    lost: Arc<AtomicBool>,
}

impl MemoryLock {
    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The holder's lease expires.
    pub fn lose(&self) {
        if let Some(held) = self.held().take() {
            held.lost.store(true, Ordering::SeqCst);
        }
    }

    /// The lock's data is lost, and a new lock is created.
    pub fn forget(&self) {
        self.lose();
        self.epoch.store(0, Ordering::SeqCst);
    }
}

impl Lock for MemoryLock {
    fn acquire<'a>(&'a self, holder: &'a Holder, floor: u64) -> BoxFuture<'a, Result<Box<dyn Lease>>> {
        async move {
            let mut held = self.held();
            if let Some(held) = &*held {
                let message = format!("{} has held the lock since {}", held.holder.who, held.holder.since);
                return Err(Error::new(Class::Locked, message));
            }
            let lost = Arc::new(AtomicBool::new(false));
            *held = Some(Held { holder: holder.clone(), lost: Arc::clone(&lost) });
            // No other task changes it: `held` is locked.
            let known = self.epoch.load(Ordering::SeqCst);
            let epoch = floor.max(known + 1);
            self.epoch.store(epoch, Ordering::SeqCst);
            let lifted_from = (known + 1 < floor).then_some(known);
            let lease: Box<dyn Lease> = Box::new(MemoryLease { lock: self.clone(), lost, epoch, lifted_from });
            Ok(lease)
        }
        .boxed()
    }

    fn epoch(&self) -> BoxFuture<'_, Result<u64>> {
        async move { Ok(self.epoch.load(Ordering::SeqCst)) }.boxed()
    }

    fn holder(&self) -> BoxFuture<'_, Result<Option<Holder>>> {
        async move { Ok(self.held().as_ref().map(|held| held.holder.clone())) }.boxed()
    }

    fn force_release<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<()>> {
        async move {
            if self.held().as_ref().is_some_and(|held| held.holder == *holder) {
                self.lose();
            }
            Ok(())
        }
        .boxed()
    }
}

struct MemoryLease {
    lock: MemoryLock,
    lost: Arc<AtomicBool>,
    epoch: u64,
    lifted_from: Option<u64>,
}

impl Lease for MemoryLease {
    fn guard(&self) -> Guard {
        let lost = Arc::clone(&self.lost);
        Arc::new(move || {
            if lost.load(Ordering::SeqCst) {
                Err(Error::new(Class::Locked, "the lease was lost").hint("run it again"))
            } else {
                Ok(())
            }
        })
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn lifted_from(&self) -> Option<u64> {
        self.lifted_from
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        async move {
            if self.check().is_ok() {
                *self.lock.held() = None;
            }
            Ok(())
        }
        .boxed()
    }
}
