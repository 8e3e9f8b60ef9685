//! What earlier plans declared: their graphs, to be planned again or to be compared.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::address::Address;
use crate::diff::{Change, Wanted, diff};
use crate::error::{Error, Result};
use crate::graph::{Declared, Graph};
use crate::plan::{Action, Plan, Step};
use crate::resolve::{json_pointer, resolve};
use crate::secret::{is_digest, is_secret, marked, redact};
use crate::state::State;

/// The difference between two declared graphs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// The resources and lookups that are declared only in one of them, or differently.
    pub steps: BTreeMap<Address, Step>,
    /// The outputs that differ.
    pub outputs: Vec<Change>,
}

impl Graph {
    /// The graph as a saved plan has it: for the deployment with `lineage`, with the digests of secrets.
    ///
    /// # Errors
    /// Not in practice: only if a value cannot be written as JSON.
    pub fn sealed(self, lineage: &str) -> Result<Self> {
        let failed = |error: serde_json::Error| Error::failed(format!("the graph cannot be written as JSON: {error}"));
        let graph = serde_json::to_value(self.of_lineage(lineage)).map_err(failed)?;
        serde_json::from_value(redact(&graph, lineage)).map_err(failed)
    }

    /// What `other` declares differently. Both have to be sealed, so that equal secrets are equal.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Difference {
        let mut steps = BTreeMap::new();
        for (address, node) in other.nodes() {
            let step = match self.nodes().get(address) {
                None => Step { changes: changes(&json!({}), &node.args), ..Step::new(Action::Create) },
                Some(before) => Step { changes: changed(before, node), ..Step::new(Action::Update) },
            };
            if step.action == Action::Create || !step.changes.is_empty() {
                steps.insert(address.clone(), step);
            }
        }
        for address in self.nodes().keys().filter(|address| !other.nodes().contains_key(*address)) {
            steps.insert(address.clone(), Step::new(Action::Delete));
        }
        Difference { steps, outputs: changes(&json!(self.outputs()), &json!(other.outputs())) }
    }
}

impl Plan {
    /// The graph that this saved plan declared, to be planned again. A saved plan has only the digests of secrets: the value
    /// of each is taken from the same place in one of the `declared` graphs, if it is the same there. `state` is the state at
    /// the end of the run that applied this plan.
    #[must_use]
    pub fn recalled(&self, state: &State, declared: &[&Graph]) -> Graph {
        let digest = |secret: &Value| redact(&resolve(secret, &|pointer| self.known(state, pointer)), &self.lineage);
        let mut graph = self.graph.clone();
        for (address, node) in self.graph.nodes() {
            let recorded = state.resources.get(address).map(|record| &record.args);
            let declared: Vec<_> = declared.iter().filter_map(|it| Some(&it.nodes().get(address)?.args)).collect();
            let args = revealed(&node.args, recorded, &declared, &digest);
            graph.put(address.clone(), Declared { args, ..node.clone() });
        }
        for (name, saved) in self.graph.outputs() {
            let declared: Vec<_> = declared.iter().filter_map(|it| it.outputs().get(name)).collect();
            graph.put_output(name.clone(), revealed(saved, state.outputs.get(name), &declared, &digest));
        }
        graph
    }
}

/// `saved` with the values of its secrets from one of the `declared` values, where their digests are those in `saved`.
///
/// Of a secret that refers to outputs, `saved` says only to which; `recorded` has the digest of the result.
fn revealed(saved: &Value, recorded: Option<&Value>, declared: &[&Value], digest: &impl Fn(&Value) -> Value) -> Value {
    if is_secret(saved) {
        let known = [Some(saved), recorded].into_iter().flatten().find(|value| is_digest(value));
        let Some(known) = known else { return saved.clone() };
        let mut secrets = declared.iter().map(|value| marked(value, saved));
        return secrets.find(|secret| digest(secret) == *known).unwrap_or_else(|| known.clone());
    }
    match saved {
        Value::Object(members) => {
            let member = |(key, saved): (&String, &Value)| {
                let declared: Vec<_> = declared.iter().filter_map(|value| value.get(key)).collect();
                (key.clone(), revealed(saved, recorded.and_then(|value| value.get(key)), &declared, digest))
            };
            members.iter().map(member).collect()
        }
        Value::Array(values) => {
            let item = |(index, saved): (usize, &Value)| {
                let declared: Vec<_> = declared.iter().filter_map(|value| value.get(index)).collect();
                revealed(saved, recorded.and_then(|value| value.get(index)), &declared, digest)
            };
            values.iter().enumerate().map(item).collect()
        }
        other => other.clone(),
    }
}

/// The changes of one resource: of its arguments, and of its protection.
fn changed(from: &Declared, to: &Declared) -> Vec<Change> {
    let options = |node: &Declared| json!({ "protect": node.protect, "final_snapshot": node.final_snapshot });
    let mut changed = changes(&from.args, &to.args);
    changed.extend(changes(&options(from), &options(to)));
    changed
}

/// The changes from `from` to `to`, with references as they are declared.
fn changes(from: &Value, to: &Value) -> Vec<Change> {
    let mut changes = diff(to, from, Some(from));
    for change in &mut changes {
        let declared = to.pointer(&json_pointer(change.path.split('.')));
        if let (Wanted::Unknown, Some(declared)) = (&change.new, declared) {
            change.new = Wanted::Value(declared.clone());
            change.partial = None;
        }
    }
    changes
}
