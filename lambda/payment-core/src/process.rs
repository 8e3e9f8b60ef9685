//! Processes requests.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::answer::Outcome;
use crate::audit::Entry;
use crate::card;
use crate::home::Homes;
use crate::payment::{Payment, Record, is_id};
use crate::retry::{Cause, Fault, Retries};

/// The storage of payments: a table in each region.
pub trait Store: Send + Sync {
    /// Stores `record` in the table of its region, unless it has a payment with the same transaction id. Check and
    /// write must be atomic. If the stored payment is equal, this also completes an interrupted insert.
    fn insert(&self, record: &Record) -> impl Future<Output = Result<Inserted, Fault>> + Send;
    /// The payment with this transaction id that was last written in `region`.
    fn get(&self, region: &str, id: &str) -> impl Future<Output = Result<Option<Record>, Fault>> + Send;
    /// Completes an interrupted insert of `record` in the table of `region`, any number of times.
    fn complete(&self, region: &str, record: &Record) -> impl Future<Output = Result<(), Fault>> + Send;
    /// Marks in the table of `region` that the payment's audit record is written.
    fn audited(&self, region: &str, record: &Record) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// A storage that can list incomplete payments. The payments of other storages are completed by [`Processor::settle`].
pub trait Sweep: Store {
    /// Payments in `region` without an audit record: the first page, or the page that starts at a token.
    fn pending(&self, region: &str, from: Option<String>) -> impl Future<Output = Result<Page, Fault>> + Send;
}

/// The result of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The payment is stored.
    New,
    /// A payment with this id exists.
    Exists(Box<Record>),
}

/// A page of the payments without an audit record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The payments.
    pub records: Vec<Record>,
    /// The token of the next page, if there is one.
    pub next: Option<String>,
}

/// The storage of audit records: a bucket in each region.
pub trait Audit: Send + Sync {
    /// Stores `entry` in `region`. An existing object with its key is a success, because it has the same content.
    fn write(&self, region: &str, entry: &Entry) -> impl Future<Output = Result<Written, Fault>> + Send;
}

/// The result of writing an audit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    New,
    /// It existed before.
    Exists,
}

/// The clock, which the core does not have.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
    /// Sleeps.
    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;
}

/// The place where requests are processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The region. Sweeps repair the payments of this region.
    pub region: String,
    /// The phase of the migration.
    pub phase: String,
}

/// Processes requests.
#[derive(Clone, Debug)]
pub struct Processor<S, A, C> {
    store: S,
    audit: A,
    clock: C,
    place: Place,
    homes: Homes,
    retries: Retries,
    audits: Audits,
}

/// When the audit record of an accepted payment is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audits {
    /// Before the payment is accepted. If that fails, the payment is in doubt.
    #[default]
    First,
    /// With the payment if possible. If that fails, the payment is accepted, and [`Processor::settle`] writes it.
    Follow,
}

/// The result of settling a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Its audit record is now written.
    Now,
    /// It was settled before.
    Before,
    /// Another region settles it, or it does not exist.
    NotHere,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// The number of payments whose audit record is now written.
    pub repaired: u32,
    /// The number of payments whose audit record could not be written; the next sweep tries again.
    pub failed: u32,
}

/// The id that a check reads. The payment does not have to exist.
const PROBE: &str = "health-check";

/// The number of payments that a sweep repairs concurrently.
const AT_ONCE: usize = 16;

impl<S: Store, A: Audit, C: Clock> Processor<S, A, C> {
    /// Creates a processor for one region.
    pub fn new(store: S, audit: A, clock: C, place: Place) -> Self {
        let homes = Homes::one(&place.region);
        Self { store, audit, clock, place, homes, retries: Retries::default(), audits: Audits::default() }
    }

    /// Uses these regions.
    #[must_use]
    pub fn with_homes(self, homes: Homes) -> Self {
        Self { homes, ..self }
    }

    /// Uses another retry policy.
    #[must_use]
    pub fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    /// Writes audit records at this time.
    #[must_use]
    pub fn with_audits(self, audits: Audits) -> Self {
        Self { audits, ..self }
    }

    /// This processor for one event: it starts no call after `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Timestamp) -> Self
    where
        S: Clone,
        A: Clone,
        C: Clone,
    {
        let retries = Retries { deadline: Some(deadline), ..self.retries };
        self.clone().with_retries(retries)
    }

    /// The storage of payments.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Checks that the table of this region responds, with one attempt.
    ///
    /// # Errors
    /// If it does not.
    pub async fn check(&self) -> Result<(), Fault> {
        self.store.get(&self.place.region, PROBE).await.map(drop)
    }

    /// Accepts the payment in `body`.
    ///
    /// First the payment is stored, then its audit record. The payment is accepted when both are stored. If this is
    /// interrupted, a repeat of the request completes it: a stored payment with the same content gets its missing audit
    /// record, and the response is the same. Without a repeat, the next sweep completes it.
    pub async fn accept(&self, body: &[u8], correlation_id: &str) -> Outcome {
        let outcome = match Payment::parse(body) {
            Ok(payment) => self.store_and_audit(payment, correlation_id).await,
            Err(refusal) => Outcome::Refused(refusal),
        };
        log(&outcome, correlation_id);
        outcome
    }

    /// Finds the payment with this transaction id.
    pub async fn find(&self, id: &str, correlation_id: &str) -> Outcome {
        let found = if is_id(id) && !card::is_in(id) {
            self.retries.run(&self.clock, id, || self.store.get(self.homes.of(id), id)).await
        } else {
            // No payment can have this id.
            Ok(None)
        };
        let outcome = match found {
            Ok(Some(record)) => Outcome::Found(record),
            Ok(None) => Outcome::NotFound,
            Err(fault) => match self.elsewhere(id, &fault) {
                Some(region) => Outcome::Unreachable { transaction_id: id.to_owned(), region, fault },
                None => Outcome::Failed { transaction_id: None, fault },
            },
        };
        log(&outcome, correlation_id);
        outcome
    }

    async fn store_and_audit(&self, payment: Payment, correlation_id: &str) -> Outcome {
        let now = self.clock.now();
        let record = Record {
            accepted_at: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now),
            region: self.homes.of(&payment.transaction_id).to_owned(),
            phase: self.place.phase.clone(),
            correlation_id: correlation_id.to_owned(),
            payment,
            audited: false,
        };
        let id = record.payment.transaction_id.clone();
        let (record, repeated) = match self.retries.run(&self.clock, &id, || self.store.insert(&record)).await {
            Ok(Inserted::New) => (record, false),
            // An earlier attempt of this request, whose response was lost.
            Ok(Inserted::Exists(stored)) if stored.payment == record.payment => {
                let ours = Record { audited: false, ..(*stored).clone() } == record;
                (*stored, !ours)
            }
            Ok(Inserted::Exists(_)) => return Outcome::Conflict { transaction_id: id },
            Err(fault) => return self.failed(id, fault),
        };
        match self.complete(record.clone()).await {
            Ok((record, _)) => Outcome::Accepted { record, repeated },
            Err(fault) if self.audits == Audits::Follow => {
                let error = card::redact(&fault.message);
                tracing::warn!(transaction_id = id, %error, correlation_id, "the audit record follows");
                Outcome::Accepted { record, repeated }
            }
            Err(fault) => self.failed(id, fault),
        }
    }

    /// Writes the audit record of a stored payment, and then marks the payment.
    async fn complete(&self, record: Record) -> Result<(Record, Written), Fault> {
        if record.audited {
            return Ok((record, Written::Exists));
        }
        let (entry, id) = (Entry::of(&record), &record.payment.transaction_id);
        let keeper = self.homes.of_audit(&record);
        let written = self.retries.run(&self.clock, id, || self.audit.write(keeper, &entry)).await?;
        let home = self.homes.of(id);
        self.retries.run(&self.clock, id, || self.store.audited(home, &record)).await?;
        Ok((Record { audited: true, ..record }, written))
    }

    fn failed(&self, transaction_id: String, fault: Fault) -> Outcome {
        match self.elsewhere(&transaction_id, &fault) {
            Some(region) => Outcome::Unreachable { transaction_id, region, fault },
            None => Outcome::Failed { transaction_id: Some(transaction_id), fault },
        }
    }

    /// The region that did not respond, if it is not this one.
    fn elsewhere(&self, id: &str, fault: &Fault) -> Option<String> {
        let home = self.homes.of(id);
        (matches!(fault.cause, Cause::Transient | Cause::Late) && home != self.place.region).then(|| home.to_owned())
    }

    /// Writes the missing audit records of this region's payments, for example after a process was killed.
    ///
    /// An audit record and its key are derived from the payment, so concurrent sweeps, or a sweep concurrent with the
    /// request itself, write the same object.
    ///
    /// # Errors
    /// If the table cannot be read. A payment that cannot be repaired is counted, and does not stop the others.
    pub async fn repair(&self) -> Result<Repairs, Fault>
    where
        S: Sweep,
    {
        let (region, mut repairs) = (self.place.region.as_str(), Repairs::default());
        let mut from = None;
        loop {
            let page = self.retries.run(&self.clock, region, || self.store.pending(region, from.clone())).await?;
            let ours = page.records.into_iter().filter(|record| self.homes.of_audit(record) == region);
            let results: Vec<_> =
                stream::iter(ours.map(|record| self.repair_one(record))).buffer_unordered(AT_ONCE).collect().await;
            let repaired = results.iter().filter(|repaired| **repaired).count();
            repairs.repaired += u32::try_from(repaired).unwrap_or(u32::MAX);
            repairs.failed += u32::try_from(results.len() - repaired).unwrap_or(u32::MAX);
            from = page.next;
            if from.is_none() {
                return Ok(repairs);
            }
        }
    }

    /// Completes the payment with this id and writes its audit record, unless it is written. The streams of all replicas
    /// call this for every new payment, any number of times. The region that keeps the audit record writes it: the first
    /// call that succeeds writes the only object.
    ///
    /// # Errors
    /// If the table or the bucket fails; the stream delivers the payment again.
    pub async fn settle(&self, id: &str) -> Result<Settled, Fault> {
        let here = self.place.region.as_str();
        let found = self.retries.run(&self.clock, id, || self.store.get(here, id)).await?;
        match found.filter(|record| self.homes.of_audit(record) == here) {
            None => Ok(Settled::NotHere),
            Some(record) if record.audited => Ok(Settled::Before),
            Some(record) => {
                self.complete_logged(record).await?;
                Ok(Settled::Now)
            }
        }
    }

    async fn repair_one(&self, record: Record) -> bool {
        self.complete_logged(record).await.is_ok()
    }

    async fn complete_logged(&self, record: Record) -> Result<(), Fault> {
        let (id, correlation_id) = (record.payment.transaction_id.clone(), record.correlation_id.clone());
        let home = self.homes.of(&id);
        let stored = self.retries.run(&self.clock, &id, || self.store.complete(home, &record)).await;
        let completed = match stored {
            Ok(()) => self.complete(record).await,
            Err(fault) => Err(fault),
        };
        match completed {
            Ok((_, written)) => {
                let audit = if written == Written::New { "written" } else { "existing" };
                tracing::info!(outcome = "repaired", transaction_id = id, audit, correlation_id, "transaction");
                Ok(())
            }
            Err(fault) => {
                let error = card::redact(&fault.message);
                tracing::error!(outcome = "not-repaired", transaction_id = id, %error, correlation_id, "transaction");
                Err(fault)
            }
        }
    }
}

/// Logs one line per transaction (G-03), without customers and card numbers (P-09).
fn log(outcome: &Outcome, correlation_id: &str) {
    let name = outcome.name();
    match outcome {
        Outcome::Accepted { record, .. } | Outcome::Found(record) => {
            let payment = &record.payment;
            let (amount, currency, id) = (payment.amount, payment.currency, &payment.transaction_id);
            tracing::info!(outcome = name, transaction_id = id, %amount, %currency, correlation_id, "transaction");
        }
        Outcome::Refused(refusal) => {
            tracing::warn!(outcome = name, field = refusal.field, %refusal, correlation_id, "transaction");
        }
        Outcome::Conflict { transaction_id } => {
            tracing::warn!(outcome = name, transaction_id, correlation_id, "transaction");
        }
        Outcome::NotFound => tracing::info!(outcome = name, correlation_id, "transaction"),
        Outcome::Unreachable { transaction_id, region, fault } => {
            let error = card::redact(&fault.message);
            tracing::error!(outcome = name, transaction_id, region, %error, correlation_id, "transaction");
        }
        Outcome::Failed { transaction_id, fault } => {
            let error = card::redact(&fault.message);
            tracing::error!(outcome = name, transaction_id, %error, correlation_id, "transaction");
        }
    }
}
