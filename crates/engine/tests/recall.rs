//! A graph of an earlier plan is planned again, with secrets from other graphs that declare the same; graphs are compared.
#![expect(clippy::expect_used, reason = "a test")]

use payinfra_engine::{Action, Change, Difference, Graph, ID, Plan, Ref, Region, Result, State, Tags, Wanted};
use payinfra_testkit::{Bench, Named, Vault};
use serde_json::{Value, json};

const ADDRESS: &str = "east/fake.named/one";

fn named(name: &str) -> Named {
    Named { name: name.to_owned(), size: 1, days: None, parents: [].into(), tags: Tags::new() }
}

fn vault(size: u32) -> Result<Graph> {
    let (mut graph, region) = (Bench::nothing(), Region::new("east"));
    let key = graph.add(&region, "key", named("key"))?;
    let args = Vault { name: "vault".to_owned(), size, locked: false, key: key.id.into(), tags: Tags::new() };
    graph.add(&region, "vault", args)?;
    Ok(graph)
}

#[tokio::test(start_paused = true)]
async fn a_change_that_the_cloud_refuses_fails_before_the_apply() -> Result<()> {
    let bench = Bench::new();
    bench.converge(&vault(2)?).await?;
    bench.plan(&vault(3)?).await?.can_be_applied()?;
    let error = bench.plan(&vault(1)?).await?.can_be_applied().expect_err("it cannot shrink");
    insta::assert_snapshot!(error, @"
    AWS would refuse to change this:
    east/fake.vault/vault: `size` cannot shrink to 1
    ");
    Ok(())
}

/// A graph with these arguments at [`ADDRESS`], and `outputs`.
fn graph(args: &Value, outputs: &Value) -> Graph {
    let nodes = json!({ ADDRESS: { "args": args } });
    let graph = json!({ "stack": "s", "workspace": "w", "tags": {}, "nodes": nodes, "outputs": outputs });
    serde_json::from_value(graph).expect("a graph")
}

/// A saved plan that creates what `graph` declares, in the deployment `state`.
fn saved(graph: &Graph, state: &State) -> Plan {
    let plan = json!({
        "format": payinfra_engine::plan::FORMAT, "account": "a", "lineage": state.lineage, "serial": 0, "revision": 0,
        "graph": graph, "steps": { ADDRESS: { "action": "create", "changes": [] } }, "drift": {}, "lookups": {},
        "left_out": [],
    });
    let plan: Plan = serde_json::from_value(plan).expect("a plan");
    plan.sealed().expect("a sealed plan")
}

fn args(graph: &Graph) -> Value {
    graph.nodes().values().next().map(|node| node.args.clone()).expect("a node")
}

/// Secrets are saved as digests; values come from other graphs if their digests agree.
#[test]
fn secrets_come_from_graphs_that_declare_the_same() {
    let state = State::new("s", "w", "a");
    let secret = |text: &str| json!({ "$secret": text });
    let none = json!({});
    let plan = saved(&graph(&json!({ "list": [{ "key": secret("hunter2") }], "name": "a" }), &none), &state);
    for (current, known) in [
        (json!({ "list": [{ "key": secret("hunter2") }] }), true),
        (json!({ "list": [{ "key": secret("hunter3") }] }), false),
        (json!({ "list": [] }), false),
        (json!({}), false),
        // It is no longer declared as a secret.
        (json!({ "list": [{ "key": "hunter2" }] }), true),
    ] {
        let recalled =
            Plan { graph: plan.recalled(&state, &[&Bench::nothing(), &graph(&current, &none)]), ..plan.clone() };
        assert_eq!(args(&recalled.graph)["name"], "a");
        let value = &args(&recalled.graph)["list"][0]["key"];
        assert_eq!(value == &secret("hunter2"), known, "{current}: {value}");
        let applicable = recalled.can_be_applied();
        assert_eq!(applicable.is_ok(), known, "{current}");
        if let Err(error) = applicable {
            assert!(error.message().contains("east/fake.named/one: `list.0.key`"), "{error}");
        }
    }
}

/// Of a secret that refers to outputs, a saved plan has only the references, so its digest comes from the state.
#[test]
fn a_secret_that_refers_to_outputs_is_compared_as_it_was_resolved() -> Result<()> {
    let pointer = Ref::<String>::to(&ADDRESS.parse()?, ID);
    let secret = |text: &str| json!({ "$secret": { "$text": [text, pointer] } });
    let outputs = |text: &str| json!({ "url": secret(text) });
    let mut state = State::new("s", "w", "a");
    let plan = saved(&graph(&json!({}), &outputs("https://hunter2@")), &state);
    let resolved =
        graph(&json!({}), &json!({ "url": { "$secret": "https://hunter2@one-1" } })).sealed(&state.lineage)?;
    state.outputs.clone_from(resolved.outputs());
    let record = json!({ "generation": 1, "id": "one-1", "args": {}, "outputs": {}, "depends": [] });
    state.resources.insert(ADDRESS.parse()?, serde_json::from_value(record).expect("a record"));
    let recalled = |text: &str| plan.recalled(&state, &[&graph(&json!({}), &outputs(text))]).outputs()["url"].clone();
    assert_eq!(recalled("https://hunter2@"), secret("https://hunter2@"));
    assert_eq!(recalled("https://hunter3@"), resolved.outputs()["url"]);
    Ok(())
}

#[test]
fn a_difference_has_the_fields_as_they_are_declared() -> Result<()> {
    let reference = json!({ "$ref": "east/fake.vault/vault#id" });
    let before = json!({ "name": "a", "size": 1, "parents": [], "key": { "$secret": "hunter2" }, "days": 3 });
    let after =
        json!({ "name": "a", "size": 2, "parents": [reference], "key": { "$secret": "hunter3" }, "days": null });
    let before = graph(&before, &json!({ "one": "1", "two": "2" })).sealed("lineage")?;
    let mut after = graph(&after, &json!({ "one": "1", "two": "3" }));
    after.protect(&ADDRESS.parse()?);
    after.add(&Region::new("east"), "new", named("new"))?;
    let after = after.sealed("lineage")?;
    let Difference { steps, outputs } = before.difference(&after);
    let step = &steps[&ADDRESS.parse()?];
    let paths: Vec<_> = step.changes.iter().map(|change| &*change.path).collect();
    assert_eq!(paths, ["days", "key", "parents", "size", "protect"]);
    assert_eq!(step.changes[0].new, Wanted::Removed);
    assert_eq!(step.changes[2].new, Wanted::Value(json!([reference])), "references are shown as declared");
    assert_eq!(steps[&"east/fake.named/new".parse()?].action, Action::Create);
    assert_eq!(
        outputs,
        [Change { path: "two".to_owned(), old: json!("2"), new: Wanted::Value(json!("3")), partial: None }]
    );
    assert_eq!(after.difference(&before).steps[&"east/fake.named/new".parse()?].action, Action::Delete);
    assert_eq!(after.difference(&after), Difference::default());
    Ok(())
}
