//! Operational values: arguments that the configuration initializes and commands change, such as traffic weights.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::address::Address;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::plan::Plan;
use crate::state::State;

/// New operational values by address and JSON pointer.
pub type Values = BTreeMap<Address, BTreeMap<String, Value>>;

/// An operational value that differs from its initial value in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Deviation<'a> {
    /// The address of the resource.
    pub address: &'a Address,
    /// The JSON pointer in its arguments.
    pub pointer: &'a str,
    /// The initial value.
    pub initial: &'a Value,
    /// The current value.
    pub value: &'a Value,
}

impl Graph {
    /// The same graph with the current operational values: those in `new`, or else those in `state`. A value in the state
    /// is no longer used when its declared initial value has changed.
    ///
    /// # Errors
    /// If `new` has a value that is not operational.
    pub(crate) fn with_values(mut self, state: &State, new: &Values) -> Result<Self> {
        for (address, values) in new {
            let node = self.nodes().get(address);
            if let Some(pointer) = values.keys().find(|at| node.is_none_or(|node| !node.operational.contains_key(*at)))
            {
                return Err(Error::failed(format!("{address} has no operational value at {pointer}")));
            }
        }
        for (address, node) in self.nodes_mut() {
            let (new, record) = (new.get(address), state.resources.get(address));
            for (pointer, initial) in &node.operational {
                let recorded = record.filter(|record| record.operational.get(pointer) == Some(initial));
                let recorded = || recorded.and_then(|record| record.args.pointer(pointer));
                let value = new.and_then(|new| new.get(pointer)).or_else(recorded).unwrap_or(initial);
                if let Some(place) = node.args.pointer_mut(pointer) {
                    place.clone_from(value);
                }
            }
        }
        Ok(self)
    }
}

impl Graph {
    /// The same graph with the initial operational values, as it was declared.
    #[must_use]
    pub fn as_declared(mut self) -> Self {
        for node in self.nodes_mut().values_mut() {
            for (pointer, initial) in &node.operational {
                if let Some(place) = node.args.pointer_mut(pointer) {
                    place.clone_from(initial);
                }
            }
        }
        self
    }
}

impl Plan {
    /// The operational values that differ from their initial values.
    #[must_use]
    pub fn deviations(&self) -> Vec<Deviation<'_>> {
        let nodes = self.graph.nodes().iter();
        let all = nodes.flat_map(|(address, node)| {
            node.operational.iter().filter_map(move |(pointer, initial)| {
                let value = node.args.pointer(pointer)?;
                Some(Deviation { address, pointer, initial, value })
            })
        });
        all.filter(|it| it.value != it.initial).collect()
    }
}
