//! The ids of parts of an API or domain name, which are unique only within it: `API/PART`.

use payinfra_engine::{Error, Id, Result};

/// The id of a part.
pub(super) fn id<R>(whole: &str, part: &str) -> Id<R> {
    Id::new(format!("{whole}/{part}"))
}

/// Both parts of an id.
pub(super) fn of<R>(id: &Id<R>) -> Result<(&str, &str)> {
    id.as_str()
        .split_once('/')
        .ok_or_else(|| Error::invalid(format!("`{id}` is not an id of two parts, separated by a slash")))
}
