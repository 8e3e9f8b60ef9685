//! Leases: dead holders, disconnected holders, lost responses.

use std::time::{Duration, Instant};

use payinfra_engine::{Class, Lock};
use payinfra_localstack::{Fault, When};
use payinfra_state::DynamoLock;

use crate::bench::{Faults, LEASE, TABLE, calls, config, fails, holder, name, soon};

async fn lock(host: &str, workspace: &str) -> DynamoLock {
    DynamoLock::new(&config(host).await, TABLE, "stack", workspace).with_lease(LEASE)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_holder_is_named_long_before_its_lease_ends() {
    let (workspace, one) = (name(), holder("one"));
    let lock = DynamoLock::new(&config("test").await, TABLE, "stack", &workspace).with_lease(Duration::from_secs(30));
    let lease = lock.acquire(&one, 0).await.unwrap();
    let begun = Instant::now();
    let error = fails(lock.acquire(&holder("two"), 0).await, Class::Locked);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(error.message().contains("one@host") && error.message().contains(&one.since), "{error}");
    assert!(error.get_hint().unwrap().contains("30 s"), "{error}");
    lease.check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_holders_lease_ends_and_one_of_twenty_takes_it() {
    let workspace = name();
    let dead = lock("test", &workspace).await.acquire(&holder("dead"), 0).await.unwrap();
    let epoch = dead.epoch();
    // Its heartbeat stops; nothing is released.
    drop(dead);
    let begun = Instant::now();
    let tries: Vec<_> = (0..20)
        .map(|number| {
            let workspace = workspace.clone();
            tokio::spawn(async move {
                let lease = lock("test", &workspace).await.acquire(&holder(&format!("user-{number}")), 0).await;
                (lease, begun.elapsed())
            })
        })
        .collect();
    let mut leases = Vec::new();
    for one in tries {
        match one.await.unwrap() {
            (Ok(lease), elapsed) => leases.push((lease, elapsed)),
            (Err(error), _) => assert!(error.is(Class::Locked), "{error}"),
        }
    }
    let [(lease, elapsed)] = &leases[..] else { panic!("{} have it", leases.len()) };
    assert!(*elapsed >= LEASE, "{elapsed:?}");
    assert_eq!(lease.epoch(), epoch + 1);
    lease.check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_knows_before_anybody_else_has_the_lock() {
    let faults = Faults::none().await;
    let workspace = name();
    let cut = lock("cut-off", &workspace).await.acquire(&holder("cut-off"), 0).await.unwrap();
    cut.check().unwrap();
    faults.set([(calls("cut-off", "dynamodb", "UpdateItem"), Fault::Reset { when: When::Before })]);
    let next = lock("test", &workspace).await.acquire(&holder("next"), 0).await.unwrap();
    let error = fails(cut.check(), Class::Locked);
    assert!(error.get_hint().is_some(), "{error}");
    assert_eq!(next.epoch(), cut.epoch() + 1);
    // The network is back: the lost lock stays lost, and the new holder keeps it.
    faults.set([]);
    soon("the notice of the loss", || cut.check().err().filter(|error| error.message().contains("next@host"))).await;
    fails(cut.release().await, Class::Locked);
    next.check().unwrap();
    next.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_renewed_outlives_its_lease() {
    let lock = lock("test", &name()).await;
    let lease = lock.acquire(&holder("long"), 0).await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < LEASE * 2 {
        lease.check().unwrap();
        tokio::time::sleep(LEASE / 20).await;
    }
    fails(lock.acquire(&holder("other"), 0).await, Class::Locked);
    lease.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_our_own() {
    let faults = Faults::none().await;
    for (host, fault) in [
        ("lock-after", Fault::Reset { when: When::After }),
        ("lock-before", Fault::Reset { when: When::Before }),
        ("lock-500", Fault::Error { status: 500 }),
        ("lock-throttle", Fault::Throttle),
        ("lock-truncate", Fault::Truncate),
    ] {
        let lock = lock(host, &name()).await;
        faults.set([(calls(host, "dynamodb", "UpdateItem").nth(1), fault.clone())]);
        let lease = lock.acquire(&holder(host), 0).await.expect(host);
        assert_eq!(lease.epoch(), 1, "{host}");
        lease.check().expect(host);
        faults.set([(calls(host, "dynamodb", "UpdateItem").nth(1), fault.clone())]);
        lease.release().await.expect(host);
        let lease = lock.acquire(&holder(host), 0).await.expect(host);
        assert_eq!(lease.epoch(), 2, "{host}");
        // Occasionally lost responses to heartbeats do no harm.
        faults.set([(calls(host, "dynamodb", "UpdateItem").every(2), fault)]);
        let begun = Instant::now();
        while begun.elapsed() < LEASE {
            lease.check().expect(host);
            tokio::time::sleep(LEASE / 20).await;
        }
        faults.set([]);
        lease.release().await.expect(host);
    }
}

#[tokio::test]
async fn a_missing_table_is_told_with_what_to_do() {
    let lock = DynamoLock::new(&config("test").await, "payinfra-nowhere", "stack", "one");
    let acquire = fails(lock.acquire(&holder("one"), 0).await, Class::Failed);
    let holder = fails(lock.holder().await, Class::Failed);
    for error in [acquire, holder] {
        assert!(error.message().contains("payinfra-nowhere"), "{error}");
        assert!(error.get_hint().unwrap().contains("payinfra bootstrap"), "{error}");
    }
}
