//! A resource that is declared at another address stays: by its key, or because the stack says so.
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use payinfra_engine::plan::Options;
use payinfra_engine::{Action, Address, Class, Error, Graph, Intent, Ref, Region, Result, Tags};
use payinfra_testkit::{Bench, End, Fault, Faults, Link, Named, Operation, Point, Token, When};

fn named(name: &str, size: u32) -> Named {
    Named { name: name.to_owned(), size, days: None, parents: BTreeSet::new(), tags: Tags::new() }
}

/// Named resources at the addresses `0`, `1`, …, and links between each and the first one, at the same addresses.
fn list(names: &[&str]) -> Result<Graph> {
    let east = Region::new("east");
    let mut graph = Bench::nothing();
    let right = graph.add(&east, "right", named("right", 1))?;
    for (index, name) in names.iter().enumerate() {
        let node = graph.add(&east, &index.to_string(), named(name, 1))?;
        let (left, right) = (node.id.into(), right.id.clone().into());
        graph.add(&east, &index.to_string(), Link { left, right, slot: 0, weight: 1, note: None })?;
    }
    Ok(graph)
}

/// The ids by kind and address.
fn ids(bench: &Bench) -> BTreeMap<String, String> {
    let state = bench.store.state().expect("readable").expect("a state");
    let id = |(address, record): (&Address, &payinfra_engine::Record)| {
        (address.to_string(), record.id.clone().unwrap_or_default())
    };
    state.resources.iter().map(id).collect()
}

fn at(kind: &str, index: usize) -> String {
    format!("east/fake.{kind}/{index}")
}

/// Other orders of a list, with members added and removed: only those are created and deleted.
#[tokio::test(start_paused = true)]
async fn a_list_in_another_order_keeps_its_members() -> Result<()> {
    for (before, after, created, deleted) in [
        (vec!["a", "b"], vec!["x", "a", "b"], 2, 0),
        (vec!["a", "b", "c"], vec!["b", "c"], 0, 2),
        (vec!["a", "b"], vec!["b", "a"], 0, 0),
        (vec!["a", "b", "c"], vec!["c", "a", "b"], 0, 0),
        (vec!["a", "b"], vec!["b", "x"], 2, 2),
        (vec!["a", "b", "c"], vec!["x", "c", "a"], 2, 2),
        (vec!["a"], vec!["x"], 2, 2),
    ] {
        let (bench, model) = (Bench::new(), Bench::new());
        bench.converge(&list(&before)?).await?;
        let recorded = ids(&bench);
        bench.world.clear_calls();
        let plan = bench.plan(&list(&after)?).await?;
        assert_eq!(plan.summary().moved > 0, created + deleted == 0 || before.len() > 1, "{before:?} → {after:?}");
        bench.converge(&list(&after)?).await?;
        let now = ids(&bench);
        for (index, name) in after.iter().enumerate() {
            let Some(was) = before.iter().position(|other| other == name) else { continue };
            for kind in ["named", "link"] {
                assert_eq!(now[&at(kind, index)], recorded[&at(kind, was)], "{before:?} → {after:?}: {kind} {name}");
            }
        }
        let count = |operation| bench.world.count(operation, "fake.named") + bench.world.count(operation, "fake.link");
        let counts = (count(Operation::Create), count(Operation::Delete));
        assert_eq!(counts, (created, deleted), "{before:?} → {after:?}");
        model.converge(&list(&after)?).await?;
        bench.verify(&list(&after)?, &model).await?;
        bench.converge(&Bench::nothing()).await?;
        assert_eq!(bench.world.ids(), BTreeSet::new());
    }
    Ok(())
}

/// Killed at any call of the run that moves records, and run again: the same members stay.
#[tokio::test(start_paused = true)]
async fn a_killed_move_goes_on() -> Result<()> {
    let (before, after) = (list(&["a", "b", "c"])?, list(&["x", "c", "a"])?);
    let model = Bench::new();
    model.converge(&before).await?;
    model.world.clear_calls();
    model.converge(&after).await?;
    for index in 0..model.world.calls().len() {
        for when in [When::Before, When::After] {
            let bench = Bench::new();
            bench.converge(&before).await?;
            let recorded = ids(&bench);
            bench.world.set_faults(Faults::one(Point::Call(index), when, Fault::Crash));
            let end = bench.apply(&after).await;
            assert!(matches!(end, End::Killed), "call {index} {when:?}: {end:?}");
            bench.world.set_faults(Faults::none());
            bench.converge(&after).await?;
            bench.verify(&after, &model).await.map_err(|error| Error::failed(format!("{when:?} {index}: {error}")))?;
            assert_eq!(ids(&bench)[&at("named", 1)], recorded[&at("named", 2)], "call {index} {when:?}");
        }
    }
    Ok(())
}

/// Without a key, the stack has to say where a resource was.
#[tokio::test(start_paused = true)]
async fn a_stack_says_where_a_resource_was() -> Result<()> {
    let token = |size| Token { size, zone: Ref::from("a"), days: None, parents: BTreeSet::new(), tags: Tags::new() };
    let graph = |name: &str, size: u32| {
        let mut graph = Bench::nothing();
        graph.add(&Region::new("east"), name, token(size)).map(|node| (graph, node.address))
    };
    let bench = Bench::new();
    bench.converge(&graph("old", 1)?.0).await?;
    let was = bench.world.ids();
    let (mut renamed, address) = graph("new", 2)?;
    assert_eq!(bench.plan(&renamed).await?.summary().create, 1);
    renamed.moved("old", &address)?;
    renamed.moved("older", &address).expect_err("two former addresses");
    let plan = bench.plan(&renamed).await?;
    let from: Address = "east/fake.token/old".parse()?;
    assert_eq!(plan.moved, BTreeMap::from([(address.clone(), from.clone())]));
    assert_eq!(plan.steps.keys().collect::<Vec<_>>(), [&address]);
    assert_eq!(plan.steps[&address].action, Action::Update);
    // It is protected where it is recorded, and nothing removes it.
    plan.respects_protection(&bench.store.state()?.expect("a state"), &renamed)?;
    bench.converge(&renamed).await?;
    assert_eq!(bench.world.ids(), was);
    assert!(bench.plan(&renamed).await?.is_empty(), "the move may stay declared");
    renamed.moved("new", &address).expect_err("it is still declared");
    Ok(())
}

/// What is protected stays so at its new address, and a move alone is a change.
#[tokio::test(start_paused = true)]
async fn a_move_alone_is_a_change_of_the_state_only() -> Result<()> {
    let bench = Bench::new();
    let graph = |at: &str| {
        let mut graph = Bench::nothing();
        let east = Region::new("east");
        let (left, right) = (graph.add(&east, "a", named("a", 1))?, graph.add(&east, "b", named("b", 1))?);
        let link = Link { left: left.id.into(), right: right.id.into(), slot: 0, weight: 1, note: None };
        let link = graph.add(&east, at, link)?;
        graph.protect(&link.address);
        Ok::<_, Error>(graph)
    };
    bench.converge(&graph("before")?).await?;
    bench.world.clear_calls();
    let plan = bench.plan(&graph("after")?).await?;
    assert!(!plan.is_empty());
    assert_eq!((plan.summary().moved, plan.steps.values().filter(|step| step.action != Action::Keep).count()), (1, 0));
    plan.respects_protection(&bench.store.state()?.expect("a state"), &plan.graph)?;
    let saved = payinfra_engine::Plan::parse(&serde_json::to_vec(&plan).expect("JSON"))?;
    saved.agrees(&plan)?;
    let mut forged = saved.clone();
    forged.moved.clear();
    assert_eq!(forged.agrees(&plan).expect_err("a move is missing").class(), Class::Stale);
    bench.converge(&graph("after")?).await?;
    assert_eq!(bench.world.mutations(), 0);
    assert!(bench.plan(&graph("after")?).await?.is_empty());
    Ok(())
}

/// A resource with an operation under way stays at its address, where that is completed first.
#[tokio::test(start_paused = true)]
async fn an_unfinished_operation_does_not_move() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&list(&["a"])?).await?;
    let mut state = bench.store.state()?.expect("a state");
    for record in state.resources.values_mut() {
        record.intent = Some(Intent::Update);
    }
    bench.store.intrude(&state.bytes()?);
    let plan = bench.plan(&list(&["x", "a"])?).await?;
    assert_eq!(plan.moved, BTreeMap::new());
    Ok(())
}

/// A command that plans a part alone moves nothing.
#[tokio::test(start_paused = true)]
async fn a_part_alone_moves_nothing() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&list(&["a", "b"])?).await?;
    let targets = BTreeSet::from(["east/fake.named/right".parse()?]);
    let options = Options { targets, alone: true, ..Options::default() };
    assert_eq!(bench.plan_with(&list(&["b", "a"])?, &options).await?.moved, BTreeMap::new());
    Ok(())
}

/// Two declarations of the same resource: the second create returns what the first one made.
#[tokio::test(start_paused = true)]
async fn two_addresses_never_share_a_resource() -> Result<()> {
    for returns_existing in [false, true] {
        let bench = Bench::new();
        let mut graph = list(&["a"])?;
        bench.converge(&graph).await?;
        if returns_existing {
            bench.world.return_existing("fake.named");
        }
        graph.add(&Region::new("east"), "again", named("a", 1))?;
        let End::Done(_, report) = bench.apply(&graph).await else { panic!("it does not end") };
        let [(address, error)] = &report.failed[..] else { panic!("{report:?}") };
        assert_eq!((address.to_string().as_str(), error.class()), ("east/fake.named/again", Class::Foreign));
        assert_eq!(error.to_string().contains("is recorded at east/fake.named/0"), returns_existing, "{error}");
        assert_eq!(ids(&bench).get("east/fake.named/again"), Some(&String::new()));
    }
    Ok(())
}
