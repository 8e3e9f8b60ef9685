//! Existing resources are imported on command, and only if they have no owner.
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payinfra_engine::sweep::Orphan;
use payinfra_engine::{
    Action, Address, Class, Cloud, Drift, Graph, Owner, Region, Result, Seen, State, Status, Tags, import,
};
use payinfra_testkit::{Bench, End, FakeCloud, Named, Zones};
use serde_json::{Value, json};

const ADDRESS: &str = "east/fake.named/one";

fn named(name: &str) -> Named {
    Named { name: name.to_owned(), size: 1, days: None, parents: BTreeSet::new(), tags: Tags::new() }
}

fn one() -> Result<Graph> {
    let mut graph = Bench::nothing();
    graph.add(&Region::new("east"), "one", named("one"))?;
    Ok(graph)
}

/// Somebody's `fake.named` called `one`, and its id.
fn theirs(bench: &Bench, tags: &Value) -> String {
    let before = bench.world.ids();
    let args = json!({ "name": "one", "size": 7, "days": null, "parents": [], "tags": tags });
    bench.world.intrude("fake.named", &Region::new("east"), "one", args);
    bench.world.ids().difference(&before).next().expect("theirs").clone()
}

async fn import(bench: &Bench, graph: &Graph, state: &mut State, address: &str, id: &str) -> Result<()> {
    let cloud: Arc<dyn Cloud> = Arc::new(FakeCloud::new(&bench.world));
    import::import(&cloud, graph, state, &address.parse()?, id).await
}

/// The error shows the command. After the command and an apply, the resource matches its declaration, and was never
/// replaced.
#[tokio::test(start_paused = true)]
async fn what_has_the_place_of_ours_is_refused_with_the_command_that_imports_it() -> Result<()> {
    let bench = Bench::new();
    let id = theirs(&bench, &json!({ "team": "ledger" }));
    let End::Done(_, report) = bench.apply(&one()?).await else { panic!("it does not end") };
    let [(address, error)] = &report.failed[..] else { panic!("{report:?}") };
    assert_eq!((address.to_string().as_str(), error.class()), (ADDRESS, Class::Foreign));
    let hint = error.get_hint().expect("what to do");
    assert!(hint.contains(&format!("`payinfra import {ADDRESS} {id}`")), "{hint}");

    let mut state = bench.store.state()?.expect("a state");
    import(&bench, &one()?, &mut state, ADDRESS, &id).await?;
    bench.store.intrude(&state.bytes()?);
    let plan = bench.plan(&one()?).await?;
    assert_eq!(plan.steps[&ADDRESS.parse::<Address>()?].action, Action::Update);
    assert_eq!(plan.drift.get(&ADDRESS.parse::<Address>()?), None::<&Drift>, "there is no drift");
    bench.converge(&one()?).await?;
    let state = bench.store.state()?.expect("a state");
    assert_eq!(state.resources[&ADDRESS.parse::<Address>()?].id.as_ref(), Some(&id));
    assert_eq!(bench.world.ids(), BTreeSet::from([id]));
    bench.converge(&Bench::nothing()).await?;
    assert_eq!(bench.world.ids(), BTreeSet::new());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_imported_is_refused_and_nothing_is_recorded() -> Result<()> {
    let owned = |workspace: &str| json!({ "payinfra:stack": "stack", "payinfra:workspace": workspace });
    let graph = {
        let mut graph = one()?;
        let east = Region::new("east");
        graph.add(&east, "two", named("two"))?;
        graph.find(&east, "zones", &Zones { prefix: "east".to_owned() })?;
        graph
    };
    for (address, id, tags, told) in [
        ("east/fake.named/three", None, json!({}), "is not declared"),
        ("east/fake.zones/zones", None, json!({}), "is a lookup"),
        (ADDRESS, Some("nothing"), json!({}), "fake.named `nothing` not found in east"),
        (ADDRESS, None, owned("another"), "its tag `payinfra:workspace` is `another`"),
    ] {
        let bench = Bench::new();
        let found = theirs(&bench, &tags);
        let mut state = State::new("stack", "test", "account");
        let before = state.clone();
        let refused = import(&bench, &graph, &mut state, address, id.unwrap_or(&found)).await;
        let error = refused.expect_err(told);
        assert!(error.is(Class::Invalid) && error.to_string().contains(told), "{error}");
        assert_eq!(state, before);
    }
    // Twice: at the same address, and at another.
    let bench = Bench::new();
    let id = theirs(&bench, &json!({}));
    let mut state = State::new("stack", "test", "account");
    import(&bench, &graph, &mut state, ADDRESS, &id).await?;
    let before = state.clone();
    for (address, told) in
        [(ADDRESS, "is already in the state"), ("east/fake.named/two", "it is also recorded at east/fake.named/one")]
    {
        let error = import(&bench, &graph, &mut state, address, &id).await.expect_err(told);
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(state, before);
    }
    Ok(())
}

#[test]
fn the_command_can_be_pasted_into_a_shell() -> Result<()> {
    let address = "global/route53.record-set/api".parse()?;
    assert_eq!(
        import::command(&address, "Z1/a.example/A/"),
        "payinfra import global/route53.record-set/api Z1/a.example/A/"
    );
    assert_eq!(import::command(&address, "Z1|*"), "payinfra import global/route53.record-set/api 'Z1|*'");
    Ok(())
}

/// A resource with the owner tags of `lineage` at `address`, as a census finds it.
fn owned(bench: &Bench, name: &str, lineage: &str) -> Result<Orphan> {
    let before = bench.world.ids();
    let address: Address = format!("east/fake.named/{name}").parse()?;
    let owner = Owner {
        stack: "stack".to_owned(),
        workspace: "test".to_owned(),
        address: address.clone(),
        lineage: lineage.to_owned(),
    };
    let args = json!({ "name": name, "size": 7, "days": null, "parents": [], "tags": owner.tags() });
    bench.world.intrude("fake.named", &address.region, name, args.clone());
    let id = bench.world.ids().difference(&before).next().expect("it").clone();
    Ok(Orphan {
        region: owner.address.region.clone(),
        owner,
        seen: Seen { id, status: Status::Ready, args, outputs: Value::Null },
    })
}

#[tokio::test(start_paused = true)]
async fn a_lost_state_is_made_again_of_what_carries_its_lineage() -> Result<()> {
    let bench = Bench::new();
    let cloud: Arc<dyn Cloud> = Arc::new(FakeCloud::new(&bench.world));
    let found = [owned(&bench, "one", "lost")?, owned(&bench, "other", "another")?];
    let mut state = State { lineage: "lost".to_owned(), ..State::new("stack", "test", "account") };
    let adopted = import::adopt(&cloud, &one()?, &found, &mut state).await?;
    let address: Address = ADDRESS.parse()?;
    assert_eq!(adopted.tagged, BTreeMap::from([(address.clone(), found[0].seen.id.clone())]));
    assert_eq!(state.resources.keys().collect::<Vec<_>>(), [&address], "nothing of another lineage is adopted");
    assert_eq!(state.resources[&address].id.as_ref(), Some(&found[0].seen.id));
    bench.store.intrude(&state.bytes()?);
    assert_eq!(bench.plan(&one()?).await?.steps[&address].action, Action::Update);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn two_resources_at_one_address_are_both_named_and_none_is_taken() -> Result<()> {
    let bench = Bench::new();
    let cloud: Arc<dyn Cloud> = Arc::new(FakeCloud::new(&bench.world));
    let mut found = vec![owned(&bench, "one", "lost")?, owned(&bench, "two", "lost")?];
    found[1].owner.address = found[0].owner.address.clone();
    let mut state = State { lineage: "lost".to_owned(), ..State::new("stack", "test", "account") };
    let error = import::adopt(&cloud, &one()?, &found, &mut state).await.expect_err("two");
    for told in [ADDRESS, &found[0].seen.id, &found[1].seen.id] {
        assert!(error.to_string().contains(told), "{error}");
    }
    assert!(state.resources.is_empty());
    Ok(())
}
