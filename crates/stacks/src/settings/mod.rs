//! Variables that several stacks have.

pub(crate) mod domain;
pub(crate) mod regions;
pub(crate) mod retention;
mod subscription;
pub(crate) mod tag;
pub(crate) mod window;

pub use subscription::Subscription;
