//! Variables that several stacks have.

mod alarms;
pub(crate) mod database;
pub(crate) mod domain;
mod package;
pub(crate) mod regions;
pub(crate) mod retention;
mod subscription;

pub(crate) use alarms::alarms;
pub(crate) use package::code;
pub use subscription::Subscription;
