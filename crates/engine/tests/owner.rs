//! Recorded resources of somebody else are rejected; resources that only look like it are repaired.
#![expect(clippy::expect_used, reason = "a test")]

use std::collections::BTreeSet;

use payinfra_engine::{Action, Address, Class, Deposed, Graph, Plan, Region, Result, Tags};
use payinfra_testkit::{Bench, Fault, Faults, Named, Operation, Point, Tagged, When};
use serde_json::{Value, json};

const ADDRESS: &str = "east/fake.named/one";

fn one() -> Result<Graph> {
    let mut graph = Bench::nothing();
    let args = Named { name: "one".to_owned(), size: 1, days: None, parents: BTreeSet::new(), tags: Tags::new() };
    graph.add(&Region::new("east"), "one", args)?;
    Ok(graph)
}

/// A plan after these fields of the applied resource have changed.
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

/// An earlier generation is deleted by its id alone, so its owner must be checked first.
#[tokio::test(start_paused = true)]
async fn an_earlier_generation_that_is_somebody_elses_is_refused() -> Result<()> {
    for (stack, told) in [("another", "its tag `payinfra:stack` is `another`"), ("stack", "recorded at")] {
        let bench = Bench::new();
        bench.converge(&one()?).await?;
        let mut state = bench.store.state()?.expect("a state");
        let ours = state.resources[&ADDRESS.parse::<Address>()?].id.clone().expect("an id");
        let before = bench.world.ids();
        let args =
            json!({ "name": "two", "size": 1, "days": null, "parents": [], "tags": tags(stack, "test", ADDRESS) });
        bench.world.intrude("fake.named", &Region::new("east"), "two", args);
        let theirs = bench.world.ids().difference(&before).next().expect("theirs").clone();
        let id = if stack == "another" { theirs } else { ours };
        let record = state.resources.get_mut(&ADDRESS.parse::<Address>()?).expect("a record");
        record.deposed.push(Deposed { generation: 1, id: id.clone() });
        if stack == "stack" {
            // A combination of `state mv` and an editor: a resource that is also an earlier generation of another
            // address.
            let record = record
                .deposed
                .pop()
                .map(|deposed| payinfra_engine::Record { deposed: vec![deposed], ..record.clone() });
            let other = payinfra_engine::Record { id: None, ..record.expect("a record") };
            state.resources.insert("east/fake.named/two".parse()?, other);
        }
        bench.store.intrude(&state.bytes()?);
        let error = bench.plan(&one()?).await.expect_err(told);
        assert!(error.to_string().contains(told) && error.to_string().contains(&id), "{error}");
    }
    Ok(())
}

/// A resource that was moved to another address has the old address in its tags until its next update: it is not the
/// result of an uncertain create at the old address.
#[tokio::test(start_paused = true)]
async fn what_was_moved_is_not_taken_for_what_is_made_in_its_place() -> Result<()> {
    let bench = Bench::new();
    let add = |graph: &mut Graph, name: &str| {
        let zone = "a".to_owned().into();
        let (parents, uses) = (BTreeSet::new(), BTreeSet::new());
        graph.add(&Region::new("east"), name, Tagged { size: 1, zone, days: None, parents, uses, tags: Tags::new() })
    };
    let mut before = Bench::nothing();
    add(&mut before, "one")?;
    bench.converge(&before).await?;
    let mut state = bench.store.state()?.expect("a state");
    let (one, two): (Address, Address) = ("east/fake.tagged/one".parse()?, "east/fake.tagged/two".parse()?);
    let record = state.resources.remove(&one).expect("a record");
    let moved = record.id.clone();
    state.resources.insert(two.clone(), record);
    bench.store.intrude(&state.bytes()?);
    let mut after = Bench::nothing();
    add(&mut after, "one")?;
    add(&mut after, "two")?;
    let create = Point::Nth(Operation::Create, "fake.tagged", 0);
    bench.world.set_faults(Faults::one(create, When::Before, Fault::Ambiguous));
    bench.converge(&after).await?;
    let state = bench.store.state()?.expect("a state");
    assert_eq!(state.resources[&two].id, moved);
    assert_ne!(state.resources[&one].id, moved);
    assert_eq!(bench.world.ids().len(), 2);
    Ok(())
}
