//! A plan: what apply will do, decided in advance. It is a value that can be saved, shown and applied.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::Address;
use crate::diff::Change;
use crate::error::{Class, Error, Result};
use crate::graph::Graph;
use crate::pointer::Pointer;
use crate::resolve::{output, pointers, resolve};
use crate::secret::redact;
use crate::state::State;

mod agreement;
mod drift;
mod feasible;
mod lookups;
mod moves;
mod planner;
mod refresh;
mod regions;
mod report;

pub use drift::drift;
pub(crate) use lookups::lookups;
pub use planner::{Accepted, Options, plan};
pub use refresh::{Refreshed, refresh};
pub use regions::{Difference, between_regions};
pub use report::{Differs, Drifted, DriftedField};

/// The version of the plan file format.
pub const FORMAT: u32 = 2;

/// What apply will do, and what that is based on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The version of the plan file format.
    pub format: u32,
    /// The account.
    pub account: String,
    /// The lineage of the state that it is based on.
    pub lineage: String,
    /// The serial of that state.
    pub serial: u64,
    /// The revision of that state.
    pub revision: u64,
    /// The desired state; empty for a destroy.
    pub graph: Graph,
    /// A step for every address in the graph or the state.
    pub steps: BTreeMap<Address, Step>,
    /// Drift: changes made outside payinfra since the last apply.
    pub drift: BTreeMap<Address, Drift>,
    /// The outputs of the lookups.
    pub lookups: BTreeMap<Address, Value>,
    /// The addresses excluded by `--target`.
    pub left_out: BTreeSet<Address>,
    /// The resources that are recorded at another address than they are declared at: the recorded address by the new one.
    /// The steps and the drift have the new one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moved: BTreeMap<Address, Address>,
}

/// The planned change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The action.
    pub action: Action,
    /// The fields that change; for a create, all fields.
    pub changes: Vec<Change>,
    /// The reason, if the changes do not show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The data that the step destroys, part by part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loses: Vec<String>,
    /// How much data that is, in words, when the plan was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<String>,
    /// The changes that the cloud refuses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

impl Step {
    pub(crate) fn new(action: Action) -> Self {
        Self { action, changes: Vec::new(), because: None, loses: Vec::new(), contents: None, refused: Vec::new() }
    }

    fn because(self, because: impl Into<String>) -> Self {
        Self { because: Some(because.into()), ..self }
    }
}

/// The action on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// No change.
    Keep,
    /// Create it.
    Create,
    /// Update it in place.
    Update,
    /// Delete the old resource, then create the new one.
    Replace,
    /// Create the new resource, then delete the old one when nothing refers to it any more.
    ReplaceCreateFirst,
    /// Delete it.
    Delete,
    /// Remove it from the state, because it no longer exists.
    Forget,
    /// Cancel its scheduled deletion.
    Restore,
}

impl Action {
    /// Whether it deletes an existing resource.
    #[must_use]
    pub fn removes(self) -> bool {
        matches!(self, Self::Replace | Self::ReplaceCreateFirst | Self::Delete)
    }

    /// Whether it creates or updates a resource.
    #[must_use]
    pub fn makes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Replace | Self::ReplaceCreateFirst | Self::Restore)
    }
}

/// A change made outside payinfra.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// The resource no longer exists.
    Gone,
    /// The resource is scheduled for deletion, and can be restored until then.
    Scheduled(String),
    /// These fields differ from the last apply; `new` is the applied value.
    Changed(Vec<Change>),
}

/// The number of steps by action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Creates.
    pub create: usize,
    /// Updates.
    pub update: usize,
    /// Replacements.
    pub replace: usize,
    /// Deletes.
    pub delete: usize,
    /// Resources removed from the state.
    pub forget: usize,
    /// Resources restored.
    #[serde(default)]
    pub restore: usize,
    /// Records that move to another address.
    #[serde(default)]
    pub moved: usize,
}

impl Plan {
    /// The outputs of the stack with `state`, as far as they are known, in the form that the state stores: without
    /// secrets.
    #[must_use]
    pub fn outputs(&self, state: &State) -> BTreeMap<String, Value> {
        let known = |pointer: &Pointer| self.known(state, pointer);
        let resolved = self.graph.outputs().iter().map(|(name, value)| (name.clone(), resolve(value, &known)));
        let known = resolved.filter(|(_, value)| pointers(value).is_empty());
        known.map(|(name, value)| (name, redact(&value, &state.lineage))).collect()
    }

    /// The state that the plan was created from, after its moves.
    #[must_use]
    pub fn before<'a>(&self, state: &'a State) -> Cow<'a, State> {
        let mut state = Cow::Borrowed(state);
        if !self.moved.is_empty() {
            state.to_mut().move_records(&self.moved);
        }
        state
    }

    /// The value of `pointer`, as far as the plan and the state know it.
    pub(crate) fn known(&self, state: &State, pointer: &Pointer) -> Option<Value> {
        if let Some(found) = self.lookups.get(&pointer.address) {
            return output("", found, &pointer.output);
        }
        let record = state.resources.get(&pointer.address)?;
        output(record.id.as_deref()?, &record.outputs, &pointer.output)
    }

    /// Whether there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.steps.values().all(|step| step.action == Action::Keep)
    }

    /// The number of steps by action.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { moved: self.moved.len(), ..Summary::default() };
        for step in self.steps.values() {
            match step.action {
                Action::Keep => {}
                Action::Create => summary.create += 1,
                Action::Update => summary.update += 1,
                Action::Replace | Action::ReplaceCreateFirst => summary.replace += 1,
                Action::Delete => summary.delete += 1,
                Action::Forget => summary.forget += 1,
                Action::Restore => summary.restore += 1,
            }
        }
        summary
    }

    /// Parses a saved plan.
    ///
    /// # Errors
    /// If it is truncated, or has another format version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let plan: Self = serde_json::from_slice(bytes).map_err(|error| {
            Error::invalid(format!("the plan file is incomplete or corrupt: {error}"))
                .hint("create it again with `payinfra plan --out`")
        })?;
        if plan.format != FORMAT {
            return Err(Error::invalid(format!(
                "the plan has format {}, but this version of payinfra supports only format {FORMAT}",
                plan.format
            ))
            .hint("create it again with `payinfra plan --out`"));
        }
        Ok(plan)
    }

    /// Checks that the plan was created for this account and this state.
    ///
    /// # Errors
    /// [`Class::Stale`] if the state has changed since, [`Class::Invalid`] if it belongs to another deployment.
    pub fn fits(&self, state: &State) -> Result<()> {
        state.belongs(&self.graph.stack, &self.graph.workspace, &self.account)?;
        let again = "create it again with `payinfra plan --out`";
        if state.lineage != self.lineage && self.revision > 0 {
            return Err(Error::new(Class::Stale, "the plan was created from a different state").hint(again));
        }
        if (state.serial, state.revision) != (self.serial, self.revision) {
            let message = format!(
                "the plan is stale: it was created from serial {}, but the state now has serial {}",
                self.serial, state.serial
            );
            return Err(Error::new(Class::Stale, message).hint(again));
        }
        Ok(())
    }

    /// The plan in the form in which it is saved, with every secret replaced by a hash.
    ///
    /// # Errors
    /// Not in practice: only if a value cannot be written as JSON.
    pub fn sealed(&self) -> Result<Self> {
        let failed = |error: serde_json::Error| Error::failed(format!("the plan cannot be written as JSON: {error}"));
        serde_json::from_value(redact(&serde_json::to_value(self).map_err(failed)?, &self.lineage)).map_err(failed)
    }

    /// The data that the plan destroys, by address and part, in words.
    #[must_use]
    pub fn described_losses(&self) -> BTreeMap<&Address, String> {
        let described = |step: &Step| {
            let contents = step.contents.as_ref().map(|contents| format!(" ({contents})")).unwrap_or_default();
            format!("{}{contents}", step.loses.join(", "))
        };
        let losing = self.steps.iter().filter(|(_, step)| !step.loses.is_empty());
        losing.map(|(address, step)| (address, described(step))).collect()
    }

    /// The data that the plan destroys, by address and part.
    #[must_use]
    pub fn losses(&self) -> BTreeMap<&Address, &[String]> {
        let losing = self.steps.iter().filter(|(_, step)| !step.loses.is_empty());
        losing.map(|(address, step)| (address, &step.loses[..])).collect()
    }

    /// Checks that neither a protected resource nor a protected part of one is deleted. Protection comes from
    /// `declared` (for a destroy, the graph that would be applied instead) and, for resources that are no longer
    /// declared, from the state.
    ///
    /// # Errors
    /// If there are any, with all of their addresses.
    pub fn respects_protection(&self, state: &State, declared: &Graph) -> Result<()> {
        let state = self.before(state);
        let protected = |address: &Address| {
            let declared = declared.nodes().get(address).map(|node| node.protect);
            declared.unwrap_or_else(|| state.resources.get(address).is_some_and(|record| record.protect))
        };
        let removed = self
            .steps
            .iter()
            .filter(|(address, step)| (step.action.removes() || !step.loses.is_empty()) && protected(address))
            .map(|(address, _)| address);
        keep_protected(removed.collect())
    }
}

/// Refuses to delete protected resources.
///
/// # Errors
/// If `protected` is not empty, with all of the addresses.
pub fn keep_protected(protected: BTreeSet<&Address>) -> Result<()> {
    if protected.is_empty() {
        return Ok(());
    }
    let protected: Vec<_> = protected.into_iter().map(ToString::to_string).collect();
    Err(Error::invalid(format!("this would delete protected resources: {}", protected.join(", ")))
        .hint("to allow it, set `protect = false` for the workspace in payinfra.toml"))
}

/// The loss when a whole resource with data is deleted.
pub(crate) const ALL: &str = "all of its data";
