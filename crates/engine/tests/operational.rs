//! Operational values, which commands change, and handovers before a delete.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payinfra_engine::plan::Options;
use payinfra_engine::{
    Action, Address, Class, Event, Graph, Handover, Intent, Observer, Ref, Region, Result, Roles, State, Tags, Values,
};
use payinfra_testkit::{Bench, End, Named, Tagged, catalog};
use serde_json::json;
use tokio::time::Instant;

const SIZE: &str = "/size";
const SIZE_NAME: &str = "size";
const DRAIN: Duration = Duration::from_mins(1);

fn east() -> Region {
    Region::new("east")
}

fn named(name: &str, size: u32) -> Named {
    Named { name: name.to_owned(), size, days: None, parents: BTreeSet::new(), tags: Tags::new() }
}

fn address(name: &str) -> Address {
    Address::new(&east(), "fake.named", name).unwrap()
}

/// A resource whose size is operational.
fn weighted(size: u32, zone: &str) -> Result<Graph> {
    let mut graph = Bench::nothing();
    let node = graph.add(&east(), "record", named(zone, size))?;
    graph.operational(&node.address, SIZE)?;
    Ok(graph)
}

fn to(size: u32) -> Options {
    let values = BTreeMap::from([(SIZE.to_owned(), json!(size))]);
    Options { operational: Values::from([(address("record"), values)]), ..Options::default() }
}

fn size(state: &State, name: &str) -> u64 {
    state.resources[&address(name)].args["size"].as_u64().unwrap()
}

async fn set(bench: &Bench, graph: &Graph, new: u32) -> Result<()> {
    let plan = bench.plan_with(graph, &to(new)).await?;
    assert!(matches!(bench.perform(&plan).await, End::Done(_, report) if report.is_complete()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_value_of_a_command_stays_until_the_declaration_changes() -> Result<()> {
    let (bench, graph) = (Bench::new(), weighted(90, "zone")?);
    bench.converge(&graph).await?;
    assert!(bench.plan(&graph).await?.deviations().is_empty());
    set(&bench, &graph, 40).await?;
    let plan = bench.plan(&graph).await?;
    assert!(plan.is_empty(), "{:?}", plan.steps);
    let [deviation] = &plan.deviations()[..] else { panic!("{:?}", plan.deviations()) };
    assert_eq!((deviation.address, deviation.pointer), (&address("record"), SIZE));
    assert_eq!((deviation.initial, deviation.value), (&json!(90), &json!(40)));
    assert_eq!(plan.graph.as_declared().nodes()[&address("record")].args["size"], 90);
    // Another change of the resource keeps it.
    let mut other = weighted(90, "zone")?;
    other.protect(&address("record"));
    bench.converge(&other).await?;
    assert_eq!(size(&bench.store.state()?.unwrap(), "record"), 40);
    // A new declaration replaces it.
    let declared = weighted(70, "zone")?;
    let plan = bench.plan(&declared).await?;
    assert_eq!(plan.steps[&address("record")].action, Action::Update);
    bench.converge(&declared).await?;
    assert_eq!(size(&bench.store.state()?.unwrap(), "record"), 70);
    // So does going back to the first one.
    bench.converge(&graph).await?;
    assert_eq!(size(&bench.store.state()?.unwrap(), "record"), 90);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_declaration_of_the_current_value_is_recorded_without_a_step() -> Result<()> {
    let (bench, graph) = (Bench::new(), weighted(90, "zone")?);
    bench.converge(&graph).await?;
    set(&bench, &graph, 40).await?;
    let declared = weighted(40, "zone")?;
    assert!(bench.plan(&declared).await?.is_empty());
    let record = bench.store.state()?.unwrap().resources[&address("record")].clone();
    assert!(!record.reflects(&declared.nodes()[&address("record")]), "the command has to record it");
    bench.converge(&declared).await?;
    set(&bench, &declared, 10).await?;
    assert!(bench.plan(&declared).await?.is_empty());
    assert_eq!(size(&bench.store.state()?.unwrap(), "record"), 10);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_replacement_keeps_the_value() -> Result<()> {
    let (bench, graph) = (Bench::new(), weighted(90, "zone")?);
    bench.converge(&graph).await?;
    set(&bench, &graph, 40).await?;
    bench.converge(&weighted(90, "other")?).await?;
    assert_eq!(size(&bench.store.state()?.unwrap(), "record"), 40);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn drift_of_an_operational_value_is_reverted_to_the_value_of_the_command() -> Result<()> {
    let (bench, graph) = (Bench::new(), weighted(90, "zone")?);
    bench.converge(&graph).await?;
    set(&bench, &graph, 40).await?;
    let id = bench.store.state()?.unwrap().resources[&address("record")].id.clone().unwrap();
    bench.world.tamper(&id, "size", json!(7));
    let plan = bench.plan(&graph).await?;
    assert_eq!(plan.drift.keys().collect::<Vec<_>>(), [&address("record")]);
    bench.converge(&graph).await?;
    assert_eq!(size(&bench.store.state()?.unwrap(), "record"), 40);
    Ok(())
}

/// Two resources that can exchange the sizes that are declared for them.
fn colours(blue: u32, green: u32) -> Result<Graph> {
    let mut graph = Bench::nothing();
    for (name, size) in [("blue", blue), ("green", green)] {
        let node = graph.add(&east(), name, named(name, size))?;
        graph.operational(&node.address, SIZE)?;
    }
    Ok(graph)
}

/// Both in these roles.
fn roles(blue: &str, green: &str) -> Options {
    let roles = [("blue", blue), ("green", green)].map(|(name, role)| (address(name), address(role)));
    Options { roles: Roles::from(roles), ..Options::default() }
}

async fn played(bench: &Bench, graph: &Graph, options: &Options) -> Result<[u64; 2]> {
    let plan = bench.plan_with(graph, options).await?;
    if !plan.is_empty() {
        assert!(matches!(bench.perform(&plan).await, End::Done(_, report) if report.is_complete()));
    }
    let state = bench.store.state()?.unwrap();
    Ok(["blue", "green"].map(|name| size(&state, name)))
}

#[tokio::test(start_paused = true)]
async fn a_role_follows_the_declaration_of_the_resource_that_had_it() -> Result<()> {
    let (bench, graph) = (Bench::new(), colours(3, 0)?);
    bench.converge(&graph).await?;
    assert_eq!(played(&bench, &graph, &roles("green", "blue")).await?, [0, 3]);
    let plan = bench.plan(&graph).await?;
    assert!(plan.is_empty(), "{:?}", plan.steps);
    assert_eq!(plan.deviations().len(), 2);
    assert_eq!(plan.graph.as_declared().nodes(), bench.plan(&graph).await?.graph.as_declared().nodes());
    assert_eq!(graph.clone().current(&bench.store.state()?.unwrap())?.nodes()[&address("green")].args[SIZE_NAME], 3);
    // Another number for the active one is for the one that is active now.
    assert_eq!(played(&bench, &colours(5, 0)?, &Options::default()).await?, [0, 5]);
    // A value that a command sets for a while ends with the next plan.
    let mut more = to(9);
    more.operational = Values::from([(address("green"), more.operational.remove(&address("record")).unwrap())]);
    assert_eq!(played(&bench, &colours(5, 0)?, &more).await?, [0, 9]);
    assert_eq!(played(&bench, &colours(5, 0)?, &Options::default()).await?, [0, 5]);
    // In their own roles, both have their own values again.
    assert_eq!(played(&bench, &colours(5, 0)?, &roles("blue", "green")).await?, [5, 0]);
    assert!(bench.plan(&colours(5, 0)?).await?.deviations().is_empty());
    let mut other = colours(5, 0)?;
    other.add(&east(), "other", named("other", 1))?;
    let error = bench.plan_with(&other, &roles("blue", "other")).await.unwrap_err();
    assert!(error.message().contains("cannot have the operational values of"), "{error}");
    Ok(())
}

/// A role whose resource is no longer declared leaves the value as it is.
#[tokio::test(start_paused = true)]
async fn a_role_outlives_the_resource_that_had_it() -> Result<()> {
    let (bench, graph) = (Bench::new(), colours(3, 0)?);
    bench.converge(&graph).await?;
    played(&bench, &graph, &roles("green", "blue")).await?;
    let mut alone = Bench::nothing();
    let node = alone.add(&east(), "green", named("green", 0))?;
    alone.operational(&node.address, SIZE)?;
    bench.converge(&alone).await?;
    assert_eq!(size(&bench.store.state()?.unwrap(), "green"), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_operational_values_can_be_set() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    let node = graph.add(&east(), "record", named("zone", 1))?;
    assert!(graph.operational(&node.address, "/nothing").is_err());
    let error = bench.plan_with(&graph, &to(2)).await.unwrap_err();
    assert!(error.message().contains("has no operational value at /size"), "{error}");
    Ok(())
}

/// A command that changes a weight must work while other resources have drifted or cannot be read.
#[tokio::test(start_paused = true)]
async fn a_target_alone_is_planned_without_its_dependencies() -> Result<()> {
    let bench = Bench::new();
    let graph = |zone: u32, size: u32| -> Result<Graph> {
        let mut graph = Bench::nothing();
        let zone = graph.add(&east(), "zone", named("zone", zone))?;
        graph.output("zone", &zone.id);
        let record = Named { parents: [zone.id.into()].into(), ..named("record", size) };
        let node = graph.add(&east(), "record", record)?;
        graph.operational(&node.address, SIZE)?;
        Ok(graph)
    };
    bench.converge(&graph(1, 90)?).await?;
    let before = bench.store.state()?.unwrap();
    // The dependency has drifted, and its declaration has changed.
    bench.world.tamper(before.resources[&address("zone")].id.as_ref().unwrap(), "size", json!(7));
    let declared = graph(2, 90)?;
    let alone = Options { targets: [address("record")].into(), alone: true, ..to(40) };
    let plan = bench.plan_with(&declared, &alone).await?;
    assert_eq!(plan.drift.len(), 0);
    let changed: Vec<_> = plan.steps.iter().filter(|(_, step)| step.action != Action::Keep).collect();
    let [(at, step)] = changed[..] else { panic!("{changed:?}") };
    assert_eq!((at, step.action, step.changes.len()), (&address("record"), Action::Update, 1));
    assert!(matches!(bench.perform(&plan).await, End::Done(_, report) if report.is_complete()));
    let after = bench.store.state()?.unwrap();
    assert_eq!((size(&after, "record"), size(&after, "zone")), (40, 1));
    assert_eq!(after.outputs, before.outputs);
    assert!(bench.plan(&declared).await?.steps[&address("zone")].action == Action::Update, "it is still to be done");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_document_keeps_operational_values_and_handovers() -> Result<()> {
    let graph = pair(true)?;
    assert_eq!(Graph::parse(graph.document()?.as_bytes(), &catalog())?, graph);
    let broken = graph.document()?.replace("\"/size\"", "\"/sizes\"");
    let error = Graph::parse(broken.as_bytes(), &catalog()).unwrap_err();
    assert!(error.is(Class::Invalid) && error.message().contains("/sizes"), "{error}");
    Ok(())
}

/// Two records that take over from each other, each with a service behind it. Without `both`, the second one is removed.
fn pair(both: bool) -> Result<Graph> {
    let mut graph = Bench::nothing();
    for (name, other) in [("first", "second"), ("second", "first")] {
        if name == "second" && !both {
            continue;
        }
        let service = graph.add(&east(), &format!("{name}-service"), named(&format!("{name}-service"), 1))?;
        let record = Named { parents: [service.id.into()].into(), ..named(name, if both { 50 } else { 100 }) };
        let record = graph.add(&east(), name, record)?;
        graph.operational(&record.address, SIZE)?;
        let to = BTreeSet::from([address(other)]);
        graph.hand_over(&record.address, Handover { to, drain_seconds: 60 });
    }
    Ok(graph)
}

/// When which operation began and ended.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, Instant)>>>);

impl Observer for Log {
    fn notice(&self, event: &Event) {
        let told = match event {
            Event::Started { address, action, .. } => format!("{action:?} {}", address.name),
            Event::Done { address, action, .. } => format!("{action:?}d {}", address.name),
            _ => return,
        };
        self.0.lock().unwrap().push((told, Instant::now()));
    }
}

impl Log {
    fn at(&self, what: &str) -> Instant {
        let log = self.0.lock().unwrap();
        log.iter().find(|(told, _)| told == what).unwrap_or_else(|| panic!("{what} is not in {log:?}")).1
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_waits_for_what_takes_over_and_then_for_the_drain() -> Result<()> {
    let log = Log::default();
    let bench = Bench::watched(log.clone());
    bench.converge(&pair(true)?).await?;
    log.clear();
    bench.converge(&pair(false)?).await?;
    assert!(log.at("Updated first") <= log.at("Delete second"), "the first record takes all traffic before");
    let gone = log.at("Deleted second");
    assert!(gone - log.at("Delete second") >= DRAIN);
    assert!(log.at("Delete second-service") >= gone, "the service serves until clients have moved");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_destroy_does_not_wait_for_a_drain() -> Result<()> {
    let log = Log::default();
    let bench = Bench::watched(log.clone());
    bench.converge(&pair(true)?).await?;
    log.clear();
    bench.converge(&Bench::nothing()).await?;
    assert!(log.at("Deleted second") - log.at("Delete second") < DRAIN);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_drain_starts_again() -> Result<()> {
    let log = Log::default();
    let bench = Bench::watched(log.clone());
    bench.converge(&pair(true)?).await?;
    let id = bench.store.state()?.unwrap().resources[&address("second")].id.clone().unwrap();
    log.clear();
    let cancel = bench.cancel.clone();
    let world = Arc::clone(&bench.world);
    let stop = async {
        while world.ids().contains(&id) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.send_replace(true);
    };
    let graph = pair(false)?;
    let (end, ()) = tokio::join!(bench.apply(&graph), stop);
    assert!(matches!(&end, End::Done(_, report) if report.cancelled), "{end:?}");
    let state = bench.store.state()?.unwrap();
    assert_eq!(state.resources[&address("second")].intent, Some(Intent::Delete));
    assert!(state.resources.contains_key(&address("second-service")));
    bench.cancel.send_replace(false);
    log.clear();
    bench.converge(&pair(false)?).await?;
    assert!(log.at("Delete second-service") - log.at("Delete second") >= DRAIN);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn records_that_are_replaced_with_their_zone_do_not_wait_for_each_other() -> Result<()> {
    let with = |zone: &str| -> Result<Graph> {
        let mut graph = pair(true)?;
        let mut renamed = Bench::nothing();
        for (name, other) in [("first", "second"), ("second", "first")] {
            let record = renamed.add(&east(), name, named(&format!("{zone}-{name}"), 50))?;
            renamed.hand_over(&record.address, Handover { to: [address(other)].into(), drain_seconds: 60 });
        }
        std::mem::swap(&mut graph, &mut renamed);
        Ok(graph)
    };
    let bench = Bench::new();
    bench.converge(&with("old")?).await?;
    bench.converge(&with("new")?).await?;
    Ok(())
}

/// Two regions' services on one store, which has a copy for the second one. Without `both`, the second region and the copy
/// are removed, and the first service changes.
///
/// With `another`, the store gets something else at the same time.
fn copied(both: bool, another: bool) -> Result<Graph> {
    let mut graph = Bench::nothing();
    let copy = graph.add(&east(), "copy", named("copy", 1))?;
    let more = graph.add(&east(), "more", named("more", 1))?;
    let uses = [both.then_some(copy.id), another.then_some(more.id)];
    let uses = uses.into_iter().flatten().map(Into::into).collect();
    let zone = Ref::Known("zone".to_owned());
    let store = Tagged { size: 1, zone, days: None, parents: BTreeSet::new(), uses, tags: Tags::new() };
    let store = graph.add(&east(), "store", store)?;
    for (name, other) in [("first", "second"), ("second", "first")] {
        if name == "second" && !both {
            continue;
        }
        let service =
            Named { parents: [store.id.clone().into()].into(), ..named(&format!("{name}-service"), both.into()) };
        let service = graph.add(&east(), &format!("{name}-service"), service)?;
        let record = Named { parents: [service.id.into()].into(), ..named(name, both.into()) };
        let record = graph.add(&east(), name, record)?;
        graph.hand_over(&record.address, Handover { to: [address(other)].into(), drain_seconds: 60 });
    }
    Ok(graph)
}

#[tokio::test(start_paused = true)]
async fn a_copy_stays_until_what_may_use_it_is_gone() -> Result<()> {
    let log = Log::default();
    let bench = Bench::watched(log.clone());
    bench.converge(&copied(true, false)?).await?;
    log.clear();
    bench.converge(&copied(false, false)?).await?;
    let order = [
        "Updated first-service",
        "Updated first",
        "Delete second",
        "Deleted second",
        "Delete second-service",
        "Deleted second-service",
        "Update store",
        "Updated store",
    ];
    assert!(order.is_sorted_by_key(|told| log.at(told)), "{:?}", log.0.lock().unwrap());
    assert!(log.at("Deleted second") - log.at("Delete second") >= DRAIN);
    Ok(())
}

/// Dependents may need what the update adds, so they wait for it, and the copy ends early.
#[tokio::test(start_paused = true)]
async fn what_an_update_adds_comes_before_its_dependents() -> Result<()> {
    let log = Log::default();
    let bench = Bench::watched(log.clone());
    bench.converge(&copied(true, false)?).await?;
    log.clear();
    bench.converge(&copied(false, true)?).await?;
    let order = ["Updated store", "Update first-service", "Updated first", "Delete second"];
    assert!(order.is_sorted_by_key(|told| log.at(told)), "{:?}", log.0.lock().unwrap());
    Ok(())
}
