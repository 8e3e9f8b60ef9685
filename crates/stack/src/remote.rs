//! Outputs of other workspaces and stacks (M-29).

use std::collections::BTreeSet;

use payinfra_engine::Region;
use serde::Serialize;

/// Outputs to read from another workspace or stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemoteOutputs {
    /// The stack.
    pub stack: String,
    /// The workspace.
    pub workspace: String,
    /// The names of the outputs.
    pub outputs: BTreeSet<String>,
    /// The required lineage of the state, if any.
    pub lineage: Option<String>,
    /// The bucket of the state; by default the current account's own.
    pub bucket: Option<String>,
    /// The account that owns the bucket; by default the current account.
    pub account: Option<String>,
    /// The region of the bucket.
    pub region: Region,
}

/// The prefix of a variable that refers to an output of another workspace or stack: `remote.NAME.OUTPUT`.
pub const REMOTE: &str = "remote.";
