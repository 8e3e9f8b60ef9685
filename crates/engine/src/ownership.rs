//! Whose an existing resource is, by its tags and by the state.

use crate::address::Address;
use crate::cloud::Seen;
use crate::state::State;
use crate::tags::Owner;

/// The reason why the tags of `seen` name another stack, workspace or deployment, if they do.
pub(crate) fn claimed(state: &State, seen: &Seen) -> Option<String> {
    let own = [(Owner::STACK, &state.stack), (Owner::WORKSPACE, &state.workspace), (Owner::LINEAGE, &state.lineage)];
    own.into_iter().find_map(|(key, own)| {
        let other = seen.args.get("tags")?.get(key)?.as_str()?;
        (other != own).then(|| format!("its tag `{key}` is `{other}`"))
    })
}

/// Where else `seen` is recorded as current. Deleting it at `address` would delete it there as well.
pub(crate) fn elsewhere(state: &State, address: &Address, seen: &Seen) -> Option<String> {
    holder(state, address, &seen.id).map(|other| format!("it is also recorded at {other}"))
}

/// The address other than `address` at which `id` is recorded.
pub(crate) fn holder(state: &State, address: &Address, id: &str) -> Option<Address> {
    let here = |other: &Address| (&other.region, &other.kind) == (&address.region, &address.kind);
    let mut others = state.resources.iter().filter(|(other, _)| *other != address && here(other));
    others.find(|(_, record)| record.id.as_deref() == Some(id)).map(|(other, _)| other.clone())
}
