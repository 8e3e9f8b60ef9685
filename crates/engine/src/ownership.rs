//! Whose an existing resource is, by its tags and by the state.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

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

/// Where ids are recorded as current. It may have more than the state, whose records decide.
#[derive(Default)]
pub(crate) struct Holders(HashMap<Arc<str>, HashMap<String, BTreeSet<Address>>>);

impl Holders {
    /// Those in `state`.
    pub(crate) fn of(state: &State) -> Self {
        let mut holders = Self::default();
        for (address, record) in &state.resources {
            record.id.iter().for_each(|id| holders.add(address, id));
        }
        holders
    }

    /// From now on, `id` may be recorded at `address`.
    pub(crate) fn add(&mut self, address: &Address, id: &str) {
        let ids = self.0.entry(Arc::clone(&address.kind)).or_default();
        ids.entry(id.to_owned()).or_default().insert(address.clone());
    }

    /// The address other than `address`, of the same kind and region, at which `state` has `id`.
    pub(crate) fn other<'a>(&'a self, state: &State, address: &Address, id: &str) -> Option<&'a Address> {
        let has = |other: &&Address| state.resources.get(*other).is_some_and(|record| record.id.as_deref() == Some(id));
        let addresses = self.0.get(&address.kind)?.get(id)?.iter();
        addresses.filter(|other| *other != address && other.region == address.region).find(has)
    }
}

/// Where else `seen` is recorded as current. Deleting it at `address` would delete it there as well.
pub(crate) fn elsewhere(holders: &Holders, state: &State, address: &Address, seen: &Seen) -> Option<String> {
    holders.other(state, address, &seen.id).map(|other| format!("it is also recorded at {other}"))
}
