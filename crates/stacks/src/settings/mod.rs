//! Variables that several stacks have.

pub(crate) mod domain;
pub(crate) mod regions;
pub(crate) mod retention;
mod subscription;

pub use subscription::Subscription;
