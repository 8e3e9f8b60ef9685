//! The log of the state: what is read of it, and who may write it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use payinfra_engine::{
    Address, Class, Error, FORMAT, Journal, Record, Result, State, Store, completed, entry_name, entry_revision,
    overwrite, read, replayed,
};
use payinfra_testkit::{MemoryStore, World};
use serde_json::{Value, json};

fn state(revision: u64) -> State {
    let state = State::new("stack", "test", "123456789012");
    State { lineage: "one".to_owned(), serial: 3, revision, ..state }
}

fn address(name: &str) -> Address {
    format!("east/fake.named/{name}").parse().unwrap()
}

fn record(id: &str) -> Record {
    Record { id: Some(id.to_owned()), ..Record::default() }
}

/// An entry of the run of [`state`] that records a resource with the name `name`.
fn entry(revision: u64, name: &str) -> Value {
    json!({
        "format": FORMAT, "lineage": "one", "serial": 3, "revision": revision, "epoch": 1,
        "resources": { address(name).to_string(): record(name) },
    })
}

/// The state with a checkpoint of revision 4 and these entries.
fn replay(entries: impl IntoIterator<Item = (u64, Value)>) -> Result<State> {
    let entries = entries.into_iter().map(|(revision, entry)| (revision, entry.to_string().into_bytes()));
    State::parse(&replayed(&state(4).bytes()?, &entries.collect())?)
}

fn names(state: &State) -> Vec<&str> {
    state.resources.keys().map(|address| &*address.name).collect()
}

/// A journal that writes to `store`, with the lock.
async fn journal(store: &MemoryStore) -> Journal {
    let kept = read(store).await.unwrap();
    let loaded = kept.as_ref().map_or_else(|| state(0), |kept| State::parse(&kept.bytes).unwrap());
    let revision = kept.as_ref().map_or(0, |kept| kept.last);
    let version = kept.map(|kept| kept.version);
    let loaded = State { revision, ..loaded };
    let (journal, writer) = Journal::open(loaded, Arc::new(store.clone()), version, Arc::new(|| Ok(())));
    tokio::spawn(writer);
    journal
}

async fn adds(journal: &Journal, name: &str) -> Result<()> {
    journal.commit(|draft| *draft.record(&address(name)) = record(name)).await
}

#[test]
fn names_of_entries_are_in_the_order_of_revisions() {
    assert_eq!(entry_name(42), "0000000000000042.json");
    for revision in [0, 9, 10, 1 << 53] {
        assert!(entry_name(revision) < entry_name(revision + 1));
        assert_eq!(entry_revision(&entry_name(revision)), Some(revision));
    }
    for other in ["42.json", "0000000000000042", "0000000000000042.json.bak", "-000000000000042.json", ""] {
        assert_eq!(entry_revision(other), None, "{other}");
    }
}

#[test]
fn entries_add_change_and_remove() {
    let mut removal = entry(7, "a");
    removal["resources"] = json!({ address("a").to_string(): null });
    removal["outputs"] = json!({ "url": "it" });
    let state = replay([(5, entry(5, "a")), (6, entry(6, "b")), (7, removal)]).unwrap();
    assert_eq!((names(&state), state.revision, &state.outputs["url"]), (vec!["b"], 7, &json!("it")));
}

#[test]
fn entries_that_the_checkpoint_contains_are_not_read() {
    let entries = BTreeMap::from([(4, b"not read".to_vec()), (5, entry(5, "a").to_string().into_bytes())]);
    let state = State::parse(&replayed(&state(4).bytes().unwrap(), &entries).unwrap()).unwrap();
    assert_eq!(names(&state), ["a"]);
}

/// What a lost entry recorded may exist in AWS.
#[test]
fn a_missing_entry_of_the_same_run_is_an_error_with_its_name() {
    let error = replay([(5, entry(5, "a")), (7, entry(7, "b"))]).unwrap_err();
    let expected = "the journal entry `journal/0000000000000006.json` beside the state is missing";
    assert_eq!((error.message(), error.class()), (expected, Class::Invalid));
    assert!(error.get_hint().unwrap().contains("payinfra state restore"), "{error}");
}

/// They were written before an operator replaced the checkpoint with an older one, or by a run that was interrupted before
/// its checkpoint. The history shows that the state is old.
#[test]
fn entries_of_other_runs_and_deployments_are_left_out() {
    for (member, value) in [("lineage", json!("two")), ("serial", json!(4)), ("checkpoint", json!(true))] {
        for first in [6, 7] {
            let mut other = entry(first, "b");
            other[member] = value.clone();
            let after = entry(first + 1, "c");
            let state = replay([(5, entry(5, "a")), (first, other), (first + 1, after)]).unwrap();
            assert_eq!((names(&state), state.revision), (vec!["a"], 5), "{member}");
        }
    }
}

#[test]
fn a_damaged_entry_is_an_error_with_its_name() {
    let whole = entry(5, "a").to_string();
    let list = json!({ "format": FORMAT, "lineage": "one", "serial": 3, "revision": 5, "epoch": 1, "resources": [] });
    let torn = &whole[..whole.len() / 2];
    for (text, why) in [
        (torn, "cannot be read: EOF"),
        ("", "cannot be read: EOF"),
        ("nonsense", "cannot be read: expected"),
        ("[]", "has another revision"),
        (&entry(6, "a").to_string(), "has another revision"),
        (&list.to_string(), "has resources that are no object"),
    ] {
        let entries = BTreeMap::from([(5, text.as_bytes().to_vec())]);
        let error = replayed(&state(4).bytes().unwrap(), &entries).unwrap_err();
        let expected = format!("the journal entry `journal/0000000000000005.json` beside the state {why}");
        assert!(error.is(Class::Invalid) && error.message().starts_with(&expected), "{error}");
        assert!(error.get_hint().unwrap().contains("payinfra state restore"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_writers_with_the_same_state_only_one_goes_on() {
    let store = MemoryStore::new(&World::new());
    adds(&journal(&store).await, "a").await.unwrap();
    let (slow, quick) = (journal(&store).await, journal(&store).await);
    adds(&quick, "quick").await.unwrap();
    let error = adds(&slow, "slow").await.unwrap_err();
    assert!(error.is(Class::Stale), "{error}");
    assert!(slow.check().is_err());
    adds(&quick, "more").await.unwrap();
    assert_eq!(names(&store.state().unwrap().unwrap()), ["a", "more", "quick"]);
}

/// A suspended run cannot write even after the other one has ended and written its last checkpoint.
#[tokio::test(start_paused = true)]
async fn a_writer_that_wakes_up_after_the_next_run_is_fenced_off() {
    let store = MemoryStore::new(&World::new());
    let slow = journal(&store).await;
    adds(&slow, "a").await.unwrap();
    overwrite(&store, store.state().unwrap().unwrap(), Some(&read(&store).await.unwrap().unwrap().version))
        .await
        .unwrap();
    let before = store.state().unwrap();
    assert!(adds(&slow, "slow").await.unwrap_err().is(Class::Stale));
    assert_eq!(store.state().unwrap(), before);
}

/// Nothing was done that rests on the first write, because it was not complete.
#[tokio::test(start_paused = true)]
async fn a_kill_between_the_first_entry_and_its_checkpoint_is_continued() {
    let store = MemoryStore::new(&World::new());
    let interrupted = |revision: u64| {
        let mut entry = entry(revision, "interrupted");
        entry["checkpoint"] = json!(true);
        entry.to_string().into_bytes()
    };
    store.append(1, &interrupted(1)).await.unwrap();
    assert_eq!(read(&store).await.unwrap(), None, "there is no state yet");
    adds(&journal(&store).await, "b").await.unwrap();
    let written = store.state().unwrap().unwrap();
    assert_eq!((names(&written), written.revision), (vec!["b"], 2));
    for revision in [3, 4] {
        store.append(revision, &interrupted(revision)).await.unwrap();
    }
    assert_eq!(store.state().unwrap().unwrap(), written);
    adds(&journal(&store).await, "c").await.unwrap();
    let written = store.state().unwrap().unwrap();
    assert_eq!((names(&written), written.revision), (vec!["b", "c"], 5));
}

/// A state that was taken from a rescue file or completed from the history is not the stored one.
#[tokio::test(start_paused = true)]
async fn the_first_write_has_all_of_the_state() {
    let store = MemoryStore::new(&World::new());
    adds(&journal(&store).await, "a").await.unwrap();
    let version = read(&store).await.unwrap().map(|kept| kept.version);
    let mut rescued = State { revision: 9, ..state(0) };
    rescued.resources.insert(address("rescued"), record("rescued"));
    let (taken, writer) = Journal::open(rescued, Arc::new(store.clone()), version, Arc::new(|| Ok(())));
    tokio::spawn(writer);
    taken.commit(|draft| draft.begin(2)).await.unwrap();
    let written = store.state().unwrap().unwrap();
    assert_eq!((names(&written), written.revision), (vec!["rescued"], 10));
    adds(&taken, "more").await.unwrap();
    assert_eq!(names(&store.state().unwrap().unwrap()), ["more", "rescued"]);
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_an_entry_and_a_later_checkpoint_loses_nothing() {
    let store = MemoryStore::new(&World::new());
    let killed = journal(&store).await;
    for name in ["a", "b", "c"] {
        adds(&killed, name).await.unwrap();
    }
    let checkpoint = State::parse(&store.load().await.unwrap().unwrap().bytes).unwrap();
    assert_eq!((names(&checkpoint), checkpoint.revision), (vec!["a"], 1), "the rest is only in the log");
    let next = journal(&store).await;
    assert_eq!(next.look(|state| (names(state).len(), state.revision)), (3, 3));
    adds(&next, "d").await.unwrap();
    assert!(adds(&killed, "late").await.unwrap_err().is(Class::Stale));
    let checkpoint = State::parse(&store.load().await.unwrap().unwrap().bytes).unwrap();
    assert_eq!((names(&checkpoint), checkpoint.revision), (vec!["a", "b", "c", "d"], 4));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_checkpoint_is_completed_with_its_run_only() {
    let store = MemoryStore::new(&World::new());
    let first = journal(&store).await;
    for name in ["a", "b"] {
        adds(&first, name).await.unwrap();
    }
    let checkpoint = store.load().await.unwrap().unwrap().bytes;
    let next = journal(&store).await;
    next.commit(|draft| draft.begin(2)).await.unwrap();
    adds(&next, "c").await.unwrap();
    let state = State::parse(&completed(&store, &checkpoint).await.unwrap()).unwrap();
    assert_eq!(names(&state), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_does_not_replace_one_of_somebody_else() {
    let store = MemoryStore::new(&World::new());
    let journal = journal(&store).await;
    adds(&journal, "a").await.unwrap();
    let theirs = State { serial: 9, ..state(1) }.bytes().unwrap();
    let version = store.load().await.unwrap().unwrap().version;
    store.save(&theirs, Some(&version)).await.unwrap();
    // Entries are written until the log is so large that a checkpoint is due.
    let large = "x".repeat(100_000);
    let mut refused = None;
    for number in 0..20 {
        let change = journal.commit(|draft| draft.record(&address(&number.to_string())).id = Some(large.clone())).await;
        refused = refused.or(change.err());
    }
    assert!(refused.is_some_and(|error: Error| error.is(Class::Stale)));
    assert_eq!(store.load().await.unwrap().unwrap().bytes, theirs);
    // A rescue file continues from the last entry, which is stored although its commit failed.
    let last = store.entries(0).await.unwrap().last().copied().unwrap();
    assert!(journal.look(|state| state.revision) > last);
}

/// The bytes of 50 commits, one after another, to a state with this number of resources; without the first write and the
/// last one.
async fn bytes_of_commits(resources: u32) -> usize {
    let store = MemoryStore::new(&World::new());
    let journal = journal(&store).await;
    let all = (0..resources).map(|number| address(&format!("n{number:05}")));
    journal.commit(|draft| all.for_each(|it| *draft.record(&it) = record("before"))).await.unwrap();
    let before = store.written();
    for number in 0..50 {
        journal.commit(|draft| draft.record(&address(&format!("n{number:05}"))).generation += 1).await.unwrap();
    }
    store.written() - before
}

#[tokio::test(start_paused = true)]
async fn a_commit_costs_what_changed_and_not_what_exists() {
    let (few, many) = (bytes_of_commits(100).await, bytes_of_commits(1_000).await);
    assert_eq!(few, many);
    assert!(few < 50 * 500, "{few} bytes");
}

/// One checkpoint at the beginning and one at the end, and a log that is not much larger than what was recorded.
#[tokio::test(start_paused = true)]
async fn a_run_writes_a_small_multiple_of_its_state() {
    let store = MemoryStore::new(&World::new());
    let journal = journal(&store).await;
    join_all((0..5_000).map(|number| {
        let journal = journal.clone();
        async move {
            for generation in 1..=4 {
                let address = address(&format!("n{number:05}"));
                journal.commit(|draft| draft.record(&address).generation = generation).await.unwrap();
            }
        }
    }))
    .await;
    let last = store.state().unwrap().unwrap();
    assert_eq!(last.resources.len(), 5_000);
    let (written, size) = (store.written(), last.bytes().unwrap().len());
    assert!(written < 10 * size, "{written} bytes for a state of {size}");
}
