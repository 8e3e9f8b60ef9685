//! From a request to its outcome.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use crate::answer::Outcome;
use crate::audit::Entry;
use crate::card;
use crate::home::Homes;
use crate::payment::{Payment, Record, is_id};
use crate::retry::{Fault, Retries};

/// Where payments are kept: a table in each region.
pub trait Store: Send + Sync {
    /// Keeps `record` in the table of its region unless there is one with its transaction id. It must decide and write
    /// in one act.
    fn insert(&self, record: &Record) -> impl Future<Output = Result<Inserted, Fault>> + Send;
    /// The payment with this transaction id, as it was last written in `region`.
    fn get(&self, region: &str, id: &str) -> impl Future<Output = Result<Option<Record>, Fault>> + Send;
    /// Notes in the table of `region` that the payment's audit record is written.
    fn audited(&self, region: &str, id: &str) -> impl Future<Output = Result<(), Fault>> + Send;
    /// Payments in `region` whose audit record is not written, from the start or from where another page ended.
    fn pending(&self, region: &str, from: Option<String>) -> impl Future<Output = Result<Page, Fault>> + Send;
}

/// What became of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is kept.
    New,
    /// There is one with its id: this.
    Exists(Box<Record>),
}

/// Some of the payments that wait for their audit record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The payments.
    pub records: Vec<Record>,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

/// Where audit records are kept: a bucket in each region.
pub trait Audit: Send + Sync {
    /// Keeps `entry` in `region`. That there is one under its key is success: it is the same.
    fn write(&self, region: &str, entry: &Entry) -> impl Future<Output = Result<Written, Fault>> + Send;
}

/// What became of an audit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is written.
    New,
    /// It was there.
    Exists,
}

/// Time, which the core does not have.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;
}

/// Where requests are processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The region; its payments are repaired here.
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
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Payments whose audit record is there now.
    pub repaired: u32,
    /// Payments whose audit record is still not there; the next sweep tries again.
    pub failed: u32,
}

/// How many payments a sweep repairs at once.
const AT_ONCE: usize = 16;

impl<S: Store, A: Audit, C: Clock> Processor<S, A, C> {
    /// With these means, in one region.
    pub fn new(store: S, audit: A, clock: C, place: Place) -> Self {
        let homes = Homes::one(&place.region);
        Self { store, audit, clock, place, homes, retries: Retries::default() }
    }

    /// In these regions.
    #[must_use]
    pub fn with_homes(self, homes: Homes) -> Self {
        Self { homes, ..self }
    }

    /// With other patience.
    #[must_use]
    pub fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    /// Where payments are kept.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Accepts the payment that `body` asks for.
    ///
    /// The payment is stored first, then its audit record, and only when both are there it is accepted. Whatever fails
    /// in between, the same request again completes it: a payment that is there already with the same content gets the
    /// audit record that it lacks, and the same answer. Without a repeat the next sweep does.
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
            // Nothing can have this id.
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
            // Another attempt of ours whose answer was lost, too.
            Ok(Inserted::Exists(stored)) if stored.payment == record.payment => {
                let ours = Record { audited: false, ..(*stored).clone() } == record;
                (*stored, !ours)
            }
            Ok(Inserted::Exists(_)) => return Outcome::Conflict { transaction_id: id },
            Err(fault) => return self.failed(id, fault),
        };
        match self.complete(record).await {
            Ok((record, _)) => Outcome::Accepted { record, repeated },
            Err(fault) => self.failed(id, fault),
        }
    }

    /// Writes the audit record of a stored payment, and then notes in the payment that it is written.
    async fn complete(&self, record: Record) -> Result<(Record, Written), Fault> {
        if record.audited {
            return Ok((record, Written::Exists));
        }
        let (entry, id) = (Entry::of(&record), &record.payment.transaction_id);
        let keeper = self.homes.of_audit(&record);
        let written = self.retries.run(&self.clock, id, || self.audit.write(keeper, &entry)).await?;
        let home = self.homes.of(id);
        self.retries.run(&self.clock, id, || self.store.audited(home, id)).await?;
        Ok((Record { audited: true, ..record }, written))
    }

    fn failed(&self, transaction_id: String, fault: Fault) -> Outcome {
        match self.elsewhere(&transaction_id, &fault) {
            Some(region) => Outcome::Unreachable { transaction_id, region, fault },
            None => Outcome::Failed { transaction_id: Some(transaction_id), fault },
        }
    }

    /// The region that did not answer, if it is another one.
    fn elsewhere(&self, id: &str, fault: &Fault) -> Option<String> {
        let home = self.homes.of(id);
        (fault.transient && home != self.place.region).then(|| home.to_owned())
    }

    /// Writes the audit records that payments of this region lack, such as those of a process that was killed.
    ///
    /// An audit record follows from its payment and is written once under a key that follows from it too, so sweeps of
    /// several tasks, and a sweep at the same time as the request itself, write one.
    ///
    /// # Errors
    /// The table cannot be read. A payment that cannot be repaired is counted and does not stop the others.
    pub async fn repair(&self) -> Result<Repairs, Fault> {
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

    async fn repair_one(&self, record: Record) -> bool {
        let (id, correlation_id) = (record.payment.transaction_id.clone(), record.correlation_id.clone());
        match self.complete(record).await {
            Ok((_, written)) => {
                let audit = if written == Written::New { "written" } else { "was there" };
                tracing::info!(outcome = "repaired", transaction_id = id, audit, correlation_id, "transaction");
                true
            }
            Err(fault) => {
                let error = card::redact(&fault.message);
                tracing::error!(outcome = "not-repaired", transaction_id = id, %error, correlation_id, "transaction");
                false
            }
        }
    }
}

/// One line for each transaction (G-03). Customers and cards are not in it (P-09).
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
