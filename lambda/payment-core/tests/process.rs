//! Requests while the storage fails, in all ways that it can (P-09, G-03).

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use payment_core::{
    Audit, Audits, Cause, Clock, Entry, Fault, Inserted, Outcome, Page, Payment, Place, Processor, Record, Repairs,
    Settled, Store, Sweep, Written,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The failure of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    /// Fails before it takes effect; can be retried.
    FailsBefore,
    /// Fails after it took effect; can be retried.
    FailsAfter,
    /// Fails permanently.
    Breaks,
}

/// A store, an audit and a clock in memory.
#[derive(Default)]
struct World {
    payments: Mutex<BTreeMap<String, Record>>,
    entries: Mutex<BTreeMap<String, String>>,
    fates: Mutex<VecDeque<Fate>>,
    slept: Mutex<Vec<Duration>>,
    now: Mutex<i64>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    fn with(fates: impl IntoIterator<Item = Fate>) -> Self {
        Self { fates: Mutex::new(fates.into_iter().collect()), ..Self::default() }
    }

    fn act<T>(&self, act: impl FnOnce() -> T) -> Result<T, Fault> {
        let fault = |cause| Fault { cause, message: "card 4111111111111111 of table t".to_owned() };
        match held(&self.fates).pop_front().unwrap_or(Fate::Works) {
            Fate::Works => Ok(act()),
            Fate::FailsBefore => Err(fault(Cause::Transient)),
            Fate::FailsAfter => {
                act();
                Err(fault(Cause::Transient))
            }
            Fate::Breaks => Err(fault(Cause::Permanent)),
        }
    }

    fn processor(&self) -> Processor<&Self, &Self, &Self> {
        let place = Place { region: "us-east-1".to_owned(), phase: "migration".to_owned() };
        Processor::new(self, self, self, place)
    }

    /// One request, without real waiting.
    fn accept(&self, body: &Value) -> Outcome {
        self.processor().accept(body.to_string().as_bytes(), "request-1").now_or_never().unwrap()
    }

    fn find(&self, id: &str) -> Outcome {
        self.processor().find(id, "request-2").now_or_never().unwrap()
    }

    /// One sweep, without failures.
    fn repair(&self) -> Repairs {
        held(&self.fates).clear();
        self.processor().repair().now_or_never().unwrap().unwrap()
    }
}

impl Store for &World {
    async fn insert(&self, record: &Record) -> Result<Inserted, Fault> {
        self.act(|| {
            let mut payments = held(&self.payments);
            if let Some(stored) = payments.get(&record.payment.transaction_id) {
                return Inserted::Exists(Box::new(stored.clone()));
            }
            payments.insert(record.payment.transaction_id.clone(), record.clone());
            Inserted::New
        })
    }

    async fn get(&self, _region: &str, id: &str) -> Result<Option<Record>, Fault> {
        self.act(|| held(&self.payments).get(id).cloned())
    }

    async fn complete(&self, _region: &str, _record: &Record) -> Result<(), Fault> {
        Ok(())
    }

    async fn audited(&self, _region: &str, record: &Record) -> Result<(), Fault> {
        let id = &record.payment.transaction_id;
        self.act(|| held(&self.payments).get_mut(id).unwrap().audited = true)
    }
}

impl Sweep for &World {
    /// Two per page.
    async fn pending(&self, _region: &str, from: Option<String>) -> Result<Page, Fault> {
        self.act(|| {
            let payments = held(&self.payments);
            let after = payments.iter().filter(|(id, _)| from.as_ref().is_none_or(|from| *id > from));
            let page: Vec<_> = after.take(2).collect();
            let next = (page.len() == 2).then(|| page[1].0.clone());
            Page {
                records: page.into_iter().map(|(_, record)| record.clone()).filter(|it| !it.audited).collect(),
                next,
            }
        })
    }
}

impl Audit for &World {
    async fn write(&self, _region: &str, entry: &Entry) -> Result<Written, Fault> {
        self.act(|| {
            let mut entries = held(&self.entries);
            if let Some(stored) = entries.get(&entry.key) {
                assert_eq!(*stored, entry.body, "an audit record never changes");
                return Written::Exists;
            }
            entries.insert(entry.key.clone(), entry.body.clone());
            Written::New
        })
    }
}

impl Clock for &World {
    fn now(&self) -> Timestamp {
        // Advances with each call, so that a second record would have a different time.
        let mut now = held(&self.now);
        *now += 1_000;
        Timestamp::from_millisecond(1_772_330_400_000 + *now).unwrap()
    }

    async fn sleep(&self, pause: Duration) {
        held(&self.slept).push(pause);
    }
}

fn body(id: &str, amount: &str) -> Value {
    json!({ "transactionId": id, "customerId": "c-1", "amount": amount })
}

#[test]
fn p09_a_payment_is_stored_with_its_audit_record_and_found_again() {
    let world = World::default();
    let outcome = world.accept(&body("t-1", "12.5"));
    let expected = json!({
        "acceptedAt": "2026-03-01T02:00:01Z",
        "amount": "12.50",
        "currency": "USD",
        "customerId": "c-1",
        "status": "accepted",
        "transactionId": "t-1",
    });
    assert_eq!((outcome.status(), outcome.name(), outcome.body()), (200, "accepted", expected.clone()));
    let found = world.find("t-1");
    assert_eq!((found.status(), found.body()), (200, expected));
    assert_eq!(world.find("t-2").status(), 404);
    assert_eq!(world.find("../t-1").status(), 404);

    let hash = Payment::parse(body("t-1", "12.50").to_string().as_bytes()).unwrap().content_hash();
    let entries = held(&world.entries);
    let (key, entry) = entries.iter().next().unwrap();
    assert_eq!(*key, format!("payments/2026/03/01/t-1-{}.json", &hash[..16]));
    let entry: Value = serde_json::from_str(entry).unwrap();
    let expected = json!({
        "acceptedAt": "2026-03-01T02:00:01Z",
        "amount": "12.50",
        "contentHash": format!("sha256:{hash}"),
        "correlationId": "request-1",
        "currency": "USD",
        "customerId": "c-1",
        "event": "payment.accepted",
        "phase": "migration",
        "region": "us-east-1",
        "transactionId": "t-1",
        "version": 1,
    });
    assert_eq!(entry, expected);
}

#[test]
fn p09_a_repeat_has_the_same_answer_and_other_content_is_a_conflict() {
    let world = World::default();
    let first = world.accept(&body("t-1", "12.50"));
    let again = world.accept(&body("t-1", "12.5"));
    assert_eq!((first.status(), first.body()), (again.status(), again.body()));
    assert_eq!(again.name(), "repeated");
    let other = world.accept(&body("t-1", "12.51"));
    let error = "a different payment with this transactionId exists";
    assert_eq!((other.status(), other.body()), (409, json!({ "error": error, "transactionId": "t-1" })));
    assert_eq!((held(&world.payments).len(), held(&world.entries).len()), (1, 1));
}

#[test]
fn p09_a_failure_tells_nothing() {
    let world = World::with([Fate::Breaks]);
    let outcome = world.accept(&body("t-1", "1"));
    assert_eq!((outcome.status(), outcome.body()), (500, json!({ "error": "internal error" })));
    assert!(held(&world.slept).is_empty(), "a permanent failure is not retried");
}

#[test]
fn g03_what_may_pass_is_tried_again_with_longer_pauses_and_then_given_up() {
    let world = World::with([Fate::FailsBefore; 4]);
    assert_eq!(world.accept(&body("t-1", "1")).name(), "accepted");
    let slept = held(&world.slept).clone();
    assert_eq!(slept.len(), 4);
    for (pause, whole) in slept.iter().zip([100, 200, 400, 800]) {
        assert!((whole / 2..=whole).contains(&pause.as_millis()), "{slept:?}");
    }
    let world = World::with([Fate::FailsBefore; 5]);
    assert_eq!(world.accept(&body("t-1", "1")).status(), 500);
    assert_eq!(held(&world.slept).len(), 4);
}

/// The payment was stored, but its audit record was not: after a repeat, both are.
#[test]
fn m30_a_repeat_completes_what_was_left_half_done() {
    let world = World::with([Fate::Works, Fate::Breaks]);
    assert_eq!(world.accept(&body("t-1", "1")).status(), 500);
    assert_eq!((held(&world.payments).len(), held(&world.entries).len()), (1, 0));
    assert_eq!(world.accept(&body("t-1", "1")).name(), "repeated");
    assert_eq!((held(&world.payments).len(), held(&world.entries).len()), (1, 1));
}

/// M-30: a payment without an audit record is pending for all readers, and the next sweep writes the record, once.
#[test]
fn m30_a_sweep_completes_what_nobody_repeats() {
    let world = World::with([Fate::Works, Fate::Breaks]);
    assert_eq!(world.accept(&body("t-1", "1")).name(), "in-doubt");
    assert_eq!(world.find("t-1").body()["status"], "pending");
    held(&world.fates).extend([Fate::Works, Fate::Works, Fate::Breaks]);
    assert_eq!(
        world.accept(&body("t-2", "1")).name(),
        "in-doubt",
        "the record is written, but the payment is not marked"
    );
    assert_eq!(world.find("t-2").body()["status"], "pending");
    assert_eq!(world.accept(&body("t-3", "1")).name(), "accepted");
    assert_eq!(world.repair(), Repairs { repaired: 2, failed: 0 });
    for id in ["t-1", "t-2", "t-3"] {
        assert_eq!(world.find(id).body()["status"], "accepted", "{id}");
    }
    assert_eq!(held(&world.entries).len(), 3);
    assert_eq!(world.repair(), Repairs::default());
}

/// An earlier attempt whose response was lost does not count as a repeat of the client.
#[test]
fn p09_an_answer_that_was_lost_is_not_a_repeat() {
    let world = World::with([Fate::FailsAfter]);
    assert_eq!(world.accept(&body("t-1", "1")).name(), "accepted");
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Works), 2 => Just(Fate::FailsBefore), 2 => Just(Fate::FailsAfter), 1 => Just(Fate::Breaks)
    ]
}

proptest! {
    /// For all combinations of failures and repeats: a payment has the content of the first successful request, an
    /// accepted one has exactly one audit record, all accepted responses are equal, and other content is never
    /// accepted.
    #[test]
    fn m30_p09_one_payment_one_audit_record_one_answer(
        fates in prop::collection::vec(fate(), 0..40),
        requests in prop::collection::vec((0..3_usize, 1..3_u32), 1..30),
    ) {
        let world = World::with(fates);
        let mut answers = BTreeMap::<String, (Value, Value)>::new();
        for (id, amount) in requests {
            let id = format!("t-{id}");
            let request = body(&id, &amount.to_string());
            let outcome = world.accept(&request);
            match outcome.status() {
                200 => {
                    let (first, answer) = answers.entry(id.clone()).or_insert((request.clone(), outcome.body()));
                    prop_assert_eq!(&*first, &request);
                    prop_assert_eq!(&*answer, &outcome.body());
                    let start = format!("/{id}-");
                    let entries = held(&world.entries);
                    prop_assert_eq!(entries.keys().filter(|key| key.contains(&start)).count(), 1);
                    prop_assert!(held(&world.payments)[&id].audited);
                }
                409 => {
                    let stored = held(&world.payments)[&id].payment.amount.to_string();
                    prop_assert_ne!(stored, format!("{amount}.00"));
                }
                status => prop_assert_eq!(status, 500),
            }
        }
        prop_assert!(held(&world.entries).len() <= held(&world.payments).len());
        let pending = held(&world.payments).values().filter(|record| !record.audited).count();
        prop_assert_eq!(world.repair(), Repairs { repaired: u32::try_from(pending).unwrap(), failed: 0 });
        prop_assert_eq!(held(&world.entries).len(), held(&world.payments).len());
        prop_assert!(held(&world.payments).values().all(|record| record.audited));
    }
}

/// G-03: while the audit bucket fails, payments are accepted as pending; settling writes the only audit record.
#[test]
fn g03_an_audit_record_that_follows_is_written_once() {
    for fate in [Fate::Breaks, Fate::FailsBefore, Fate::FailsAfter] {
        let world = World::with([Fate::Works].into_iter().chain([fate; 5]));
        let follow = world.processor().with_audits(Audits::Follow);
        let accept = || follow.accept(body("t-1", "12.50").to_string().as_bytes(), "request-1").now_or_never().unwrap();
        let outcome = accept();
        assert_eq!((outcome.name(), &outcome.body()["status"]), ("accepted", &json!("pending")), "{fate:?}");
        held(&world.fates).clear();
        let settle = |id| follow.settle(id).now_or_never().unwrap();
        held(&world.fates).push_back(Fate::Breaks);
        assert!(settle("t-1").is_err(), "{fate:?}");
        assert_eq!(
            [settle("t-1"), settle("t-1"), settle("t-2")],
            [Ok(Settled::Now), Ok(Settled::Before), Ok(Settled::NotHere)]
        );
        assert_eq!(held(&world.entries).len(), 1, "{fate:?}");
        let repeat = accept();
        assert_eq!((repeat.name(), &repeat.body()["status"]), ("repeated", &json!("accepted")), "{fate:?}");
    }
}

/// G-03: if the deadline ends the retries of the first write, the client gets 503 and sends the payment again.
#[test]
fn g03_a_payment_that_cannot_be_stored_in_time_is_sent_again() {
    let start = Timestamp::from_millisecond(1_772_330_400_000).unwrap();
    let world = World::with([Fate::FailsBefore; 2]);
    let follow = world.processor().with_audits(Audits::Follow).until(start + Duration::from_secs(4));
    let outcome = follow.accept(body("t-1", "1").to_string().as_bytes(), "request-1").now_or_never().unwrap();
    let error = json!({ "error": "the request timed out; retry it" });
    assert_eq!((outcome.status(), outcome.body()), (503, error));
    assert_eq!(world.accept(&body("t-1", "1")).name(), "accepted");
}

/// G-03: after the deadline no call starts, and a payment that is stored by then is accepted.
#[test]
fn g03_no_call_starts_after_the_deadline() {
    // The clock advances by a second each time that it is read.
    let start = Timestamp::from_millisecond(1_772_330_400_000).unwrap();
    for (seconds, calls, name, status) in [(1, 0, "in-doubt", 503), (3, 1, "accepted", 200), (60, 5, "accepted", 200)] {
        let world = World::with([Fate::Works; 1].into_iter().chain([Fate::FailsBefore; 20]));
        let follow = world.processor().with_audits(Audits::Follow).until(start + Duration::from_secs(seconds));
        let outcome = follow.accept(body("t-1", "12.50").to_string().as_bytes(), "request-1").now_or_never().unwrap();
        assert_eq!((outcome.name(), outcome.status()), (name, status), "{seconds}");
        assert_eq!(held(&world.payments).len(), usize::from(calls > 0), "{seconds}");
        let called = 21 - held(&world.fates).len();
        assert!(if calls == 5 { called == 6 } else { called == calls }, "{seconds}: {called}");
    }
}
