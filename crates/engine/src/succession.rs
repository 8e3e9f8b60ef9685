//! Successions: resources that exist twice while their dependents move from one to the other, such as two versions of a
//! function between which an alias splits invocations.

use serde_json::{Map, Value};

use crate::address::Address;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::state::State;

impl Graph {
    /// Declares `next`, a copy of `address` with the members of `after` in its arguments, and gives `address` those of
    /// `before`. Neither is replaced with other resources meanwhile.
    ///
    /// # Errors
    /// If `address` is not declared, `next` is, or they have owner tags, which name a single address.
    pub fn with_successor(
        &mut self,
        address: &Address,
        next: &Address,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> Result<()> {
        if self.nodes().contains_key(next) {
            return Err(Error::invalid(format!("{next} is declared, but deployments of {address} need its name"))
                .hint("give it another name"));
        }
        let Some(node) = self.nodes_mut().get_mut(address) else {
            return Err(Error::failed(format!("{address} is not declared")));
        };
        if node.args.get("tags").is_some_and(|tags| !tags.is_null()) {
            return Err(Error::failed(format!("{address} has tags, so it cannot exist twice")));
        }
        node.replace_triggered_by.clear();
        let mut copy = node.clone();
        for (args, members) in [(&mut node.args, before), (&mut copy.args, after)] {
            if let Value::Object(args) = args {
                args.extend(members.clone());
            }
        }
        self.put(next.clone(), copy);
        Ok(())
    }

    /// Gives a declared resource the members of `members` in its arguments.
    ///
    /// # Errors
    /// If it is not declared.
    pub fn amend(&mut self, address: &Address, members: Map<String, Value>) -> Result<()> {
        match self.nodes_mut().get_mut(address).map(|node| &mut node.args) {
            Some(Value::Object(args)) => {
                args.extend(members);
                Ok(())
            }
            _ => Err(Error::failed(format!("{address} is not declared"))),
        }
    }
}

impl State {
    /// Lets `next` take the place of `address`, and the reverse: their records change places, also as dependencies of others.
    pub fn exchange(&mut self, address: &Address, next: &Address) {
        let (old, new) = (self.resources.remove(address), self.resources.remove(next));
        self.resources.extend(new.map(|record| (address.clone(), record)));
        self.resources.extend(old.map(|record| (next.clone(), record)));
        for record in self.resources.values_mut() {
            let (on_old, on_new) = (record.depends.remove(address), record.depends.remove(next));
            record.depends.extend(on_old.then(|| next.clone()));
            record.depends.extend(on_new.then(|| address.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::address::Region;
    use crate::graph::Declared;
    use crate::state::Record;
    use crate::tags::Tags;

    fn address(kind: &str, name: &str) -> Result<Address> {
        Address::new(&Region::new("us-east-1"), kind, name)
    }

    fn declared(args: Value) -> Declared {
        Declared {
            args,
            lookup: false,
            protect: false,
            final_snapshot: false,
            after: BTreeSet::new(),
            replace_triggered_by: BTreeSet::new(),
            operational: std::collections::BTreeMap::new(),
            role_of: None,
            handover: None,
        }
    }

    fn members(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_resource_and_its_successor_differ_in_what_changes() -> Result<()> {
        let (role, version, next) = (address("role", "r")?, address("version", "v")?, address("version", "v-next")?);
        let mut graph = Graph::new("s", "w", Tags::new());
        graph.put(role.clone(), declared(json!({ "tags": { "a": "b" } })));
        graph.put(version.clone(), declared(json!({ "code": "c", "function": "f" })));
        graph.replace_triggered_by(&role, &version);
        graph.with_successor(
            &version,
            &next,
            &members(&json!({ "code": "old" })),
            &members(&json!({ "code": "new" })),
        )?;
        let nodes = graph.nodes();
        assert_eq!(nodes[&version].args, json!({ "code": "old", "function": "f" }));
        assert_eq!(nodes[&next].args, json!({ "code": "new", "function": "f" }));
        for node in [&nodes[&version], &nodes[&next]] {
            assert_eq!((node.replace_triggered_by.len(), &node.after), (0, &BTreeSet::from([role.clone()])));
        }
        let none = Map::new();
        let refused = |graph: &mut Graph, address: &Address, next: &Address| {
            graph.with_successor(address, next, &none, &none).map_err(|error| error.message().to_owned()).err()
        };
        let taken = refused(&mut graph, &version, &next).unwrap_or_default();
        assert!(taken.contains("is declared, but deployments of"), "{taken}");
        let tagged = refused(&mut graph, &role, &address("role", "r-next")?).unwrap_or_default();
        assert!(tagged.contains("has tags"), "{tagged}");
        Ok(())
    }

    #[test]
    fn records_change_places_also_as_dependencies() -> Result<()> {
        let (alias, version, next) = (address("alias", "a")?, address("version", "v")?, address("version", "v-next")?);
        let record = |id: &str, depends: &[&Address]| Record {
            id: Some(id.to_owned()),
            depends: depends.iter().copied().cloned().collect(),
            ..Record::default()
        };
        let mut state = State::new("s", "w", "a");
        state.resources.insert(alias.clone(), record("f:live", &[&next]));
        state.resources.insert(version.clone(), record("f:1", &[]));
        state.resources.insert(next.clone(), record("f:2", &[]));
        let before = state.clone();
        state.exchange(&version, &next);
        let id = |address: &Address| state.resources[address].id.clone().unwrap_or_default();
        assert_eq!((&*id(&version), &*id(&next)), ("f:2", "f:1"));
        assert_eq!(state.resources[&alias].depends, BTreeSet::from([version.clone()]));
        state.exchange(&version, &next);
        assert_eq!(state, before);
        Ok(())
    }
}
