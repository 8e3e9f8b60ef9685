//! Drift: what was changed outside payinfra.

use std::collections::BTreeMap;

use super::Drift;
use super::refresh::Refreshed;
use crate::address::Address;
use crate::cloud::{Seen, Status};
use crate::diff::diff;
use crate::secret::redacted_like;
use crate::state::State;

/// Drift: the differences between the recorded and the current resources.
#[must_use]
pub fn drift(state: &State, refreshed: &Refreshed) -> BTreeMap<Address, Drift> {
    let mut drifts = BTreeMap::new();
    for (address, record) in &state.resources {
        if record.id.is_none() || record.intent.is_some() {
            continue;
        }
        match refreshed.live.get(address) {
            None => {
                drifts.insert(address.clone(), Drift::Gone);
            }
            Some(Seen { status: Status::Scheduled(until), .. }) => {
                drifts.insert(address.clone(), Drift::Scheduled(until.clone()));
            }
            Some(seen) => {
                let changes = diff(&record.args, &redacted_like(&seen.args, &record.args, &state.lineage), None);
                if !changes.is_empty() {
                    drifts.insert(address.clone(), Drift::Changed(changes));
                }
            }
        }
    }
    drifts
}
