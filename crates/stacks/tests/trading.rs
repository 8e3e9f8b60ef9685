//! The graph of the trading platform, as data (SYSTEMS §3).

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use payinfra_aws::catalog;
use payinfra_components::graph as build;
use payinfra_engine::{Action, Address, Graph};
use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;
use payinfra_testkit::Simulation;
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../src/trading/payinfra.toml");
const LAST: &str = "    { name = \"us-west-2\", cidr = \"10.2.0.0/16\" },\n";

fn read(configuration: &str) -> Result<Configuration, String> {
    let open = |_: &_| Ok(Box::new(Cursor::new(b"package")) as Box<dyn Read>);
    Configuration::open(configuration, "payinfra.toml", STACKS, &open).map_err(|error| error.to_string())
}

fn graph_of(configuration: &str, workspace: &str) -> Graph {
    build(&read(configuration).unwrap(), workspace, "123456789012").unwrap()
}

fn graph(configuration: &str) -> Graph {
    graph_of(configuration, "dev")
}

/// The example with more lines in `[defaults]`.
fn with(lines: &str) -> String {
    EXAMPLE.replacen("[workspaces.dev]", &format!("{lines}\n[workspaces.dev]"), 1)
}

/// The example with the regions of these lines.
fn with_regions(regions: &[&str]) -> String {
    let (before, rest) = EXAMPLE.split_once("regions = [\n").unwrap();
    let (_, after) = rest.split_once("]\n").unwrap();
    let lines: Vec<_> = regions.iter().map(|name| format!("    {{ name = \"{name}\" }},\n")).collect();
    let lines = lines.concat();
    format!("{before}regions = [\n{lines}]\n{after}")
}

/// The parameters of the modules of all regions, each with these lines.
fn modules(regions: &[(&str, &str)]) -> String {
    let zone = "[defaults.domain]\nzone = \"trading.test\"\n";
    let modules = regions.iter().map(|(region, lines)| format!("[defaults.modules.{region}]\n{lines}\n"));
    format!("{zone}{}", modules.collect::<Vec<_>>().concat())
}

/// A domain and a certificate of a region.
fn named(region: &str) -> String {
    let certificate = format!("arn:aws:acm:{region}:123456789012:certificate/c");
    format!("domain = \"{region}.trading.test\"\ncertificate = \"{certificate}\"")
}

/// The graph without the tags that all resources share.
fn snapshot(graph: &Graph) -> Value {
    let nodes = graph.nodes().iter().map(|(address, node)| {
        let mut node = json!(node);
        if let Some(tags) = node.pointer_mut("/args/tags").and_then(Value::as_object_mut) {
            tags.retain(|key, _| ["CostCenter", "Name", "Region"].contains(&key.as_str()));
        }
        (address.to_string(), node)
    });
    json!({ "nodes": nodes.collect::<BTreeMap<_, _>>(), "outputs": graph.outputs() })
}

/// T-01 to T-12 as data.
#[test]
fn t01_t12_the_graph_of_three_regions() {
    insta::assert_json_snapshot!("trading", snapshot(&graph(EXAMPLE)));
}

#[test]
fn t01_it_applies_plans_empty_and_is_destroyed() {
    let account = Simulation::new(&catalog()).unwrap();
    let graph = graph(EXAMPLE);
    let report = account.apply(&graph).unwrap();
    assert!(report.done.iter().all(|(_, action)| *action == Action::Create));
    assert!(account.plan(&graph).unwrap().is_empty());
    account.destroy(&graph).unwrap();
    assert!(account.addresses().is_empty());
}

/// What an address is without its region.
fn without_region(address: &Address, region: &str) -> String {
    address.to_string().replace(region, "REGION")
}

/// The region that a resource is in, or is for.
fn region_of<'a>(address: &Address, regions: &[&'a str]) -> Option<&'a str> {
    let text = address.to_string();
    regions.iter().find(|region| text.contains(**region)).copied()
}

/// T-01: every region but the primary one has the same resources.
#[test]
fn t01_one_to_six_regions_have_the_same_module() {
    let all = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2"];
    for count in 1..=all.len() {
        let graph = graph(&with_regions(&all[..count]));
        let of = |region: &str| -> BTreeSet<String> {
            let own = graph.nodes().keys().filter(|address| region_of(address, &all) == Some(region));
            own.map(|address| without_region(address, region)).collect()
        };
        let primary = of(all[0]);
        for region in &all[1..count] {
            let only_here: Vec<_> = of(region).difference(&primary).cloned().collect();
            assert_eq!(only_here, ["REGION/cloudwatch.alarm/database-replica-lag"], "{region}");
            let missing: Vec<_> = primary.difference(&of(region)).cloned().collect();
            let expected = [
                "REGION/cloudwatch.alarm/regional-differences",
                "REGION/dynamodb.table/sessions",
                "REGION/secretsmanager.password/database",
            ];
            assert_eq!(missing, expected, "{region}");
        }
    }
    let error = read(&with_regions(&[&all[..], &["eu-west-3"]].concat())).unwrap_err();
    assert!(error.contains("a trading platform has at most 6 regions, not 7"), "{error}");
}

/// Issue 14: a fourth region creates its own resources and the table's replica, and changes nothing else.
#[test]
fn t01_t06_a_fourth_region_changes_nothing_but_the_table() {
    let region = "eu-west-1";
    let more = EXAMPLE.replacen(LAST, &format!("{LAST}    {{ name = \"{region}\", cidr = \"10.3.0.0/16\" }},\n"), 1);
    let (three, four) = (graph(EXAMPLE), graph(&more));
    let table: Address = "us-east-1/dynamodb.table/sessions".parse().unwrap();
    for (address, node) in three.nodes().iter().filter(|(address, _)| **address != table) {
        assert_eq!(four.nodes().get(address), Some(node), "{address}");
    }
    let mut wanted = three.nodes()[&table].clone();
    let replica = four.nodes()[&table].args["replicas"][region].clone();
    assert_eq!(replica["kms_key"], json!({ "$ref": "eu-west-1/kms.key/region#arn" }));
    wanted.args["replicas"][region] = replica;
    assert_eq!(four.nodes()[&table], wanted);
    let new = four.nodes().keys().filter(|address| !three.nodes().contains_key(address));
    let elsewhere: Vec<_> = new.filter(|address| !address.to_string().contains(region)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");

    let account = Simulation::new(&catalog()).unwrap();
    account.apply(&three).unwrap();
    for (address, step) in account.plan(&four).unwrap().steps {
        let expected = match (address == table, address.to_string().contains(region)) {
            (true, _) => Action::Update,
            (_, true) => Action::Create,
            _ => Action::Keep,
        };
        assert_eq!(step.action, expected, "{address}");
    }
}

/// The arguments of the resource at this address in each region.
fn in_each_region<'a>(graph: &'a Graph, address: &str) -> [(&'static str, &'a Value); 3] {
    ["us-east-1", "us-east-2", "us-west-2"]
        .map(|region| (region, &graph.nodes()[&format!("{region}/{address}").parse().unwrap()].args))
}

#[test]
fn t02_each_region_has_three_private_and_three_public_subnets() {
    let graph = graph(EXAMPLE);
    for (index, (_, vpc)) in in_each_region(&graph, "ec2.vpc/main").into_iter().enumerate() {
        assert_eq!(vpc["cidr"], json!(format!("10.{index}.0.0/16")));
    }
    for (region, _) in in_each_region(&graph, "ec2.vpc/main") {
        let here = graph.nodes().iter().filter(|(it, _)| it.region.as_str() == region && *it.kind == *"ec2.subnet");
        let subnets: BTreeMap<_, _> = here.map(|(it, node)| (it.name.to_string(), &node.args["zone"])).collect();
        let names = ["private-1", "private-2", "private-3", "public-1", "public-2", "public-3"];
        assert_eq!(subnets.keys().map(String::as_str).collect::<Vec<_>>(), names, "{region}");
        let zones: BTreeSet<_> = subnets.values().map(ToString::to_string).collect();
        assert_eq!(zones.len(), 3, "{region}");
    }
}

/// T-04: a role for each region and environment, and a function that only its own bucket may invoke.
#[test]
fn t04_each_bucket_invokes_the_function_of_its_region() {
    let graph = graph(EXAMPLE);
    for (region, notification) in in_each_region(&graph, "s3.bucket-notification/content") {
        let function = &notification["rules"]["object-processor"]["destination"]["function"]["$ref"];
        assert_eq!(function, &json!(format!("{region}/lambda.alias/object-processor-live#arn")));
        let role = &graph.nodes()[&format!("global/iam.role/object-processor-{region}").parse().unwrap()].args;
        assert_eq!(role["name"], json!(format!("object-processor-trdev-{region}")));
    }
    for (region, permission) in in_each_region(&graph, "lambda.permission/content") {
        assert_eq!(
            permission["source_arn"],
            json!({ "$text": [{ "$ref": format!("{region}/s3.bucket/content#arn") }] })
        );
        assert_eq!(permission["source_account"], "123456789012");
    }
}

#[test]
fn t07_static_content_has_the_key_of_its_region_and_old_versions_expire() {
    for (region, bucket) in in_each_region(&graph(EXAMPLE), "s3.bucket/content") {
        assert_eq!(bucket["encryption"]["key"], json!({ "$ref": format!("{region}/kms.key/region#arn") }));
        assert_eq!((&bucket["versioning"], &bucket["public_access_blocked"]), (&json!(true), &json!(true)));
        assert_eq!(bucket["lifecycle"]["old-versions"]["noncurrent_expiration_days"], 90);
    }
}

/// T-12: flow logs, access logs, database logs and a trail, all encrypted and with a retention.
#[test]
fn t12_networks_apis_databases_and_calls_are_logged() {
    let graph = graph(EXAMPLE);
    let group = |region: &str, name: &str| json!({ "$ref": format!("{region}/logs.log-group/{name}#arn") });
    for (region, log) in in_each_region(&graph, "ec2.flow-log/main") {
        assert_eq!(log["log_group"], group(region, "flow-logs"));
    }
    for (region, stage) in in_each_region(&graph, "apigatewayv2.stage/api") {
        assert_eq!(stage["access_log"]["group_arn"], group(region, "api-access"));
    }
    for (_, cluster) in in_each_region(&graph, "rds.cluster/main") {
        assert_eq!(cluster["log_exports"], json!(["error"]));
    }
    for (region, trail) in in_each_region(&graph, "cloudtrail.trail/main") {
        assert_eq!((&trail["management_events"], &trail["multi_region"]), (&json!(true), &json!(false)), "{region}");
        assert_eq!(trail["data_events"].as_array().map(Vec::len), Some(1), "{region}");
    }
    let groups = graph.nodes().iter().filter(|(address, _)| *address.kind == *"logs.log-group");
    let groups: Vec<_> = groups.map(|(_, node)| &node.args).collect();
    assert_eq!(groups.len(), 4 * 3);
    assert!(groups.iter().all(|group| group["kms_key"]["$ref"].is_string() && group["retention_days"] == 90));
}

/// T-03: each replica has its own key, and is created after the primary region's writer.
#[test]
fn t03_replicas_are_encrypted_and_follow_the_primary() {
    let graph = graph(EXAMPLE);
    let primary = &graph.nodes()[&"us-east-1/rds.cluster/main".parse().unwrap()].args;
    assert_eq!((&primary["source"], &primary["username"]), (&Value::Null, &json!("trading")));
    for region in ["us-east-2", "us-west-2"] {
        let address = format!("{region}/rds.cluster/main").parse().unwrap();
        let replica = &graph.nodes()[&address];
        assert_eq!(replica.args["source"], json!({ "$ref": "us-east-1/rds.cluster/main#arn" }));
        assert_eq!(replica.args["kms_key"], json!({ "$ref": format!("{region}/kms.key/region#arn") }));
        assert_eq!((&replica.args["username"], &replica.args["master"]), (&Value::Null, &Value::Null));
        assert!(graph.depends(&address).contains(&"us-east-1/rds.cluster-instance/database-1".parse().unwrap()));
    }
    for region in ["us-east-1", "us-east-2", "us-west-2"] {
        let group = format!("{region}/rds.cluster-parameter-group/database-8-0").parse().unwrap();
        let parameters = json!({ "binlog_format": "MIXED", "require_secure_transport": "ON" });
        assert_eq!(graph.nodes()[&group].args["parameters"], parameters);
    }
}

/// T-05: the zone is looked up, and the certificate must be issued for the name.
#[test]
fn t05_each_region_has_a_name_on_its_own_certificate() {
    let regions = ["us-east-1", "us-east-2", "us-west-2"];
    let parameters = regions.map(|region| (region, named(region)));
    let parameters = parameters.each_ref().map(|(region, lines)| (*region, lines.as_str()));
    let graph = graph(&with(&modules(&parameters)));
    let zone = &graph.nodes()[&"global/route53.zone/main".parse().unwrap()];
    assert!(zone.lookup && zone.args["name"] == "trading.test", "{zone:?}");
    for region in regions {
        let of = |kind: &str| &graph.nodes()[&format!("{region}/{kind}/api").parse().unwrap()].args;
        assert_eq!(of("apigateway.domain-name")["name"], json!(format!("{region}.trading.test")));
        let certificate = format!("arn:aws:acm:{region}:123456789012:certificate/c");
        assert_eq!(of("acm.existing-certificate")["arn"], json!(certificate));
        let record = &graph.nodes()[&format!("global/route53.record-set/api-{region}").parse().unwrap()];
        assert_eq!(record.args["name"], json!(format!("{region}.trading.test")));
    }
    let kinds: BTreeSet<_> = self::graph(EXAMPLE).nodes().keys().map(|address| address.kind.to_string()).collect();
    assert!(!kinds.contains("route53.zone") && !kinds.contains("apigateway.domain-name"));
}

/// T-01, T-10: a key of the account is used instead of a new one; its ARN can be an output of another deployment.
#[test]
fn t10_a_key_and_the_source_of_the_database_come_from_another_deployment() {
    let remote = "[defaults.remote_outputs.security]\nstack = \"keys\"\nworkspace = \"prod\"\n\
                  outputs = [\"key_us_east_1\", \"cluster\"]\n";
    let key = "[defaults.modules.us-east-1]\nkey = \"remote.security.key_us_east_1\"\n";
    let source = "[defaults.database]\nsource = \"remote.security.cluster\"\n";
    let text = with_regions(&["us-east-1"]);
    let text = text.replacen("[workspaces.dev]", &format!("{remote}{key}{source}[workspaces.dev]"), 1);
    let graph = graph(&text);
    let value = |name: &str| json!({ "$ref": format!("us-east-1/payinfra.outputs/security#values/{name}") });
    let existing = &graph.nodes()[&"us-east-1/kms.existing-key/region".parse().unwrap()];
    assert_eq!(existing.args["arn"], value("key_us_east_1"));
    let cluster = &graph.nodes()[&"us-east-1/rds.cluster/main".parse().unwrap()].args;
    assert_eq!(cluster["kms_key"], json!({ "$ref": "us-east-1/kms.existing-key/region#arn" }));
    assert_eq!(cluster["source"], value("cluster"));
    assert!(graph.nodes().keys().all(|address| *address.kind != *"kms.key"));
    assert!(graph.outputs().contains_key("remote_security_cluster"));
    let unlisted = text.replacen("\"cluster\"]", "\"other\"]", 1);
    assert!(read(&unlisted).unwrap_err().contains("`remote.security.cluster` is not listed in the remote outputs"));
}

/// T-11: the workspaces have their own sizes, and share no name.
#[test]
fn t11_workspaces_have_their_own_sizes_and_names() {
    let workspaces = ["dev", "staging", "prod"].map(|workspace| graph_of(EXAMPLE, workspace));
    let classes = workspaces.each_ref().map(|graph| {
        let instance = &graph.nodes()[&"us-east-1/rds.cluster-instance/database-1".parse().unwrap()];
        instance.args["class"].as_str().unwrap().to_owned()
    });
    assert_eq!(classes, ["db.t4g.medium", "db.r6g.large", "db.r6g.xlarge"]);
    let names = workspaces.each_ref().map(|graph| {
        let names = graph.nodes().values().filter(|node| !node.lookup).filter_map(|node| node.args["name"].as_str());
        // Routes and the like are named within their API.
        let names = names.filter(|name| *name != "$default" && *name != "live");
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    });
    assert!(names[0].is_disjoint(&names[1]) && names[1].is_disjoint(&names[2]) && names[0].is_disjoint(&names[2]));
}

/// Every taggable resource says its cost center, and the region that it is in or for.
#[test]
fn t01_resources_have_the_tags_of_the_system() {
    let regions = ["us-east-1", "us-east-2", "us-west-2"];
    let graph = graph(EXAMPLE);
    for (address, node) in graph.nodes().iter().filter(|(_, node)| node.args["tags"].is_object()) {
        let tags = &node.args["tags"];
        assert_eq!((&tags["CostCenter"], &tags["Environment"]), (&json!("trading-1001"), &json!("dev")), "{address}");
        assert_eq!(tags["Region"].as_str(), region_of(address, &regions), "{address}");
    }
    let table = &graph.nodes()[&"us-east-1/dynamodb.table/sessions".parse().unwrap()].args;
    assert_eq!(table["replicas"]["us-west-2"]["other_tags"], json!({ "Region": "us-west-2" }));
}

/// T-09: mistakes are found before any call.
#[test]
fn t09_wrong_variables_are_refused() {
    let all = ["us-east-1", "us-east-2", "us-west-2"].map(|region| (region, named(region)));
    let all = all.each_ref().map(|(region, lines)| (*region, lines.as_str()));
    let two = modules(&all[..2]);
    let key = |region: &str| format!("key = \"arn:aws:kms:{region}:123456789012:key/k\"");
    let keys = modules(&[("us-east-1", &key("us-east-1")), ("us-east-2", &key("us-west-2"))]);
    let unnamed = modules(&[("us-east-1", "domain = \"a.trading.test\"")]);
    let elsewhere = modules(&[("us-east-1", &named("us-east-2")), ("us-east-2", &named("us-east-2"))]);
    let outside = modules(&all).replacen("zone = \"trading", "zone = \"other", 1);
    for (text, expected) in [
        (
            EXAMPLE.replacen("10.2.0.0/16", "10.0.128.0/17", 1),
            "the network 10.0.128.0/17 of us-west-2 overlaps 10.0.0.0/16, the network of us-east-1",
        ),
        (EXAMPLE.replacen("us-east-2", "us-east-9", 1), "`us-east-9` is not a region of AWS"),
        (EXAMPLE.replacen("us-east-2", "us-east-1", 1), "the region us-east-1 is listed twice"),
        (EXAMPLE.replacen("cost_center = \"trading-1001\"", "", 1), "has no `cost_center`"),
        (EXAMPLE.replacen("trading-1001", "", 1), "`cost_center` is empty"),
        (EXAMPLE.replacen("package = \"object-processor.zip\"", "", 1), "has no `package`"),
        (with(&two), "us-west-2 has no `certificate`, but us-east-1 and us-east-2 have one"),
        (with(&two), "us-west-2 has no `domain`, but us-east-1 and us-east-2 have one"),
        (with(&keys), "the key for us-east-2 is in us-west-2"),
        (with(&keys), "us-west-2 has no `key`, but us-east-1 and us-east-2 have one"),
        (with(&unnamed), "us-east-1 has a `domain`, but no `certificate`"),
        (with(&elsewhere), "the certificate for us-east-1 is in us-east-2"),
        (with(&elsewhere), "`us-east-2.trading.test` is also the domain of us-east-1"),
        (with(&outside), "is not in the zone other.test"),
        (with(&modules(&[])), "there is a zone, but no region has a `domain`"),
        (with(&modules(&[("eu-west-1", "")])), "`eu-west-1` has parameters, but is not listed in `regions`"),
        (EXAMPLE.replacen("suffix = \"trstg\"", "suffix = \"trdev\"", 1), "the same suffix"),
        (with("[defaults.database]\nname = \"1st\""), "`1st` is not valid in MySQL"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
