//! Each rule, with a valid stack's graph in which one change violates it, and waivers of the rule.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{self, Read};
use std::path::Path;

use payinfra_aws::ec2::Vpc;
use payinfra_components::graph as build;
use payinfra_components::rules::{self, RULES};
use payinfra_engine::{Address, Graph, Region, Resource, Result, Tags};
use payinfra_stack::{AccountId, Configuration, NameForm, Names, Rule, Stack, Suffix, Violation, Workspace};
use payinfra_stacks::{Migration, STACKS};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const ACCOUNT: &str = "123456789012";

fn good() -> Value {
    let text = include_str!("../../../payinfra.toml");
    let graph = build(&Configuration::parse(text, "payinfra.toml", STACKS).unwrap(), "migration", ACCOUNT).unwrap();
    json!(graph)
}

fn names() -> Names {
    let account = AccountId::try_from(ACCOUNT.to_owned()).unwrap();
    Names::new(&NameForm::new(Migration::NAMES), "migration", &Suffix::parse("demo1").unwrap(), &account).unwrap()
}

/// Changes one argument of one resource, and checks the violation, its rule, and that a waiver there or everywhere
/// covers it.
#[track_caller]
fn check(rule: &str, address: &str, pointer: &str, value: Value, message: &str) {
    let mut graph = good();
    *graph["nodes"][address]["args"].pointer_mut(pointer).unwrap() = value;
    let graph: Graph = serde_json::from_value(graph).unwrap();
    let error = rules::check(&graph, &names(), &[]).unwrap_err();
    assert_eq!(error.message(), format!("{address} {message} ({rule})"));
    let mut there = graph.clone();
    there.waive(&address.parse().unwrap(), rule, "a reason").unwrap();
    rules::check(&there, &names(), &[]).unwrap();
    let mut everywhere = graph;
    everywhere.waive_everywhere(rule, "a reason").unwrap();
    rules::check(&everywhere, &names(), &[]).unwrap();
}

/// The error of a valid graph with another waiver, and its hint.
#[track_caller]
fn refused(waive: impl FnOnce(&mut Graph) -> Result<()>) -> (String, String) {
    let mut graph = serde_json::from_value(good()).unwrap();
    waive(&mut graph).unwrap();
    let error = rules::check(&graph, &names(), &[]).unwrap_err();
    (error.message().to_owned(), error.get_hint().unwrap().to_owned())
}

#[test]
fn the_good_graph_is_good() {
    rules::check(&serde_json::from_value(good()).unwrap(), &names(), &[]).unwrap();
}

#[test]
fn every_rule_is_broken_here() {
    let source = include_str!("rules.rs");
    for rule in RULES {
        assert!(source.contains(&format!("\"{}\",", rule.name)), "{} has no test", rule.name);
    }
}

#[test]
fn a_waiver_without_effect_is_an_error() {
    let vpc: Address = "us-east-1/ec2.vpc/main".parse().unwrap();
    let names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
    let (message, hint) = refused(|graph| graph.waive(&vpc, "encripted", "a reason"));
    assert_eq!(message, format!("the waiver of `encripted` at {vpc} has no effect: there is no such rule"));
    assert_eq!(hint, format!("remove or correct the waivers; the rules are {}", names.join(", ")));
    let (message, _) = refused(|graph| graph.waive(&vpc, "encrypted", "a reason"));
    assert_eq!(
        message,
        format!("the waiver of `encrypted` at {vpc} has no effect: the resource does not violate the rule")
    );
    let gone: Address = "us-east-1/ec2.vpc/gone".parse().unwrap();
    let (message, _) = refused(|graph| graph.waive(&gone, "encrypted", "a reason"));
    assert_eq!(message, format!("the waiver of `encrypted` at {gone} has no effect: the address is not declared"));
    let (message, _) = refused(|graph| graph.waive_everywhere("tagged", "a reason"));
    assert_eq!(message, "the waiver of `tagged` everywhere has no effect: no resource violates the rule");
}

/// Everything is reported at once, and a waiver at one resource does not cover another one.
#[test]
fn violations_that_no_waiver_covers_stay_errors() {
    let (key, topic) = ("us-east-1/kms.key/database", "us-east-2/kms.key/database");
    let mut graph = good();
    for address in [key, topic] {
        graph["nodes"][address]["args"]["rotation"] = json!(false);
    }
    let mut graph: Graph = serde_json::from_value(graph).unwrap();
    graph.waive(&key.parse().unwrap(), "encrypted", "a reason").unwrap();
    graph.waive(&topic.parse().unwrap(), "named", "a reason").unwrap();
    let error = rules::check(&graph, &names(), &[]).unwrap_err();
    assert_eq!(
        error.message(),
        format!(
            "{topic} does not rotate (encrypted)\n\
             the waiver of `named` at {topic} has no effect: the resource does not violate the rule"
        )
    );
    let hint = error.get_hint().unwrap();
    assert!(hint.contains("waive the rule there with a reason; remove or correct the waivers"), "{hint}");
}

/// A stack with a rule of its own.
struct Networks;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Variables {
    /// The region in which the rule is waived; `global` for everywhere.
    waived: Option<String>,
}

impl Stack for Networks {
    const NAME: &'static str = "networks";
    const ABOUT: &'static str = "networks";
    const REGIONS: &'static [&'static str] = &["us-east-1", "us-east-2"];
    type Variables = Variables;

    fn build(&self, workspace: &Workspace<Variables>, account: &AccountId) -> Result<Graph> {
        let (names, mut graph) = (workspace.names(account)?, workspace.graph(&Tags::new()));
        for config in &workspace.regions {
            let tags = Tags::new().with("Name", names.name("vpc"));
            let vpc = Vpc { cidr: config.cidr, dns_support: true, dns_hostnames: true, tags };
            let address = graph.add(&config.region, "main", vpc)?.address;
            if workspace.variables.waived.as_deref() == Some(config.region.as_str()) {
                graph.waive(&address, "small", "it has to be large")?;
            }
        }
        if workspace.variables.waived.as_deref() == Some(Region::GLOBAL) {
            graph.waive_everywhere("small", "they have to be large")?;
        }
        Ok(graph)
    }

    fn rules(&self) -> &'static [Rule] {
        &[Rule { name: "small", about: "networks are small", check: small }]
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all rules")]
fn small(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let networks = graph.nodes().keys().filter(|address| *address.kind == *Vpc::KIND);
    Ok(networks.map(|address| Violation::new(address, "is too large")).collect())
}

#[test]
fn a_rule_of_the_stack_applies_and_can_be_waived() {
    let built = |waived: &str| {
        let text = format!(
            "stack = \"networks\"\n[workspaces.demo]\nenvironment = \"e\"\nproject = \"p\"\nsuffix = \"s1\"\n{waived}"
        );
        build(&Configuration::parse(&text, "payinfra.toml", &[&Networks]).unwrap(), "demo", ACCOUNT)
    };
    let message = |waived: &str| built(waived).unwrap_err().message().to_owned();
    let large = |region: &str| format!("{region}/ec2.vpc/main is too large (small)");
    assert_eq!(message(""), format!("{}\n{}", large("us-east-1"), large("us-east-2")));
    assert_eq!(message("waived = \"us-east-1\""), large("us-east-2"));
    let graph = built("waived = \"global\"").unwrap();
    assert_eq!(graph.waivers()[0].reason, "they have to be large");
    // To a stack without it, it is no rule.
    let error = rules::check(&graph, &names(), &[]).unwrap_err();
    let unknown = "the waiver of `small` everywhere has no effect: there is no such rule";
    assert!(error.message().ends_with(unknown), "{error}");
}

#[test]
fn x08_a_network_that_overlaps_another() {
    check(
        "cidr-blocks",
        "us-east-2/ec2.subnet/private-1",
        "/cidr",
        json!("10.0.0.0/20"),
        "has 10.0.0.0/20, which is not in 10.1.0.0/16 of us-east-2/ec2.vpc/main",
    );
    check(
        "cidr-blocks",
        "us-east-1/ec2.subnet/private-2",
        "/cidr",
        json!("10.0.8.0/21"),
        "has 10.0.8.0/21, which overlaps 10.0.0.0/20 of us-east-1/ec2.subnet/private-1",
    );
}

#[test]
fn x03_a_log_group_a_bucket_or_a_key_that_is_not_safe() {
    check(
        "encrypted",
        "us-east-1/logs.log-group/flow-logs",
        "/kms_key",
        Value::Null,
        "is not encrypted with a customer managed key",
    );
    check(
        "encrypted",
        "us-east-2/s3.bucket/audit-trail",
        "/encryption",
        Value::Null,
        "is not encrypted with a customer managed key",
    );
    check(
        "encrypted",
        "us-east-1/cloudtrail.trail/main",
        "/kms_key",
        Value::Null,
        "is not encrypted with a customer managed key",
    );
    check("encrypted", "us-east-1/kms.key/database", "/rotation", json!(false), "does not rotate");
    check("encrypted", "us-east-1/s3.bucket/transactions", "/policy", Value::Null, "can be accessed without TLS");
}

#[test]
fn x03_a_listener_that_speaks_to_the_internet_in_the_clear() {
    let (rule, https) = ("encrypted-listeners", "us-east-1/elbv2.listener/https");
    check(
        rule,
        https,
        "/ssl_policy",
        json!("ELBSecurityPolicy-TLS13-1-1-2021-06"),
        "allows TLS before 1.2: its policy is ELBSecurityPolicy-TLS13-1-1-2021-06",
    );
    check(rule, https, "/ssl_policy", Value::Null, "allows TLS before 1.2: its policy is AWS's default");
    check(rule, https, "/certificate", Value::Null, "has no certificate");
    check(rule, https, "/protocol", json!("http"), "responds without TLS");
    let fixed = json!({ "fixed_response": { "status": "200", "content_type": null, "body": null } });
    check(rule, "us-east-2/elbv2.listener/http", "/default_action", fixed, "responds without TLS");
    check(
        rule,
        "us-east-2/elbv2.listener/http",
        "/default_action/redirect/protocol",
        Value::Null,
        "responds without TLS",
    );
}

#[test]
fn x04_a_policy_that_grants_too_much() {
    let role = "global/iam.role/flow-logs-us-east-1";
    check(
        "least-privilege",
        role,
        "/inline/flow-logs/0/actions",
        json!(["logs:*"]),
        "is too permissive: the policy flow-logs, statement Find, allows the action `logs:*`",
    );
    check(
        "least-privilege",
        role,
        "/inline/flow-logs/0/resources",
        json!(["*"]),
        "is too permissive: the policy flow-logs, statement Find, allows access to the resource `*`",
    );
    check(
        "least-privilege",
        role,
        "/trust/0/principals",
        json!({ "AWS": ["*"] }),
        "is too permissive: the trust policy, statement Assume, allows access by everyone",
    );
}

#[test]
fn x01_a_name_without_the_suffix() {
    check(
        "named",
        "us-east-1/kms.alias/logs",
        "/name",
        json!("alias/payment-logs"),
        "is named `alias/payment-logs`, without `-migration-demo1`",
    );
    check(
        "named",
        "us-east-1/ec2.vpc/main",
        "/tags/Name",
        json!("payment-vpc"),
        "is named `payment-vpc`, without `-migration-demo1`",
    );
}

#[test]
fn x01_a_short_name_without_the_suffix() {
    check(
        "named",
        "us-east-1/elbv2.target-group/blue",
        "/name",
        json!("payment-blue-migration"),
        "is named `payment-blue-migration`, without `-migration-demo1`",
    );
}

#[test]
fn x05_a_bucket_that_could_be_public() {
    check(
        "private-buckets",
        "us-east-1/s3.bucket/access-logs",
        "/public_access_blocked",
        json!(false),
        "does not block public access",
    );
}

#[test]
fn x05_a_security_group_that_lets_the_world_in() {
    let anyone = |port: u16| {
        json!([{ "protocol": { "tcp": [port, port] }, "peer": { "cidr": "0.0.0.0/0" },
        "description": "anyone" }])
    };
    check(
        "private-groups",
        "us-east-1/ec2.security-group/load-balancer",
        "/ingress",
        anyone(22),
        "accepts traffic from the internet on a port other than 80 and 443",
    );
    check(
        "private-groups",
        "us-east-1/ec2.security-group/endpoints",
        "/ingress",
        anyone(443),
        "lets traffic from the internet reach us-east-1/ec2.vpc-endpoint/ecr.api",
    );
}

#[test]
fn x02_a_resource_without_a_tag() {
    check(
        "tagged",
        "us-east-1/ec2.vpc/main",
        "/tags",
        json!({ "Name": "payment-vpc-migration-demo1", "Environment": "e", "ManagedBy": "payinfra", "Project": "p",
            "MigrationPhase": "migration", "payinfra:address": "a", "payinfra:stack": "s",
            "payinfra:workspace": "w" }),
        "lacks the tag `CutoverTimestamp`",
    );
}

/// tags that the stack itself sets are checked like the user's.
#[test]
fn x02_a_tag_that_some_service_refuses() {
    let tag = "/tags/Environment";
    let message = "has a tag that has the character '*': `Environment`";
    check("tagged", "us-east-1/ec2.vpc/main", tag, json!("a*"), message);
    let message = "has a tag that has 257 characters: `Environment`";
    check("tagged", "us-east-1/ec2.vpc/main", tag, json!("x".repeat(257)), message);
    let mut tags = good()["nodes"]["us-east-1/ec2.vpc/main"]["args"]["tags"].clone();
    for number in 0..50 {
        tags[format!("t{number}")] = json!("x");
    }
    check("tagged", "us-east-1/ec2.vpc/main", "/tags", tags, "has 60 tags, but AWS accepts at most 50");
}

/// An instance that is not in a cluster, as `peered-payments` has it.
#[test]
fn x03_x05_a_database_that_is_public_or_accepts_plain_connections() {
    let open = |_: &Path| -> io::Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(b"package"))) };
    let text = include_str!("../src/peered_payments/payinfra.toml");
    let configuration = Configuration::open(text, "payinfra.toml", STACKS, &open).unwrap();
    let account = AccountId::try_from(ACCOUNT.to_owned()).unwrap();
    let names = configuration.workspace("prod").unwrap().names(&account).unwrap();
    let good = json!(build(&configuration, "prod", ACCOUNT).unwrap());
    for (rule, address, field, value, message) in [
        (
            "private-databases",
            "eu-west-1/rds.instance/main",
            "publicly_accessible",
            json!(true),
            "can have a public address",
        ),
        (
            "encrypted",
            "eu-west-1/rds.parameter-group/database-16",
            "parameters",
            json!({}),
            "lets databases be accessed without TLS",
        ),
    ] {
        let mut graph = good.clone();
        graph["nodes"][address]["args"][field] = value;
        let error = rules::check(&serde_json::from_value(graph).unwrap(), &names, &[]).unwrap_err();
        assert_eq!(error.message(), format!("{address} {message} ({rule})"));
    }
}

#[test]
fn x05_a_task_that_could_be_reached_entered_or_changed() {
    let service = "us-east-1/ecs.service/service-green";
    check("private-tasks", service, "/public_ip", json!(true), "assigns public IP addresses to its tasks");
    check("private-tasks", service, "/execute_command", json!(true), "allows shell access to its tasks (ECS Exec)");
    let (definition, container) = ("us-east-2/ecs.task-definition/service-blue", "/containers/service");
    let (writes, user) = (format!("{container}/read_only"), format!("{container}/user"));
    let says = "runs the container service with a writable root file system";
    check("private-tasks", definition, &writes, json!(false), says);
    check("private-tasks", definition, &user, json!("0:0"), "runs the container service as root");
}

/// Actions without resource-level permissions are exempted action by action, not statement by statement.
#[test]
fn x04_only_what_has_no_resource_goes_for_all() {
    let (role, policy) = ("global/iam.role/ecs-execution-us-east-1", "/inline/ecs-execution");
    let statement = |actions: &[&str]| {
        json!([{ "sid": "SignIn", "effect": "Allow", "principals": {}, "actions": actions, "resources": ["*"],
            "conditions": {} }])
    };
    let mut graph = good();
    *graph["nodes"][role]["args"].pointer_mut(policy).unwrap() = statement(&["ecr:GetAuthorizationToken"]);
    rules::check(&serde_json::from_value(graph).unwrap(), &names(), &[]).unwrap();
    let both = statement(&["ecr:BatchGetImage", "ecr:GetAuthorizationToken"]);
    let says = "is too permissive: the policy ecs-execution, statement SignIn, allows access to the resource `*`";
    check("least-privilege", role, policy, both, says);
}
