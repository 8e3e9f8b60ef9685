//! The core of the payments path: what a payment is, and how requests are processed.
//!
//! This crate does no I/O and reads no clock: the service and the function provide a [`Store`] and an [`Audit`] for
//! payments and their audit records, and a [`Clock`]. This crate decides which requests are rejected and why, that requests are
//! idempotent, when and how often calls are retried, and the response.

mod amount;
mod answer;
mod audit;
pub mod card;
mod home;
mod openapi;
mod payment;
mod process;
mod retry;

pub use amount::{Amount, Currency, LONGEST_WHOLE};
pub use answer::{LATE, Outcome};
pub use audit::Entry;
pub use home::Homes;
pub use openapi::{Api, Route};
pub use payment::{FIELDS, LONGEST_BODY, LONGEST_DESCRIPTION, LONGEST_ID, Payment, Record, Refusal, is_id};
pub use process::{Audit, Audits, Clock, Inserted, Page, Place, Processor, Repairs, Settled, Store, Sweep, Written};
pub use retry::{Cause, Fault, Retries};
