//! The state of a workspace: the ids of its resources, and operations that were in progress when it was written.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::address::Address;
use crate::error::{Class, Error, Result};
use crate::handover::Handover;

/// The version of the state format that this code writes.
pub const FORMAT: u32 = 3;

/// The state of one workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of the state format.
    pub format: u32,
    /// A random id of this deployment, created with the state. A state with another lineage belongs to another
    /// deployment.
    pub lineage: String,
    /// The stack.
    pub stack: String,
    /// The workspace.
    pub workspace: String,
    /// The account of the resources.
    pub account: String,
    /// The number of runs that have written the state.
    pub serial: u64,
    /// The number of writes.
    pub revision: u64,
    /// The fencing epoch of the lock at the last write.
    pub epoch: u64,
    /// The digest of the rescue file that this state was recovered from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescue: Option<String>,
    /// Resources that exist, or whose create has started.
    #[schemars(with = "BTreeMap<String, Record>")]
    pub resources: BTreeMap<Address, Record>,
    /// The outputs of the stack after the last successful apply.
    pub outputs: BTreeMap<String, Value>,
    /// Operations that take several runs and have not ended, by the name of their command.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<String, Value>,
}

/// The record of one resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// How often this address has been created; part of the idempotency token.
    pub generation: u32,
    /// The operation in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The id in AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The arguments that were last applied, with references resolved; during a create, the desired arguments.
    pub args: Value,
    /// Its outputs at the last read.
    pub outputs: Value,
    /// Its dependencies, which have to be deleted after it.
    #[schemars(with = "BTreeSet<String>")]
    pub depends: BTreeSet<Address>,
    /// Whether a plan that would delete it fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// Whether a final snapshot is taken when it is deleted, if the kind supports it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub final_snapshot: bool,
    /// The operational values among the arguments: the JSON pointer of each, and its initial value as declared when it was
    /// last applied.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operational: BTreeMap<String, Value>,
    /// The resource whose declared operational values it has, because a command gave it that role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub role_of: Option<Address>,
    /// What takes over its work when it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
    /// Replaced generations that still have to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deposed: Vec<Deposed>,
}

/// A replaced generation of a resource whose replacement already exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deposed {
    /// Its generation.
    pub generation: u32,
    /// Its id.
    pub id: String,
}

/// A recorded intent, durable before the call that it announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// It is being created. Without an id, it is unknown whether the call took effect.
    Create,
    /// It is being updated.
    Update,
    /// It is being deleted.
    Delete,
}

impl State {
    /// An empty state for a workspace.
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
            operations: BTreeMap::new(),
        }
    }

    /// Parses a state.
    ///
    /// # Errors
    /// If the bytes are not a state, or have an unsupported format.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let broken = |error: serde_json::Error| {
            Error::new(Class::Invalid, format!("the state cannot be read: {error}"))
                .hint("restore an earlier version of the state object; the bucket keeps versions for 90 days")
        };
        let head: Head = serde_json::from_slice(bytes).map_err(broken)?;
        if head.format != FORMAT {
            return Err(Error::new(
                Class::Invalid,
                format!(
                    "the state has format {}, but this version of payinfra supports only format {FORMAT}",
                    head.format
                ),
            )
            .hint("use the version of payinfra that wrote it, or a newer one"));
        }
        serde_json::from_slice(bytes).map_err(broken)
    }

    /// The state as JSON.
    ///
    /// # Errors
    /// Not in practice: only if a value cannot be written as JSON.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::failed(format!("the state cannot be written as JSON: {error}")))
    }

    /// Moves records to other addresses: `from` has the recorded address by the new one. Each new address has to be free, or
    /// become free.
    pub fn move_records(&mut self, from: &BTreeMap<Address, Address>) {
        let to: BTreeMap<&Address, &Address> = from.iter().map(|(to, from)| (from, to)).collect();
        let place = |address: Address| to.get(&address).map_or(address, |to| Address::clone(to));
        let places = |addresses: BTreeSet<Address>| addresses.into_iter().map(place).collect();
        let moved = |(address, mut record): (Address, Record)| {
            record.depends = places(record.depends);
            record.role_of = record.role_of.map(place);
            record.handover = record.handover.map(|it| Handover { to: places(it.to), ..it });
            (place(address), record)
        };
        self.resources = std::mem::take(&mut self.resources).into_iter().map(moved).collect();
    }

    /// Checks that the state belongs to this deployment.
    ///
    /// # Errors
    /// If it belongs to another stack, workspace or account.
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

    /// The idempotency token of `generation` of `address`: the same after a crash, different for the next generation.
    #[must_use]
    pub fn token(&self, address: &Address, generation: u32) -> String {
        let digest = Sha256::digest(format!("{}\n{address}\n{generation}", self.lineage));
        digest.iter().take(16).fold(String::new(), |token, byte| format!("{token}{byte:02x}"))
    }

    /// The recorded dependents of each address that has any.
    pub(crate) fn dependents(&self) -> BTreeMap<&Address, Vec<&Address>> {
        let mut dependents = BTreeMap::<_, Vec<_>>::new();
        for (address, record) in &self.resources {
            record.depends.iter().for_each(|on| dependents.entry(on).or_default().push(address));
        }
        dependents
    }

    /// Whether an operation is in progress.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.resources.values().any(|record| record.intent.is_some() || !record.deposed.is_empty())
    }
}
