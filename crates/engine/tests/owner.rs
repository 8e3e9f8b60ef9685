//! What is recorded and somebody else's is refused; what only looks like it is mended.
#![expect(clippy::expect_used, reason = "a test")]

use std::collections::BTreeSet;

use payinfra_engine::{Action, Address, Class, Graph, Plan, Region, Result, Tags};
use payinfra_testkit::{Bench, Named};
use serde_json::{Value, json};

const ADDRESS: &str = "east/fake.named/one";

fn one() -> Result<Graph> {
    let mut graph = Bench::nothing();
    let args = Named { name: "one".to_owned(), size: 1, days: None, parents: BTreeSet::new(), tags: Tags::new() };
    graph.add(&Region::new("east"), "one", args)?;
    Ok(graph)
}

/// A plan, after these fields of what was applied have become others.
async fn after(tampered: &[(&str, Value)]) -> Result<Plan> {
    let bench = Bench::new();
    bench.converge(&one()?).await?;
    let state = bench.store.state()?.expect("a state");
    let id = state.resources[&ADDRESS.parse::<Address>()?].id.clone().expect("an id");
    for (field, value) in tampered {
        bench.world.tamper(&id, field, value.clone());
    }
    bench.plan(&one()?).await
}

fn tags(stack: &str, workspace: &str, address: &str) -> Value {
    json!({ "payinfra:stack": stack, "payinfra:workspace": workspace, "payinfra:address": address })
}

#[tokio::test(start_paused = true)]
async fn what_is_somebody_elses_is_refused_with_the_command_that_mends_it() -> Result<()> {
    let other = "east/fake.named/two";
    for (tampered, told) in [
        (vec![("tags", tags("another", "test", ADDRESS))], "its tag `payinfra:stack` is `another`"),
        (vec![("tags", tags("stack", "another", ADDRESS))], "its tag `payinfra:workspace` is `another`"),
        (vec![("tags", json!({ "Name": "x" })), ("name", "two".into())], "it has no owner tags, and its `name`"),
        (vec![("tags", tags("stack", "test", other)), ("name", "two".into())], "its tags name east/fake.named/two"),
    ] {
        let error = after(&tampered).await.expect_err(told);
        assert_eq!(error.class(), Class::Invalid);
        assert!(error.to_string().contains(ADDRESS), "{error}");
        assert!(error.to_string().contains(told), "{error}");
        let hint = error.get_hint().expect("what to do");
        assert!(hint.contains("`payinfra state rm east/fake.named/one`"), "{hint}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changed_is_drift_and_what_was_renamed_is_ours() -> Result<()> {
    let renamed = tags("stack", "test", "east/fake.named/former");
    for (tampered, action) in [
        (vec![("tags", json!({}))], Action::Update),
        (vec![("tags", renamed)], Action::Update),
        (vec![("name", "two".into())], Action::Replace),
    ] {
        let plan = after(&tampered).await?;
        assert_eq!(plan.steps[&ADDRESS.parse()?].action, action, "{tampered:?}");
    }
    Ok(())
}
