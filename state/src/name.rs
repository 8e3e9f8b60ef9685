//! Names that become parts of paths.

use payinfra_engine::{Error, Result};

/// Checks that `name` is valid as one part of a path.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{name}` is not a valid {what} name")).hint("use letters, digits, `-`, `_` and `.`"))
}
