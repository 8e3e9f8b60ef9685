//! Damaged, forged or lost lock records, and wrong clocks.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::sdk_config::{SharedTimeSource, TimeSource};
use payinfra_engine::{Class, Holder, Lock};
use payinfra_localstack::{Fault, When};
use payinfra_state::{DynamoLock, FileLock};
use serde_json::json;

use crate::bench::{Faults, LEASE, TABLE, aws, calls, config, fails, holder, name, soon};

async fn lock(workspace: &str) -> DynamoLock {
    DynamoLock::new(&config("test").await, TABLE, "stack", workspace).with_lease(LEASE)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: &str) -> AttributeValue {
    AttributeValue::N(value.to_owned())
}

/// Replaces the lock's item.
async fn put(workspace: &str, attributes: &[(&str, AttributeValue)]) {
    let mut item: HashMap<_, _> = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    item.insert("LockID".to_owned(), text(&format!("stack/{workspace}")));
    let client = aws_sdk_dynamodb::Client::new(&config("test").await);
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}

/// The attributes of a lock's item.
type Attributes = Vec<(&'static str, AttributeValue)>;

/// Items that are partially unreadable, and their epochs.
fn damaged() -> Vec<(&'static str, Attributes, u64)> {
    let sound = [
        ("Nonce", text("nonce")),
        ("Beat", number("4")),
        ("Epoch", number("6")),
        ("LeaseMillis", number("1000")),
        ("Holder", text(&serde_json::to_string(&holder("one")).unwrap())),
    ];
    let with = |name: &str, value: Option<AttributeValue>| {
        let mut item: Vec<_> = sound.iter().filter(|(other, _)| *other != name).cloned().collect();
        let place = sound.iter().find(|(other, _)| *other == name).unwrap().0;
        item.extend(value.map(|value| (place, value)));
        item
    };
    vec![
        ("broken JSON", with("Holder", Some(text("{\"who\": "))), 6),
        ("other JSON", with("Holder", Some(text("{\"pid\": -1}"))), 6),
        ("a holder that is no text", with("Holder", Some(number("1"))), 6),
        ("no holder", with("Holder", None), 6),
        ("no beat", with("Beat", None), 6),
        ("a beat that is no number", with("Beat", Some(text("x"))), 6),
        ("a beat that is no integer", with("Beat", Some(number("1.5"))), 6),
        ("no lease", with("LeaseMillis", None), 6),
        ("an endless lease", with("LeaseMillis", Some(number("18446744073709551615"))), 6),
        ("a nonce that is a number", with("Nonce", Some(number("7"))), 6),
        ("a nonce that is a map", with("Nonce", Some(AttributeValue::M(HashMap::new()))), 6),
        ("an epoch that is no number", with("Epoch", Some(text("six"))), 0),
        ("no epoch", with("Epoch", None), 0),
        ("a nonce alone", vec![("Nonce", AttributeValue::Bool(true))], 0),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_shown_and_unlocked() {
    for (what, item, epoch) in damaged() {
        let workspace = name();
        put(&workspace, &item).await;
        let lock = lock(&workspace).await;
        assert_eq!(lock.epoch().await.unwrap(), epoch, "{what}");
        let held = lock.holder().await.unwrap().expect(what);
        let readable = !["holder", "JSON", "alone"].iter().any(|part| what.contains(part));
        assert_eq!(held.is_readable(), readable, "{what}: {held:?}");
        let mut other = held.clone();
        other.nonce.push('x');
        fails(lock.force_release(&other).await, Class::Locked);
        lock.force_release(&held).await.expect(what);
        assert_eq!(lock.holder().await.unwrap(), None, "{what}");
        let lease = lock.acquire(&holder("next"), 0).await.expect(what);
        assert_eq!(lease.epoch(), epoch + 1, "{what}");
        lease.release().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_that_does_not_move_is_taken_over() {
    let takes: Vec<_> = damaged()
        .into_iter()
        .map(|(what, item, epoch)| {
            tokio::spawn(async move {
                let workspace = name();
                put(&workspace, &item).await;
                let begun = tokio::time::Instant::now();
                let lease = lock(&workspace).await.acquire(&holder("next"), 3).await.expect(what);
                assert!(begun.elapsed() >= Duration::from_secs(1), "{what}: {:?}", begun.elapsed());
                assert_eq!(lease.epoch(), (epoch + 1).max(3), "{what}");
                assert_eq!(lease.lifted_from(), (epoch == 0).then_some(0), "{what}");
                lease.check().unwrap();
                lease.release().await.expect(what);
            })
        })
        .collect();
    for take in takes {
        take.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_beat_is_changed_by_others_stops_in_time() {
    let workspace = name();
    let lease = lock(&workspace).await.acquire(&holder("one"), 0).await.unwrap();
    lease.check().unwrap();
    let client = aws_sdk_dynamodb::Client::new(&config("test").await);
    let call = client.update_item().table_name(TABLE).key("LockID", text(&format!("stack/{workspace}")));
    let call = call.update_expression("SET Beat = :far").expression_attribute_values(":far", number("1000000"));
    call.send().await.unwrap();
    // For others its heartbeat does not move, so the lock is taken over; the holder detects this earlier.
    let next = lock(&workspace).await.acquire(&holder("next"), 0).await.unwrap();
    fails(lease.check(), Class::Locked);
    next.check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_at_its_limit_is_told() {
    let workspace = name();
    put(&workspace, &[("Epoch", number("18446744073709551615"))]).await;
    let error = fails(lock(&workspace).await.acquire(&holder("one"), 0).await, Class::Invalid);
    assert!(error.message().contains(&format!("item `stack/{workspace}`")), "{error}");
    assert!(error.get_hint().unwrap().contains("delete it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_was_made_anew_continues_from_the_state_whatever_answers_are_lost() {
    let faults = Faults::none().await;
    let host = "lifted";
    let workspace = name();
    let lock = DynamoLock::new(&config(host).await, TABLE, "stack", &workspace).with_lease(LEASE);
    for (round, when) in (1..).zip([When::Before, When::After]) {
        put(&workspace, &[("Epoch", number("3"))]).await;
        faults.set([(calls(host, "dynamodb", "UpdateItem").nth(1), Fault::Reset { when })]);
        let lease = lock.acquire(&holder(host), 8 * round).await.unwrap();
        assert_eq!((lease.epoch(), lease.lifted_from()), (8 * round, Some(3)), "{when:?}");
        faults.set([]);
        lease.release().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_moves_while_the_lock_is_taken_is_passed() {
    let workspace = name();
    put(&workspace, &[("Epoch", number("3"))]).await;
    let host = format!("slow-{workspace}");
    let slow = DynamoLock::new(&config(&host).await, TABLE, "stack", &workspace).with_lease(LEASE);
    let mut hold = aws().await.hold(calls(&host, "dynamodb", "UpdateItem").nth(1), When::Before);
    let taking = tokio::spawn(async move { slow.acquire(&holder("slow"), 0).await });
    let stopped = hold.next().await.unwrap();
    // Between the slow run's read and its write, another run acquires and releases the lock.
    let quick = lock(&workspace).await.acquire(&holder("quick"), 10).await.unwrap();
    assert_eq!(quick.epoch(), 10);
    quick.release().await.unwrap();
    stopped.release();
    assert_eq!(taking.await.unwrap().unwrap().epoch(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_lock_of_a_folder_keeps_nobody_out() {
    let sound = serde_json::to_value(holder("one")).unwrap();
    for (what, bytes, epoch) in [
        ("nothing", String::new(), 0),
        ("no JSON", "{\"epoch\": 6, ".to_owned(), 0),
        ("a list", "[]".to_owned(), 0),
        ("no holder", json!({ "epoch": 6 }).to_string(), 6),
        ("another holder", json!({ "epoch": 6, "holder": { "who": 1 } }).to_string(), 6),
        ("no epoch", json!({ "holder": sound }).to_string(), 0),
        ("another epoch", json!({ "epoch": -1, "holder": sound }).to_string(), 0),
        ("nested", "[".repeat(10_000), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let lock = FileLock::new(folder.path(), "stack", "one");
        let lease = lock.acquire(&holder("held"), 0).await.unwrap();
        let path = folder.path().join("stack/one/lock.json");
        fs::write(&path, &bytes).unwrap();
        // The lock is held, which the operating system's lock shows.
        let error = fails(lock.acquire(&holder("next"), 0).await, Class::Locked);
        let held = lock.holder().await.unwrap().expect(what);
        assert_eq!(held.is_readable(), what.contains("epoch"), "{what}: {held:?}");
        assert_eq!(error.message().contains("a holder whose record cannot be read"), !held.is_readable(), "{error}");
        fails(lock.force_release(&holder("other")).await, Class::Locked);
        lock.force_release(&held).await.expect(what);
        fails(lease.check(), Class::Locked);
        assert_eq!(lock.holder().await.unwrap(), None, "{what}");
        assert_eq!(lock.acquire(&holder("next"), 4).await.expect(what).epoch(), (epoch + 1).max(4), "{what}");

        // The lock is not held, so the record does not matter.
        fs::write(&path, &bytes).unwrap();
        assert_eq!(lock.holder().await.unwrap(), None, "{what}");
        assert_eq!(lock.acquire(&holder("next"), 4).await.expect(what).epoch(), (epoch + 1).max(4), "{what}");
    }
}

/// A wrong clock.
#[derive(Debug)]
struct Off(SystemTime);

impl TimeSource for Off {
    fn now(&self) -> SystemTime {
        self.0
    }
}

/// The configuration of a host whose clock is an hour ahead or behind.
async fn off(host: &str, ahead: bool) -> SdkConfig {
    let hour = Duration::from_hours(1);
    let time = if ahead { SystemTime::now() + hour } else { SystemTime::now() - hour };
    config(host).await.into_builder().time_source(SharedTimeSource::new(Off(time))).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_an_hour_off_neither_steal_a_lock_nor_keep_one() {
    for (ahead, since) in [(true, "2000-01-01T00:00:00Z"), (false, "2999-01-01T00:00:00Z"), (true, "yesterday")] {
        let workspace = name();
        let wrong = DynamoLock::new(&off("wrong", ahead).await, TABLE, "stack", &workspace).with_lease(LEASE);
        let right = lock(&workspace).await;
        let who = |who: &str| Holder { since: since.to_owned(), ..holder(who) };
        // A host with a correct clock does not take the lock from one with a wrong clock, and the reverse.
        for (has, wants) in [(&wrong, &right), (&right, &wrong)] {
            let lease = has.acquire(&who("has"), 0).await.unwrap();
            fails(wants.acquire(&who("wants"), 0).await, Class::Locked);
            lease.check().unwrap();
            // It takes the lock over as soon as the holder is dead.
            drop(lease);
            let begun = tokio::time::Instant::now();
            let next = wants.acquire(&who("wants"), 0).await.unwrap();
            assert!(begun.elapsed() >= LEASE, "{:?}", begun.elapsed());
            soon("the lease", || next.check().ok()).await;
            next.release().await.unwrap();
        }
    }
}
