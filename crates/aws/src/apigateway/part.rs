//! The ids of parts of an API, which are unique only within it: `API/PART`.

use payinfra_engine::{Error, Id, Ref, Result};

/// The id of a part.
pub(super) fn id<R>(parts: &[&str]) -> Id<R> {
    Id::new(parts.join("/"))
}

/// The `N` parts of an id; the last one may contain slashes.
pub(super) fn of<R, const N: usize>(id: &Id<R>) -> Result<[&str; N]> {
    let parts: Vec<_> = id.as_str().splitn(N, '/').collect();
    parts.try_into().map_err(|_| Error::invalid(format!("`{id}` is not an id of {N} parts, separated by slashes")))
}

/// The last part of the id that `reference` is known to be.
pub(super) fn last<R>(reference: &Ref<Id<R>>) -> Result<&str> {
    let [_, part] = of(reference.known()?)?;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_apart() -> Result<()> {
        let id: Id<()> = id(&["a1", "b2", "GET"]);
        assert_eq!(of(&id)?, ["a1", "b2", "GET"]);
        assert_eq!(of(&id)?, ["a1", "b2/GET"]);
        assert!(of::<_, 2>(&Id::<()>::new("a1")).is_err());
        Ok(())
    }
}
