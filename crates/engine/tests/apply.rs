//! The operations of an apply, their order, and how it stops.
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use payinfra_engine::{
    Action, Class, Cloud, Event, Graph, Metric, Node, Observer, Ref, Region, Report, Resource, Result, Tags, publish,
};
use payinfra_testkit::{
    Bench, End, FakeCloud, Fault, Faults, First, Lags, Link, Named, Operation, Point, Tagged, Token, When, World,
};

fn east() -> Region {
    Region::new("east")
}

fn token(graph: &mut Graph, name: &str, parents: &[Ref<String>]) -> Result<Node<Token>> {
    let parents = parents.iter().cloned().collect();
    graph.add(&east(), name, Token { size: 1, zone: "a".into(), days: None, parents, tags: Tags::new() })
}

fn named(graph: &mut Graph, name: &str, size: u32, parents: &[Ref<String>]) -> Result<Node<Named>> {
    let parents = parents.iter().cloned().collect();
    graph.add(&east(), name, Named { name: name.to_owned(), size, days: None, parents, tags: Tags::new() })
}

fn id<R: Resource>(node: &Node<R>) -> Ref<String> {
    node.id.clone().into()
}

async fn done(bench: &Bench, graph: &Graph) -> Report {
    match bench.apply(graph).await {
        End::Done(_, report) => report,
        end => panic!("{end:?}"),
    }
}

/// The start of the n-th call of `operation` on `kind`.
fn at(bench: &Bench, operation: Operation, kind: &str) -> Duration {
    let calls = bench.world.calls();
    calls.iter().find(|call| call.operation == operation && call.kind == kind).expect("a call").at
}

/// One operation starts at a time, and waiting ones do not count: ten take hardly longer than one.
#[tokio::test(start_paused = true)]
async fn as_many_begin_at_once_as_were_asked_for() -> Result<()> {
    let mut bench = Bench::new();
    bench.width = Some(NonZeroUsize::MIN);
    let mut graph = Bench::nothing();
    for number in 0..10 {
        token(&mut graph, &number.to_string(), &[])?;
    }
    assert!(done(&bench, &graph).await.is_complete());
    let calls = bench.world.calls().into_iter();
    let creates: Vec<_> = calls.filter(|call| call.operation == Operation::Create).map(|call| call.at).collect();
    assert_eq!(creates.len(), 10);
    assert!(creates.is_sorted_by(|one, next| one < next), "{creates:?}");
    assert!(bench.world.elapsed() < Duration::from_secs(80), "a minute for each at once: {:?}", bench.world.elapsed());
    Ok(())
}

/// Ten resources that AWS does not show for a minute take hardly longer than one.
#[tokio::test(start_paused = true)]
async fn what_is_not_visible_yet_takes_no_slot() -> Result<()> {
    let (mut bench, mut graph) = (Bench::new(), Bench::nothing());
    bench.width = Some(NonZeroUsize::MIN);
    bench.world.set_lags(Lags { visible: Duration::from_mins(1), ..Lags::default() });
    for number in 0..10 {
        named(&mut graph, &number.to_string(), 1, &[])?;
    }
    assert!(done(&bench, &graph).await.is_complete());
    assert!(bench.world.elapsed() < Duration::from_secs(80), "{:?}", bench.world.elapsed());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn dependants_wait_until_ready_and_early_ones_until_it_exists() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    let left = named(&mut graph, "left", 1, &[])?;
    let slow = token(&mut graph, "slow", &[])?;
    named(&mut graph, "later", 1, &[id(&slow)])?;
    graph.add(&east(), "link", Link { left: id(&left), right: id(&slow), slot: 0, weight: 1, note: None })?;
    assert!(done(&bench, &graph).await.is_complete());
    let link = at(&bench, Operation::Create, "fake.link");
    assert!(link > Duration::from_secs(5) && link < Duration::from_secs(8), "{link:?}");
    let later = bench.world.calls().iter().filter(|call| call.subject.contains("later")).map(|call| call.at).min();
    assert!(later.expect("a call") > Duration::from_mins(1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_takes_as_long_as_the_longest_path() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    // Names that sort the long chain last: it only starts first if the longest path does.
    for index in 0..150 {
        named(&mut graph, &format!("a{index:03}"), 1, &[])?;
    }
    let first = token(&mut graph, "z1", &[])?;
    let second = token(&mut graph, "z2", &[id(&first)])?;
    token(&mut graph, "z3", &[id(&second)])?;
    assert!(done(&bench, &graph).await.is_complete());
    let took = bench.world.elapsed();
    assert!(took >= Duration::from_mins(3) && took < Duration::from_secs(190), "{took:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn reads_are_shared_and_so_are_writes_of_the_state() -> Result<()> {
    let (mut bench, mut graph) = (Bench::new(), Bench::nothing());
    bench.width = Some(NonZeroUsize::MAX);
    for index in 0..60 {
        named(&mut graph, &format!("n{index:02}"), 1, &[])?;
    }
    assert!(done(&bench, &graph).await.is_complete());
    // Sixty at once for five seconds: separately, each would read at least ten times.
    let reads = bench.world.count(Operation::Read, "fake.named");
    assert!(reads < 35, "{reads} reads");
    // Each has four transitions: intent, id, outputs, end.
    let writes = bench.store.writes();
    assert!(writes < 20, "{writes} writes");
    bench.world.clear_calls();
    bench.plan(&graph).await?;
    assert_eq!(
        bench.world.calls().len() - bench.world.count(Operation::Load, ""),
        1,
        "a refresh reads a kind in one call"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn independent_branches_go_on_and_dependants_are_listed() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    let bad = token(&mut graph, "bad", &[])?;
    let child = named(&mut graph, "child", 1, &[id(&bad)])?;
    named(&mut graph, "grandchild", 1, &[id(&child)])?;
    let good = named(&mut graph, "good", 1, &[])?;
    named(&mut graph, "other", 1, &[id(&good)])?;
    bench.world.set_faults(Faults::one(Point::Every(Operation::Create, "fake.token"), When::Before, Fault::Denied));
    let report = done(&bench, &graph).await;
    let text = |addresses: Vec<String>| addresses.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].1.is(Class::Denied));
    assert_eq!(
        text(report.done.iter().map(|(address, _)| address.name.to_string()).collect()),
        text(vec!["good".into(), "other".into()])
    );
    let skipped = report.skipped.iter().map(|(address, because)| format!("{} {because:?}", address.name));
    assert_eq!(
        text(skipped.collect()),
        text(vec!["child Some(east/fake.token/bad)".into(), "grandchild Some(east/fake.token/bad)".into()])
    );
    bench.world.set_faults(Faults::none());
    assert!(done(&bench, &graph).await.is_complete());
    let model = Bench::new();
    model.converge(&graph).await?;
    bench.verify(&graph, &model).await
}

/// Runs an action when the first resource exists.
struct Then<F>(F, Mutex<bool>);

impl<F: Fn() + Send + Sync> Observer for Then<F> {
    fn notice(&self, event: &Event) {
        let first = std::mem::replace(&mut *self.1.lock().unwrap_or_else(PoisonError::into_inner), true);
        match event {
            Event::Exists { .. } if !first => (self.0)(),
            Event::Exists { .. } => {}
            _ => *self.1.lock().unwrap_or_else(PoisonError::into_inner) = first,
        }
    }
}

/// A chain, and an action as soon as its first member exists.
async fn interrupted(act: impl Fn(&Bench) + Send + Sync + 'static) -> Result<(Bench, Graph, End)> {
    let slot: Arc<Mutex<Option<Bench>>> = Arc::default();
    let seen = Arc::clone(&slot);
    let then = move || {
        if let Some(bench) = &*seen.lock().unwrap_or_else(PoisonError::into_inner) {
            act(bench);
        }
    };
    let bench = Bench::watched(Then(then, Mutex::new(false)));
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(bench.clone());
    let mut graph = Bench::nothing();
    let first = token(&mut graph, "first", &[])?;
    named(&mut graph, "second", 1, &[id(&first)])?;
    let end = bench.apply(&graph).await;
    Ok((bench, graph, end))
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_ends_it_soon_and_loses_nothing() -> Result<()> {
    let (bench, graph, end) = interrupted(|bench| bench.cancel.send_modify(|cancel| *cancel = true)).await?;
    let End::Done(_, report) = end else { panic!("{end:?}") };
    assert!(report.cancelled && report.failed.is_empty());
    assert!(bench.world.elapsed() < Duration::from_secs(2), "{:?}", bench.world.elapsed());
    assert_eq!(bench.world.mutations(), 1);
    bench.cancel.send_replace(false);
    let model = Bench::new();
    model.converge(&graph).await?;
    assert!(done(&bench, &graph).await.is_complete());
    bench.verify(&graph, &model).await
}

#[tokio::test(start_paused = true)]
async fn nothing_is_changed_once_the_lease_is_lost() -> Result<()> {
    let (bench, graph, end) = interrupted(|bench| bench.lock.lose()).await?;
    let End::Failed(error) = end else { panic!("{end:?}") };
    assert!(error.is(Class::Locked), "{error}");
    assert_eq!(bench.world.mutations(), 1);
    let model = Bench::new();
    model.converge(&graph).await?;
    assert!(done(&bench, &graph).await.is_complete());
    bench.verify(&graph, &model).await
}

#[tokio::test(start_paused = true)]
async fn nothing_is_changed_once_the_state_cannot_be_written() -> Result<()> {
    let (bench, _, end) = interrupted(|bench| bench.store.intrude(b"{}")).await?;
    let End::Failed(error) = end else { panic!("{end:?}") };
    assert!(error.is(Class::Stale), "{error}");
    assert_eq!(bench.world.mutations(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_not_taken_names_the_field() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    named(&mut graph, "n", 1, &[])?;
    bench.converge(&graph).await?;
    bench.world.ignore_updates("fake.named", "size");
    let mut graph = Bench::nothing();
    named(&mut graph, "n", 2, &[])?;
    let report = done(&bench, &graph).await;
    let (_, error) = report.failed.first().expect("a failure");
    assert_eq!(error.to_string(), "two updates succeeded, but did not change size");
    assert_eq!(bench.world.count(Operation::Update, ""), 2);
    Ok(())
}

/// As ECS rolls back a deployment.
#[tokio::test(start_paused = true)]
async fn m17_an_update_that_aws_reverts_fails_with_its_reason_and_can_be_repeated() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    named(&mut graph, "n", 1, &[])?;
    bench.converge(&graph).await?;
    bench.world.revert_updates("fake.named");
    let mut changed = Bench::nothing();
    named(&mut changed, "n", 2, &[])?;
    for attempt in 1..=2 {
        let report = done(&bench, &changed).await;
        let (_, error) = report.failed.first().expect("a failure");
        let text = error.to_string();
        assert!(text.starts_with("AWS has reverted the change of") && text.contains("its tasks failed"), "{text}");
        assert_eq!(bench.world.count(Operation::Update, ""), attempt, "it is not repeated");
    }
    // What was reverted is usable, and no reason to change anything.
    bench.converge(&graph).await?;
    assert_eq!(bench.world.count(Operation::Update, ""), 2);
    bench.world.keep_updates("fake.named");
    bench.converge(&changed).await?;
    assert_eq!(bench.world.violations(), Vec::<String>::new());
    Ok(())
}

/// The time limit of a change does not include the time for which AWS was told to watch it.
#[tokio::test(start_paused = true)]
async fn m17_a_configured_wait_is_longer_than_the_time_limit() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    named(&mut graph, "n", 1, &[])?;
    bench.converge(&graph).await?;
    bench.world.watch_updates("fake.named", Duration::from_hours(24));
    let mut graph = Bench::nothing();
    named(&mut graph, "n", 2, &[])?;
    bench.converge(&graph).await?;
    assert!(bench.world.elapsed() >= Duration::from_hours(24));
    assert_eq!(bench.world.violations(), Vec::<String>::new());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_replaced_first_goes_after_those_that_use_it() -> Result<()> {
    let bench = Bench::new();
    let graph = |zone: &str| {
        let (mut graph, none) = (Bench::nothing(), BTreeSet::new);
        let first = First { size: 1, zone: zone.into(), days: None, parents: none(), tags: Tags::new() };
        let first = graph.add(&east(), "first", first)?;
        let uses = BTreeSet::from([id(&first)]);
        let lodger = Tagged { size: 1, zone: "a".into(), days: None, parents: none(), uses, tags: Tags::new() };
        graph.add(&east(), "user", lodger)?;
        Ok::<_, payinfra_engine::Error>(graph)
    };
    bench.converge(&graph("a")?).await?;
    bench.world.clear_calls();
    let report = done(&bench, &graph("b")?).await;
    assert!(report.is_complete() && report.done.iter().any(|(_, action)| *action == Action::ReplaceCreateFirst));
    let calls = bench.world.calls();
    let order: Vec<_> =
        calls.iter().filter(|it| it.operation.mutates()).map(|it| (it.operation, &it.kind[..])).collect();
    let (create, update, delete) = (Operation::Create, Operation::Update, Operation::Delete);
    assert_eq!(order, [(create, "fake.first"), (update, "fake.tagged"), (delete, "fake.first")]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_somebody_elses_is_left_alone() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    bench.world.intrude("fake.named", &east(), "n", serde_json::json!({ "tags": {} }));
    named(&mut graph, "n", 1, &[])?;
    let report = done(&bench, &graph).await;
    assert!(report.failed[0].1.is(Class::Foreign));
    assert_eq!(bench.world.ids().len(), 1);
    // A destroy has nothing to delete: it ends, and their resource stays.
    assert!(done(&bench, &Bench::nothing()).await.is_complete());
    assert!(bench.store.state()?.is_some_and(|state| state.resources.is_empty()));
    assert_eq!(bench.world.ids().len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_stillborn_is_made_anew_by_the_next_apply() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    token(&mut graph, "t", &[])?;
    bench.world.set_faults(Faults::one(Point::Nth(Operation::Create, "", 0), When::Before, Fault::Stillborn));
    assert!(done(&bench, &graph).await.failed[0].1.to_string().contains("failed on creation"));
    let model = Bench::new();
    model.converge(&graph).await?;
    assert!(done(&bench, &graph).await.is_complete());
    bench.verify(&graph, &model).await
}

#[tokio::test(start_paused = true)]
async fn metrics_are_published_and_a_failure_is_told_by_its_metric() -> Result<()> {
    let (world, mut graph) = (World::new(), Bench::nothing());
    let metric = |name: &str| Metric {
        region: east(),
        namespace: "payinfra".to_owned(),
        name: name.to_owned(),
        dimensions: [("Phase".to_owned(), "legacy".to_owned())].into(),
        value: 1.0,
    };
    graph.metric(metric("First"));
    graph.metric(metric("Second"));
    let cloud: Arc<dyn Cloud> = Arc::new(FakeCloud::new(&world));
    assert!(publish(&*cloud, &graph).await.is_empty());
    assert_eq!(world.published(), [metric("First"), metric("Second")]);
    world.set_faults(Faults::one(Point::Every(Operation::Publish, ""), When::Before, Fault::Denied));
    let failed = publish(&*cloud, &graph).await;
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|(_, error)| error.is(Class::Denied)));
    Ok(())
}

/// AWS-FACTS §0.2: a token of a resource that is gone returns the deleted resource, or is rejected.
#[tokio::test(start_paused = true)]
async fn what_was_removed_and_comes_back_has_another_token() -> Result<()> {
    let (bench, mut graph) = (Bench::new(), Bench::nothing());
    let address = token(&mut graph, "again", &[])?.address;
    let mut tokens = BTreeSet::new();
    for _ in 0..3 {
        assert!(done(&bench, &graph).await.is_complete());
        let state = bench.store.state()?.expect("a state");
        tokens.insert(state.token(&address, state.resources[&address].generation));
        assert!(done(&bench, &Bench::nothing()).await.is_complete());
    }
    assert_eq!(tokens.len(), 3);
    Ok(())
}
