//! The graph of the peered payment API, as data (SYSTEMS §4).

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

const EXAMPLE: &str = include_str!("../src/peered_payments/payinfra.toml");

fn read(configuration: &str) -> Result<Configuration, String> {
    let open = |_: &_| Ok(Box::new(Cursor::new(b"package")) as Box<dyn Read>);
    Configuration::open(configuration, "payinfra.toml", STACKS, &open).map_err(|error| error.to_string())
}

fn graph_of(configuration: &str, workspace: &str) -> Graph {
    build(&read(configuration).unwrap(), workspace, "123456789012").unwrap()
}

/// The example's workspace `prod`.
fn graph() -> Graph {
    graph_of(EXAMPLE, "prod")
}

/// The example with `new` instead of `old`, which it has.
fn replaced(old: &str, new: &str) -> String {
    assert!(EXAMPLE.contains(old), "{old}");
    EXAMPLE.replacen(old, new, 1)
}

/// The graph without the tags that all resources share.
fn snapshot(graph: &Graph) -> Value {
    let nodes = graph.nodes().iter().map(|(address, node)| {
        let mut node = json!(node);
        if let Some(tags) = node.pointer_mut("/args/tags").and_then(Value::as_object_mut) {
            tags.retain(|key, _| ["Name", "Region"].contains(&key.as_str()));
        }
        (address.to_string(), node)
    });
    json!({ "nodes": nodes.collect::<BTreeMap<_, _>>(), "outputs": graph.outputs() })
}

fn args(graph: &Graph, address: &str) -> Value {
    let address = address.parse().unwrap();
    graph.nodes()[&address].args.clone()
}

/// P-01 to P-10 as data.
#[test]
fn p01_p10_the_graph_of_two_peered_regions() {
    insta::assert_json_snapshot!("peered_payments", snapshot(&graph()));
}

#[test]
fn p01_it_applies_plans_empty_and_is_destroyed() {
    let account = Simulation::new(&catalog()).unwrap();
    let graph = graph_of(EXAMPLE, "dev");
    let report = account.apply(&graph).unwrap();
    assert!(report.done.iter().all(|(_, action)| *action == Action::Create));
    assert!(account.plan(&graph).unwrap().is_empty());
    account.destroy(&graph).unwrap();
    assert!(account.addresses().is_empty());
}

/// P-03 to P-05: what keeps data is protected in production, and the database leaves a final snapshot.
#[test]
fn p03_p04_p05_production_keeps_data() {
    let kept = |workspace: &str| -> BTreeMap<String, bool> {
        let graph = graph_of(EXAMPLE, workspace);
        let nodes = graph.nodes().iter().filter(|(_, node)| node.protect);
        nodes.map(|(address, node)| (address.to_string(), node.final_snapshot)).collect()
    };
    assert_eq!(kept("dev"), BTreeMap::new());
    let prod = [
        ("eu-west-1/kms.key/data", false),
        ("eu-west-1/kms.key/database", false),
        ("eu-west-1/rds.instance/main", true),
        ("eu-west-1/s3.bucket/payment-data", false),
        ("us-east-1/dynamodb.table/payment-transactions", false),
        ("us-east-1/kms.key/data", false),
        ("us-east-1/s3.bucket/payment-data", false),
    ];
    assert_eq!(kept("prod"), prod.map(|(address, snapshot)| (address.to_owned(), snapshot)).into());
}

/// P-01: each region has its own network, of four subnets in two zones.
#[test]
fn p01_each_region_has_four_subnets_and_one_nat_gateway() {
    let graph = graph();
    for (region, block) in [("us-east-1", "10.0"), ("eu-west-1", "10.1")] {
        let blocks = ["public-1", "public-2", "private-1", "private-2"];
        for (name, number) in blocks.iter().zip(0..) {
            let subnet = args(&graph, &format!("{region}/ec2.subnet/{name}"));
            assert_eq!(subnet["cidr"], format!("{block}.{number}.0/24"), "{region} {name}");
        }
        let of =
            |kind: &str| graph.nodes().keys().filter(|it| it.region.as_str() == region && *it.kind == *kind).count();
        assert_eq!((of("ec2.nat-gateway"), of("ec2.eip"), of("ec2.internet-gateway")), (1, 1, 1), "{region}");
    }
}

/// P-03: only the subnets of the function may connect to the database, which the function may reach.
#[test]
fn p03_only_the_function_reaches_the_database() {
    let graph = graph();
    let peers = |address: &str, direction: &str| -> BTreeSet<String> {
        let group = args(&graph, address);
        let rules = group[direction].as_array().unwrap().iter();
        let rules = rules.filter(|rule| rule["protocol"] == json!({ "tcp": [5432, 5432] }));
        rules.map(|rule| rule["peer"]["cidr"].as_str().unwrap().to_owned()).collect()
    };
    let database = "eu-west-1/ec2.security-group/database";
    assert_eq!(peers(database, "ingress"), ["10.0.2.0/24", "10.0.3.0/24"].map(str::to_owned).into());
    assert_eq!(args(&graph, database)["ingress"].as_array().unwrap().len(), 2);
    let function = peers("us-east-1/ec2.security-group/payment-processor", "egress");
    assert_eq!(function, ["10.1.2.0/24", "10.1.3.0/24"].map(str::to_owned).into());
    let subnets = args(&graph, "us-east-1/lambda.function/payment-processor")["subnets"].to_string();
    assert!(subnets.contains("private-1") && subnets.contains("private-2") && !subnets.contains("public"), "{subnets}");
}

/// P-10: the outputs that callers need.
#[test]
fn p10_what_callers_need_is_an_output() {
    let graph = graph();
    for name in [
        "api_url_us_east_1",
        "database_endpoint_eu_west_1",
        "payment_data_bucket_name_eu_west_1",
        "payment_data_bucket_name_us_east_1",
        "payment_processor_function_arn_us_east_1",
        "payment_transactions_table_name",
        "vpc_id_eu_west_1",
        "vpc_id_us_east_1",
    ] {
        assert!(graph.outputs().contains_key(name), "{name}: {:?}", graph.outputs().keys());
    }
}

/// Every resource has the tags of the system, with the region that it is in or is for.
#[test]
fn p01_resources_have_the_tags_of_the_system() {
    let graph = graph();
    for (address, node) in graph.nodes() {
        let Some(tags) = node.args.get("tags") else { continue };
        for (key, value) in [
            ("Environment", "prod"),
            ("ManagedBy", "payinfra"),
            ("Project", "PaymentMigration"),
            ("MigrationBatch", "batch-1"),
        ] {
            assert_eq!(tags[key], value, "{address}");
        }
        let region = tags["Region"].as_str().unwrap();
        if address.region.as_str() == "global" {
            assert!(address.name.ends_with(region), "{address}: {region}");
        } else {
            assert_eq!(address.region.as_str(), region, "{address}");
        }
    }
}

/// P-01, P-02: other regions and blocks are parameters; what cannot work is refused before any call, with its place.
#[test]
fn p01_p02_regions_are_parameters_and_are_checked() {
    let other = replaced("eu-west-1\", cidr = \"10.1.0.0/16\"", "ap-southeast-2\", cidr = \"172.16.0.0/22\"");
    let graph = graph_of(&other, "prod");
    assert_eq!(args(&graph, "us-east-1/ec2.route/private-1-ap-southeast-2")["destination"], "172.16.0.0/22");
    assert_eq!(args(&graph, "ap-southeast-2/ec2.subnet/private-2")["cidr"], "172.16.3.0/24");
    for (old, new, says) in [
        ("10.1.0.0/16", "10.0.128.0/17", "overlaps 10.0.0.0/16, the network of us-east-1"),
        ("10.1.0.0/16", "10.1.0.0/23", "`10.1.0.0/23` is too small for four subnets of /24"),
        ("10.1.0.0/16", "8.8.0.0/16", "is not a private block"),
        ("name = \"eu-west-1\"", "name = \"us-east-1\"", "the region us-east-1 is listed twice"),
        ("name = \"eu-west-1\"", "name = \"eu-west-9\"", "`eu-west-9` is not a region of AWS"),
        ("    { name = \"eu-west-1\", cidr = \"10.1.0.0/16\" },\n", "", "has two regions, not 1"),
        (
            "10.1.0.0/16\" },\n",
            "10.1.0.0/16\" },\n    { name = \"eu-west-2\", cidr = \"10.2.0.0/16\" },\n",
            "has two regions, not 3",
        ),
    ] {
        let error = read(&replaced(old, new)).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
}

/// P-03 to P-08: wrong variables are refused before any call, each with its place.
#[test]
fn p03_p06_p08_wrong_variables_are_refused() {
    let with = |line: &str| replaced("key_deletion_days = 10\n", &format!("key_deletion_days = 10\n{line}\n"));
    for (line, says) in [
        ("function = { memory = 64 }", "invalid value 64 of `memory`"),
        ("function = { timeout_seconds = 31 }", "invalid value 31 of `timeout_seconds`"),
        ("function = { reserved_concurrency = 0 }", "invalid value 0 of `reserved_concurrency`"),
        ("api = { requests_per_second = 0 }", "invalid value 0 of `requests_per_second`"),
        ("log_retention_days = 31", "CloudWatch Logs does not support a retention of 31 days"),
        ("alarms = { cpu_percent = 101 }", "invalid value 101 of `cpu_percent`"),
        ("alarms = { errors = -1 }", "invalid value -1 of `errors`"),
        (
            "alarms = { subscriptions = [{ protocol = \"email\", endpoint = \"nobody\" }] }",
            "`nobody` is not a valid endpoint for email",
        ),
    ] {
        let error = read(&with(line)).unwrap_err();
        assert!(error.contains(says), "{line}: {error}");
    }
    for (value, says) in [
        ("engine_version = \"16\"", "`16` is not a version of PostgreSQL"),
        ("name = \"1st\"", "`1st` is not valid in PostgreSQL"),
        ("username = \"a-b\"", "`a-b` is not valid in PostgreSQL"),
        ("instance_class = \"m6g.large\"", "`m6g.large` is not a class of instances"),
        ("storage = 19", "invalid value 19 of `storage`"),
        ("backup_retention_days = 0", "invalid value 0 of `backup_retention_days`"),
        ("backup_window = \"03:00-03:10\"", "is too short"),
    ] {
        let error = read(&with(&format!("database = {{ {value} }}"))).unwrap_err();
        assert!(error.contains(says), "{value}: {error}");
    }
    for (old, says) in [
        ("migration_batch = \"batch-1\"\n", "has no `migration_batch`"),
        ("package = \"payment-processor.zip\"\n", "has no `package`"),
    ] {
        let error = read(&replaced(old, "")).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    let error = read(&replaced("migration_batch = \"batch-1\"", "migration_batch = \"\"")).unwrap_err();
    assert!(error.contains("`migration_batch` is empty"), "{error}");
    let long = "a".repeat(40);
    let error = read(&replaced("suffix = \"ppprd\"", &format!("suffix = \"{long}\""))).unwrap_err();
    assert!(error.contains("has 68 characters, but AWS accepts at most 64"), "{error}");
}
