//! What payinfra remembers of a workspace: the ids it made, and what it meant to do when it was last seen.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::address::Address;
use crate::error::{Class, Error, Result};

/// The version of the format that this code writes.
pub const FORMAT: u32 = 2;

/// The state of one workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of this format.
    pub format: u32,
    /// Made once for a workspace; a state of another lineage is another deployment.
    pub lineage: String,
    /// The stack.
    pub stack: String,
    /// The workspace.
    pub workspace: String,
    /// The account that the resources are in.
    pub account: String,
    /// How many runs have written it.
    pub serial: u64,
    /// How many writes it has seen.
    pub revision: u64,
    /// The fencing epoch of the lock under which it was written last.
    pub epoch: u64,
    /// The digest of the rescue file that this state goes on from, if it took one up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescue: Option<String>,
    /// What exists, or was about to.
    #[schemars(with = "BTreeMap<String, Record>")]
    pub resources: BTreeMap<Address, Record>,
    /// The stack's outputs at the end of the last successful apply.
    pub outputs: BTreeMap<String, Value>,
}

/// One resource as the state knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// How often this address has been created; a part of the idempotency token.
    pub generation: u32,
    /// What was begun and not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The id that AWS gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it should be, references resolved, as last applied; during a create, as meant.
    pub args: Value,
    /// Its outputs as last seen.
    pub outputs: Value,
    /// What must outlive it.
    #[schemars(with = "BTreeSet<String>")]
    pub depends: BTreeSet<Address>,
    /// Whether a plan that would remove it fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// Whether a final snapshot is taken when it is deleted, where its kind can.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub final_snapshot: bool,
    /// Earlier generations that were replaced and still have to go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deposed: Vec<Deposed>,
}

/// An earlier generation of a resource whose replacement exists already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deposed {
    /// Its generation.
    pub generation: u32,
    /// Its id.
    pub id: String,
}

/// A journalled will to act, durable before the act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// It is being created; without an id, nobody knows whether the call took effect.
    Create,
    /// It is being changed.
    Update,
    /// It is being removed.
    Delete,
}

impl State {
    /// The first state of a workspace.
    #[must_use]
    pub fn new(stack: &str, workspace: &str, account: &str) -> Self {
        Self {
            format: FORMAT,
            lineage: uuid::Uuid::new_v4().to_string(),
            stack: stack.to_owned(),
            workspace: workspace.to_owned(),
            account: account.to_owned(),
            serial: 0,
            revision: 0,
            epoch: 0,
            rescue: None,
            resources: BTreeMap::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// The state that `bytes` hold.
    ///
    /// # Errors
    /// If they are not a state, or one of a format that this version does not know.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let broken = |error: serde_json::Error| {
            Error::new(Class::Invalid, format!("the state cannot be read: {error}"))
                .hint("restore an earlier version of the object: the bucket keeps all of them")
        };
        let head: Head = serde_json::from_slice(bytes).map_err(broken)?;
        if head.format != FORMAT {
            return Err(Error::new(
                Class::Invalid,
                format!("the state has format {}, this payinfra knows {FORMAT}", head.format),
            )
            .hint("use the version of payinfra that wrote it, or a newer one"));
        }
        serde_json::from_slice(bytes).map_err(broken)
    }

    /// The state as bytes: JSON for people, with a last line break.
    ///
    /// # Errors
    /// Never in practice; JSON can refuse a value that has no form in it.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::failed(format!("the state cannot be written as JSON: {error}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// That it belongs to this deployment.
    ///
    /// # Errors
    /// If it is another stack's, another workspace's or another account's.
    pub fn belongs(&self, stack: &str, workspace: &str, account: &str) -> Result<()> {
        for (what, is, should) in [
            ("stack", &self.stack[..], stack),
            ("workspace", &self.workspace, workspace),
            ("account", &self.account, account),
        ] {
            if is != should {
                return Err(Error::invalid(format!("the state belongs to {what} `{is}`, not to `{should}`"))
                    .hint("check `[state]`, `stack` and `[aws]` in payinfra.toml, and the credentials"));
            }
        }
        Ok(())
    }

    /// The idempotency token of `generation` of `address`: the same after a crash, another for the next generation.
    #[must_use]
    pub fn token(&self, address: &Address, generation: u32) -> String {
        let digest = Sha256::digest(format!("{}\n{address}\n{generation}", self.lineage));
        digest.iter().take(16).fold(String::new(), |token, byte| format!("{token}{byte:02x}"))
    }

    /// Whether something was begun and not finished.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.resources.values().any(|record| record.intent.is_some() || !record.deposed.is_empty())
    }
}
