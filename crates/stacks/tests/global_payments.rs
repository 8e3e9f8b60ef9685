//! The graph of the payment API, as data (SYSTEMS §2).

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use payinfra_aws::catalog;
use payinfra_components::graph as build;
use payinfra_engine::{Action, Graph};
use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;
use payinfra_testkit::Simulation;
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../src/global_payments/payinfra.toml");

/// The example's workspace; `package` is the content of the function's package.
fn graph_with(configuration: &str, package: &'static [u8]) -> Graph {
    let open = |_: &_| Ok(Box::new(Cursor::new(package)) as Box<dyn Read>);
    let configuration = Configuration::open(configuration, "payinfra.toml", STACKS, &open).unwrap();
    build(&configuration, "dev", "123456789012").unwrap()
}

fn graph(configuration: &str) -> Graph {
    graph_with(configuration, b"package")
}

/// The graph without the tags that all resources share.
fn snapshot(graph: &Graph) -> Value {
    let nodes = graph.nodes().iter().map(|(address, node)| {
        let mut node = json!(node);
        if let Some(tags) = node.pointer_mut("/args/tags").and_then(Value::as_object_mut) {
            tags.retain(|key, _| key == "Name");
        }
        (address.to_string(), node)
    });
    json!({ "nodes": nodes.collect::<BTreeMap<_, _>>(), "outputs": graph.outputs() })
}

/// G-01 to G-11 as data.
#[test]
fn g01_the_graph_of_both_regions() {
    insta::assert_json_snapshot!("global-payments", snapshot(&graph(EXAMPLE)));
}

#[test]
fn g01_it_applies_plans_empty_and_is_destroyed() {
    let account = Simulation::new(&catalog()).unwrap();
    let graph = graph(EXAMPLE);
    let report = account.apply(&graph).unwrap();
    assert!(report.done.iter().all(|(_, action)| *action == Action::Create));
    assert!(account.plan(&graph).unwrap().is_empty());
    account.destroy(&graph).unwrap();
    assert!(account.addresses().is_empty());
}

/// What a plan changes, by kind.
fn changed(from: &Graph, to: &Graph) -> BTreeSet<String> {
    let account = Simulation::new(&catalog()).unwrap();
    account.apply(from).unwrap();
    let plan = account.plan(to).unwrap();
    let changed = plan.steps.iter().filter(|(_, step)| step.action != Action::Keep);
    changed.map(|(address, _)| address.kind.to_string()).collect()
}

/// G-01: the API is deployed again exactly when its definition changes; a new package only publishes a version. The
/// function sends the allowed origin as well.
#[test]
fn g01_the_api_is_deployed_when_its_definition_changes() {
    let origin = EXAMPLE.replace("origin = \"*\"", "origin = \"https://pay.example.com\"");
    let kinds = changed(&graph(EXAMPLE), &graph(&origin));
    let api = ["apigateway.deployment", "apigateway.gateway-response", "apigateway.method", "apigateway.stage"];
    let function = ["lambda.alias", "lambda.function", "lambda.version"];
    assert_eq!(kinds, api.into_iter().chain(function).map(str::to_owned).collect());
    let kinds = changed(&graph(EXAMPLE), &graph_with(EXAMPLE, b"another"));
    assert_eq!(kinds, function.map(str::to_owned).into());
    assert_eq!(changed(&graph(EXAMPLE), &graph(EXAMPLE)), BTreeSet::new());
}

/// G-02: with a domain, the records are those of a failover, or those with the lowest latency.
#[test]
fn g02_a_domain_leads_to_the_primary_region_or_to_the_nearest() {
    let domain = |routing: &str| {
        let zone = "[defaults.domain]\nzone = \"pay.test\"\ncreate_zone = true";
        EXAMPLE.replace("[workspaces.dev]", &format!("{zone}\nrouting = \"{routing}\"\n[workspaces.dev]"))
    };
    let routings = |configuration: &str| -> Vec<Value> {
        let graph = graph(configuration);
        let records = ["us-east-1", "us-west-2"].map(|region| format!("global/route53.record-set/api-{region}"));
        records.iter().map(|it| graph.nodes()[&it.parse().unwrap()].args["routing"].clone()).collect()
    };
    assert_eq!(routings(&domain("failover")), [json!({ "failover": "primary" }), json!({ "failover": "secondary" })]);
    assert_eq!(routings(&domain("latency")), [json!({ "latency": "us-east-1" }), json!({ "latency": "us-west-2" })]);
}

/// G-04: with strong consistency, the table has a witness, and each function accepts all payments.
#[test]
fn g04_a_strongly_consistent_table_has_a_witness() {
    let strong = EXAMPLE.replace(
        "[defaults.api]",
        "[defaults.table]\nconsistency = \"strong\"\nwitness = \"us-east-2\"\n[defaults.api]",
    );
    for (configuration, consistency, of_function) in
        [(EXAMPLE, None, "eventual"), (&strong, Some(json!({ "witness": "us-east-2" })), "strong")]
    {
        let graph = graph(configuration);
        let args = |address: &str| &graph.nodes()[&address.parse().unwrap()].args;
        assert_eq!(args("us-east-1/dynamodb.table/payments").get("strong_consistency").cloned(), consistency);
        for region in ["us-east-1", "us-west-2"] {
            let environment = &args(&format!("{region}/lambda.function/processor"))["environment"];
            assert_eq!(environment["CONSISTENCY"], json!({ "$secret": of_function }), "{region}");
        }
        let account = Simulation::new(&catalog()).unwrap();
        account.apply(&graph).unwrap();
        assert!(account.plan(&graph).unwrap().is_empty());
    }
}

/// G-03: a program for another instruction set is refused before any call, with the place of the package.
#[test]
fn g03_a_package_for_another_architecture_is_refused() {
    let told = |machine: u8, architecture: &str| {
        let configuration = EXAMPLE.replace(
            "[defaults.api]",
            &format!("[defaults.function]\narchitecture = \"{architecture}\"\n[defaults.api]"),
        );
        let package = package(machine);
        let open = |_: &_| Ok(Box::new(Cursor::new(package.clone())) as Box<dyn Read>);
        Configuration::open(&configuration, "payinfra.toml", STACKS, &open).err().map(|error| error.to_string())
    };
    let error = told(62, "arm64").unwrap();
    assert!(error.contains("its program is for x86-64, but `function.architecture` is \"arm64\""), "{error}");
    assert!(error.starts_with("payinfra.toml:19:11: "), "{error}");
    assert!(told(183, "x86_64").unwrap().contains("is for AArch64"));
    assert_eq!((told(62, "x86_64"), told(183, "arm64")), (None, None));
}

/// A zip file with a program for this ELF machine.
fn package(machine: u8) -> Vec<u8> {
    let program = [b"\x7fELF\x02\x01\x01", &[0; 9][..], &[2, 0, machine, 0], &[0; 44]].concat();
    let length = u32::try_from(program.len()).unwrap().to_le_bytes();
    let common = [&[20, 0, 0, 0, 0, 0][..], &[0; 8], &length, &length, &[9, 0, 0, 0]].concat();
    let file = [b"PK\x03\x04", &common[..], b"bootstrap", &program].concat();
    let directory = [b"PK\x01\x02", &[20, 0][..], &common, &[0; 14], b"bootstrap"].concat();
    let sizes = [directory.len(), file.len()].map(|size| u32::try_from(size).unwrap().to_le_bytes()).concat();
    [&file[..], &directory, b"PK\x05\x06", &[0, 0, 0, 0, 1, 0, 1, 0], &sizes, &[0, 0]].concat()
}

/// Mistakes are found before any call.
#[test]
fn g01_wrong_variables_are_refused() {
    let told = |configuration: &str| {
        let open = |_: &_| Ok(Box::new(Cursor::new(b"package")) as Box<dyn Read>);
        Configuration::open(configuration, "payinfra.toml", STACKS, &open).err().unwrap().to_string()
    };
    for (from, to, expected) in [
        ("origin = \"*\"", "origin = \"pay.example.com\"", "`pay.example.com` is not an origin"),
        ("package = \"payment-processor.zip\"", "", "has no `package`"),
        (
            "[defaults.api]",
            "[defaults.table]\nconsistency = \"strong\"\n[defaults.api]",
            "a strongly consistent table has three different regions of one set, not us-east-1, us-west-2",
        ),
        (
            "[defaults.api]",
            "[defaults.table]\nconsistency = \"strong\"\nwitness = \"eu-west-1\"\n[defaults.api]",
            "not us-east-1, us-west-2, eu-west-1",
        ),
        (
            "[defaults.api]",
            "[defaults.table]\nwitness = \"us-east-2\"\n[defaults.api]",
            "only a strongly consistent table has a witness",
        ),
        ("nat = \"single\"", "nat = \"none\"", "unknown variant `none`, expected `per-zone` or `single`"),
        (
            "[workspaces.dev]",
            "[workspaces.prod]\nenvironment = \"prod\"\nsuffix = \"demo1\"\n[workspaces.dev]",
            "the same suffix",
        ),
    ] {
        let error = told(&EXAMPLE.replace(from, to));
        assert!(error.contains(expected), "{error}");
    }
}
