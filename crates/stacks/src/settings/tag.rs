//! Values of required tags.

use payinfra_engine::{Error, Result};
use payinfra_stack::tags::{VALUE, wrong};

/// Checks the value of the variable `variable`, which is that of the tag `key`.
pub(crate) fn tag(variable: &str, key: &str, value: &str) -> Result<()> {
    if value.is_empty() {
        return Err(Error::invalid(format!("`{variable}` is empty")).hint(format!("write a value for the tag {key}")));
    }
    match wrong(value, VALUE) {
        Some((wrong, hint)) => Err(Error::invalid(format!("`{variable}` {wrong}")).hint(hint)),
        None => Ok(()),
    }
}
