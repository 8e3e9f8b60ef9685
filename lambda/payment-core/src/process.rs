//! From a request to its outcome.

use std::time::Duration;

use jiff::Timestamp;

use crate::answer::Outcome;
use crate::audit::Entry;
use crate::card;
use crate::payment::{Payment, Record, is_id};
use crate::retry::{Fault, Retries};

/// Where payments are kept.
pub trait Store: Send + Sync {
    /// Keeps `record` unless there is one with its transaction id. It must decide and write in one act.
    fn insert(&self, record: &Record) -> impl Future<Output = Result<Inserted, Fault>> + Send;
    /// The payment with this transaction id, as it was last written.
    fn get(&self, id: &str) -> impl Future<Output = Result<Option<Record>, Fault>> + Send;
}

/// What became of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is kept.
    New,
    /// There is one with its id: this.
    Exists(Box<Record>),
}

/// Where audit records are kept.
pub trait Audit: Send + Sync {
    /// Keeps `entry`. That there is one under its key is success: it is the same.
    fn write(&self, entry: &Entry) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// Time, which the core does not have.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn sleep(&self, pause: Duration) -> impl Future<Output = ()> + Send;
}

/// Where requests are processed; written into each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The region.
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
    retries: Retries,
}

impl<S: Store, A: Audit, C: Clock> Processor<S, A, C> {
    /// With these means.
    pub fn new(store: S, audit: A, clock: C, place: Place) -> Self {
        Self { store, audit, clock, place, retries: Retries::default() }
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
    /// audit record that it lacks, and the same answer.
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
        let found = if is_id(id) {
            self.retries.run(&self.clock, id, || self.store.get(id)).await
        } else {
            // Nothing can have this id.
            Ok(None)
        };
        let outcome = match found {
            Ok(Some(record)) => Outcome::Found(record),
            Ok(None) => Outcome::NotFound,
            Err(fault) => Outcome::Failed { transaction_id: None, fault },
        };
        log(&outcome, correlation_id);
        outcome
    }

    async fn store_and_audit(&self, payment: Payment, correlation_id: &str) -> Outcome {
        let now = self.clock.now();
        let record = Record {
            accepted_at: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now),
            region: self.place.region.clone(),
            phase: self.place.phase.clone(),
            correlation_id: correlation_id.to_owned(),
            payment,
        };
        let id = record.payment.transaction_id.as_str();
        let (record, repeated) = match self.retries.run(&self.clock, id, || self.store.insert(&record)).await {
            Ok(Inserted::New) => (record, false),
            // Another attempt of ours whose answer was lost, too.
            Ok(Inserted::Exists(stored)) if stored.payment == record.payment => {
                let ours = *stored == record;
                (*stored, !ours)
            }
            Ok(Inserted::Exists(_)) => return Outcome::Conflict { transaction_id: id.to_owned() },
            Err(fault) => return Outcome::Failed { transaction_id: Some(id.to_owned()), fault },
        };
        let entry = Entry::of(&record);
        let id = record.payment.transaction_id.as_str();
        if let Err(fault) = self.retries.run(&self.clock, id, || self.audit.write(&entry)).await {
            return Outcome::Failed { transaction_id: Some(id.to_owned()), fault };
        }
        Outcome::Accepted { record, repeated }
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
        Outcome::Failed { transaction_id, fault } => {
            let error = card::redact(&fault.message);
            tracing::error!(outcome = name, transaction_id, %error, correlation_id, "transaction");
        }
    }
}
