//! Whether what a command changes exists.

use payinfra_engine::{Address, Error, Record, Result, State};

/// Checks that all of `parts` exist, so that a command can change them.
///
/// # Errors
/// If one has never existed, with its address.
pub(crate) fn check<'a>(parts: impl IntoIterator<Item = &'a Address>, state: &State) -> Result<()> {
    let exists = |address: &Address| state.resources.get(address).is_some_and(Record::has_existed);
    match parts.into_iter().find(|address| !exists(address)) {
        None => Ok(()),
        Some(missing) => {
            Err(Error::invalid(format!("{missing} does not exist yet")).hint("create it with `payinfra apply`"))
        }
    }
}
