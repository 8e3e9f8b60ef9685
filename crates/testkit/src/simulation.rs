//! A simulated account for tests of stacks.

use std::collections::BTreeSet;

use payinfra_engine::{Address, Catalog, Error, Graph, Plan, Report, Result, State, Tags};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::bench::{Bench, End, complete};

/// A simulated account with the kinds of any catalog, in which a test applies the graph of a stack.
///
/// The engine plans and applies as it does in AWS, with AWS's usual durations, but in virtual time: an apply of an hour
/// takes milliseconds. Arguments are checked by their kinds and come back as they were declared. Ids and outputs are made
/// up. What only AWS knows is not simulated, such as whether a name is taken: that takes an emulated AWS.
///
/// ```
/// # fn main() -> payinfra_engine::Result<()> {
/// use payinfra_engine::{Graph, Region, Tags};
/// use payinfra_testkit::{Simulation, Vault, catalog};
///
/// let mut graph = Graph::new("shop", "demo", Tags::new());
/// let (name, key) = ("files".to_owned(), "k".into());
/// let vault = Vault { name, size: 1, locked: false, key, tags: Tags::new() };
/// graph.add(&Region::new("us-east-1"), "files", vault)?;
///
/// let account = Simulation::new(&catalog())?;
/// account.apply(&graph)?;
/// assert!(account.plan(&graph)?.is_empty());
/// account.destroy(&graph)?;
/// assert!(account.addresses().is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Its methods panic in an asynchronous test, which has a runtime already. [`Bench::of`] is for those.
pub struct Simulation {
    bench: Bench,
    runtime: Runtime,
}

impl Simulation {
    /// An empty account with the kinds of `catalog`.
    ///
    /// # Errors
    /// If its runtime cannot be started.
    pub fn new(catalog: &Catalog) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| Error::failed(format!("the runtime cannot be started: {error}")))?;
        let bench = runtime.block_on(async { Bench::of(catalog) });
        Ok(Self { bench, runtime })
    }

    /// The world behind it, to inject faults, look at calls, or play somebody else.
    #[must_use]
    pub fn bench(&self) -> &Bench {
        &self.bench
    }

    /// Plans an apply of `graph`.
    ///
    /// # Errors
    /// If the graph is invalid: an argument that its kind does not accept, a reference without a target, a cycle.
    pub fn plan(&self, graph: &Graph) -> Result<Plan> {
        self.runtime.block_on(self.bench.plan(graph))
    }

    /// Applies `graph`, and returns the steps in the order in which they finished.
    ///
    /// # Errors
    /// As [`Simulation::plan`], or if a step fails.
    pub fn apply(&self, graph: &Graph) -> Result<Report> {
        let report = match self.runtime.block_on(self.bench.apply(graph)) {
            End::Done(_, report) => complete(report)?,
            End::Failed(error) => return Err(error),
            End::Killed => return Err(Error::failed("the client was killed, as its faults say")),
        };
        match &self.bench.world.violations()[..] {
            [] => Ok(report),
            violations => Err(Error::failed(violations.join("\n"))),
        }
    }

    /// Deletes all resources of the workspace of `graph`, and returns the steps in the order in which they finished.
    ///
    /// # Errors
    /// If a step fails, or a resource is deleted before one that depends on it.
    pub fn destroy(&self, graph: &Graph) -> Result<Report> {
        let before = self.bench.store.state()?;
        let report = self.apply(&Graph::new(&graph.stack, &graph.workspace, Tags::new()))?;
        if let Some((on, address)) = before.as_ref().and_then(|state| too_early(state, &report)) {
            return Err(Error::failed(format!("{on} was deleted before {address}, which depends on it")));
        }
        Ok(report)
    }

    /// The addresses of the existing resources.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<Address> {
        self.bench.world.addresses()
    }

    /// Somebody else changes the argument `field` of the resource at `address`.
    ///
    /// # Errors
    /// If there is no such resource.
    pub fn tamper(&self, address: &str, field: &str, value: Value) -> Result<()> {
        let state = self.bench.store.state()?;
        let address: Address = address.parse()?;
        let id = state.as_ref().and_then(|state| state.resources.get(&address)?.id.as_deref());
        let id = id.ok_or_else(|| Error::invalid(format!("{address} does not exist")).hint("apply its graph first"))?;
        self.bench.world.tamper(id, field, value);
        Ok(())
    }
}

/// A resource that was deleted before one that depended on it, with that one.
fn too_early<'a>(state: &'a State, report: &Report) -> Option<(&'a Address, &'a Address)> {
    let place = |address: &Address| report.done.iter().position(|(done, _)| done == address);
    let mut pairs =
        state.resources.iter().flat_map(|(address, record)| record.depends.iter().map(move |on| (on, address)));
    pairs.find(|(on, address)| matches!((place(on), place(address)), (Some(on), Some(address)) if on < address))
}

#[cfg(test)]
mod tests {
    use payinfra_engine::plan::Summary;
    use payinfra_engine::{Drift, Ref, Region};

    use super::*;
    use crate::{Token, catalog};

    /// Two resources, the second of which refers to an output of the first.
    fn pair(size: u32, zone: &str) -> Result<Graph> {
        let mut graph = Graph::new("shop", "demo", Tags::new());
        let token =
            |size, zone: Ref<String>| Token { size, zone, days: None, parents: BTreeSet::new(), tags: Tags::new() };
        let region = Region::new("r");
        let first = graph.add(&region, "first", token(size, zone.into()))?;
        graph.add(&region, "second", token(1, first.outputs.arn))?;
        Ok(graph)
    }

    #[test]
    fn plans_show_what_a_change_does() -> Result<()> {
        let account = Simulation::new(&catalog())?;
        account.apply(&pair(1, "a")?)?;
        let summary = |graph: &Graph| Ok::<_, Error>(account.plan(graph)?.summary());
        assert_eq!(summary(&pair(1, "a")?)?, Summary::default());
        assert_eq!(summary(&pair(2, "a")?)?, Summary { update: 1, ..Summary::default() });
        assert_eq!(summary(&pair(1, "b")?)?, Summary { replace: 2, ..Summary::default() });
        for graph in [pair(2, "a")?, pair(2, "b")?] {
            account.apply(&graph)?;
            assert!(account.plan(&graph)?.is_empty());
        }
        assert_eq!(account.addresses().len(), 2);
        Ok(())
    }

    #[test]
    fn what_somebody_else_changes_is_drift() -> Result<()> {
        let (account, graph) = (Simulation::new(&catalog())?, pair(1, "a")?);
        assert!(account.tamper("r/fake.token/first", "size", 3.into()).is_err());
        account.apply(&graph)?;
        account.tamper("r/fake.token/first", "size", 3.into())?;
        let drift = account.plan(&graph)?.drift;
        let changes = drift.values().map(|drift| matches!(drift, Drift::Changed(changes) if changes[0].path == "size"));
        assert_eq!(changes.collect::<Vec<_>>(), [true]);
        Ok(())
    }

    #[test]
    fn a_resource_that_others_depend_on_is_deleted_last() -> Result<()> {
        let account = Simulation::new(&catalog())?;
        account.apply(&pair(1, "a")?)?;
        let state = account.bench().store.state()?.ok_or_else(|| Error::failed("there is no state"))?;
        let mut report = account.destroy(&pair(1, "a")?)?;
        assert_eq!(too_early(&state, &report), None);
        report.done.reverse();
        let told = too_early(&state, &report).map(|(on, address)| (on.to_string(), address.to_string()));
        assert_eq!(told, Some(("r/fake.token/first".to_owned(), "r/fake.token/second".to_owned())));
        Ok(())
    }
}
