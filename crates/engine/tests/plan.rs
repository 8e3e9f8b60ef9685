//! The decisions of a plan, and their display.
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;

use insta::assert_snapshot;
use payinfra_engine::plan::Options;
use payinfra_engine::{
    Action, Address, Class, Drift, Error, Graph, ID, Plan, Ref, Region, Result, State, Tags, Wanted,
};
use payinfra_testkit::{Bench, DAYS, End, First, Link, Named, Operation, Tagged, Zones};
use serde_json::json;

fn east() -> Region {
    Region::new("east")
}

fn named(name: &str, size: u32, days: Option<u32>) -> Named {
    Named { name: name.to_owned(), size, days, parents: BTreeSet::new(), tags: Tags::new() }
}

/// A parent and its dependents.
fn family(name: &str, size: u32, days: Option<u32>) -> Result<Graph> {
    let mut graph = Bench::nothing();
    let parent = graph.add(&east(), "parent", named(name, size, days))?;
    let child = Named { parents: BTreeSet::from([parent.id.into()]), ..named("child", 1, None) };
    graph.add(&east(), "child", child)?;
    Ok(graph)
}

/// The plan as lines, without owner tags and kept resources.
fn shown(plan: &Plan) -> String {
    let mut lines = Vec::new();
    for (address, step) in plan.steps.iter().filter(|(_, step)| step.action != Action::Keep) {
        let because = step.because.as_ref().map(|because| format!(" ({because})")).unwrap_or_default();
        lines.push(format!("{:?} {address}{because}", step.action));
        for change in
            step.changes.iter().filter(|change| !change.path.contains("payinfra:") && step.action != Action::Create)
        {
            lines.push(format!("  {}: {} -> {}", change.path, change.old, wanted(&change.new)));
        }
    }
    for (address, drift) in &plan.drift {
        match drift {
            Drift::Gone => lines.push(format!("drift {address}: gone")),
            Drift::Scheduled(until) => lines.push(format!("drift {address}: scheduled {until}")),
            Drift::Changed(changes) => {
                lines.extend(changes.iter().map(|change| {
                    format!("drift {address}: {}: {} was {}", change.path, change.old, wanted(&change.new))
                }));
            }
        }
    }
    if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n") }
}

fn wanted(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Value(value) => value.to_string(),
        Wanted::Removed => "removed".to_owned(),
        Wanted::Unknown => "known after apply".to_owned(),
    }
}

async fn applied(graph: &Graph) -> Result<Bench> {
    let bench = Bench::new();
    bench.converge(graph).await?;
    Ok(bench)
}

/// The id at `address`.
fn id(bench: &Bench, address: &str) -> Result<String> {
    let state = bench.store.state()?.expect("a state");
    Ok(state.resources[&address.parse::<Address>()?].id.clone().expect("an id"))
}

#[tokio::test(start_paused = true)]
async fn creates_what_is_not_there_and_keeps_what_is() -> Result<()> {
    let graph = family("p", 1, None)?;
    assert_snapshot!(shown(&Bench::new().plan(&graph).await?), @r"
    Create east/fake.named/child
    Create east/fake.named/parent
    ");
    assert_snapshot!(shown(&applied(&graph).await?.plan(&graph).await?), @"nothing");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn updates_replaces_with_what_hangs_on_it_and_deletes() -> Result<()> {
    let bench = applied(&family("p", 1, None)?).await?;
    assert_snapshot!(shown(&bench.plan(&family("p", 2, None)?).await?), @r"
    Update east/fake.named/parent
      size: 1 -> 2
    ");
    assert_snapshot!(shown(&bench.plan(&family("q", 1, None)?).await?), @r#"
    Replace east/fake.named/child
      parents: ["east:p"] -> known after apply
    Replace east/fake.named/parent
      name: "p" -> "q"
    "#);
    assert_snapshot!(shown(&bench.plan(&Bench::nothing()).await?), @r"
    Delete east/fake.named/child
    Delete east/fake.named/parent
    ");
    bench.world.vanish(&id(&bench, "east/fake.named/child")?);
    assert_snapshot!(shown(&bench.plan(&Bench::nothing()).await?), @r"
    Forget east/fake.named/child
    Delete east/fake.named/parent
    drift east/fake.named/child: gone
    ");
    Ok(())
}

/// Such as a secondary cluster with the primary of its global database.
#[tokio::test(start_paused = true)]
async fn what_cannot_outlive_another_is_replaced_with_it() -> Result<()> {
    let pair = |name: &str, days| {
        let mut graph = Bench::nothing();
        let primary = graph.add(&east(), "primary", named(name, 1, days))?;
        let secondary = graph.add(&east(), "secondary", named("secondary", 1, None))?;
        graph.replace_triggered_by(&primary.address, &secondary.address);
        Ok::<_, Error>(graph)
    };
    let bench = applied(&pair("p", None)?).await?;
    assert_snapshot!(shown(&bench.plan(&pair("p", Some(3))?).await?), @r"
    Update east/fake.named/primary
      days: 30 -> 3
    ");
    let replaced = bench.plan(&pair("q", None)?).await?;
    assert_snapshot!(shown(&replaced), @r#"
    Replace east/fake.named/primary
      name: "p" -> "q"
    Replace east/fake.named/secondary (it is replaced whenever east/fake.named/primary is replaced)
    "#);
    bench.converge(&pair("q", None)?).await?;
    let calls = bench.world.calls();
    let deletes = calls.iter().filter(|call| call.operation == Operation::Delete);
    let order: Vec<_> = deletes.map(|call| call.subject.as_str()).collect();
    assert_eq!(order, ["east/fake.named/secondary", "east/fake.named/primary"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_field_that_is_none_is_unmanaged_and_one_that_was_managed_is_reset() -> Result<()> {
    let bench = applied(&family("p", 1, None)?).await?;
    let parent = id(&bench, "east/fake.named/parent")?;
    bench.world.tamper(&parent, "days", 99.into());
    assert_snapshot!(shown(&bench.plan(&family("p", 1, None)?).await?), @"nothing");
    bench.converge(&family("p", 1, Some(7))?).await?;
    assert_snapshot!(shown(&bench.plan(&family("p", 1, None)?).await?), @r"
    Update east/fake.named/parent
      days: 7 -> removed
    ");
    bench.converge(&family("p", 1, None)?).await?;
    assert_eq!(bench.world.inventory()["east/fake.named/parent"][0]["days"], DAYS);
    assert_snapshot!(shown(&bench.plan(&family("p", 1, None)?).await?), @"nothing");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn drift_is_told_apart_from_what_is_wanted() -> Result<()> {
    let bench = applied(&family("p", 1, Some(7))?).await?;
    bench.world.tamper(&id(&bench, "east/fake.named/parent")?, "size", 5.into());
    assert_snapshot!(shown(&bench.plan(&family("p", 1, Some(8))?).await?), @r"
    Update east/fake.named/parent
      days: 7 -> 8
      size: 5 -> 1
    drift east/fake.named/parent: size: 5 was 1
    ");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_change_in_the_cloud_that_is_declared_now_is_recorded_without_a_call() -> Result<()> {
    let bench = applied(&family("p", 1, None)?).await?;
    bench.world.tamper(&id(&bench, "east/fake.named/parent")?, "size", 5.into());
    let graph = family("p", 5, None)?;
    assert_snapshot!(shown(&bench.plan(&graph).await?), @r"
    Update east/fake.named/parent (the configuration now has what was changed in AWS)
    drift east/fake.named/parent: size: 5 was 1
    ");
    let before = bench.world.count(Operation::Update, "");
    bench.converge(&graph).await?;
    assert_eq!(bench.world.count(Operation::Update, ""), before);
    assert_snapshot!(shown(&bench.plan(&graph).await?), @"nothing");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_plan_of_targets_takes_what_they_depend_on_and_nothing_else() -> Result<()> {
    let mut graph = family("p", 1, None)?;
    graph.add(&east(), "other", named("other", 1, None))?;
    let only =
        |address: &str| Ok::<_, Error>(Options { targets: BTreeSet::from([address.parse()?]), ..Options::default() });
    let bench = Bench::new();
    assert_snapshot!(shown(&bench.plan_with(&graph, &only("east/fake.named/child")?).await?), @r"
    Create east/fake.named/child
    Create east/fake.named/parent
    ");
    let wrong = bench.plan_with(&graph, &only("east/fake.named/nobody")?).await.expect_err("nobody");
    assert_snapshot!(wrong, @"east/fake.named/nobody is neither declared nor in the state");
    Ok(())
}

/// A dependent outside of the targets would keep the old resource in use.
#[tokio::test(start_paused = true)]
async fn targets_include_the_dependents_of_a_replaced_resource() -> Result<()> {
    let graph = |name: &str, size| {
        let mut graph = family(name, size, None)?;
        let follower = graph.add(&east(), "follower", named("follower", 1, None))?;
        graph.replace_triggered_by(&"east/fake.named/parent".parse()?, &follower.address);
        graph.add(&east(), "other", named("other", 1, None))?;
        Ok::<_, Error>(graph)
    };
    let only = |addresses: &[&str]| {
        let targets = addresses.iter().map(|address| address.parse()).collect::<Result<_>>()?;
        Ok::<_, Error>(Options { targets, ..Options::default() })
    };
    let (parent, dependents) = ("east/fake.named/parent", ["east/fake.named/child", "east/fake.named/follower"]);
    let bench = applied(&graph("p", 1)?).await?;
    assert_snapshot!(shown(&bench.plan_with(&graph("p", 2)?, &only(&[parent])?).await?), @r"
    Update east/fake.named/parent
      size: 1 -> 2
    ");
    let refused = bench.plan_with(&graph("q", 1)?, &only(&[parent])?).await.expect_err("dependents are left out");
    assert_snapshot!(refused, @r"
    the targets exclude dependents of a resource to be replaced:
    east/fake.named/child depends on east/fake.named/parent, which would be replaced
    east/fake.named/follower depends on east/fake.named/parent, which would be replaced
    ");
    assert_snapshot!(
        refused.get_hint().unwrap_or_default(),
        @"add --target=east/fake.named/child --target=east/fake.named/follower, or plan without --target"
    );
    let plan = bench.plan_with(&graph("q", 1)?, &only(&dependents)?).await?;
    assert_eq!(plan.left_out, BTreeSet::from(["east/fake.named/other".parse()?]));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_protected_is_not_removed() -> Result<()> {
    let bench = applied(&family("p", 1, None)?).await?;
    let mut graph = family("q", 1, None)?;
    graph.protect(&"east/fake.named/parent".parse()?);
    let state = bench.store.state()?.expect("a state");
    let refused = bench.plan(&graph).await?.respects_protection(&state, &graph).expect_err("protected");
    assert_snapshot!(refused, @"this would delete protected resources: east/fake.named/parent");
    // A change of only the protection is recorded, and applies when the resource is no longer declared.
    let mut graph = family("p", 1, None)?;
    graph.protect(&"east/fake.named/parent".parse()?);
    bench.converge(&graph).await?;
    let (state, nothing) = (bench.store.state()?.expect("a state"), Bench::nothing());
    assert!(bench.plan(&nothing).await?.respects_protection(&state, &nothing).is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_saved_plan_is_applied_as_it_is_or_refused_as_stale() -> Result<()> {
    let graph = family("p", 1, None)?;
    let bench = Bench::new();
    let plan = bench.plan(&graph).await?;
    let bytes = serde_json::to_vec(&plan).expect("JSON");
    let saved = Plan::parse(&bytes)?;
    assert_eq!(saved, plan);
    assert!(Plan::parse(&bytes[..bytes.len() / 2]).is_err());
    assert!(matches!(bench.perform(&saved).await, End::Done(_, report) if report.is_complete()));
    let before = bench.world.mutations();
    let End::Failed(error) = bench.perform(&saved).await else { panic!("the plan is stale") };
    assert!(error.is(Class::Stale), "{error}");
    assert_eq!(bench.world.mutations(), before);
    let other = State { account: "another".to_owned(), ..bench.store.state()?.expect("a state") };
    assert!(saved.fits(&other).expect_err("another account").is(Class::Invalid));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn graphs_that_cannot_be_are_refused() -> Result<()> {
    let at = |name: &str| Address::new(&east(), "fake.named", name);
    let hanging = |on: &[&str]| {
        let parents: Result<BTreeSet<_>> = on.iter().map(|on| Ok(Ref::to(&at(on)?, ID))).collect();
        Ok::<_, Error>(Named { parents: parents?, ..named("n", 1, None) })
    };
    let mut graph = Bench::nothing();
    graph.add(&east(), "a", hanging(&["c"])?)?;
    graph.add(&east(), "b", hanging(&["a"])?)?;
    graph.add(&east(), "c", hanging(&["b"])?)?;
    let cycle = Bench::new().plan(&graph).await.expect_err("a cycle");
    assert_snapshot!(cycle, @"dependency cycle: east/fake.named/a → east/fake.named/c → east/fake.named/b → east/fake.named/a");
    let mut graph = Bench::nothing();
    graph.add(&east(), "a", hanging(&["nobody"])?)?;
    let missing = Bench::new().plan(&graph).await.expect_err("nobody");
    assert_snapshot!(missing, @"east/fake.named/a refers to east/fake.named/nobody, which is not declared");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn lookups_are_answered_before_anything_is_made() -> Result<()> {
    let graph = |prefix: &str| {
        let mut graph = Bench::nothing();
        let zones = graph.find(&east(), "zones", &Zones { prefix: prefix.to_owned() })?;
        let (zone, none) = (zones.outputs.names.at(1)?, BTreeSet::new);
        let args = Tagged { size: 1, zone, days: None, parents: none(), uses: none(), tags: Tags::new() };
        graph.add(&east(), "t", args)?;
        Ok::<_, Error>(graph)
    };
    let plan = Bench::new().plan(&graph("z")?).await?;
    let zone = plan.steps[&"east/fake.tagged/t".parse()?].changes.iter().find(|change| change.path == "zone");
    assert_eq!(zone.expect("a zone").new, Wanted::Value(json!("zb")));
    let nothing = Bench::new().plan(&graph("")?).await.expect_err("no zones");
    assert_snapshot!(nothing, @"east/fake.zones/zones: no zone has an empty name");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_that_could_come_first_goes_first_where_what_it_hangs_on_does() -> Result<()> {
    let graph = |name: &str, zone: &str| {
        let mut graph = Bench::nothing();
        let parent = graph.add(&east(), "parent", named(name, 1, None))?;
        let parents = BTreeSet::from([parent.id.into()]);
        let first = First { size: 1, zone: zone.into(), days: None, parents, tags: Tags::new() };
        let first = graph.add(&east(), "first", first)?;
        let other = graph.add(&east(), "other", named("other", 1, None))?;
        let (left, right) = (first.id.into(), other.id.into());
        graph.add(&east(), "link", Link { left, right, slot: 0, weight: 1, note: None })?;
        Ok::<_, Error>(graph)
    };
    let bench = applied(&graph("p", "a")?).await?;
    assert_snapshot!(shown(&bench.plan(&graph("p", "b")?).await?), @r#"
    ReplaceCreateFirst east/fake.first/first
      zone: "a" -> "b"
    Replace east/fake.link/link
      left: "first-0001" -> known after apply
    "#);
    assert_snapshot!(shown(&bench.plan(&graph("q", "a")?).await?), @r#"
    Replace east/fake.first/first (a dependency is deleted and created again)
      parents: ["east:p"] -> known after apply
    Replace east/fake.link/link
      left: "first-0001" -> known after apply
    Replace east/fake.named/parent
      name: "p" -> "q"
    "#);
    Ok(())
}
