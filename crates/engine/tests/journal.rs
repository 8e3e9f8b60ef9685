//! However the writer of the state ends, nothing waits for it forever.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use payinfra_engine::{COUNT_MAX, Class, Error, Guard, Journal, Result, State, Store, Stored, Version};
use tokio::time::timeout;

/// A store in which every write ends the same way.
#[derive(Clone, Copy)]
enum Write {
    Works,
    Fails,
    Panics,
    Hangs,
}

impl Store for Write {
    fn load(&self) -> BoxFuture<'_, Result<Option<Stored>>> {
        async { Ok(None) }.boxed()
    }

    fn save<'a>(&'a self, _: &'a [u8], _: Option<&'a str>) -> BoxFuture<'a, Result<String>> {
        async {
            match self {
                Self::Works => Ok("version".to_owned()),
                Self::Fails => Err(Error::new(Class::Stale, "somebody else wrote it").hint("plan again")),
                Self::Panics => panic!("as the test asks for"),
                Self::Hangs => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn append<'a>(&'a self, _: u64, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        self.save(bytes, None).map(|saved| saved.map(drop)).boxed()
    }

    fn entries(&self, _: u64) -> BoxFuture<'_, Result<Vec<u64>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn entry(&self, _: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>>> {
        async { Ok(None) }.boxed()
    }

    fn prune(&self, _: u64) -> BoxFuture<'_, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn keep<'a>(&'a self, _: &'a str, _: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed()
    }

    fn kept(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn recall<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        async { Ok(None) }.boxed()
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<Version>>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn load_version<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        async { Ok(None) }.boxed()
    }
}

fn state(revision: u64) -> State {
    State { revision, ..State::new("stack", "test", "123456789012") }
}

/// A journal whose holder has the lock.
fn open(state: State, write: Write) -> (Journal, BoxFuture<'static, Result<()>>) {
    Journal::open(state, Arc::new(write), None, Arc::new(|| Ok(())))
}

/// Much longer than these tests take; they use tokio's clock, which is paused.
const SOON: Duration = Duration::from_secs(1);

/// Checks what `commit` returns before and after the writer has ended.
async fn told(journal: Journal, class: Class, part: &str) {
    let waiting = timeout(SOON, journal.commit(|draft| draft.begin(1))).await.unwrap().unwrap_err();
    let failed = timeout(SOON, journal.failed()).await.unwrap();
    let after = timeout(SOON, journal.commit(|draft| draft.begin(1))).await.unwrap().unwrap_err();
    for error in [waiting, failed, after, journal.check().unwrap_err()] {
        assert!(error.is(class) && error.message().contains(part), "{:?}: {error}", error.class());
    }
    // Even so, the changes are in memory, for the rescue file.
    assert_eq!(journal.look(|state| state.serial), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_told_with_its_reason() {
    let (journal, writer) = open(state(0), Write::Fails);
    let writer = tokio::spawn(writer);
    let failed = journal.failed();
    assert!(journal.check().is_ok());
    told(journal, Class::Stale, "somebody else wrote it").await;
    assert_eq!(failed.await.get_hint(), Some("plan again"));
    assert!(writer.await.unwrap().unwrap_err().is(Class::Stale));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_after_the_lock_is_lost() {
    let lost: Guard = Arc::new(|| Err(Error::new(Class::Locked, "the lock was lost")));
    let (journal, writer) = Journal::open(state(0), Arc::new(Write::Panics), None, lost);
    let writer = tokio::spawn(writer);
    told(journal, Class::Locked, "the lock was lost").await;
    assert!(writer.await.unwrap().unwrap_err().is(Class::Locked));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_panics_wakes_who_waits() {
    let (journal, writer) = open(state(0), Write::Panics);
    let writer = tokio::spawn(writer);
    told(journal, Class::Failed, "its writer panicked").await;
    assert!(writer.await.unwrap_err().is_panic());
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_aborted_wakes_who_waits() {
    let (journal, writer) = open(state(0), Write::Hangs);
    let writer = tokio::spawn(writer);
    let other = journal.clone();
    let waiting = tokio::spawn(async move { told(other, Class::Failed, "can no longer be written").await });
    tokio::task::yield_now().await;
    writer.abort();
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_never_ran_wakes_who_waits() {
    let (journal, writer) = open(state(0), Write::Works);
    drop(writer);
    told(journal, Class::Failed, "can no longer be written").await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_committed_after_the_close() {
    let (journal, writer) = open(state(0), Write::Works);
    let writer = tokio::spawn(writer);
    journal.commit(|_| ()).await.unwrap();
    journal.close();
    writer.await.unwrap().unwrap();
    let late = timeout(SOON, journal.commit(|_| ())).await.unwrap();
    assert!(late.unwrap_err().message().contains("can no longer be written"));
}

#[tokio::test(start_paused = true)]
async fn a_revision_at_its_limit_is_an_error() {
    for revision in [COUNT_MAX, u64::MAX] {
        let (journal, writer) = open(state(revision), Write::Works);
        let writer = tokio::spawn(writer);
        told(
            journal,
            Class::Invalid,
            &format!("invalid revision {revision}: the file is damaged or was tampered with"),
        )
        .await;
        let error = writer.await.unwrap().unwrap_err();
        assert!(error.get_hint().unwrap().contains("restore an earlier version"), "{error}");
    }
    let (journal, writer) = open(state(COUNT_MAX - 1), Write::Works);
    tokio::spawn(writer);
    journal.commit(|_| ()).await.unwrap();
    assert_eq!(journal.look(|state| state.revision), COUNT_MAX);
}
