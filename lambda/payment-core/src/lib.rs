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
mod home;
mod payment;
mod process;
mod retry;

pub use amount::{Amount, Currency, LONGEST_WHOLE};
pub use answer::Outcome;
pub use audit::Entry;
pub use home::Homes;
pub use payment::{FIELDS, LONGEST_DESCRIPTION, LONGEST_ID, Payment, Record, Refusal, is_id};
pub use process::{Audit, Clock, Inserted, Page, Place, Processor, Repairs, Store, Written};
pub use retry::{Fault, Retries};
