//! Failures that the kinds have in common.

use payinfra_engine::{Class, Error, Id, Live, Owner, Resource, Result, Tags};

pub(crate) use payinfra_sdk::{Unless, partial};

/// That `id`, the `what` of the name that ours should have, exists and is not ours.
pub(crate) fn foreign(what: &str, name: &str, id: &str) -> Error {
    Error::new(Class::Foreign, format!("the {what} `{name}` already exists and is not managed by this deployment"))
        .taken(id)
}

/// That nothing has the place of ours: `found` is what a look at it showed.
pub(crate) fn vacant<R>(found: Option<Id<R>>, what: &str) -> Result<()> {
    match found {
        None => Ok(()),
        Some(id) => Err(foreign(what, id.as_str(), id.as_str())),
    }
}

/// Whether `theirs` carry the owner that `ours` carry.
pub(crate) fn same_owner(ours: &Tags, theirs: &Tags) -> bool {
    Owner::KEYS.iter().all(|key| ours.get(key) == theirs.get(key))
}

/// The tags of the `what` that exists under this name; a conflict while AWS, which is a moment late, does not know them:
/// what shows no tags yet is not a stranger's.
pub(crate) fn shown(what: &str, name: &str, tags: Result<Tags>) -> Result<Tags> {
    tags.unless(Class::NotFound)?
        .ok_or_else(|| Error::new(Class::Conflict, format!("the tags of the {what} `{name}` are not visible yet")))
}

/// `id`, the `what` of the name that ours should have, if its `tags` say that it is ours.
pub(crate) fn claim<R>(what: &str, name: &str, id: Id<R>, tags: &Tags, owner: &Owner) -> Result<Option<Id<R>>> {
    if owner.owns(tags) { Ok(Some(id)) } else { Err(foreign(what, name, id.as_str())) }
}

/// What was found under the id that ours should have, if its tags say that it is ours.
pub(crate) fn ours<R: Resource>(found: Option<Live<R>>, what: &str, owner: &Owner) -> Result<Option<Id<R>>> {
    let Some(mut found) = found else { return Ok(None) };
    let tags = found.args.tags().map(std::mem::take).unwrap_or_default();
    let name = found.id.to_string();
    claim(what, &name, found.id, &tags, owner)
}
