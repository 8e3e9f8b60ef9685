//! A saved plan is untrusted input: the derived plan is applied, and the file has to agree with it.
#![expect(clippy::expect_used, reason = "a test")]

use std::collections::BTreeSet;

use payinfra_engine::{Action, Class, Graph, Plan, Region, Result, Tags};
use payinfra_testkit::{Bench, Named};
use serde_json::{Value, json};

fn graph() -> Result<Graph> {
    let mut graph = Bench::nothing();
    for name in ["one", "two"] {
        let args = Named { name: name.to_owned(), size: 1, days: None, parents: BTreeSet::new(), tags: Tags::new() };
        graph.add(&Region::new("east"), name, args)?;
    }
    Ok(graph)
}

/// The plan whose JSON is `plan`'s with `value` at `pointer`.
fn forged(plan: &Plan, pointer: &str, value: Value) -> Plan {
    let mut json = serde_json::to_value(plan).expect("JSON");
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    json.pointer_mut(parent).expect("a member")[member] = value;
    Plan::parse(json.to_string().as_bytes()).expect("a plan")
}

#[tokio::test(start_paused = true)]
async fn every_forged_member_is_found_and_named() -> Result<()> {
    let bench = Bench::new();
    let derived = bench.plan(&graph()?).await?;
    derived.agrees(&derived)?;
    let at = |rest: &str| format!("/steps/east~1fake.named~1one{rest}");
    for (pointer, value, told) in [
        (at("/action"), json!(Action::Delete), "the step of east/fake.named/one"),
        (at("/action"), json!(Action::Delete), "action = \"create\""),
        (at("/loses"), json!(["all"]), "loses = [\"all\"]"),
        ("/account".to_owned(), json!("666666666666"), "`666666666666`"),
        ("/lineage".to_owned(), json!("another"), "the lineage"),
        ("/left_out".to_owned(), json!(["east/fake.named/two"]), "east/fake.named/two"),
        ("/lookups".to_owned(), json!({ "east/fake.zones/all": ["x"] }), "the lookup east/fake.zones/all"),
        ("/graph/nodes/east~1fake.named~1two/args/size".to_owned(), json!(9), "saved args.size = 9"),
        (
            "/graph/waivers".to_owned(),
            json!([{ "rule": "named", "at": "everywhere", "reason": "because" }]),
            "the configuration has changed",
        ),
        ("/graph/outputs".to_owned(), json!({ "stolen": "x" }), "the configuration has changed"),
    ] {
        let plan = forged(&derived, &pointer, value);
        let error = plan.agrees(&derived).expect_err(told);
        assert!(error.is(Class::Stale) && error.to_string().contains(told), "{pointer}: {error}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_sealed_plan_has_no_secret_and_agrees_with_the_plan_that_it_was_made_from() -> Result<()> {
    let bench = Bench::new();
    let mut plan = bench.plan(&graph()?).await?;
    let address = "east/fake.named/one".parse()?;
    plan = forged(&plan, "/graph/nodes/east~1fake.named~1one/args/name", json!({ "$secret": "hunter2" }));
    let sealed = plan.sealed()?;
    assert!(!serde_json::to_string(&sealed).expect("JSON").contains("hunter2"));
    sealed.agrees(&plan)?;
    assert_eq!(sealed.steps[&address], plan.steps[&address]);
    let other = forged(&plan, "/graph/nodes/east~1fake.named~1one/args/name", json!({ "$secret": "hunter3" }));
    let error = sealed.agrees(&other).expect_err("another secret");
    assert!(error.to_string().contains("the declaration of east/fake.named/one"), "{error}");
    assert!(!error.to_string().contains("hunter"), "{error}");
    Ok(())
}
