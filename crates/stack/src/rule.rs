//! Rules that the graphs of stacks have to obey.

use payinfra_engine::{Address, Graph, Result};

use crate::names::Names;

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// What it requires.
    pub about: &'static str,
    /// Finds violations.
    pub check: fn(&Graph, &Names) -> Result<Vec<Violation>>,
}

/// A violation of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The resource.
    pub address: Address,
    /// The message, to be read after the address.
    pub message: String,
}

impl Violation {
    /// A violation by the resource at `address`.
    #[must_use]
    pub fn new(address: &Address, message: impl Into<String>) -> Self {
        Self { address: address.clone(), message: message.into() }
    }
}
