//! The guarantees of every store.

use std::sync::Arc;

use payinfra_engine::{Class, Journal, State};
use payinfra_state::migrate;

use crate::bench::{Place, fails, on_both};

on_both!(
    the_first_write_needs_an_empty_place,
    a_stale_write_changes_nothing,
    one_of_many_writers_wins,
    history_is_written_once,
    a_journal_lasts,
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
