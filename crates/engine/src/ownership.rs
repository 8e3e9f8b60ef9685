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
    let here = |other: &Address| (&other.region, &other.kind) == (&address.region, &address.kind);
    let mut others =
        state.resources.iter().filter(|(other, record)| here(other) && record.id.as_ref() == Some(&seen.id));
    others.next().map(|(other, _)| format!("it is also recorded at {other}"))
}
