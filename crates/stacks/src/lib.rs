//! The stacks that payinfra ships, as compositions of components.
//!
//! Nothing here does I/O. What a stack needs to know about the account is a lookup in its graph.

pub mod global_payments;
pub mod migration;
pub mod peered_payments;
mod remote;
pub mod settings;
pub mod trading;

use payinfra_components::GraphFile;
use payinfra_stack::Stacks;

pub use global_payments::GlobalPayments;
pub use migration::{Migration, Phase};
pub use peered_payments::PeeredPayments;
pub use trading::Trading;

/// The stacks, sorted by name.
pub const STACKS: Stacks = &[&GlobalPayments, &GraphFile, &Migration, &PeeredPayments, &Trading];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_sorted() {
        assert!(STACKS.is_sorted_by_key(|stack| stack.name()));
        assert!(payinfra_stack::distinct(STACKS).is_ok());
    }
}
