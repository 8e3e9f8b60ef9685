//! The stacks that payinfra ships: pure functions from a configuration to the desired state.
//!
//! Nothing here does I/O. What a stack needs to know about the account is a lookup in its graph.

pub mod cidr;
pub mod config;
pub mod migration;
pub mod names;
pub mod rules;
mod sensitive;
pub mod tags;

use payinfra_engine::{Error, Graph, Result};

pub use config::{ConfigError, Configuration, Phase, Workspace, schema};
pub use names::AccountId;

/// A stack.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    /// Its name in configurations.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Builds the desired state of a workspace in an account.
    pub build: fn(&Workspace, &AccountId) -> Result<Graph>,
}

/// The stacks, sorted by name.
pub const STACKS: &[Stack] = &[Stack {
    name: migration::NAME,
    about: "a payment platform that moves from one region to two without downtime",
    build: migration::build,
}];

/// The desired state of `workspace` of the configured stack in `account`.
///
/// # Errors
/// If the workspace is not declared, the account id is invalid, the graph violates a rule, or AWS would show the value
/// of a sensitive variable.
pub fn build(configuration: &Configuration, workspace: &str, account: &str) -> Result<Graph> {
    let stack = STACKS.iter().find(|stack| stack.name == configuration.stack).ok_or_else(|| {
        Error::invalid(format!("unknown stack `{}`", configuration.stack)).hint("check `stack` in the configuration")
    })?;
    let account = AccountId::try_from(account.to_owned())?;
    let workspace = configuration.workspace(workspace).map_err(|error| *error)?;
    sensitive::conceal(workspace, &configuration.source_name, &|workspace| (stack.build)(workspace, &account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_sorted() {
        assert!(STACKS.is_sorted_by_key(|stack| stack.name));
    }
}
