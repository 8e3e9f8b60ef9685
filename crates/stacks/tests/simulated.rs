//! The stacks in a simulated account, from phase to phase and back.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_aws::catalog;
use payinfra_components::graph as build;
use payinfra_engine::{Action, Graph};
use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;
use payinfra_testkit::Simulation;

const EXAMPLE: &str = include_str!("../../../payinfra.toml");

/// The graph of `workspace` with this configuration.
fn graph(configuration: &str, workspace: &str) -> Graph {
    let configuration = Configuration::parse(configuration, "payinfra.toml", STACKS).unwrap();
    build(&configuration, workspace, "123456789012").unwrap()
}

#[test]
fn m02_the_migration_applies_plans_empty_and_is_destroyed() {
    let account = Simulation::new(&catalog()).unwrap();
    let graph = graph(EXAMPLE, "migration");
    let report = account.apply(&graph).unwrap();
    assert!(report.done.iter().all(|(_, action)| *action == Action::Create));
    assert!(account.plan(&graph).unwrap().is_empty());
    account.destroy(&graph).unwrap();
    assert!(account.addresses().is_empty());
}

#[test]
fn m02_the_phases_replace_and_delete_nothing_that_keeps_data() {
    let catalog = catalog();
    let account = Simulation::new(&catalog).unwrap();
    account.apply(&graph(EXAMPLE, "legacy")).unwrap();
    let first = account.addresses();
    let next = EXAMPLE.replace("phase = \"legacy\"", "phase = \"migration\"");
    let graph = graph(&next, "legacy");
    for (address, step) in account.plan(&graph).unwrap().steps {
        let keeps_data = catalog.kind(&address.kind).unwrap().spec().keeps_data;
        assert!(!(keeps_data && step.action.removes()), "{address}: {step:?}");
    }
    account.apply(&graph).unwrap();
    assert!(account.plan(&graph).unwrap().is_empty());
    assert!(account.addresses().len() > first.len());
}
