//! Examples: a resource or lookup, its dependencies, and its changes.

use std::collections::BTreeSet;

use payinfra_engine::{Address, Error, Graph, Lookup, Region, Resource, Result, Tags};
use serde::Serialize;
use serde_json::{Value, json};

/// A resource or lookup that demonstrates the contract of its kind.
pub(crate) struct Example {
    /// The example and all resources that it refers to.
    pub(crate) graph: Graph,
    /// The example's address.
    pub(crate) address: Address,
    /// Its arguments after each change.
    pub(crate) changes: Vec<Value>,
    /// The effect of a second create.
    pub(crate) again: Again,
    /// The outputs of a lookup; null for a resource.
    pub(crate) found: Value,
    kind: &'static str,
}

/// The effect of a second create of the same generation: DESIGN §7.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It creates another one, so that only `recover` helps: class "tags".
    Another,
    /// It returns the first one: class "token".
    Same,
    /// It is rejected because the name exists: classes "name" and "key".
    Taken,
}

/// The region of most examples.
pub(crate) fn region() -> Region {
    Region::new("us-east-1")
}

/// The graph of one example, with the example's name.
pub(crate) fn graph(name: &str) -> Graph {
    Graph::new("contract", name, Tags::new())
}

impl Example {
    /// `args`, which refers to resources in `graph`.
    pub(crate) fn new<R: Resource>(mut graph: Graph, region: &Region, args: R) -> Result<Self> {
        let address = graph.add(region, "example", args)?.address;
        Ok(Self { graph, address, changes: Vec::new(), again: Again::Another, found: Value::Null, kind: R::KIND })
    }

    /// A lookup, and the expected outputs.
    pub(crate) fn lookup<L: Lookup>(mut graph: Graph, region: &Region, args: &L, found: Value) -> Result<Self> {
        let address = graph.find(region, "example", args)?.address;
        Ok(Self { graph, address, changes: Vec::new(), again: Again::Another, found, kind: L::KIND })
    }

    /// Sets the effect of a second create.
    pub(crate) fn again(self, again: Again) -> Self {
        Self { again, ..self }
    }

    /// A change in place, in addition to earlier ones.
    pub(crate) fn change<R: Resource>(mut self, change: impl FnOnce(&mut R)) -> Result<Self> {
        assert_eq!(R::KIND, self.kind);
        let before = self.changes.last().unwrap_or(self.args());
        let mut args = R::deserialize(before).map_err(|error| Error::failed(error.to_string()))?;
        change(&mut args);
        self.changes.push(form(&args)?);
        Ok(self)
    }

    pub(crate) fn name(&self) -> &str {
        &self.graph.workspace
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its initial arguments.
    pub(crate) fn args(&self) -> &Value {
        &self.graph.nodes()[&self.address].args
    }

    /// The fields of a resource; the tags change in every example.
    pub(crate) fn fields(&self) -> impl Iterator<Item = String> {
        let lookup = self.graph.nodes()[&self.address].lookup;
        let fields = self.args().as_object().filter(|_| !lookup).into_iter().flatten();
        fields.map(|(field, _)| field.clone()).filter(|field| field != "tags")
    }

    /// The fields that change.
    pub(crate) fn changed(&self) -> BTreeSet<String> {
        let mut before = self.args();
        let mut changed = BTreeSet::new();
        for after in &self.changes {
            changed.extend(self.fields().filter(|field| before[field] != after[field]));
            before = after;
        }
        changed
    }

    /// All arguments that it gets: those of the changes, and a tag that is added, changed and removed.
    pub(crate) fn steps(&self) -> Vec<Value> {
        let mut steps = self.changes.clone();
        let last = steps.last().unwrap_or(self.args()).clone();
        if last["tags"].is_object() {
            for tags in [json!("first"), json!("second")] {
                let mut step = last.clone();
                step["tags"]["Contract"] = tags;
                steps.push(step);
            }
            steps.push(last);
        }
        steps
    }
}

pub(crate) fn form<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::failed(error.to_string()))
}

/// Defines a test for each of these functions, and the list of them.
macro_rules! examples {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn examples() -> payinfra_engine::Result<Vec<$crate::example::Example>> {
            Ok(vec![$($name()?),*])
        }

        mod contract {
            $(#[tokio::test]
            async fn $name() -> payinfra_engine::Result<()> {
                $crate::life::live(&super::$name()?).await
            })*
        }
    };
}
pub(crate) use examples;
