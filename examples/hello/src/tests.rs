//! The stack in a simulated account: no AWS, no Python, no waiting.

use payinfra::aws::catalog;
use payinfra::components::graph;
use payinfra::engine::plan::Summary;
use payinfra::engine::{Graph, Result};
use payinfra::stack::Configuration;
use payinfra_testkit::Simulation;

use super::Infra;

/// The resources that the workspace `demo` declares with this configuration.
fn demo(configuration: &str) -> Result<Graph> {
    let configuration = Configuration::parse(configuration, "payinfra.toml", &[&Infra])?;
    graph(&configuration, "demo", "123456789012")
}

#[test]
fn it_applies_plans_empty_and_is_destroyed() -> Result<()> {
    let graph = demo(include_str!("../payinfra.toml"))?;
    let account = Simulation::new(&catalog())?;
    account.apply(&graph)?;
    assert!(account.plan(&graph)?.is_empty());
    account.destroy(&graph)?;
    assert!(account.addresses().is_empty());
    Ok(())
}

#[test]
fn another_reader_updates_the_role_in_place() -> Result<()> {
    let configuration = include_str!("../payinfra.toml");
    let account = Simulation::new(&catalog())?;
    account.apply(&demo(configuration)?)?;
    let changed = demo(&configuration.replace("lambda.", "ec2."))?;
    let expected = Summary {
        update: 1,
        ..Summary::default()
    };
    assert_eq!(account.plan(&changed)?.summary(), expected);
    Ok(())
}
