//! Killed before or after any call, to the cloud or to the store, and run again: the result is the same as without the
//! kill.

#![expect(clippy::expect_used, reason = "a test")]

use std::collections::BTreeSet;

use payinfra_engine::{Error, Graph, Ref, Region, Result, Tags};
use payinfra_testkit::{Bench, End, Fault, Faults, First, Link, Named, Operation, Point, Tagged, Token, When, Zones};

/// The variants of the graphs of these tests.
#[derive(Clone, Copy)]
struct Form {
    size: u32,
    days: Option<u32>,
    zone: &'static str,
}

const BASE: Form = Form { size: 1, days: Some(7), zone: "a" };

/// A graph with every class of `recover`, an early edge, a lookup, and a resource that uses a replaced one.
fn graph(form: Form) -> Result<Graph> {
    let Form { size, days, zone } = form;
    let (east, tags) = (Region::new("east"), Tags::new);
    let mut graph = Graph::new("stack", "test", Tags::new().with("team", "payments"));
    let zones = graph.find(&east, "zones", &Zones { prefix: "z".to_owned() })?;
    let root = Named { name: format!("root-{zone}"), size, days, parents: BTreeSet::new(), tags: tags() };
    let root = graph.add(&east, "root", root)?;
    let zone = Ref::Known(zone.to_owned());
    let parents = BTreeSet::from([root.id.into()]);
    let token = Token { size, zone: zones.outputs.names.at(0)?, days, parents: parents.clone(), tags: tags() };
    let token = graph.add(&east, "token", token)?;
    let first = First { size, zone: zone.clone(), days, parents: BTreeSet::new(), tags: tags() };
    let first = graph.add(&east, "first", first)?;
    let uses = BTreeSet::from([first.id.into()]);
    let lodger = Tagged { size, zone: zones.outputs.names.at(1)?, days, parents: BTreeSet::new(), uses, tags: tags() };
    graph.add(&Region::new("west"), "user", lodger)?;
    let leaf = Tagged { size, zone, days, parents, uses: BTreeSet::new(), tags: tags() };
    let leaf = graph.add(&east, "leaf", leaf)?;
    let note = days.map(|days| days.to_string());
    graph.add(
        &east,
        "link",
        Link { left: leaf.id.clone().into(), right: token.id.into(), slot: 0, weight: size, note },
    )?;
    graph.output("leaf", &leaf.id);
    Ok(graph)
}

/// The calls at which a kill can make a difference: of consecutive reads, only the first and the last.
fn points(bench: &Bench) -> Vec<usize> {
    let reads: Vec<_> = bench.world.calls().iter().map(|call| call.operation == Operation::Read).collect();
    let read = |index: Option<usize>| index.and_then(|index| reads.get(index)).is_some_and(|read| *read);
    let inside = |index: usize| read(Some(index)) && read(index.checked_sub(1)) && read(Some(index + 1));
    (0..reads.len()).filter(|index| !inside(*index)).collect()
}

/// A transition from one graph to another, killed at every point; returns the number of points.
async fn matrix(from: &Graph, to: &Graph, forgetful: bool) -> Result<usize> {
    let model = Bench::new();
    model.converge(from).await?;
    model.world.clear_calls();
    model.converge(to).await?;
    let points = points(&model);
    model.verify(to, &model).await?;
    for index in points.iter().copied() {
        for when in [When::Before, When::After] {
            let bench = if forgetful { Bench::forgetful() } else { Bench::new() };
            bench.converge(from).await?;
            bench.world.set_faults(Faults::one(Point::Call(index), when, Fault::Crash));
            let place = || {
                let calls = bench.world.calls();
                let call = calls.iter().rev().find(|call| call.fault.is_some());
                format!("{when:?} call {index}, {call:?}")
            };
            if !matches!(bench.apply(to).await, End::Killed) {
                return Err(Error::failed(format!("not killed {}", place())));
            }
            let place = place();
            bench.world.set_faults(Faults::none());
            let again = async {
                bench.converge(to).await?;
                bench.verify(to, &model).await
            };
            again.await.map_err(|error| Error::failed(format!("killed {place}:\n{error}")))?;
        }
    }
    Ok(points.len())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_during_an_apply() -> Result<()> {
    assert!(matrix(&Bench::nothing(), &graph(BASE)?, false).await? > 50);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_during_an_update() -> Result<()> {
    let after = graph(Form { size: 2, days: None, ..BASE })?;
    assert!(matrix(&graph(BASE)?, &after, false).await? > 30);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_during_a_replacement() -> Result<()> {
    let after = graph(Form { zone: "b", ..BASE })?;
    assert!(matrix(&graph(BASE)?, &after, false).await? > 50);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_during_a_destroy() -> Result<()> {
    assert!(matrix(&graph(BASE)?, &Bench::nothing(), false).await? > 30);
    Ok(())
}

/// Killed twice, the second time at every point of the first recovery, for a coarser selection of pairs.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_the_repair_is_killed_too() -> Result<()> {
    let (from, to) = (graph(BASE)?, graph(Form { zone: "b", ..BASE })?);
    let model = Bench::new();
    model.converge(&from).await?;
    model.world.clear_calls();
    model.converge(&to).await?;
    let points = points(&model);
    for first in points.iter().copied().step_by(9) {
        for second in points.iter().copied().step_by(11) {
            let bench = Bench::new();
            bench.converge(&from).await?;
            for index in [first, second] {
                bench.world.set_faults(Faults::one(Point::Call(index), When::After, Fault::Crash));
                bench.apply(&to).await;
            }
            bench.world.set_faults(Faults::none());
            let again = async {
                bench.converge(&to).await?;
                bench.verify(&to, &model).await
            };
            again.await.map_err(|error| Error::failed(format!("killed after {first} and {second}:\n{error}")))?;
        }
    }
    Ok(())
}

/// Killed during a create, then the configuration changes: the started resource does not stay.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_the_graph_is_edited_after_the_kill() -> Result<()> {
    for to in [graph(Form { zone: "b", ..BASE })?, graph(Form { days: None, ..BASE })?, Bench::nothing()] {
        let model = Bench::new();
        model.converge(&graph(BASE)?).await?;
        let points = points(&model);
        let model = Bench::new();
        model.converge(&to).await?;
        for index in points {
            let bench = Bench::new();
            bench.world.set_faults(Faults::one(Point::Call(index), When::After, Fault::Crash));
            bench.apply(&graph(BASE)?).await;
            bench.world.set_faults(Faults::none());
            let again = async {
                bench.converge(&to).await?;
                bench.verify(&to, &model).await
            };
            again.await.map_err(|error| Error::failed(format!("killed after call {index}:\n{error}")))?;
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_broken_recover_is_noticed() -> Result<()> {
    let broken = matrix(&Bench::nothing(), &graph(BASE)?, true).await;
    let error = broken.expect_err("a resource that cannot be recovered is created twice").to_string();
    assert!(error.contains("killed After call"), "{error}");
    // And a resource that only its tags identify exists twice.
    let mut graph = Bench::nothing();
    let (zone, none) = (Ref::Known("a".to_owned()), BTreeSet::new);
    let args = Tagged { size: 1, zone, days: None, parents: none(), uses: none(), tags: Tags::new() };
    graph.add(&Region::new("east"), "only", args)?;
    let broken = matrix(&Bench::nothing(), &graph, true).await;
    let error = broken.expect_err("a resource that cannot be recovered is created twice").to_string();
    assert!(error.contains("the state has {\"tagged-0002\"}, but {\"tagged-0001\", \"tagged-0002\"} exist"), "{error}");
    Ok(())
}

/// Lost responses, one at each mutating call: one resource each, however the create is recovered.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_makes_no_duplicate() -> Result<()> {
    let graph = graph(BASE)?;
    let model = Bench::new();
    model.converge(&graph).await?;
    for operation in [Operation::Create, Operation::Update, Operation::Read, Operation::Save] {
        for nth in 0..model.world.count(operation, "") {
            for (when, fault) in
                [(When::Before, Fault::Ambiguous), (When::After, Fault::Ambiguous), (When::After, Fault::Hang)]
            {
                let bench = Bench::new();
                bench.world.set_faults(Faults::one(Point::Nth(operation, "", nth), when, fault));
                let again = async {
                    assert_eq!(bench.converge(&graph).await?, 1);
                    bench.verify(&graph, &model).await
                };
                let place = format!("{fault:?} {when:?} {operation:?} {nth}");
                again.await.map_err(|error| Error::failed(format!("{place}:\n{error}")))?;
            }
        }
    }
    Ok(())
}
