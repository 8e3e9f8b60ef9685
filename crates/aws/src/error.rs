//! Errors and ownership checks that the kinds share.

use payinfra_engine::{Class, Error, Id, Live, Owner, Resource, Result, Tags};

pub(crate) use payinfra_sdk::{Unless, partial};

/// The error that `id` exists with the name of our `what`, and is not ours.
pub(crate) fn foreign(what: &str, name: &str, id: &str) -> Error {
    Error::new(Class::Foreign, format!("the {what} `{name}` already exists and is not managed by this deployment"))
        .taken(id)
}

/// Checks that our resource does not exist yet: `found` is the result of a read.
pub(crate) fn vacant<R>(found: Option<Id<R>>, what: &str) -> Result<()> {
    match found {
        None => Ok(()),
        Some(id) => Err(foreign(what, id.as_str(), id.as_str())),
    }
}

/// Whether `theirs` have the owner that `ours` have.
pub(crate) fn same_owner(ours: &Tags, theirs: &Tags) -> bool {
    Owner::KEYS.iter().all(|key| ours.get(key) == theirs.get(key))
}

/// The tags of the existing `what` with this name. If they are not visible yet, this is a conflict: a resource whose
/// tags are not visible yet does not count as somebody else's.
pub(crate) fn shown(what: &str, name: &str, tags: Result<Tags>) -> Result<Tags> {
    tags.unless(Class::NotFound)?
        .ok_or_else(|| Error::new(Class::Conflict, format!("the tags of the {what} `{name}` are not visible yet")))
}

/// `id`, the existing `what` with our name, if its `tags` show that it is ours.
pub(crate) fn claim<R>(what: &str, name: &str, id: Id<R>, tags: &Tags, owner: &Owner) -> Result<Option<Id<R>>> {
    if owner.owns(tags) { Ok(Some(id)) } else { Err(foreign(what, name, id.as_str())) }
}

/// The resource found under our id, if its tags show that it is ours.
pub(crate) fn ours<R: Resource>(found: Option<Live<R>>, what: &str, owner: &Owner) -> Result<Option<Id<R>>> {
    let Some(mut found) = found else { return Ok(None) };
    let tags = found.args.tags().map(std::mem::take).unwrap_or_default();
    let name = found.id.to_string();
    claim(what, &name, found.id, &tags, owner)
}
