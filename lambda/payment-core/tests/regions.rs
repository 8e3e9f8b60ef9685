//! Two regions race for the same transaction id, with tables that behave like a global table. With eventual consistency,
//! conditions hold within a region, replication is asynchronous, and the last of two concurrent writes wins. With
//! multi-region strong consistency, conditions hold in all regions, and one of two concurrent writes may be rejected.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Barrier, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use payment_core::{
    Audit, Audits, Cause, Clock, Entry, Fault, Homes, Inserted, Outcome, Page, Place, Processor, Record, Repairs,
    Settled, Store, Sweep, Written,
};
use serde_json::json;

const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];

/// A write that is being replicated: its time and its target.
type Copy = (u64, &'static str, Record);

/// The content of each region's replica, with the time of the last write.
type Tables = BTreeMap<(&'static str, String), (u64, Record)>;

/// A global table and a bucket in two regions.
#[derive(Default)]
struct World {
    tables: Mutex<Tables>,
    copies: Mutex<Vec<Copy>>,
    entries: Mutex<BTreeMap<(String, String), String>>,
    ticks: Mutex<u64>,
    /// A region that is unreachable.
    cut: Mutex<Option<&'static str>>,
    /// A region whose bucket fails.
    full: Mutex<Option<&'static str>>,
    /// Whether the table has multi-region strong consistency.
    strong: bool,
    /// The ids that each region has tried to write.
    written: Mutex<BTreeSet<(&'static str, String)>>,
}

fn transient(message: &str) -> Fault {
    Fault { cause: Cause::Transient, message: message.to_owned() }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    fn tick(&self) -> u64 {
        let mut ticks = held(&self.ticks);
        *ticks += 1;
        *ticks
    }

    fn region(&self, name: &str) -> Result<&'static str, Fault> {
        let region = REGIONS.into_iter().find(|region| *region == name).unwrap();
        if *held(&self.cut) == Some(region) {
            return Err(transient("timed out"));
        }
        Ok(region)
    }

    fn put(&self, tables: &mut Tables, region: &'static str, record: &Record) {
        let now = self.tick();
        tables.insert((region, record.payment.transaction_id.clone()), (now, record.clone()));
        let others = REGIONS.into_iter().filter(|other| *other != region);
        if self.strong {
            tables.extend(others.map(|other| ((other, record.payment.transaction_id.clone()), (now, record.clone()))));
        } else {
            held(&self.copies).extend(others.map(|other| (now, other, record.clone())));
        }
    }

    /// `ReplicatedWriteConflictException`: a strong table rejects the first write of each region to each id.
    fn conflict(&self, region: &'static str, record: &Record) -> Result<(), Fault> {
        let first = held(&self.written).insert((region, record.payment.transaction_id.clone()));
        if self.strong && first { Err(transient("a conflict of regions")) } else { Ok(()) }
    }

    /// Replicates the writes; older writes lose.
    fn settle(&self) {
        for (at, region, record) in std::mem::take(&mut *held(&self.copies)) {
            let mut tables = held(&self.tables);
            let key = (region, record.payment.transaction_id.clone());
            if tables.get(&key).is_none_or(|(there, _)| *there < at) {
                tables.insert(key, (at, record));
            }
        }
    }

    fn processor(&self, region: &str, homes: &Homes) -> Processor<&Self, &Self, &Self> {
        let place = Place { region: region.to_owned(), phase: "production".to_owned() };
        Processor::new(self, self, self, place).with_homes(homes.clone())
    }
}

impl Store for &World {
    async fn insert(&self, record: &Record) -> Result<Inserted, Fault> {
        let region = self.region(&record.region)?;
        self.conflict(region, record)?;
        let mut tables = held(&self.tables);
        if let Some((_, stored)) = tables.get(&(region, record.payment.transaction_id.clone())) {
            return Ok(Inserted::Exists(Box::new(stored.clone())));
        }
        // Atomic, within this region only or, with strong consistency, in all.
        self.put(&mut tables, region, record);
        Ok(Inserted::New)
    }

    async fn get(&self, region: &str, id: &str) -> Result<Option<Record>, Fault> {
        let region = self.region(region)?;
        Ok(held(&self.tables).get(&(region, id.to_owned())).map(|(_, record)| record.clone()))
    }

    async fn complete(&self, _region: &str, _record: &Record) -> Result<(), Fault> {
        Ok(())
    }

    async fn audited(&self, region: &str, record: &Record) -> Result<(), Fault> {
        let region = self.region(region)?;
        self.conflict(region, record)?;
        let mut tables = held(&self.tables);
        let stored = tables[&(region, record.payment.transaction_id.clone())].1.clone();
        self.put(&mut tables, region, &Record { audited: true, ..stored });
        Ok(())
    }
}

impl Sweep for &World {
    async fn pending(&self, region: &str, _from: Option<String>) -> Result<Page, Fault> {
        let region = self.region(region)?;
        let tables = held(&self.tables);
        let here = tables.iter().filter(|((there, _), (_, record))| *there == region && !record.audited);
        Ok(Page { records: here.map(|(_, (_, record))| record.clone()).collect(), next: None })
    }
}

impl Audit for &World {
    async fn write(&self, region: &str, entry: &Entry) -> Result<Written, Fault> {
        let key = (self.region(region)?.to_owned(), entry.key.clone());
        if held(&self.full).is_some_and(|full| full == region) {
            return Err(transient("503"));
        }
        let there = held(&self.entries).insert(key, entry.body.clone());
        Ok(if there.is_some() { Written::Exists } else { Written::New })
    }
}

impl Clock for &World {
    fn now(&self) -> Timestamp {
        let ticks = i64::try_from(self.tick()).unwrap();
        Timestamp::from_millisecond(1_772_330_400_000 + ticks).unwrap()
    }

    async fn sleep(&self, _pause: Duration) {}
}

/// Sends the same id to both regions at the same moment, 1,000 times: half of the pairs with equal content, half with
/// different content. Returns the number of pairs that did not end with one payment, one audit record and one winner.
fn race(world: World, homes: [&Homes; 2]) -> usize {
    let world = Arc::new(world);
    let mut wrong = 0;
    for number in 0..1_000 {
        let (id, start) = (format!("t-{number}"), Arc::new(Barrier::new(2)));
        let racers = REGIONS.into_iter().zip(homes).enumerate().map(|(side, (region, homes))| {
            let (world, homes, start) = (Arc::clone(&world), homes.clone(), Arc::clone(&start));
            let amount = if number % 2 == 0 { 1 } else { 1 + side };
            let body = json!({ "transactionId": id, "customerId": "c", "amount": amount }).to_string();
            thread::spawn(move || {
                start.wait();
                let processor = world.processor(region, &homes);
                processor.accept(body.as_bytes(), region).now_or_never().unwrap()
            })
        });
        let racers: Vec<_> = racers.collect();
        let outcomes: Vec<Outcome> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
        world.settle();
        let stored = REGIONS.map(|region| held(&world.tables)[&(region, id.clone())].1.clone());
        let entries = held(&world.entries).keys().filter(|(_, key)| key.contains(&format!("/{id}-"))).count();
        let told = outcomes.iter().all(|outcome| match outcome {
            Outcome::Accepted { record, .. } => record.accepted_at == stored[0].accepted_at,
            Outcome::Conflict { .. } => number % 2 == 1,
            _ => false,
        });
        let winners = outcomes.iter().filter(|outcome| outcome.status() == 200).count();
        let expected = if number % 2 == 0 { 2 } else { 1 };
        let fine = stored[0] == stored[1] && stored[0].audited && entries == 1 && told && winners == expected;
        wrong += usize::from(!fine);
    }
    wrong
}

#[test]
fn m30_two_regions_race_for_one_id_a_thousand_times_and_one_wins() {
    let homes = Homes::new(REGIONS).unwrap();
    assert_eq!(race(World::default(), [&homes, &homes]), 0);
}

/// G-04: with strong consistency, each region stores the payments that it receives, and the condition decides.
#[test]
fn g04_with_strong_consistency_the_condition_decides_the_race() {
    let homes = REGIONS.map(|here| Homes::strong(here, REGIONS));
    assert_eq!(race(strong(), [&homes[0], &homes[1]]), 0);
}

fn strong() -> World {
    World { strong: true, ..World::default() }
}

/// The same race without home regions: payments are lost, so the test above can fail.
#[test]
fn without_a_home_two_regions_both_win() {
    let wrong = race(World::default(), [&Homes::one("us-east-1"), &Homes::one("us-east-2")]);
    assert_eq!(wrong, 1_000, "{wrong}");
}

#[test]
fn m30_an_id_whose_region_cannot_be_reached_is_taken_nowhere_else() {
    let (world, homes) = (World::default(), Homes::new(REGIONS).unwrap());
    let id = (0..1_000).map(|number| format!("t-{number}")).find(|id| homes.of(id) == "us-east-2").unwrap();
    let body = json!({ "transactionId": id, "customerId": "c", "amount": 1 }).to_string();
    let accept =
        |region: &str| world.processor(region, &homes).accept(body.as_bytes(), "request").now_or_never().unwrap();
    *held(&world.cut) = Some("us-east-2");
    let refused = accept("us-east-1");
    let error = "the region of this transactionId is unreachable; retry the request";
    assert_eq!((refused.status(), refused.body()), (503, json!({ "error": error })));
    assert!(held(&world.tables).is_empty() && held(&world.entries).is_empty());
    let found = world.processor("us-east-1", &homes).find(&id, "request").now_or_never().unwrap();
    assert_eq!(found.status(), 503, "an unreachable region does not mean that the payment does not exist");
    *held(&world.cut) = None;
    assert_eq!(accept("us-east-1").name(), "accepted");
    assert_eq!(accept("us-east-2").name(), "repeated");
    let regions: Vec<_> = held(&world.entries).keys().map(|(region, _)| region.clone()).collect();
    assert_eq!(regions, ["us-east-2"], "the audit record is in the payment's region");
}

/// If a region no longer accepts payments, the others repair its payments.
#[test]
fn m30_payments_of_a_region_that_is_gone_are_repaired_by_another() {
    let (world, homes) = (World::default(), Homes::new(REGIONS).unwrap());
    let body = |id: &str| json!({ "transactionId": id, "customerId": "c", "amount": 1 }).to_string();
    let ids: Vec<_> = (0..20).map(|number| format!("t-{number}")).collect();
    for id in &ids {
        let accepted = world.processor("us-east-1", &homes).accept(body(id).as_bytes(), "r").now_or_never().unwrap();
        assert_eq!(accepted.status(), 200);
    }
    world.settle();
    held(&world.entries).clear();
    held(&world.tables).values_mut().for_each(|(_, record)| record.audited = false);
    let theirs = ids.iter().filter(|id| homes.of(id) == "us-east-2").count();
    assert!((1..20).contains(&theirs), "{theirs}");
    let repair = |homes: &Homes| world.processor("us-east-1", homes).repair().now_or_never().unwrap().unwrap();
    let count = |count: usize| Repairs { repaired: u32::try_from(count).unwrap(), failed: 0 };
    assert_eq!(repair(&homes), count(20 - theirs), "each region repairs its own");
    assert_eq!(repair(&Homes::one("us-east-1")), count(theirs));
    assert_eq!(held(&world.entries).len(), 20);
}

/// G-02: with strong consistency, the other region goes on with all ids while one is down. Payments whose audit record is
/// missing keep it for their own region, which writes it when it is back.
#[test]
fn g02_with_strong_consistency_the_other_region_takes_over_all_ids() {
    let world = strong();
    let at = |here: &str| world.processor(here, &Homes::strong(here, REGIONS)).with_audits(Audits::Follow);
    let body = |id: &str| json!({ "transactionId": id, "customerId": "c", "amount": 1 }).to_string();
    let accept = |here: &str, id: &str| at(here).accept(body(id).as_bytes(), "r").now_or_never().unwrap();
    let settle = |here: &str, id: &str| at(here).settle(id).now_or_never().unwrap();
    let first = accept("us-east-1", "t-1");
    *held(&world.full) = Some("us-east-1");
    assert_eq!(accept("us-east-1", "t-2").body()["status"], "pending");
    *held(&world.full) = None;
    *held(&world.cut) = Some("us-east-1");
    let repeat = accept("us-east-2", "t-1");
    assert_eq!((repeat.name(), repeat.body()), ("repeated", first.body()));
    assert_eq!(accept("us-east-2", "t-2").body()["status"], "pending");
    assert_eq!(settle("us-east-2", "t-2"), Ok(Settled::NotHere));
    assert!((3..50).all(|number| accept("us-east-2", &format!("t-{number}")).name() == "accepted"));
    *held(&world.cut) = None;
    assert_eq!([settle("us-east-1", "t-2"), settle("us-east-1", "t-2")], [Ok(Settled::Now), Ok(Settled::Before)]);
    let entries = held(&world.entries);
    let of = |region: &str| entries.keys().filter(|(there, _)| there == region).count();
    assert_eq!((of("us-east-1"), of("us-east-2")), (2, 47));
}

/// G-02: with eventual consistency, the other region takes over the ids of one that is down once the list of regions says
/// so, and gives them back: nothing that was replicated is lost or accepted twice.
#[test]
fn g02_with_eventual_consistency_the_list_of_regions_hands_ids_over_and_back() {
    let (world, both) = (World::default(), Homes::new(REGIONS).unwrap());
    let body = |id: &str| json!({ "transactionId": id, "customerId": "c", "amount": 1 }).to_string();
    let accept = |here: &str, homes: &Homes, id: &str| {
        world.processor(here, homes).accept(body(id).as_bytes(), "r").now_or_never().unwrap()
    };
    let ids: Vec<_> = (0..100).map(|number| format!("t-{number}")).collect();
    let (old, new) = ids.split_at(50);
    let answers: Vec<_> = old.iter().map(|id| accept("us-east-1", &both, id).body()).collect();
    world.settle();
    *held(&world.cut) = Some("us-east-1");
    let only = Homes::one("us-east-2");
    let again: Vec<_> = old.iter().map(|id| accept("us-east-2", &only, id)).collect();
    assert!(again.iter().all(|outcome| outcome.name() == "repeated"));
    assert_eq!(again.iter().map(Outcome::body).collect::<Vec<_>>(), answers);
    assert!(new.iter().all(|id| accept("us-east-2", &only, id).name() == "accepted"));
    *held(&world.cut) = None;
    world.settle();
    for here in REGIONS {
        assert!(ids.iter().all(|id| accept(here, &both, id).name() == "repeated"), "{here}");
    }
    assert_eq!(held(&world.entries).len(), 100);
}
