//! Components as stacks of other shapes would use them: two zones, no internet, three regions.

#![expect(clippy::unwrap_used, reason = "a test")]

mod fargate;
mod http_api;
mod load_balancer;
mod peering;
mod tables;
mod transit;

use std::collections::BTreeSet;

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_aws::ec2::{Peer, Rule};
use payinfra_aws::rds::Master;
use payinfra_aws::route53::{DnsName, FailoverRole, Routing};
use payinfra_aws::s3::Bucket;
use payinfra_aws::{Policy, Statement};
use payinfra_components::alarms::{Alarms, Condition};
use payinfra_components::aurora::{Aurora, MYSQL, MasterUser, aurora};
use payinfra_components::buckets::{self, Replicas};
use payinfra_components::dashboard::{Widget, dashboard, row};
use payinfra_components::domain::{Alias, Domain, health_check};
use payinfra_components::endpoints::{Endpoints, endpoints};
use payinfra_components::events::{Alert, alert};
use payinfra_components::flow_log::flow_log;
use payinfra_components::keys::{Purpose, key, logs_statement};
use payinfra_components::network::{Layout, Nat, Network, network};
use payinfra_components::roles::{TaskRole, role, trust};
use payinfra_components::rules;
use payinfra_components::topic::{self, Subscriber};
use payinfra_components::trail::{self, Scope};
use payinfra_engine::{Address, Graph, Ref, Region, Result, Tags};
use payinfra_stack::{AccountId, NameForm, Names, RegionConfig, Site, Suffix};
use serde_json::{Value, json};

const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];

struct Setting {
    names: Names,
    regions: Vec<RegionConfig>,
    graph: Graph,
}

impl Setting {
    fn new() -> Self {
        let regions = REGIONS.into_iter().zip(0..).map(|(region, index)| RegionConfig {
            region: Region::new(region),
            index,
            cidr: format!("10.{index}.0.0/16").parse().unwrap(),
        });
        let account = AccountId::try_from("123456789012".to_owned()).unwrap();
        let tags = ["Environment", "ManagedBy", "Project", "Team"];
        let tags = tags.into_iter().fold(Tags::new(), |tags, key| tags.with(key, "a"));
        Self {
            names: Names::new(
                &NameForm::new("shop-{type}-{workspace}-{suffix}"),
                "dev",
                &Suffix::parse("x1").unwrap(),
                &account,
            )
            .unwrap(),
            regions: regions.collect(),
            graph: Graph::new("shop", "dev", tags),
        }
    }

    /// The graph, and the site of the region at `index`.
    fn site(&mut self, index: usize) -> (&mut Graph, Site<'_>) {
        let (graph, sites) = self.sites();
        (graph, sites[index])
    }

    /// The graph, and the sites of all regions.
    fn sites(&mut self) -> (&mut Graph, [Site<'_>; 3]) {
        let site = |index: usize| Site {
            names: &self.names,
            config: &self.regions[index],
            protect: true,
            key_deletion_days: 10,
        };
        (&mut self.graph, [site(0), site(1), site(2)])
    }

    /// Checks that the graph has an order, and obeys the rules of all stacks.
    #[track_caller]
    fn check(&self) {
        self.graph.sorted().unwrap();
        rules::check(&self.graph, &self.names, &[]).unwrap();
    }

    /// The kinds of what is declared.
    fn kinds(&self) -> Vec<String> {
        let kinds: BTreeSet<_> = self.graph.nodes().keys().map(|address| address.kind.to_string()).collect();
        kinds.into_iter().collect()
    }

    /// What `address` waits for.
    fn depends(&self, address: &str) -> Vec<String> {
        let depends = self.graph.depends(&address.parse().unwrap());
        depends.iter().map(ToString::to_string).collect()
    }

    fn args(&self, address: &str) -> &Value {
        &self.graph.nodes()[&address.parse::<Address>().unwrap()].args
    }

    fn of_kind(&self, kind: &str) -> Vec<String> {
        let addresses = self.graph.nodes().keys().filter(|address| *address.kind == *kind);
        addresses.map(|address| address.name.to_string()).collect()
    }

    /// The statement `sid` of the policy at `path` in the arguments of `address`.
    fn statement(&self, address: &str, path: &str, sid: &str) -> Value {
        let policy: Policy = serde_json::from_value(self.args(address).pointer(path).unwrap().clone()).unwrap();
        let found = policy.statements().find(|statement| statement.sid == sid);
        json!(found.unwrap())
    }
}

/// Subnets in the network of `site`.
fn layout(site: &Site<'_>, zones: usize, public: usize, nat: Nat) -> Layout {
    let network = site.config.index;
    let blocks = |first: usize, count: usize| {
        (first..first + count).map(|number| format!("10.{network}.{number}.0/24").parse().unwrap()).collect()
    };
    Layout { private: blocks(0, zones), public: blocks(100, public), nat }
}

#[test]
fn p01_two_zones_share_one_nat_gateway() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    network(graph, &site, &layout(&site, 2, 2, Nat::Single))?;
    setting.graph.sorted()?;
    assert_eq!(setting.of_kind("ec2.subnet"), ["private-1", "private-2", "public-1", "public-2"]);
    assert_eq!(setting.of_kind("ec2.nat-gateway"), ["nat-1"]);
    assert_eq!(setting.args("us-east-1/ec2.zones/main"), &json!({ "count": 2 }));
    let nat = json!({ "nat_gateway": { "$ref": "us-east-1/ec2.nat-gateway/nat-1#id" } });
    for table in ["private-1-internet", "private-2-internet"] {
        assert_eq!(setting.args(&format!("us-east-1/ec2.route/{table}"))["target"], nat);
    }
    assert!(setting.graph.outputs().contains_key("public_subnet_ids_us_east_1"));
    Ok(())
}

#[test]
fn x05_a_network_without_public_subnets_has_no_way_to_the_internet() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let Network { gateway, tables, .. } = network(graph, &site, &layout(&site, 3, 0, Nat::None))?;
    assert!(gateway.is_none());
    assert_eq!(tables.len(), 3);
    for kind in ["ec2.internet-gateway", "ec2.nat-gateway", "ec2.eip", "ec2.route"] {
        assert_eq!(setting.of_kind(kind), Vec::<String>::new());
    }
    assert_eq!(setting.of_kind("ec2.route-table"), ["private-1", "private-2", "private-3"]);
    Ok(())
}

#[test]
fn a_nat_gateway_requires_a_public_subnet() {
    for nat in [Nat::Single, Nat::PerZone] {
        let mut setting = Setting::new();
        let (graph, site) = setting.site(0);
        let error = network(graph, &site, &layout(&site, 2, 0, nat)).unwrap_err();
        assert_eq!(error.message(), "the network in us-east-1 has no public subnet for a NAT gateway");
    }
}

#[test]
fn g10_endpoints_are_those_of_the_listed_services() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let network = network(graph, &site, &layout(&site, 2, 0, Nat::None))?;
    let peer = Rule::tcp(443, Peer::Cidr("10.9.0.0/16".parse().unwrap()), "HTTPS from a peer");
    let wanted = Endpoints { gateways: &["s3"], interfaces: &["ssm"], ingress: BTreeSet::from([peer]) };
    endpoints(graph, &site, &network, wanted)?;
    assert_eq!(setting.of_kind("ec2.vpc-endpoint"), ["s3", "ssm"]);
    assert_eq!(setting.args("us-east-1/ec2.vpc-endpoint/s3")["tables"].as_array().unwrap().len(), 2);
    let ssm = setting.args("us-east-1/ec2.vpc-endpoint/ssm");
    assert_eq!((&ssm["service"], &ssm["private_dns"]), (&json!("com.amazonaws.us-east-1.ssm"), &json!(true)));
    assert_eq!(setting.args("us-east-1/ec2.security-group/endpoints")["ingress"].as_array().unwrap().len(), 2);

    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let network = self::network(graph, &site, &layout(&site, 2, 0, Nat::None))?;
    endpoints(graph, &site, &network, Endpoints { gateways: &["s3"], interfaces: &[], ingress: BTreeSet::new() })?;
    assert_eq!(setting.of_kind("ec2.security-group"), Vec::<String>::new());
    Ok(())
}

/// Monitoring and audit are declared together, as the key's policy names the users of the key.
#[test]
fn x03_keys_name_those_who_use_them() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(1);
    let statements = [topic::key_statement(&site), logs_statement(&site, &["shop-*"])].into_iter();
    let statements = statements.chain(trail::key_statements(&site)).collect();
    let purpose = Purpose { name: "all-logs", services: &["s3"], grants: false, statements };
    let key = key(graph, &site, purpose)?.outputs.arn;
    let vpc = network(graph, &site, &layout(&site, 2, 0, Nat::None))?.vpc;
    flow_log(graph, &site, &vpc, &key, 30)?;
    let [check, write] = trail::bucket_statements(&site, "shop-audit");
    let bucket = buckets::private(&site, "audit", "shop-audit", [check, write]);
    let bucket = graph.add(site.region(), "audit", Bucket { lifecycle: buckets::archive(365), ..bucket })?;
    trail::trail(graph, &site, &bucket, &key, Scope::AllRegions, &["shop-data"])?;
    let subscribers = [Subscriber { protocol: "email", endpoint: "on-call@example.com" }];
    topic::topic(graph, &site, &key, &subscribers)?;
    setting.graph.sorted()?;

    let address = "us-east-2/kms.key/all-logs";
    let key = setting.args(address);
    assert_eq!((&key["rotation"], &key["deletion_window"]), (&json!(true), &json!(10)));
    assert_eq!(setting.args("us-east-2/kms.alias/all-logs")["name"], "alias/shop-all-logs-dev-x1");
    assert!(setting.graph.outputs().contains_key("all_logs_key_arn_us_east_2"));
    let used = |sid: &str, wanted: &str| {
        let statement = setting.statement(address, "/policy", sid).to_string();
        assert!(statement.contains(wanted), "{sid}: {statement}");
    };
    used("UseThroughServices", "s3.us-east-2.amazonaws.com");
    used("UseByLogs", "arn:aws:logs:us-east-2:123456789012:log-group:shop-*");
    used("PublishToAlarms", "arn:aws:sns:us-east-2:123456789012:shop-alarms-dev-x1");
    used("EncryptTrail", "arn:aws:cloudtrail:us-east-2:123456789012:trail/shop-trail-dev-x1");
    // The ARNs that were known before are those of the resources.
    assert_eq!(setting.args("us-east-2/sns.topic/alarms")["name"], "shop-alarms-dev-x1");
    assert_eq!(setting.args("us-east-2/cloudtrail.trail/main")["name"], "shop-trail-dev-x1");
    assert_eq!(setting.args("us-east-2/cloudtrail.trail/main")["data_events"], json!(["arn:aws:s3:::shop-data/"]));
    assert_eq!(setting.of_kind("sns.subscription"), ["alarms-1"]);
    let groups = setting.args("us-east-2/logs.log-group/flow-logs");
    assert_eq!(groups["kms_key"], json!({ "$ref": format!("{address}#arn") }));
    Ok(())
}

#[test]
fn x10_a_bucket_replicates_to_every_other_region() -> Result<()> {
    let mut setting = Setting::new();
    let keys = REGIONS.map(|region| Ref::Known(format!("arn:aws:kms:{region}:123456789012:key/1")));
    let regions = setting.regions.clone();
    let names = REGIONS.map(|region| format!("shop-data-{region}"));
    let all = regions.iter().zip(&keys).zip(&names);
    let all = all.map(|((config, key), name)| Replicas { region: &config.region, key, buckets: vec![name] });
    let all: Vec<_> = all.collect();
    let (graph, site) = setting.site(0);
    let keep = Statement::deny("KeepBuckets", ["s3:DeleteBucket"]).on(buckets::arn(&names[0]));
    let role = buckets::replication_role(graph, &site, &all[0], &all[1..], [keep])?;
    let replication = json!(buckets::replication(&role.outputs.arn, &all[1..], 0));
    let rules = replication["rules"].as_object().unwrap();
    assert_eq!(rules.keys().collect::<Vec<_>>(), ["to-us-east-2", "to-us-west-2"]);
    assert_eq!(rules["to-us-west-2"]["bucket"], "arn:aws:s3:::shop-data-us-west-2");
    assert_eq!(rules["to-us-west-2"]["kms_key"], "arn:aws:kms:us-west-2:123456789012:key/1");
    assert_ne!(rules["to-us-east-2"]["priority"], rules["to-us-west-2"]["priority"]);
    assert_eq!(json!(buckets::replication(&role.outputs.arn, &all[1..], 1))["rules"], json!({}));

    let (address, path) = ("global/iam.role/replication-us-east-1", "/inline/replication");
    let write = setting.statement(address, path, "Write").to_string();
    assert!(write.contains("shop-data-us-east-2/*") && write.contains("shop-data-us-west-2/*"), "{write}");
    assert!(!write.contains("shop-data-us-east-1"), "{write}");
    let encrypt = setting.statement(address, path, "EncryptUsWest2").to_string();
    assert!(encrypt.contains("s3.us-west-2.amazonaws.com") && encrypt.contains(":us-west-2:123456789012:key/1"));
    assert!(setting.statement(address, path, "KeepBuckets").to_string().contains("s3:DeleteBucket"));
    Ok(())
}

#[test]
fn x04_a_bucket_with_its_own_key_grants_its_readers_and_writers_nothing_else() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(1);
    let files = buckets::encrypted(graph, &site, "files")?;
    let permissions = files.read().into_iter().chain(files.write());
    role(graph, &site, TaskRole::new("reader", "Reads", trust("x")).with_policy(permissions))?;
    assert_eq!(setting.args("us-east-2/s3.bucket/files")["encryption"]["key"]["$ref"], "us-east-2/kms.key/files#arn");
    let granted = |sid: &str| setting.statement("global/iam.role/reader-us-east-2", "/inline/reader", sid).to_string();
    for (sid, action, resource) in [
        ("Read", "s3:GetObject", "us-east-2/s3.bucket/files#arn"),
        ("Write", "s3:PutObject", "us-east-2/s3.bucket/files#arn"),
        ("Decrypt", "kms:Decrypt", "us-east-2/kms.key/files#arn"),
        ("Encrypt", "kms:GenerateDataKey", "us-east-2/kms.key/files#arn"),
    ] {
        let statement = granted(sid);
        assert!(statement.contains(action) && statement.contains(resource), "{sid}: {statement}");
        assert_eq!(statement.contains("s3.us-east-2.amazonaws.com"), action.starts_with("kms"), "{sid}: {statement}");
    }
    Ok(())
}

#[test]
fn x05_buckets_are_private_and_demand_tls() {
    let mut setting = Setting::new();
    let (_, site) = setting.site(0);
    let logs = buckets::access_log_statement(&site, "shop-logs", &["shop-data"]);
    let bucket = json!(buckets::private(&site, "logs", "shop-logs", [logs]));
    assert_eq!(bucket["public_access_blocked"], true);
    assert_eq!(bucket["tags"]["Name"], "shop-logs-dev-x1");
    let policy = bucket["policy"].to_string();
    assert!(policy.contains("aws:SecureTransport") && policy.contains("arn:aws:s3:::shop-data"), "{policy}");
    let balancer = json!(buckets::balancer_log_statement(&site, "shop-logs", "web")).to_string();
    assert!(balancer.contains("arn:aws:s3:::shop-logs/web/AWSLogs/123456789012/*"), "{balancer}");
}

#[test]
fn x04_a_role_has_what_its_task_needs() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(2);
    let managed = ["arn:aws:iam::aws:policy/Example"];
    let wanted = |task, managed| TaskRole { task, description: "Works", trust: trust("x"), policy: None, managed };
    role(graph, &site, wanted("work", &managed))?;
    let long = "a-task-with-a-name-that-is-longer-than-iam-accepts";
    assert!(role(graph, &site, wanted(long, &[])).unwrap_err().message().contains("AWS accepts at most 64"));
    let args = setting.args("global/iam.role/work-us-west-2");
    assert_eq!((&args["name"], &args["inline"]), (&json!("shop-work-dev-x1-us-west-2"), &json!({})));
    assert_eq!((&args["managed"], &args["description"]), (&json!(managed), &json!("Works in us-west-2")));
    Ok(())
}

#[test]
fn alarms_and_events_reach_the_topic_and_the_dashboard() -> Result<()> {
    let metric = || MetricStat {
        namespace: "AWS/Lambda".to_owned(),
        name: "Errors".to_owned(),
        dimensions: [("FunctionName".to_owned(), "f".into())].into(),
        statistic: "Sum".to_owned(),
        period: 300,
    };
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let logs = Purpose { name: "logs", services: &[], grants: true, statements: Vec::new() };
    let key = key(graph, &site, logs)?.outputs.arn;
    let topic = topic::topic(graph, &site, &key, &[])?;
    let alarms = Alarms { site, topic: Some(&topic), periods: 2 };
    let errors = alarms.alarm(graph, "errors", "Too many errors", metric(), Condition::above(5))?;
    let quiet = alarms.alarm(graph, "quiet", "No calls", metric(), Condition::below(1).or_missing())?;
    let arn = alarms.any(graph, "region", "Not fit", &[errors, quiet])?.outputs.arn;
    let pattern = json!({ "source": ["aws.rds"] });
    alert(
        graph,
        &site,
        &topic,
        Alert { name: "rds", description: "RDS", pattern, paths: &[("a", "$.b")], text: "\"<a>\"" },
    )?;
    let graph_of = |title| Widget::graph(site.region(), title, &[row(site.region(), "f", &metric())]);
    let widgets = [Widget::text("# Shop"), Widget::alarms("All", [&arn]), graph_of("Errors"), graph_of("Calls")];
    dashboard(graph, &site, widgets)?;
    setting.graph.sorted()?;

    let topic = json!([{ "$ref": "us-east-1/sns.topic/alarms#arn" }]);
    let errors = setting.args("us-east-1/cloudwatch.alarm/errors");
    assert_eq!((&errors["alarm_actions"], &errors["ok_actions"]), (&topic, &topic));
    assert_eq!((&errors["threshold"], &errors["periods"]), (&json!(5.0), &json!(2)));
    assert_ne!(errors["missing"], setting.args("us-east-1/cloudwatch.alarm/quiet")["missing"]);
    let rule = setting.args("us-east-1/cloudwatch.composite-alarm/region")["rule"].to_string();
    assert!(rule.contains("alarm/errors#id") && rule.contains(" OR ") && rule.contains("alarm/quiet#id"), "{rule}");
    assert_eq!(setting.of_kind("eventbridge.rule"), ["rds"]);
    let widgets = setting.args("us-east-1/cloudwatch.dashboard/main")["body"]["widgets"].clone();
    let places: Vec<_> = widgets.as_array().unwrap().iter().map(|it| (it["x"].clone(), it["y"].clone())).collect();
    assert_eq!(places, [(0, 0), (8, 0), (16, 0), (0, 6)].map(|(x, y)| (json!(x), json!(y))));
    assert_eq!(
        widgets[2]["properties"]["metrics"],
        json!([["AWS/Lambda", "Errors", "FunctionName", "f",
            { "region": "us-east-1", "label": "f", "stat": "Sum", "period": 300 }]])
    );
    // A key that no service uses on behalf of the account grants nothing to services.
    let policy = setting.args("us-east-1/kms.key/logs")["policy"].to_string();
    assert!(!policy.contains("kms:CreateGrant"), "{policy}");
    Ok(())
}

#[test]
fn g02_one_record_validates_the_certificates_of_all_regions() -> Result<()> {
    let mut setting = Setting::new();
    let names = setting.names.clone();
    let mut domain = Domain::find(&mut setting.graph, &names, "example.com", "web")?;
    for (index, role) in [(0, FailoverRole::Primary), (1, FailoverRole::Secondary)] {
        let (graph, site) = setting.site(index);
        domain.certificate(graph, &site)?;
        let host = Ref::Known(DnsName::new(&format!("{}.example.org", site.region())));
        let check = health_check(graph, &site, host.clone(), "/alive")?;
        let alias = Alias { name: host, zone: "Z1".into() };
        domain.record(graph, &site, alias, Routing::Failover(role), &check)?;
    }
    setting.graph.sorted()?;
    assert_eq!(setting.of_kind("route53.record-set"), ["validation", "web-us-east-1", "web-us-east-2"]);
    assert_eq!(setting.of_kind("route53.hosted-zone"), Vec::<String>::new());
    let second = "us-east-2/acm.certificate/web".parse::<Address>().unwrap();
    let validation = "global/route53.record-set/validation".parse::<Address>().unwrap();
    assert_eq!(setting.graph.nodes()[&second].after, BTreeSet::from([validation]));
    let record = setting.args("global/route53.record-set/web-us-east-2");
    assert_eq!(
        (&record["name"], &record["set_identifier"]),
        (&json!("shop-web-dev-x1.example.com"), &json!("us-east-2"))
    );
    let check = setting.args("global/route53.health-check/us-east-1");
    assert_eq!(check["fully_qualified_domain_name"], "us-east-1.example.org");

    let zone = format!("{}.example.com", "a".repeat(50));
    let mut domain = Domain::create(&mut Setting::new().graph, &names, &zone, "web", None)?;
    let (graph, site) = setting.site(2);
    let error = domain.certificate(graph, &site).unwrap_err();
    assert!(error.message().contains("a certificate's common name has at most 64"), "{error}");
    let existing = domain.existing_certificate(graph, &site, "arn:aws:acm:us-west-2:123456789012:certificate/1")?;
    assert_eq!(existing, Ref::to(&"us-west-2/acm.existing-certificate/web".parse()?, "arn"));
    Ok(())
}

/// Nothing begins before the zone is delegated, and a certificate never does.
#[test]
fn everything_waits_for_the_delegation_of_a_zone_that_is_created() -> Result<()> {
    let mut setting = Setting::new();
    let names = setting.names.clone();
    let (graph, site) = setting.site(0);
    let mut domain = Domain::create(graph, &names, "pay.test", "web", "192.0.2.1:53".parse().ok())?;
    domain.certificate(graph, &site)?;
    let [zone, delegation] = ["global/route53.hosted-zone/main", "global/route53.delegation/main"];
    assert_eq!(setting.depends("us-east-1/acm.certificate/web"), [delegation]);

    let (graph, site) = setting.site(0);
    network(graph, &site, &layout(&site, 3, 0, Nat::None))?;
    domain.first(graph);
    setting.graph.sorted()?;
    assert_eq!(setting.depends(zone), Vec::<String>::new());
    assert_eq!(setting.depends(delegation), [zone]);
    let args = json!({
        "zone": { "$ref": format!("{zone}#id") },
        "name": "pay.test",
        "name_servers": { "$ref": format!("{zone}#name_servers") },
        "resolver": "192.0.2.1:53",
    });
    assert_eq!(setting.args(delegation), &args);
    let later: Vec<_> = setting
        .graph
        .nodes()
        .iter()
        .filter(|(address, node)| !node.lookup && ![zone, delegation].contains(&&*address.to_string()))
        .map(|(address, _)| address.clone())
        .collect();
    assert!(later.len() > 5, "{later:?}");
    for address in &later {
        let (mut reached, mut open) = (BTreeSet::new(), vec![address.clone()]);
        while let Some(address) = open.pop() {
            open.extend(setting.graph.depends(&address).into_iter().filter(|it| reached.insert(it.to_string())));
        }
        assert!(reached.contains(delegation), "{address} does not wait");
    }
    let direct = setting.graph.nodes().values().filter(|node| node.after.iter().any(|it| it.to_string() == delegation));
    assert!(direct.count() < later.len() / 2, "only what depends on nothing else is ordered");
    // A zone that is looked up is delegated already.
    let mut other = Setting::new();
    let (graph, site) = other.site(0);
    let found = Domain::find(graph, &names, "pay.test", "web")?;
    network(graph, &site, &layout(&site, 3, 0, Nat::None))?;
    let before = graph.clone();
    found.first(graph);
    assert_eq!(other.graph, before);
    Ok(())
}

#[test]
fn t03_a_cluster_of_mysql_stands_alone() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(2);
    let all = Purpose { name: "all", services: &["rds"], grants: true, statements: Vec::new() };
    let key = key(graph, &site, all)?.outputs.arn;
    let network = network(graph, &site, &layout(&site, 3, 0, Nat::None))?;
    let password = Master::Managed { kms_key: key.clone() };
    let wanted = Aurora {
        engine: &MYSQL,
        engine_version: "8.0.mysql_aurora.3.08.0",
        global: None,
        source: None,
        parameters: &[],
        master: Some(MasterUser { database: "shop", username: "shop", password }),
        network: &network,
        ingress: BTreeSet::new(),
        key: &key,
        log_key: &key,
        log_retention_days: 30,
        backup_retention_days: 7,
        backup_window: "03:00-04:00",
        instances: 2,
        instance_class: "db.t4g.medium",
        insights_days: 7,
        monitoring_interval: 60,
    };
    let database = aurora(graph, &site, wanted)?;
    assert_eq!(database.instances.len(), 2);
    setting.graph.sorted()?;
    let parameters = setting.args("us-west-2/rds.cluster-parameter-group/database-8-0");
    assert_eq!(
        (&parameters["family"], &parameters["name"]),
        (&json!("aurora-mysql8.0"), &json!("shop-db-parameters-8-0-dev-x1"))
    );
    assert_eq!(parameters["parameters"], json!({ "require_secure_transport": "ON" }));
    let cluster = setting.args("us-west-2/rds.cluster/main");
    assert_eq!(
        (&cluster["port"], &cluster["global"], &cluster["deletion_protection"]),
        (&json!(3306), &Value::Null, &json!(true))
    );
    assert_eq!(
        setting.args("us-west-2/logs.log-group/database")["name"],
        "/aws/rds/cluster/shop-db-cluster-dev-x1-us-west-2/error"
    );
    let reader = &setting.graph.nodes()[&database.instances[1].address];
    assert_eq!(reader.after, BTreeSet::from([database.instances[0].address.clone()]));
    Ok(())
}
