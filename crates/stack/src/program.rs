//! The stacks of a program.

use payinfra_engine::{Error, Result};

use crate::configuration::ambiguous;
use crate::names::Suffix;
use crate::stack::{AnyStack, Stacks};

/// Checks the stacks of a program: at least one, with valid names, no name twice, no variable that is also a shared one.
///
/// # Errors
/// If this is not so.
pub fn distinct(stacks: Stacks) -> Result<()> {
    if stacks.is_empty() {
        return Err(Error::invalid("this program has no stacks").hint("pass at least one to `payinfra::main`"));
    }
    for (index, stack) in stacks.iter().enumerate() {
        let name = stack.name();
        Suffix::parse(name).map_err(|_| {
            Error::invalid(format!("`{name}` is not a valid name of a stack"))
                .hint("use lower-case letters, digits and inner hyphens")
        })?;
        stack.name_form().check()?;
        if stacks[..index].iter().any(|other| other.name() == stack.name()) {
            return Err(Error::invalid(format!("two stacks of this program have the name `{}`", stack.name()))
                .hint("rename one of them: the name is part of states and tags"));
        }
        if let Some(variable) = ambiguous(*stack).first() {
            let message = format!("the stack `{}` has a variable `{variable}`, which all stacks share", stack.name());
            return Err(Error::invalid(message).hint("rename it"));
        }
    }
    Ok(())
}

/// The stack `name` of a program.
///
/// # Errors
/// If the program has no such stack; the hint lists those that it has.
pub fn named(stacks: Stacks, name: &str) -> Result<&'static dyn AnyStack> {
    stacks.iter().copied().find(|stack| stack.name() == name).ok_or_else(|| {
        let known: Vec<_> = stacks.iter().map(|stack| stack.name()).collect();
        Error::invalid(format!("unknown stack `{name}`")).hint(format!("available stacks: {}", known.join(", ")))
    })
}
