//! The core of the payments path: what a payment is, and what becomes of a request to make one.
//!
//! Nothing here does I/O or looks at a clock. Where payments and their audit records are kept is a [`Store`] and an
//! [`Audit`], time is a [`Clock`]; the HTTP service and the functions bring their own. What they share is decided here:
//! which requests are refused and why, that a request can be repeated, how often and when something is tried again,
//! and what is answered.

mod amount;
mod answer;
mod audit;
pub mod card;
mod payment;
mod process;
mod retry;

pub use amount::{Amount, Currency};
pub use answer::Outcome;
pub use audit::Entry;
pub use payment::{Payment, Record, Refusal, is_id};
pub use process::{Audit, Clock, Inserted, Place, Processor, Store};
pub use retry::{Fault, Retries};
