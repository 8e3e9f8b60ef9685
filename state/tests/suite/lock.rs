//! The guarantees of every lock.

use payinfra_engine::{COUNT_MAX, Class, Lease};

use crate::bench::{Place, fails, holder, on_both, soon};

on_both!(
    one_of_twenty_has_it,
    epochs_grow,
    epochs_are_never_below_the_floor,
    only_the_named_holder_loses_it,
    who_lost_it_does_not_release_it,
);

async fn one_of_twenty_has_it(place: &Place) {
    for _ in 0..2 {
        let tries: Vec<_> = (0..20)
            .map(|number| {
                let lock = place.lock();
                tokio::spawn(async move { lock.acquire(&holder(&format!("user-{number}")), 0).await })
            })
            .collect();
        let mut leases = Vec::new();
        let mut errors = Vec::new();
        for one in tries {
            match one.await.unwrap() {
                Ok(lease) => leases.push(lease),
                Err(error) => errors.push(error),
            }
        }
        assert_eq!((leases.len(), errors.len()), (1, 19));
        let now = place.lock().holder().await.unwrap().unwrap();
        for error in errors {
            assert!(error.is(Class::Locked), "{error}");
            for part in [&now.who, &now.since, &now.command] {
                assert!(error.message().contains(&part[..]), "{error}");
            }
        }
        let lease = leases.remove(0);
        lease.check().unwrap();
        lease.release().await.unwrap();
        assert_eq!(place.lock().holder().await.unwrap(), None);
    }
}

async fn epochs_grow(place: &Place) {
    let lock = place.lock();
    assert_eq!(lock.holder().await.unwrap(), None);
    for epoch in 1..=3 {
        let lease = lock.acquire(&holder("one"), 0).await.unwrap();
        assert_eq!(lease.epoch(), epoch);
        lease.release().await.unwrap();
    }
}

async fn epochs_are_never_below_the_floor(place: &Place) {
    let lock = place.lock();
    assert_eq!(lock.epoch().await.unwrap(), 0);
    // The floor, the resulting epoch, and the lock's last epoch if it was lower than the state's.
    for (floor, epoch, lifted_from) in
        [(0, 1, None), (2, 2, None), (0, 3, None), (2, 4, None), (8, 8, Some(4)), (8, 9, None), (100, 100, Some(9))]
    {
        let lease = lock.acquire(&holder("one"), floor).await.unwrap();
        assert_eq!((lease.epoch(), lease.lifted_from()), (epoch, lifted_from), "floor {floor}");
        assert_eq!(place.lock().epoch().await.unwrap(), epoch);
        lease.release().await.unwrap();
        assert_eq!(lock.epoch().await.unwrap(), epoch);
    }
    for floor in [COUNT_MAX + 1, u64::MAX] {
        let error = fails(lock.acquire(&holder("one"), floor).await, Class::Invalid);
        assert!(error.message().contains("damaged or was tampered with"), "{error}");
    }
    let lease = lock.acquire(&holder("last"), COUNT_MAX).await.unwrap();
    lease.release().await.unwrap();
    let error = fails(lock.acquire(&holder("one"), 0).await, Class::Invalid);
    assert!(error.message().contains(&COUNT_MAX.to_string()), "{error}");
    assert!(error.get_hint().unwrap().contains("continues from the epoch of the state"), "{error}");
}

async fn only_the_named_holder_loses_it(place: &Place) {
    let lock = place.lock();
    let (one, other) = (holder("one"), holder("other"));
    let lease = lock.acquire(&one, 0).await.unwrap();
    let error = fails(lock.force_release(&other).await, Class::Locked);
    assert!(error.message().contains(&one.who), "{error}");
    lease.check().unwrap();
    assert_eq!(lock.holder().await.unwrap(), Some(one.clone()));
    lock.force_release(&one).await.unwrap();
    assert_eq!(lock.holder().await.unwrap(), None);
    fails(lock.force_release(&one).await, Class::Locked);
    let next = lock.acquire(&other, 0).await.unwrap();
    assert_eq!(next.epoch(), lease.epoch() + 1);
    soon("the notice of the loss", || lease.check().err()).await;
    next.check().unwrap();
}

async fn who_lost_it_does_not_release_it(place: &Place) {
    let lock = place.lock();
    let (one, other) = (holder("one"), holder("other"));
    let lost = lock.acquire(&one, 0).await.unwrap();
    lock.force_release(&one).await.unwrap();
    let lease: Box<dyn Lease> = lock.acquire(&other, 0).await.unwrap();
    let error = fails(lost.release().await, Class::Locked);
    assert!(error.message().contains(&other.who), "{error}");
    assert_eq!(lock.holder().await.unwrap(), Some(other));
    lease.check().unwrap();
    lease.release().await.unwrap();
}

#[tokio::test]
async fn a_dead_process_leaves_no_lock_in_a_folder() {
    let place = Place::file();
    drop(place.lock().acquire(&holder("dead"), 0).await.unwrap());
    assert_eq!(place.lock().holder().await.unwrap(), None);
    assert_eq!(place.lock().acquire(&holder("next"), 0).await.unwrap().epoch(), 2);
}
