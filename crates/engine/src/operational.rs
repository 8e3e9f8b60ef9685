//! Operational values: arguments that the configuration initializes and commands change, such as traffic weights.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::address::Address;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::plan::Plan;
use crate::pointer::Pointer;
use crate::resolve::{output, resolve};
use crate::state::State;

/// New operational values by address and JSON pointer.
pub type Values = BTreeMap<Address, BTreeMap<String, Value>>;

/// Roles by address. A resource in the role of another one of its kind has the operational values that are declared for that
/// one: two colours of a service exchange their numbers of tasks. In its own role, it has its own again.
pub type Roles = BTreeMap<Address, Address>;

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
    /// The same graph with the current operational values.
    ///
    /// # Errors
    /// Not in practice.
    pub fn current(self, state: &State) -> Result<Self> {
        self.with_values(state, &Values::new(), &Roles::new())
    }

    /// The same graph with the current operational values: those in `new`, or else those of the role in `roles` or `state`, or
    /// else those in `state`. A value in the state is no longer used when its declared initial value has changed. Values in
    /// `new` are kept only by resources without another role.
    ///
    /// # Errors
    /// If `new` has a value that is not operational, or the operational values of a role are not those of the resource.
    pub(crate) fn with_values(mut self, state: &State, new: &Values, roles: &Roles) -> Result<Self> {
        for (address, values) in new {
            let node = self.nodes().get(address);
            if let Some(pointer) = values.keys().find(|at| node.is_none_or(|node| !node.operational.contains_key(*at)))
            {
                return Err(Error::failed(format!("{address} has no operational value at {pointer}")));
            }
        }
        let declared = self.nodes().iter().filter(|(_, node)| !node.operational.is_empty());
        let declared: Values = declared.map(|(address, node)| (address.clone(), node.operational.clone())).collect();
        for (address, role) in roles {
            let pointers = |address| declared.get(address).map(|values| values.keys().collect::<Vec<_>>());
            if pointers(address).is_none() || pointers(address) != pointers(role) {
                return Err(Error::failed(format!("{address} cannot have the operational values of {role}")));
            }
        }
        let known = |pointer: &Pointer| {
            let record = state.resources.get(&pointer.address)?;
            output(record.id.as_deref()?, &record.outputs, &pointer.output)
        };
        for (address, node) in self.nodes_mut().iter_mut().filter(|(_, node)| !node.operational.is_empty()) {
            let (new, record) = (new.get(address), state.resources.get(address));
            let role = roles.get(address).or(record.and_then(|record| record.role_of.as_ref()));
            let played = role.and_then(|role| declared.get(role));
            let resolved = resolve(&node.args, &known);
            for (pointer, initial) in &node.operational {
                let kept = || {
                    if let Some(played) = played {
                        return played.get(pointer).cloned();
                    }
                    let record = record.filter(|record| record.operational.get(pointer) == Some(initial))?;
                    counterpart(&resolved, &record.args, pointer).cloned()
                };
                let value = new.and_then(|new| new.get(pointer)).cloned().or_else(kept);
                if let Some(place) = node.args.pointer_mut(pointer) {
                    *place = value.unwrap_or_else(|| initial.clone());
                }
            }
            node.role_of = role.filter(|role| *role != address && played.is_some()).cloned();
        }
        Ok(self)
    }

    /// The same graph with the initial operational values, as it was declared.
    #[must_use]
    pub fn as_declared(mut self) -> Self {
        for node in self.nodes_mut().values_mut() {
            for (pointer, initial) in &node.operational {
                if let Some(place) = node.args.pointer_mut(pointer) {
                    place.clone_from(initial);
                }
            }
            node.role_of = None;
        }
        self
    }
}

/// The value in `recorded` for the one at `pointer` in `declared`. The elements of a set may be in another order, because they
/// are sorted by what references resolve to: the one that differs at most in this value is the same.
fn counterpart<'a>(declared: &Value, recorded: &'a Value, pointer: &str) -> Option<&'a Value> {
    let Some(rest) = pointer.strip_prefix('/') else { return Some(recorded) };
    let (key, rest) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let (Value::Array(declared), Value::Array(recorded)) = (declared, recorded) else {
        let step = format!("/{key}");
        return counterpart(declared.pointer(&step)?, recorded.pointer(&step)?, rest);
    };
    let without = |element: &Value| {
        let mut element = element.clone();
        if let Some(place) = element.pointer_mut(rest) {
            *place = Value::Null;
        }
        element
    };
    let index: usize = key.parse().ok()?;
    let element = declared.get(index)?;
    let is_same = |other: &&Value| without(other) == without(element);
    let same = recorded.get(index).filter(is_same).or_else(|| recorded.iter().find(is_same))?;
    counterpart(element, same, rest)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_in_a_set_is_found_by_the_rest_of_its_element() {
        let target = |group: &str, weight: Option<u32>| json!({ "group": group, "weight": weight });
        let action = |targets: Vec<Value>| json!({ "action": { "forward": targets } });
        let declared = action(vec![target("b", Some(100)), target("a", Some(0))]);
        let recorded = action(vec![target("a", Some(70)), target("b", Some(30))]);
        let found = |index: usize| counterpart(&declared, &recorded, &format!("/action/forward/{index}/weight"));
        assert_eq!((found(0), found(1), found(2)), (Some(&json!(30)), Some(&json!(70)), None));
        let other = action(vec![target("c", Some(5)), target("b", Some(95))]);
        assert_eq!(counterpart(&declared, &other, "/action/forward/1/weight"), None);
        assert_eq!(counterpart(&json!([1, 2]), &json!([3, 4]), "/1"), Some(&json!(4)));
    }
}
