//! Variables that several stacks have.

pub(crate) mod domain;
pub(crate) mod retention;
mod subscription;

pub use subscription::Subscription;
