//! The guarantees of every store.

use std::sync::Arc;

use payinfra_engine::{Class, FORMAT, Journal, Record, State};
use payinfra_state::{load, migrate};
use serde_json::json;

use crate::bench::{Place, fails, on_both};
use crate::format::{GOLDEN, OLDER};

on_both!(
    the_first_write_needs_an_empty_place,
    a_stale_write_changes_nothing,
    one_of_many_writers_wins,
    history_is_written_once,
    entries_are_written_once,
    one_of_many_writers_of_an_entry_wins,
    a_journal_lasts,
    the_state_is_the_checkpoint_with_its_log,
    a_damaged_entry_names_the_object,
    golden_states_are_migrated_with_the_first_write,
);

async fn the_first_write_needs_an_empty_place(place: &Place) {
    let store = place.store();
    assert_eq!(store.load().await.unwrap(), None);
    fails(store.save(b"over what?", Some("\"0123\"")).await, Class::Stale);
    assert_eq!(store.load().await.unwrap(), None);
    let version = store.save(b"first", None).await.unwrap();
    let stored = store.load().await.unwrap().unwrap();
    assert_eq!((&stored.bytes[..], &stored.version), (&b"first"[..], &version));
    fails(store.save(b"first again", None).await, Class::Stale);
    assert_eq!(store.load().await.unwrap().unwrap(), stored);
}

async fn a_stale_write_changes_nothing(place: &Place) {
    let store = place.store();
    let old = store.save(b"old", None).await.unwrap();
    let new = store.save(b"new", Some(&old)).await.unwrap();
    assert_ne!(old, new);
    let error = fails(store.save(b"late", Some(&old)).await, Class::Stale);
    assert!(error.message().contains("stack/"), "{error}");
    assert_eq!(store.load().await.unwrap().unwrap().bytes, b"new");
    store.save(b"newer", Some(&new)).await.unwrap();
}

async fn one_of_many_writers_wins(place: &Place) {
    let store = place.store();
    let mut version = None;
    for round in 0..3 {
        let tries: Vec<_> = (0..10)
            .map(|writer| {
                let (store, version) = (place.store(), version.clone());
                tokio::spawn(async move {
                    let bytes = format!("{round}: {writer}").into_bytes();
                    (store.save(&bytes, version.as_deref()).await, bytes)
                })
            })
            .collect();
        let mut won = Vec::new();
        for one in tries {
            match one.await.unwrap() {
                (Ok(version), bytes) => won.push((version, bytes)),
                (Err(error), _) => assert!(error.is(Class::Stale), "{error}"),
            }
        }
        let [(winner, bytes)] = &won[..] else { panic!("{} writers won", won.len()) };
        let stored = store.load().await.unwrap().unwrap();
        assert_eq!((&stored.version, &stored.bytes), (winner, bytes));
        version = Some(winner.clone());
    }
}

async fn history_is_written_once(place: &Place) {
    let store = place.store();
    assert!(store.kept().await.unwrap().is_empty());
    store.keep("2.json", b"two").await.unwrap();
    store.keep("1.json", b"one").await.unwrap();
    store.keep("1.json", b"one").await.unwrap();
    fails(store.keep("1.json", b"another").await, Class::Foreign);
    fails(store.keep("../1.json", b"").await, Class::Invalid);
    fails(store.recall("a/b").await, Class::Invalid);
    assert_eq!(store.kept().await.unwrap(), ["1.json", "2.json"]);
    assert_eq!(store.recall("1.json").await.unwrap().unwrap(), b"one");
    assert_eq!(store.recall("3.json").await.unwrap(), None);
    assert_eq!(store.load().await.unwrap(), None);
}

async fn a_journal_lasts(place: &Place) {
    let state = State::new("stack", "one", "123456789012");
    let (journal, writer) = Journal::open(state, place.store(), None, Arc::new(|| Ok(())));
    let writer = tokio::spawn(writer);
    let journal = Arc::new(journal);
    let commits: Vec<_> = (0..50)
        .map(|number| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                journal.commit(|draft| drop(draft.outputs().insert(format!("{number}"), number.into()))).await
            })
        })
        .collect();
    for commit in commits {
        commit.await.unwrap().unwrap();
    }
    journal.close();
    writer.await.unwrap().unwrap();
    let stored = place.store().load().await.unwrap().unwrap();
    let state = migrate(&stored.bytes).unwrap();
    assert_eq!(state.outputs.len(), 50);
    assert!(state.revision <= 50, "{} writes", state.revision);
}

async fn entries_are_written_once(place: &Place) {
    let store = place.store();
    assert!(store.entries(0).await.unwrap().is_empty());
    for revision in [2, 1, 10] {
        store.append(revision, format!("entry {revision}").as_bytes()).await.unwrap();
    }
    let error = fails(store.append(2, b"another").await, Class::Stale);
    assert!(error.message().contains("/journal/0000000000000002.json"), "{error}");
    fails(store.append(2, b"entry 2").await, Class::Stale);
    assert_eq!(store.entries(0).await.unwrap(), [1, 2, 10]);
    assert_eq!(store.entries(1).await.unwrap(), [2, 10]);
    assert!(store.entries(10).await.unwrap().is_empty());
    assert_eq!(store.entry(2).await.unwrap().unwrap(), b"entry 2");
    assert_eq!(store.entry(3).await.unwrap(), None);
    // Young entries stay, even if a checkpoint contains them.
    store.prune(10).await.unwrap();
    assert_eq!(store.entries(0).await.unwrap(), [1, 2, 10]);
    assert_eq!((store.load().await.unwrap(), store.kept().await.unwrap().len()), (None, 0));
}

async fn one_of_many_writers_of_an_entry_wins(place: &Place) {
    let tries: Vec<_> = (0..10)
        .map(|writer| {
            let store = place.store();
            tokio::spawn(async move { store.append(1, format!("writer {writer}").as_bytes()).await.map(|()| writer) })
        })
        .collect();
    let mut won = Vec::new();
    for one in tries {
        match one.await.unwrap() {
            Ok(writer) => won.push(writer),
            Err(error) => assert!(error.is(Class::Stale), "{error}"),
        }
    }
    let [winner] = won[..] else { panic!("{} writers won", won.len()) };
    assert_eq!(place.store().entry(1).await.unwrap().unwrap(), format!("writer {winner}").as_bytes());
}

fn state(serial: u64) -> State {
    State { lineage: "one".to_owned(), serial, ..State::new("stack", "one", "123456789012") }
}

async fn the_state_is_the_checkpoint_with_its_log(place: &Place) {
    let store = place.store();
    assert_eq!(load(&*store).await.unwrap(), None);
    let (journal, writer) = Journal::open(state(1), Arc::clone(&store), None, Arc::new(|| Ok(())));
    let writer = tokio::spawn(writer);
    let add = async |id: &str| {
        let address = format!("r/a.b/{id}").parse().unwrap();
        let record = Record { id: Some(id.to_owned()), ..Record::default() };
        journal.commit(|draft| *draft.record(&address) = record).await.unwrap();
    };
    add("one").await;
    add("two").await;
    let at_first = store.load().await.unwrap().unwrap();
    assert_eq!(migrate(&at_first.bytes).unwrap().resources.len(), 1);
    // As after a kill.
    let now = load(&*store).await.unwrap().unwrap();
    assert_eq!((now.state.resources.len(), now.last, &now.version), (2, 2, &at_first.version));
    assert_eq!(now.state, journal.look(State::clone));
    add("three").await;
    journal.close();
    writer.await.unwrap().unwrap();
    let at_last = store.load().await.unwrap().unwrap();
    assert_eq!(migrate(&at_last.bytes).unwrap(), journal.look(State::clone), "the last checkpoint is complete");
    assert_eq!(store.entries(0).await.unwrap(), [1, 2, 3]);
}

async fn a_damaged_entry_names_the_object(place: &Place) {
    let store = place.store();
    store.save(&State { revision: 6, ..state(1) }.bytes().unwrap(), None).await.unwrap();
    store.append(7, b"{\"format\":").await.unwrap();
    let error = fails(load(&*store).await, Class::Invalid);
    assert!(error.message().contains("`journal/0000000000000007.json` beside the state cannot be read"), "{error}");
    assert!(error.get_hint().unwrap().contains("restore an earlier"), "{error}");
}

/// A state of an older format, and one whose first run with the log was killed between its entry and its checkpoint.
async fn golden_states_are_migrated_with_the_first_write(place: &Place) {
    let store = place.store();
    for golden in OLDER.iter().chain([&GOLDEN]) {
        let before = migrate(golden.as_bytes()).unwrap();
        let over = store.load().await.unwrap().map(|stored| stored.version);
        store.save(golden.as_bytes(), over.as_deref()).await.unwrap();
        let last = store.entries(0).await.unwrap().last().copied().unwrap_or(before.revision);
        let killed = json!({
            "format": FORMAT, "lineage": before.lineage, "serial": 99, "revision": last + 1, "epoch": 99,
            "checkpoint": true,
        });
        store.append(last + 1, killed.to_string().as_bytes()).await.unwrap();
        let loaded = load(&*store).await.unwrap().unwrap();
        assert_eq!((&loaded.state, loaded.last), (&before, last + 1));
        let state = State { revision: loaded.last, ..loaded.state };
        let (journal, writer) = Journal::open(state, Arc::clone(&store), Some(loaded.version), Arc::new(|| Ok(())));
        let writer = tokio::spawn(writer);
        journal.commit(|draft| draft.begin(100)).await.unwrap();
        let stored = store.load().await.unwrap().unwrap();
        let raw: serde_json::Value = serde_json::from_slice(&stored.bytes).unwrap();
        assert_eq!((&raw["format"], &raw["revision"]), (&json!(FORMAT), &json!(last + 2)));
        journal.close();
        writer.await.unwrap().unwrap();
        let after = load(&*store).await.unwrap().unwrap().state;
        assert_eq!((&after.resources, &after.outputs, after.epoch), (&before.resources, &before.outputs, 100));
    }
}
