//! The state in a folder, with the same guarantees as in S3: conditional, durable, locked. For one machine.
//!
//! `state.json`, `journal/` and `history/` are the state. `lock.json` has the holder and the epoch. `lock` is locked through the
//! operating system, so that the lock is released when its holder dies. `guard` is locked for the moments in which one
//! of these files is read and changed.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use payinfra_engine::{
    Class, Error, Guard, Holder, KEPT, Lease, Lock, Result, Store, Stored, Version, entry_name, entry_revision,
};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::disk::{self, Readers, failed};
use crate::dynamo::{locked, not_theirs};
use crate::epoch::next_epoch;
use crate::name::check_name;
use crate::s3::{stale, taken};

/// How long to wait for the guard; holders need milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state of one workspace: the folder `STACK/WORKSPACE/`.
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: Folder,
}

/// The lock of one workspace, in the same folder.
#[derive(Clone, Debug)]
pub struct FileLock {
    folder: Folder,
}

impl FileStore {
    /// The state of `workspace` of `stack` under `path`.
    #[must_use]
    pub fn new(path: &Path, stack: &str, workspace: &str) -> Self {
        Self { folder: Folder(path.join(stack).join(workspace)) }
    }
}

impl FileLock {
    /// The lock of `workspace` of `stack` under `path`.
    #[must_use]
    pub fn new(path: &Path, stack: &str, workspace: &str) -> Self {
        Self { folder: Folder(path.join(stack).join(workspace)) }
    }
}

impl Store for FileStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<Stored>>> {
        self.folder.aside(|folder| Ok(folder.read("state.json")?.map(stored)))
    }

    fn save<'a>(&'a self, bytes: &'a [u8], over: Option<&'a str>) -> BoxFuture<'a, Result<String>> {
        let (bytes, over) = (bytes.to_vec(), over.map(str::to_owned));
        self.folder.aside(move |folder| {
            let _guard = folder.guard()?;
            let there = folder.read("state.json")?.map(|there| version(&there));
            if there != over {
                return Err(stale(&folder.0.join("state.json").display().to_string()));
            }
            folder.write("state.json", &bytes)?;
            Ok(version(&bytes))
        })
    }

    fn append<'a>(&'a self, revision: u64, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        let bytes = bytes.to_vec();
        self.folder.aside(move |folder| {
            let _guard = folder.guard()?;
            let (journal, name) = (folder.inner("journal"), entry_name(revision));
            if journal.read(&name)?.is_some() {
                return Err(stale(&journal.0.join(&name).display().to_string()));
            }
            journal.write(&name, &bytes)
        })
    }

    fn entries(&self, after: u64) -> BoxFuture<'_, Result<Vec<u64>>> {
        self.folder.aside(move |folder| {
            let revisions = folder.inner("journal").names()?;
            Ok(revisions.iter().filter_map(|name| entry_revision(name)).filter(|it| *it > after).collect())
        })
    }

    fn entry(&self, revision: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>>> {
        self.folder.aside(move |folder| folder.inner("journal").read(&entry_name(revision)))
    }

    fn prune(&self, revision: u64) -> BoxFuture<'_, Result<()>> {
        self.folder.aside(move |folder| {
            let journal = folder.inner("journal");
            for name in journal.names()?.iter().filter(|name| entry_revision(name).is_some_and(|it| it <= revision)) {
                let path = journal.0.join(name);
                let modified = fs::metadata(&path).and_then(|it| it.modified()).map_err(failed(&path, "read"))?;
                if modified.elapsed().is_ok_and(|age| age > KEPT) {
                    fs::remove_file(&path).map_err(failed(&path, "removed"))?;
                }
            }
            Ok(())
        })
    }

    fn keep<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        self.folder.aside(move |folder| {
            check_name("history entry", &name)?;
            let _guard = folder.guard()?;
            let history = folder.inner("history");
            match history.read(&name)? {
                None => history.write(&name, &bytes),
                Some(there) if there == bytes => Ok(()),
                Some(_) => Err(taken(&history.0.join(&name).display().to_string())),
            }
        })
    }

    fn kept(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.folder.aside(|folder| folder.inner("history").names())
    }

    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        let name = name.to_owned();
        self.folder.aside(move |folder| {
            check_name("history entry", &name)?;
            folder.inner("history").read(&name)
        })
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<Version>>> {
        // A folder keeps no versions.
        Box::pin(async { Ok(Vec::new()) })
    }

    fn load_version<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async { Ok(None) })
    }
}

impl Lock for FileLock {
    fn acquire<'a>(&'a self, holder: &'a Holder, floor: u64) -> BoxFuture<'a, Result<Box<dyn Lease>>> {
        let holder = holder.clone();
        self.folder.aside(move |folder| {
            let _guard = folder.guard()?;
            let mut about = folder.about()?;
            let Some(file) = folder.try_lock()? else {
                let unknown = || Error::new(Class::Locked, "the lock is held by an unknown process");
                return Err(about.holder.as_ref().map_or_else(unknown, |holder| locked(holder, Duration::ZERO)));
            };
            let next = next_epoch(about.epoch, floor, &folder.0.join("lock.json").display().to_string())?;
            about = About { epoch: next.epoch, holder: Some(holder.clone()) };
            folder.write_about(&about)?;
            let lease = FileLease {
                folder: folder.clone(),
                nonce: holder.nonce,
                epoch: next.epoch,
                lifted_from: next.lifted_from,
                file,
            };
            Ok(Box::new(lease) as Box<dyn Lease>)
        })
    }

    fn epoch(&self) -> BoxFuture<'_, Result<u64>> {
        self.folder.aside(|folder| Ok(folder.about()?.epoch))
    }

    fn holder(&self) -> BoxFuture<'_, Result<Option<Holder>>> {
        self.folder.aside(|folder| {
            if folder.read("lock.json")?.is_none() {
                return Ok(None);
            }
            let _guard = folder.guard()?;
            // If the file can be locked, there is no holder, whatever `lock.json` says: it died.
            Ok(if folder.try_lock()?.is_some() { None } else { folder.about()?.holder })
        })
    }

    fn force_release<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<()>> {
        let nonce = holder.nonce.clone();
        self.folder.aside(move |folder| {
            let _guard = folder.guard()?;
            let about = folder.about()?;
            match &about.holder {
                Some(holder) if holder.nonce == nonce => {}
                other => return Err(not_theirs(other.as_ref())),
            }
            // First the notice that tells a live holder; then the file, whose lock that process cannot be forced to
            // release.
            folder.write_about(&About { holder: None, ..about })?;
            let path = folder.0.join("lock");
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, "removed")(error)),
                _ => Ok(()),
            }
        })
    }
}

/// The held lock; it lasts as long as `file` is open.
struct FileLease {
    folder: Folder,
    nonce: String,
    epoch: u64,
    lifted_from: Option<u64>,
    file: File,
}

impl Lease for FileLease {
    fn guard(&self) -> Guard {
        let (folder, nonce) = (self.folder.clone(), self.nonce.clone());
        Arc::new(move || match folder.about()?.holder {
            Some(holder) if holder.nonce == nonce => Ok(()),
            _ => Err(Error::new(Class::Locked, "the lock was taken over from this run")
                .hint("run the same command again to continue")),
        })
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn lifted_from(&self) -> Option<u64> {
        self.lifted_from
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        let Self { folder, nonce, file, .. } = *self;
        Box::pin(async move {
            let released = folder.aside(move |folder| {
                let _guard = folder.guard()?;
                let about = folder.about()?;
                match &about.holder {
                    Some(holder) if holder.nonce == nonce => {}
                    other => return Err(not_theirs(other.as_ref())),
                }
                folder.write_about(&About { holder: None, ..about })?;
                drop(file);
                Ok(())
            });
            released.await
        })
    }
}

/// The holder, and the last epoch.
#[derive(Default, Serialize)]
struct About {
    epoch: u64,
    holder: Option<Holder>,
}

impl About {
    /// Parses `bytes` as far as possible: a damaged record must not block everybody forever.
    fn of(bytes: &[u8]) -> Self {
        // The contents serve as the nonce, so that exactly this record is released.
        let unreadable = || Some(Holder::unreadable(format!("unreadable-{}", version(bytes))));
        let Ok(Value::Object(about)) = serde_json::from_slice(bytes) else {
            return Self { epoch: 0, holder: unreadable() };
        };
        let epoch = about.get("epoch").and_then(Value::as_u64);
        let holder = match about.get("holder") {
            Some(Value::Null) if epoch.is_some() => None,
            Some(holder) => serde_json::from_value(holder.clone()).ok().or_else(unreadable),
            None => unreadable(),
        };
        // If there is no epoch, it continues from the state's.
        Self { epoch: epoch.unwrap_or(0), holder }
    }
}

/// The folder of one workspace.
#[derive(Clone, Debug)]
struct Folder(PathBuf);

impl Folder {
    /// Runs blocking file operations on a thread where blocking does no harm.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let folder = self.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&folder)).await;
            done.map_err(|error| Error::failed("the state could not be accessed").source(error))?
        })
    }

    /// The folder `name` in it.
    fn inner(&self, name: &str) -> Self {
        Self(self.0.join(name))
    }

    /// The names of its files, sorted; none if it does not exist.
    fn names(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed(&self.0, "read"))?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<std::io::Result<Vec<_>>>().map_err(failed(&self.0, "read"))?;
        // Temporary files that a crash left start with a dot.
        let mut names: Vec<_> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        disk::read(&self.0.join(name))
    }

    /// Writes atomically and durably. Call it with the guard held.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.0.join(name);
        disk::write(&path, bytes, Readers::Owner)?;
        disk::clean(&path);
        Ok(())
    }

    fn guard(&self) -> Result<File> {
        let begun = Instant::now();
        loop {
            if let Some(file) = self.lock_file("guard")? {
                return Ok(file);
            }
            if begun.elapsed() > PATIENCE {
                let path = self.0.join("guard");
                return Err(Error::new(Class::Locked, format!("another process has locked {}", path.display()))
                    .hint("check for a suspended payinfra process"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The lock, if it is free. Call it with the guard held.
    fn try_lock(&self) -> Result<Option<File>> {
        self.lock_file("lock")
    }

    fn lock_file(&self, name: &str) -> Result<Option<File>> {
        let path = self.0.join(name);
        let file = disk::open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(failed(&path, "locked")(error)),
        }
    }

    fn about(&self) -> Result<About> {
        Ok(self.read("lock.json")?.map_or_else(About::default, |bytes| About::of(&bytes)))
    }

    fn write_about(&self, about: &About) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(about).map_err(|error| Error::failed(error.to_string()))?;
        self.write("lock.json", &bytes)
    }
}

fn stored(bytes: Vec<u8>) -> Stored {
    Stored { version: version(&bytes), bytes }
}

fn version(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
