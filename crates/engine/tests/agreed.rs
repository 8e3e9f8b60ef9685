//! Only our own resources are changed, only accepted changes are made, and absence has to be proven.
#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::time::Duration;

use payinfra_engine::plan::{Accepted, Options};
use payinfra_engine::{Action, Address, Class, Drift, Graph, Intent, Ref, Region, Result, Step, Tags};
use payinfra_testkit::{
    Bench, End, Fault, Faults, Group, Lags, Link, Named, Operation, Point, Proof, Tagged, Token, Vault, When,
};
use serde_json::json;

fn east() -> Region {
    Region::new("east")
}

fn address(text: &str) -> Result<Address> {
    text.parse()
}

/// A key, and a vault that is encrypted with it.
fn vault(zone: &str, locked: bool) -> Result<Graph> {
    let mut graph = Bench::nothing();
    let zone = zone.to_owned().into();
    let key = Token { size: 1, zone, days: None, parents: BTreeSet::new(), tags: Tags::new() };
    let key = graph.add(&east(), "key", key)?;
    let vault = Vault { name: "vault".to_owned(), size: 1, locked, key: key.id.into(), tags: Tags::new() };
    graph.add(&east(), "vault", vault)?;
    Ok(graph)
}

fn named(name: &str, size: u32) -> Named {
    Named { name: name.to_owned(), size, days: None, parents: BTreeSet::new(), tags: Tags::new() }
}

fn one(size: u32) -> Result<Graph> {
    let mut graph = Bench::nothing();
    graph.add(&east(), "one", named("one", size))?;
    Ok(graph)
}

fn id_of(bench: &Bench, address: &str) -> Result<String> {
    let state = bench.store.state()?.expect("a state");
    Ok(state.resources[&address.parse()?].id.clone().expect("an id"))
}

/// The state, after `change`.
fn edit(bench: &Bench, change: impl FnOnce(&mut payinfra_engine::State)) -> Result<()> {
    let mut state = bench.store.state()?.expect("a state");
    change(&mut state);
    bench.store.intrude(&state.bytes()?);
    Ok(())
}

async fn step(bench: &Bench, graph: &Graph, at: &str) -> Result<Step> {
    Ok(bench.plan(graph).await?.steps[&at.parse()?].clone())
}

/// A configuration that two people apply with two states is two deployments.
#[tokio::test(start_paused = true)]
async fn two_deployments_of_one_configuration_never_touch_each_other() -> Result<()> {
    let ours = Bench::new();
    let mut graph = Bench::nothing();
    let tagged = Tagged {
        size: 1,
        zone: "a".to_owned().into(),
        days: None,
        parents: BTreeSet::new(),
        uses: BTreeSet::new(),
        tags: Tags::new(),
    };
    graph.add(&east(), "tagged", tagged)?;
    ours.converge(&graph).await?;
    let theirs = ours.beside();
    // The response to their create is lost: their recovery by stack, workspace and address would find our resource.
    let create = Point::Nth(Operation::Create, "fake.tagged", 0);
    theirs.world.set_faults(Faults::one(create, When::Before, Fault::Ambiguous));
    theirs.converge(&graph).await?;
    assert_ne!(id_of(&ours, "east/fake.tagged/tagged")?, id_of(&theirs, "east/fake.tagged/tagged")?);
    assert_eq!(ours.world.ids().len(), 2);
    theirs.converge(&Bench::nothing()).await?;
    assert_eq!(ours.world.ids(), BTreeSet::from([id_of(&ours, "east/fake.tagged/tagged")?]));
    // A resource that can exist only once is rejected with the command that imports it.
    ours.converge(&one(1)?).await?;
    match theirs.apply(&one(1)?).await {
        End::Done(_, report) => {
            let (_, error) = &report.failed[0];
            assert!(error.is(Class::Foreign), "{error}");
            assert!(error.get_hint().expect("a hint").contains("payinfra import east/fake.named/one"));
        }
        end => panic!("{end:?}"),
    }
    Ok(())
}

/// An id of theirs in our state, for example in an edited or forged one.
#[tokio::test(start_paused = true)]
async fn what_another_lineage_owns_is_refused_by_every_way_to_it() -> Result<()> {
    let theirs = Bench::new();
    theirs.converge(&one(1)?).await?;
    let id = id_of(&theirs, "east/fake.named/one")?;
    let ours = theirs.beside();
    for intent in [None, Some(Intent::Create), Some(Intent::Update), Some(Intent::Delete)] {
        let stolen = theirs.store.state()?.expect("a state");
        let mut state = payinfra_engine::State { lineage: "ours".to_owned(), ..stolen };
        state.resources.get_mut(&address("east/fake.named/one")?).expect("a record").intent = intent;
        ours.store.intrude(&state.bytes()?);
        let before = theirs.world.mutations();
        for graph in [one(2)?, Bench::nothing()] {
            let error = ours.plan(&graph).await.expect_err("not ours");
            assert!(error.to_string().contains(&format!("{id} is not ours: its tag `payinfra:lineage`")), "{error}");
        }
        assert_eq!(theirs.world.mutations(), before);
    }
    Ok(())
}

/// Tags that change between the plan and its apply.
#[tokio::test(start_paused = true)]
async fn ownership_is_asked_again_before_every_update_and_delete() -> Result<()> {
    for graph in [one(2)?, Bench::nothing()] {
        let bench = Bench::new();
        bench.converge(&one(1)?).await?;
        let plan = bench.plan(&graph).await?;
        let tags = json!({ "payinfra:stack": "stack", "payinfra:workspace": "test", "payinfra:lineage": "another" });
        bench.world.tamper(&id_of(&bench, "east/fake.named/one")?, "tags", tags);
        let before = bench.world.mutations();
        match bench.perform(&plan).await {
            End::Done(_, report) => assert!(report.failed[0].1.to_string().contains("is not ours"), "{report:?}"),
            end => panic!("{end:?}"),
        }
        assert_eq!(bench.world.mutations(), before);
    }
    Ok(())
}

/// Resources from before lineages existed.
#[tokio::test(start_paused = true)]
async fn what_is_recorded_and_carries_no_lineage_is_ours_and_gets_it() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&one(1)?).await?;
    let id = id_of(&bench, "east/fake.named/one")?;
    let old = json!({
        "payinfra:stack": "stack", "payinfra:workspace": "test", "payinfra:address": "east/fake.named/one",
    });
    bench.world.tamper(&id, "tags", old.clone());
    edit(&bench, |state| {
        let record = state.resources.values_mut().next().expect("a record");
        record.args["tags"] = old;
    })?;
    let plan = bench.plan(&one(1)?).await?;
    assert!(plan.drift.is_empty(), "{:?}", plan.drift);
    let step = &plan.steps[&address("east/fake.named/one")?];
    assert_eq!((step.action, &step.changes[0].path[..]), (Action::Update, "tags.payinfra:lineage"));
    bench.converge(&one(1)?).await?;
    assert!(bench.plan(&one(1)?).await?.is_empty());
    assert_eq!(id_of(&bench, "east/fake.named/one")?, id);
    Ok(())
}

/// A delete that was rejected, or that Ctrl-C ended before it started, and that was reverted in the configuration.
#[tokio::test(start_paused = true)]
async fn a_removal_that_was_undone_removes_nothing() -> Result<()> {
    let bench = Bench::new();
    let graph = vault("a", false)?;
    bench.converge(&graph).await?;
    edit(&bench, |state| {
        for record in state.resources.values_mut() {
            record.intent = Some(Intent::Delete);
        }
    })?;
    let (ids, before) = (bench.world.ids(), bench.world.mutations());
    let plan = bench.plan(&graph).await?;
    for step in plan.steps.values() {
        assert_eq!(step.action, Action::Update);
        assert_eq!(step.because.as_deref(), Some("an interrupted delete had no effect"));
    }
    assert!(plan.losses().is_empty());
    bench.converge(&graph).await?;
    assert_eq!((bench.world.ids(), bench.world.mutations()), (ids, before));
    assert!(!bench.store.state()?.expect("a state").is_unfinished());
    Ok(())
}

/// The same, but the delete had an effect: the resource is created again, and does not count as kept.
#[tokio::test(start_paused = true)]
async fn a_removal_that_took_effect_late_is_seen() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&one(1)?).await?;
    let id = id_of(&bench, "east/fake.named/one")?;
    edit(&bench, |state| state.resources.values_mut().for_each(|record| record.intent = Some(Intent::Delete)))?;
    let world = bench.world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.vanish(&id);
    });
    let step = step(&bench, &one(1)?, "east/fake.named/one").await?;
    assert_eq!((step.action, step.because.as_deref()), (Action::Create, Some("it no longer exists")));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_empty_answer_is_no_proof_of_a_deletion() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&one(1)?).await?;
    let id = id_of(&bench, "east/fake.named/one")?;
    // Neither drift, nor a plan, nor a destroy may trust such a read, however often it is repeated.
    for reads in [1, 2, 3, 5] {
        bench.world.hide(&id, reads);
        let plan = bench.plan(&one(1)?).await?;
        assert!(plan.is_empty() && plan.drift.is_empty(), "{reads}: {:?}", plan.steps);
        bench.world.hide(&id, reads);
        assert_eq!(bench.plan(&Bench::nothing()).await?.summary().delete, 1);
    }
    let plan = bench.plan(&Bench::nothing()).await?;
    bench.world.hide(&id, 4);
    assert!(matches!(bench.perform(&plan).await, End::Done(_, report) if report.is_complete()));
    assert!(bench.world.ids().is_empty());
    assert!(bench.store.state()?.expect("a state").resources.is_empty());
    Ok(())
}

/// A resource that AWS neither returns nor reports as missing is an error.
#[tokio::test(start_paused = true)]
async fn what_is_neither_there_nor_gone_is_an_error() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&one(1)?).await?;
    bench.world.hide(&id_of(&bench, "east/fake.named/one")?, 1_000);
    let error = bench.plan(&one(1)?).await.expect_err("undecided");
    assert!(error.to_string().starts_with("east/fake.named/one: AWS neither returns"), "{error}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_scheduled_for_deletion_is_restored_and_never_replaced() -> Result<()> {
    let bench = Bench::new();
    let graph = vault("a", true)?;
    bench.converge(&graph).await?;
    let id = id_of(&bench, "east/fake.vault/vault")?;
    for size in [1, 2] {
        bench.world.schedule(&id);
        let plan = bench.plan(&graph).await?;
        let step = &plan.steps[&address("east/fake.vault/vault")?];
        let because = Some("it is scheduled for deletion: tomorrow");
        assert_eq!((step.action, step.because.as_deref()), (Action::Restore, because));
        assert_eq!(plan.drift[&address("east/fake.vault/vault")?], Drift::Scheduled("tomorrow".to_owned()));
        // Changes that somebody made in the meantime are reverted as well.
        bench.world.tamper(&id, "size", size.into());
        bench.converge(&graph).await?;
        assert!(bench.plan(&graph).await?.is_empty());
        assert_eq!(id_of(&bench, "east/fake.vault/vault")?, id);
    }
    // If it is no longer declared, nothing has to be done.
    bench.world.schedule(&id);
    let plan = bench.plan(&Bench::nothing()).await?;
    assert_eq!(plan.steps[&address("east/fake.vault/vault")?].action, Action::Forget);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_clouds_own_protection_is_switched_off_just_before_an_allowed_delete() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&vault("a", true)?).await?;
    let plan = bench.plan(&Bench::nothing()).await?;
    let step = &plan.steps[&address("east/fake.vault/vault")?];
    assert_eq!(step.because.as_deref(), Some("AWS deletion protection is disabled first"));
    assert_eq!(plan.losses()[&address("east/fake.vault/vault")?], ["all of its data"]);
    bench.converge(&Bench::nothing()).await?;
    assert!(bench.world.ids().is_empty() && bench.world.violations().is_empty());
    Ok(())
}

/// The key was deleted manually: a new key would replace the vault, too.
#[tokio::test(start_paused = true)]
async fn drift_alone_destroys_no_data() -> Result<()> {
    let bench = Bench::new();
    let graph = vault("a", false)?;
    bench.converge(&graph).await?;
    let key = id_of(&bench, "east/fake.token/key")?;
    bench.world.vanish(&key);
    let error = bench.plan(&graph).await.expect_err("a cascade");
    let told = "east/fake.vault/vault would be replaced: its `key` refers to east/fake.token/key: it no longer exists";
    assert!(error.to_string().contains(told), "{error}");
    assert!(error.get_hint().expect("a hint").contains("--accept-loss=east/fake.vault/vault"));
    for accepted in [Accepted::Everything, Accepted::These(BTreeSet::from([address("east/fake.vault/vault")?]))] {
        let options = Options { accepted, ..Options::default() };
        assert_eq!(bench.plan_with(&graph, &options).await?.losses().len(), 1);
    }
    // A declared change is not drift: protection and the confirmation with the workspace's name cover it.
    let bench = Bench::new();
    bench.converge(&vault("a", false)?).await?;
    assert_eq!(bench.plan(&vault("b", false)?).await?.losses().len(), 1);
    Ok(())
}

/// A network, a group in it, and a group in that group.
fn network(zone: &str) -> Result<Graph> {
    let mut graph = Bench::nothing();
    let zone = zone.to_owned().into();
    let net = Token { size: 1, zone, days: None, parents: BTreeSet::new(), tags: Tags::new() };
    let net: Ref<String> = graph.add(&east(), "net", net)?.id.into();
    let group = |name: &str, members: Vec<Ref<String>>| Group {
        name: name.to_owned(),
        members: members.into_iter().collect(),
        tags: Tags::new(),
    };
    let inner = graph.add(&east(), "inner", group("inner", vec![net]))?;
    graph.add(&east(), "outer", group("outer", vec![inner.id.into()]))?;
    Ok(graph)
}

#[tokio::test(start_paused = true)]
async fn what_names_members_of_a_network_is_replaced_with_it() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&network("a")?).await?;
    let plan = bench.plan(&network("b")?).await?;
    for at in ["east/fake.group/inner", "east/fake.group/outer"] {
        let step = &plan.steps[&address(at)?];
        assert_eq!((step.action, step.because.as_deref()), (Action::Replace, Some("it moves to another network")));
    }
    bench.converge(&network("b")?).await?;
    assert!(bench.world.violations().is_empty());
    Ok(())
}

/// A link between two existing resources.
fn link(weight: u32, linked: bool) -> Result<Graph> {
    let mut graph = Bench::nothing();
    let left = graph.add(&east(), "left", named("left", 1))?;
    let right = graph.add(&east(), "right", named("right", 1))?;
    if linked {
        let link = Link { left: left.id.into(), right: right.id.into(), slot: 0, weight, note: None };
        graph.add(&east(), "link", link)?;
    }
    Ok(graph)
}

/// A resource without tags counts as ours only if an intent of ours is recorded.
#[tokio::test(start_paused = true)]
async fn what_is_there_already_and_carries_no_tags_is_never_taken() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&link(1, false)?).await?;
    let theirs = bench.beside();
    theirs.store.intrude(&bench.store.state()?.expect("a state").bytes()?);
    theirs.converge(&link(7, true)?).await?;
    let before = bench.world.mutations();
    match bench.apply(&link(1, true)?).await {
        End::Done(_, report) => {
            let (at, error) = &report.failed[0];
            assert_eq!(at.to_string(), "east/fake.link/link");
            assert!(
                error.is(Class::Foreign) && error.to_string().contains("is not managed by this deployment"),
                "{error}"
            );
            assert!(error.get_hint().expect("a hint").contains("payinfra import east/fake.link/link"), "{error:?}");
        }
        end => panic!("{end:?}"),
    }
    assert_eq!(bench.world.mutations(), before, "nothing was changed");
    Ok(())
}

/// The response was lost, and the tags are not visible for twenty seconds: the resource must not count as somebody
/// else's.
#[tokio::test(start_paused = true)]
async fn nothing_is_called_foreign_before_its_tags_could_be_seen() -> Result<()> {
    let bench = Bench::new();
    bench.world.set_lags(Lags { tags: Duration::from_secs(20), ..Lags::default() });
    let create = Point::Nth(Operation::Create, "fake.named", 0);
    bench.world.set_faults(Faults::one(create, When::After, Fault::Ambiguous));
    bench.converge(&one(1)?).await?;
    assert_eq!(bench.world.ids().len(), 1);
    Ok(())
}

/// A create that succeeded, but whose resource disappeared.
#[tokio::test(start_paused = true)]
async fn what_was_lost_after_its_create_is_created_again_in_the_same_life() -> Result<()> {
    let bench = Bench::new();
    let world = bench.world.clone();
    let watch = async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Some(id) = world.ids().first() {
                return world.vanish(id);
            }
        }
    };
    let graph = one(1)?;
    let (applied, ()) = tokio::join!(bench.apply(&graph), watch);
    assert!(matches!(applied, End::Done(_, report) if report.is_complete()));
    assert_eq!(bench.world.count(Operation::Create, "fake.named"), 2);
    Ok(())
}

/// The resource that would complete it has failed: the engine does not wait a quarter of an hour for it.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_in_vain_ends_at_once() -> Result<()> {
    let mut graph = Bench::nothing();
    let proof = graph.add(&east(), "proof", Proof { zone: "a".to_owned().into(), tags: Tags::new() })?;
    let left = graph.add(&east(), "left", named("left", 1))?;
    let link = Link { left: left.id.into(), right: proof.id.into(), slot: 0, weight: 1, note: None };
    graph.add(&east(), "link", link)?;
    let bench = Bench::new();
    let create = Point::Nth(Operation::Create, "fake.link", 0);
    bench.world.set_faults(Faults::one(create, When::Before, Fault::Denied));
    match bench.apply(&graph).await {
        End::Done(_, report) => {
            let why = |at: &str| {
                let failed = report.failed.iter().find(|(address, _)| address.to_string() == at);
                failed.map(|(_, error)| error.to_string()).unwrap_or_default()
            };
            assert!(why("east/fake.proof/proof").contains("because east/fake.link/link failed"), "{report:?}");
        }
        end => panic!("{end:?}"),
    }
    assert!(bench.world.elapsed() < Duration::from_secs(30), "{:?}", bench.world.elapsed());
    Ok(())
}

/// The state can no longer be written: waiting tasks are cancelled.
#[tokio::test(start_paused = true)]
async fn a_run_whose_state_is_lost_gives_up_its_waits() -> Result<()> {
    let mut graph = Bench::nothing();
    graph.add(&east(), "proof", Proof { zone: "a".to_owned().into(), tags: Tags::new() })?;
    graph.add(&east(), "one", named("one", 1))?;
    let bench = Bench::new();
    let save = Point::Nth(Operation::Save, "", 3);
    bench.world.set_faults(Faults::one(save, When::Before, Fault::Denied));
    assert!(matches!(bench.apply(&graph).await, End::Failed(_)));
    assert!(bench.world.elapsed() < Duration::from_secs(30), "{:?}", bench.world.elapsed());
    Ok(())
}

/// An older state was restored: resources that were created since are found, by name, tag and key, and not created
/// again.
#[tokio::test(start_paused = true)]
async fn after_an_older_state_was_restored_every_create_looks_first() -> Result<()> {
    let mut bench = Bench::new();
    let full = |size| -> Result<Graph> {
        let mut graph = link(1, true)?;
        let zone: Ref<String> = "a".to_owned().into();
        let (parents, uses) = (BTreeSet::new(), BTreeSet::new());
        graph.add(
            &east(),
            "tagged",
            Tagged { size, zone: zone.clone(), days: None, parents, uses, tags: Tags::new() },
        )?;
        let token = Token { size, zone, days: None, parents: BTreeSet::new(), tags: Tags::new() };
        graph.add(&east(), "token", token)?;
        Ok(graph)
    };
    bench.converge(&one(1)?).await?;
    let older = bench.store.state()?.expect("a state");
    bench.converge(&full(1)?).await?;
    let ids = bench.world.ids();
    bench.store.intrude(&older.bytes()?);
    bench.uncertain = true;
    bench.converge(&full(1)?).await?;
    assert_eq!(bench.world.ids(), ids);
    Ok(())
}
