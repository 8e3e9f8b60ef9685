//! How the work of a resource is handed over before it is deleted.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Address;

/// How the work of a resource is handed over before it is deleted: clients of a record set that is deleted use the other
/// record sets of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// The resources that take over. Those that are still declared are created and updated before the delete starts.
    #[schemars(with = "BTreeSet<String>")]
    pub to: BTreeSet<Address>,
    /// How long after the delete, in seconds, its dependencies may still be in use, and are therefore not deleted: the TTL
    /// of a record set. It does not apply if nothing takes over.
    pub drain_seconds: u32,
}
