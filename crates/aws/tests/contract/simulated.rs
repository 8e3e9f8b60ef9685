//! Every kind can be simulated by its facts alone, for tests of stacks.

use payinfra_aws::catalog;
use payinfra_engine::{Error, Result};
use payinfra_testkit::{Simulation, violations};
use serde_json::json;

use super::examples;

#[test]
fn every_example_applies_plans_empty_drifts_and_is_destroyed_in_a_simulated_account() -> Result<()> {
    let catalog = catalog();
    for example in examples()? {
        let at = |error: Error| error.at(example.name());
        let account = Simulation::new(&catalog)?;
        account.apply(&example.graph).map_err(at)?;
        assert!(account.plan(&example.graph).map_err(at)?.is_empty(), "{}", example.name());
        let state = account.bench().store.state()?.ok_or_else(|| Error::failed("there is no state"))?;
        for (address, record) in &state.resources {
            let found = violations(&json!(catalog.schemas(&address.kind)?.outputs), &record.outputs);
            assert!(found.is_empty(), "{address}: {found:#?}");
        }
        let is_lookup = example.graph.nodes()[&example.address].lookup;
        if !is_lookup && example.args()["tags"].is_object() {
            account.tamper(&example.address.to_string(), "tags", json!({})).map_err(at)?;
            let drifts = account.plan(&example.graph).map_err(at)?.drift.contains_key(&example.address);
            assert!(drifts, "{}", example.name());
        }
        account.destroy(&example.graph).map_err(at)?;
        assert!(account.addresses().is_empty(), "{}", example.name());
    }
    Ok(())
}
