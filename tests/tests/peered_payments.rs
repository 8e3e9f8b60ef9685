//! The stack `peered-payments` on the emulated AWS: a payment over HTTP, a test per requirement according to AWS's own
//! responses, and its life from the first apply to an empty account.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::MetricAlarm;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, KeySchemaElement, PointInTimeRecoveryStatus};
use aws_sdk_ec2::types::{
    Filter, NatGatewayState, RouteState, RouteTable, Subnet, VpcPeeringConnection, VpcPeeringConnectionStateReasonCode,
};
use aws_sdk_kms::types::KeyState;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, ReplicationRuleStatus, ServerSideEncryption};
use payinfra_tests::api::{credentials, write_package};
use payinfra_tests::service::Answer;
use payinfra_tests::{Bench, policy, texts};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::sleep;

const EXAMPLE: &str = include_str!("../../crates/stacks/src/peered_payments/payinfra.toml");
/// The region of the function, and that of the database.
const NEAR: &str = "us-east-1";
const FAR: &str = "eu-west-1";
const REGIONS: [&str; 2] = [NEAR, FAR];
const FUNCTION: &str = "payment-processor-ppdev";
const TABLE: &str = "payment-transactions-ppdev";

/// The applied example.
struct Running {
    bench: Bench,
    outputs: Value,
}

impl Running {
    fn start(bench: Bench) -> Self {
        bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
        let outputs = bench.outputs("dev");
        Self { bench, outputs }
    }

    /// An output of a region.
    fn output(&self, name: &str, region: &str) -> &str {
        let name = format!("{name}_{}", region.replace('-', "_"));
        self.outputs[&name].as_str().unwrap_or_else(|| panic!("no output {name} in {}", self.outputs))
    }

    /// The response to `POST PATH` below the API's URL, in the emulated AWS.
    fn post(&self, path: &str, body: &str) -> Answer {
        let address: SocketAddr = self.bench.aws.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
        let (_, url) = self.output("api_url", NEAR).split_once("://").unwrap();
        let (host, stage) = url.split_once('/').unwrap();
        let id = host.split('.').next().unwrap();
        let path = format!("/_aws/execute-api/{id}/{stage}{path}");
        Answer::to(address, "POST", &path, &[("Content-Type", "application/json")], body).unwrap()
    }

    fn pay(&self, body: &Value) -> Answer {
        self.post("/payment", &body.to_string())
    }

    /// The items of a payment.
    async fn items(&self, id: &str) -> Vec<BTreeMap<String, AttributeValue>> {
        let call = aws_sdk_dynamodb::Client::new(&self.bench.sdk(NEAR)).query().table_name(TABLE);
        let call = call.key_condition_expression("transactionId = :id").consistent_read(true);
        let found = call.expression_attribute_values(":id", AttributeValue::S(id.to_owned())).send().await.unwrap();
        found.items().iter().map(|item| item.clone().into_iter().collect()).collect()
    }

    /// The subnets of a region's VPC.
    async fn subnets(&self, region: &str) -> Vec<Subnet> {
        let call = self.bench.ec2(region).describe_subnets().filters(self.in_vpc(region));
        call.send().await.unwrap().subnets.unwrap()
    }

    /// The route table that a subnet uses.
    async fn table(&self, region: &str, subnet: &str) -> RouteTable {
        let filter = Filter::builder().name("association.subnet-id").values(subnet).build();
        let found = self.bench.ec2(region).describe_route_tables().filters(filter).send().await.unwrap();
        found.route_tables().first().unwrap_or_else(|| panic!("{subnet} only has the main table")).clone()
    }

    fn in_vpc(&self, region: &str) -> Filter {
        Filter::builder().name("vpc-id").values(self.output("vpc_id", region)).build()
    }

    /// The ids of the private subnets.
    fn private(&self, region: &str) -> Vec<&str> {
        self.output("private_subnet_ids", region).split(',').collect()
    }

    /// The statements of a role of the first region.
    async fn statements(&self, role: &str) -> Vec<Value> {
        let iam = aws_sdk_iam::Client::new(&self.bench.sdk(NEAR));
        let names = iam.list_role_policies().role_name(role).send().await.unwrap();
        let mut all = Vec::new();
        for name in names.policy_names() {
            let found = iam.get_role_policy().role_name(role).policy_name(name).send().await.unwrap();
            all.extend(policy(found.policy_document())["Statement"].as_array().unwrap().iter().cloned());
        }
        all
    }
}

/// The example, with the function.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.configure(EXAMPLE);
    write_package(&bench, "payment-processor");
    bench
}

/// The example, applied once for all tests that only read, or pay.
async fn running() -> &'static Running {
    static RUNNING: OnceCell<Running> = OnceCell::const_new();
    RUNNING.get_or_init(async || Running::start(bench().await)).await
}

/// The targets of the routes of a table, by destination.
fn targets(table: &RouteTable) -> BTreeMap<String, String> {
    let target = |route: &aws_sdk_ec2::types::Route| {
        let target = route.gateway_id().or(route.nat_gateway_id()).or(route.vpc_peering_connection_id())?;
        (route.state() == Some(&RouteState::Active))
            .then(|| (route.destination_cidr_block().map(str::to_owned), target.to_owned()))
    };
    table.routes().iter().filter_map(target).filter_map(|(to, target)| Some((to?, target))).collect()
}

/// P-01: a VPC per region with two public and two private /24 subnets in two zones, an internet gateway, and one NAT gateway
/// with its address; the subnets use their own route tables.
#[tokio::test(flavor = "multi_thread")]
async fn p01_each_region_has_four_subnets_with_their_ways_to_the_internet() {
    let running = running().await;
    for (region, block) in [(NEAR, "10.0"), (FAR, "10.1")] {
        let ec2 = running.bench.ec2(region);
        let vpcs = ec2.describe_vpcs().vpc_ids(running.output("vpc_id", region)).send().await.unwrap();
        assert_eq!(vpcs.vpcs()[0].cidr_block(), Some(&*format!("{block}.0.0/16")));
        let subnets = running.subnets(region).await;
        let blocks: BTreeSet<_> = subnets.iter().map(|subnet| subnet.cidr_block().unwrap().to_owned()).collect();
        assert_eq!(blocks, [0, 1, 2, 3].map(|number| format!("{block}.{number}.0/24")).into());
        let zones: BTreeSet<_> = subnets.iter().filter_map(Subnet::availability_zone).collect();
        assert_eq!(zones.len(), 2, "{zones:?}");

        let gateways = Filter::builder().name("attachment.vpc-id").values(running.output("vpc_id", region)).build();
        let gateways = ec2.describe_internet_gateways().filters(gateways).send().await.unwrap();
        let gateway = gateways.internet_gateways()[0].internet_gateway_id().unwrap().to_owned();
        let nats = ec2.describe_nat_gateways().filter(running.in_vpc(region)).send().await.unwrap();
        let [nat] = nats.nat_gateways() else { panic!("{nats:?}") };
        assert_eq!(nat.state(), Some(&NatGatewayState::Available));
        let address = nat.nat_gateway_addresses()[0].public_ip().unwrap();
        assert_eq!(address, running.output("nat_public_ip_1", region));
        let private = running.private(region);
        assert_eq!(private.len(), 2);
        for subnet in &subnets {
            let id = subnet.subnet_id().unwrap();
            let out = if private.contains(&id) { nat.nat_gateway_id().unwrap() } else { &gateway };
            assert_eq!(targets(&running.table(region, id).await)["0.0.0.0/0"], out, "{region} {id}");
        }
    }
}

/// P-02: the peering is active on both sides, each of which resolves the names of the other; all private subnets route to the
/// other network.
#[tokio::test(flavor = "multi_thread")]
async fn p02_both_regions_reach_each_other_over_the_peering() {
    let running = running().await;
    let id = running.output("peering_id", NEAR);
    for (region, other) in [(NEAR, "10.1.0.0/16"), (FAR, "10.0.0.0/16")] {
        let ec2 = running.bench.ec2(region);
        let found = ec2.describe_vpc_peering_connections().vpc_peering_connection_ids(id).send().await.unwrap();
        let peering: &VpcPeeringConnection = &found.vpc_peering_connections()[0];
        assert_eq!(peering.status().unwrap().code(), Some(&VpcPeeringConnectionStateReasonCode::Active), "{region}");
        let (near, far) = (peering.requester_vpc_info().unwrap(), peering.accepter_vpc_info().unwrap());
        assert_eq!(
            (near.vpc_id(), far.vpc_id()),
            (Some(running.output("vpc_id", NEAR)), Some(running.output("vpc_id", FAR)))
        );
        let own = if region == NEAR { near } else { far };
        assert_eq!(own.peering_options().unwrap().allow_dns_resolution_from_remote_vpc(), Some(true), "{region}");
        for subnet in running.private(region) {
            assert_eq!(targets(&running.table(region, subnet).await)[other], id, "{region} {subnet}");
        }
    }
}

/// P-03: an encrypted PostgreSQL with a standby, backups and a managed password, in private subnets, for the function only.
#[tokio::test(flavor = "multi_thread")]
async fn p03_the_database_is_private_encrypted_and_backed_up() {
    let running = running().await;
    let rds = aws_sdk_rds::Client::new(&running.bench.sdk(FAR));
    let name = running.output("database_id", FAR);
    let found = rds.describe_db_instances().db_instance_identifier(name).send().await.unwrap();
    let database = &found.db_instances()[0];
    assert_eq!((database.engine(), database.db_cluster_identifier()), (Some("postgres"), None));
    assert_eq!((database.multi_az(), database.publicly_accessible()), (Some(true), Some(false)));
    let key = running.output("database_key_arn", FAR);
    assert_eq!((database.storage_encrypted(), database.kms_key_id()), (Some(true), Some(key)));
    assert_ne!(key, running.output("data_key_arn", FAR), "its own key");
    assert_eq!(database.backup_retention_period(), Some(7));
    let secret = database.master_user_secret().unwrap();
    assert_eq!(secret.kms_key_id(), Some(key));
    assert_eq!(secret.secret_arn(), Some(running.output("database_master_secret_arn", FAR)));
    let subnets = database.db_subnet_group().unwrap().subnets().iter().filter_map(|subnet| subnet.subnet_identifier());
    assert_eq!(subnets.collect::<BTreeSet<_>>(), running.private(FAR).into_iter().collect());

    let groups: Vec<_> = database.vpc_security_groups().iter().filter_map(|it| it.vpc_security_group_id()).collect();
    let [group] = groups[..] else { panic!("{groups:?}") };
    let group = running.bench.ec2(FAR).describe_security_groups().group_ids(group).send().await.unwrap();
    let mut from = BTreeSet::new();
    for rule in group.security_groups()[0].ip_permissions() {
        assert_eq!((rule.ip_protocol(), rule.from_port(), rule.to_port()), (Some("tcp"), Some(5432), Some(5432)));
        assert!(rule.user_id_group_pairs().is_empty() && rule.ipv6_ranges().is_empty());
        from.extend(rule.ip_ranges().iter().filter_map(|range| range.cidr_ip().map(str::to_owned)));
    }
    let lambda = aws_sdk_lambda::Client::new(&running.bench.sdk(NEAR));
    let function = lambda.get_function_configuration().function_name(FUNCTION).send().await.unwrap();
    let of_function = function.vpc_config().unwrap().subnet_ids();
    let near = running.subnets(NEAR).await;
    let near = near.iter().filter(|subnet| of_function.iter().any(|id| Some(&**id) == subnet.subnet_id()));
    assert_eq!(from, near.map(|subnet| subnet.cidr_block().unwrap().to_owned()).collect());

    let parameters = database.db_parameter_groups()[0].db_parameter_group_name().unwrap();
    let parameters =
        rds.describe_db_parameters().db_parameter_group_name(parameters).source("user").send().await.unwrap();
    let forced = parameters.parameters().iter().find(|it| it.parameter_name() == Some("rds.force_ssl")).unwrap();
    assert_eq!(forced.parameter_value(), Some("1"));
}

/// P-04: the key, both indexes, the key of the region, and recovery.
#[tokio::test(flavor = "multi_thread")]
async fn p04_the_table_has_its_indexes_and_is_recoverable() {
    let running = running().await;
    let client = aws_sdk_dynamodb::Client::new(&running.bench.sdk(NEAR));
    let table = client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
    let names =
        |keys: &[KeySchemaElement]| -> Vec<String> { keys.iter().map(|key| key.attribute_name().to_owned()).collect() };
    assert_eq!(names(table.key_schema()), ["transactionId", "timestamp"]);
    let types = table.attribute_definitions().iter();
    let types: BTreeMap<_, _> = types.map(|it| (it.attribute_name(), it.attribute_type().as_str())).collect();
    assert_eq!((types["transactionId"], types["timestamp"]), ("S", "N"));
    let indexes = table.global_secondary_indexes().iter();
    let indexes: BTreeMap<_, _> = indexes.map(|it| (it.index_name().unwrap(), names(it.key_schema()))).collect();
    let expected = [("CustomerIndex", "customer_id"), ("StatusIndex", "status")];
    assert_eq!(indexes, expected.map(|(name, key)| (name, vec![key.to_owned(), "timestamp".to_owned()])).into());
    let key = table.sse_description().unwrap().kms_master_key_arn();
    assert_eq!(key, Some(running.output("data_key_arn", NEAR)));
    let backups = client.describe_continuous_backups().table_name(TABLE).send().await.unwrap();
    let backups = backups.continuous_backups_description.unwrap().point_in_time_recovery_description.unwrap();
    assert_eq!(backups.point_in_time_recovery_status(), Some(&PointInTimeRecoveryStatus::Enabled));
}

/// P-05: versioned and encrypted buckets; an object is copied to the other region, by a role that never deletes a bucket.
#[tokio::test(flavor = "multi_thread")]
async fn p05_objects_are_copied_to_the_other_region() {
    let running = running().await;
    for region in REGIONS {
        let (s3, bucket) = (running.bench.s3(region), format!("payment-data-{region}-ppdev"));
        assert_eq!(running.output("payment_data_bucket_name", region), bucket);
        let versioning = s3.get_bucket_versioning().bucket(&bucket).send().await.unwrap();
        assert_eq!(versioning.status(), Some(&BucketVersioningStatus::Enabled));
        let encryption = s3.get_bucket_encryption().bucket(&bucket).send().await.unwrap();
        let rule = encryption.server_side_encryption_configuration().unwrap().rules()[0].clone();
        let default = rule.apply_server_side_encryption_by_default.unwrap();
        assert_eq!(default.sse_algorithm(), &ServerSideEncryption::AwsKms);
        assert_eq!(default.kms_master_key_id(), Some(running.output("data_key_arn", region)));
    }
    let s3 = running.bench.s3(NEAR);
    let (from, to) =
        (running.output("payment_data_bucket_name", NEAR), running.output("payment_data_bucket_name", FAR));
    let replication = s3.get_bucket_replication().bucket(from).send().await.unwrap();
    let replication = replication.replication_configuration().unwrap();
    let [rule] = replication.rules() else { panic!("{replication:?}") };
    assert_eq!(rule.status(), &ReplicationRuleStatus::Enabled);
    assert_eq!(rule.destination().unwrap().bucket(), format!("arn:aws:s3:::{to}"));

    s3.put_object().bucket(from).key("p05").body(ByteStream::from_static(b"copied")).send().await.unwrap();
    let (far, end) = (running.bench.s3(FAR), Instant::now() + Duration::from_secs(30));
    let copy = loop {
        if let Ok(copy) = far.get_object().bucket(to).key("p05").send().await {
            break copy;
        }
        assert!(Instant::now() < end, "the object was not copied");
        sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(copy.body.collect().await.unwrap().into_bytes(), "copied");

    let statements = running.statements(replication.role().rsplit('/').next().unwrap()).await;
    let (denied, allowed): (Vec<_>, Vec<_>) = statements.iter().partition(|statement| statement["Effect"] == "Deny");
    let [denied] = denied[..] else { panic!("{denied:?}") };
    assert_eq!(texts(&denied["Action"]), ["s3:DeleteBucket"]);
    let buckets: BTreeSet<_> = texts(&denied["Resource"]).into_iter().map(str::to_owned).collect();
    assert_eq!(buckets, [from, to].map(|bucket| format!("arn:aws:s3:::{bucket}")).into());
    for statement in allowed {
        assert!(texts(&statement["Action"]).iter().all(|action| !action.contains('*')), "{statement:#}");
        assert!(!texts(&statement["Resource"]).contains(&"*"), "{statement:#}");
    }
}

/// P-06: the function's limits, its private subnets, and a role that can store and find payments, but not delete any.
#[tokio::test(flavor = "multi_thread")]
async fn p06_the_function_is_private_and_cannot_delete_payments() {
    let running = running().await;
    let lambda = aws_sdk_lambda::Client::new(&running.bench.sdk(NEAR));
    let found = lambda.get_function().function_name(FUNCTION).send().await.unwrap();
    assert_eq!(found.concurrency().unwrap().reserved_concurrent_executions(), Some(10));
    let function = found.configuration().unwrap();
    assert_eq!((function.timeout(), function.memory_size()), (Some(30), Some(256)));
    let subnets: BTreeSet<_> = function.vpc_config().unwrap().subnet_ids().iter().map(String::as_str).collect();
    assert_eq!(subnets, running.private(NEAR).into_iter().collect());

    let statements = running.statements(function.role().unwrap().rsplit('/').next().unwrap()).await;
    let table = format!("arn:aws:dynamodb:{NEAR}:123456789012:table/{TABLE}");
    let on_table = |statement: &&Value| texts(&statement["Resource"]).contains(&&*table);
    let actions = |effect: &str| -> BTreeSet<String> {
        let found = statements.iter().filter(|statement| statement["Effect"] == effect).filter(on_table);
        found.flat_map(|statement| texts(&statement["Action"])).map(str::to_owned).collect()
    };
    assert_eq!(actions("Allow"), ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"].map(str::to_owned).into());
    assert_eq!(actions("Deny"), ["dynamodb:DeleteItem", "dynamodb:DeleteTable"].map(str::to_owned).into());
    let indexes = format!("{table}/index/*");
    let allows_indexes = |statement: &Value| {
        texts(&statement["Action"]).contains(&"dynamodb:Query") && texts(&statement["Resource"]).contains(&&*indexes)
    };
    assert!(statements.iter().any(allows_indexes), "{statements:#?}");
}

/// P-06: with checked permissions, the function takes payments, and its role cannot delete what it stored, or the table.
#[tokio::test(flavor = "multi_thread")]
async fn p06_the_role_of_the_function_cannot_delete_what_it_stored() {
    let running = Running::start(bench().await);
    running.bench.aws.control().check_permissions(true).await.unwrap();
    let paid = running.pay(&json!({ "transactionId": "t-kept", "customerId": "c-1", "amount": "1" }));
    assert_eq!(paid.status, 200, "{paid:?}");
    let stored = running.items("t-kept").await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&credentials(&running.bench, NEAR));
    let key = |item: &BTreeMap<String, AttributeValue>| {
        ["transactionId", "timestamp"].map(|name| (name.to_owned(), item[name].clone()))
    };
    for item in &stored {
        let call = dynamodb.get_item().table_name(TABLE).set_key(Some(key(item).into()));
        assert!(call.send().await.unwrap().item.is_some());
        let refused =
            dynamodb.delete_item().table_name(TABLE).set_key(Some(key(item).into())).send().await.unwrap_err();
        assert_eq!(refused.code(), Some("AccessDeniedException"), "{refused:?}");
    }
    let refused = dynamodb.delete_table().table_name(TABLE).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDeniedException"), "{refused:?}");
    assert!(!stored.is_empty());
    assert_eq!(running.items("t-kept").await, stored);
}

/// P-07: one route in the stage `prod`, with an access log; only that route may invoke the function.
#[tokio::test(flavor = "multi_thread")]
async fn p07_the_api_has_one_route_which_may_invoke_the_function() {
    let running = running().await;
    let client = aws_sdk_apigatewayv2::Client::new(&running.bench.sdk(NEAR));
    let apis = client.get_apis().send().await.unwrap();
    let [api] = apis.items() else { panic!("{apis:?}") };
    let id = api.api_id().unwrap();
    let url = format!("{}/prod", api.api_endpoint().unwrap());
    assert_eq!(running.output("api_url", NEAR), url);
    let routes = client.get_routes().api_id(id).send().await.unwrap();
    let routes: Vec<_> = routes.items().iter().filter_map(|route| route.route_key()).collect();
    assert_eq!(routes, ["POST /payment"]);
    let stages = client.get_stages().api_id(id).send().await.unwrap();
    let [stage] = stages.items() else { panic!("{stages:?}") };
    assert_eq!(stage.stage_name(), Some("prod"));
    let log = stage.access_log_settings().unwrap().destination_arn().unwrap();
    assert!(log.ends_with(&format!("log-group:{}", running.output("api_access_log_group_name", NEAR))), "{log}");

    let lambda = aws_sdk_lambda::Client::new(&running.bench.sdk(NEAR));
    let found = lambda.get_policy().function_name(FUNCTION).qualifier("live").send().await.unwrap();
    let policy: Value = serde_json::from_str(found.policy().unwrap()).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let sources: Vec<_> = statements.iter().map(|it| it.pointer("/Condition/ArnLike/AWS:SourceArn").unwrap()).collect();
    assert_eq!(sources, [&json!(format!("arn:aws:execute-api:{NEAR}:123456789012:{id}/prod/POST/payment"))]);
    assert_eq!(running.post("/other", "{}").status, 404);
}

/// P-08: logs expire after 30 days, both alarms have their thresholds, and the dashboard shows function, database and table.
#[tokio::test(flavor = "multi_thread")]
async fn p08_logs_alarms_and_dashboard() {
    let running = running().await;
    let mut count = 0;
    for region in REGIONS {
        let logs = aws_sdk_cloudwatchlogs::Client::new(&running.bench.sdk(region));
        for group in logs.describe_log_groups().send().await.unwrap().log_groups() {
            let name = group.log_group_name().unwrap();
            assert_eq!(group.retention_in_days(), Some(30), "{name}");
            assert_eq!(group.kms_key_id(), Some(running.output("data_key_arn", region)), "{name}");
            count += 1;
        }
    }
    assert_eq!(count, 3, "of the function, the API and the database");
    let alarm = async |region: &str, name: &str| -> MetricAlarm {
        let client = aws_sdk_cloudwatch::Client::new(&running.bench.sdk(region));
        let found = client.describe_alarms().alarm_names(format!("alarm-{name}-ppdev")).send().await.unwrap();
        let alarm = found.metric_alarms()[0].clone();
        assert_eq!(alarm.alarm_actions(), [running.output("alarm_topic_arn", region)]);
        assert_eq!(alarm.comparison_operator().unwrap().as_str(), "GreaterThanThreshold");
        assert_eq!(alarm.period(), Some(300));
        alarm
    };
    let errors = alarm(NEAR, "function-errors").await;
    assert_eq!((errors.namespace(), errors.metric_name()), (Some("AWS/Lambda"), Some("Errors")));
    assert_eq!((errors.threshold(), errors.evaluation_periods()), (Some(5.0), Some(1)));
    let cpu = alarm(FAR, "database-cpu").await;
    assert_eq!((cpu.namespace(), cpu.metric_name()), (Some("AWS/RDS"), Some("CPUUtilization")));
    assert_eq!((cpu.threshold(), cpu.evaluation_periods(), cpu.datapoints_to_alarm()), (Some(80.0), Some(2), Some(2)));
    assert_eq!(cpu.dimensions()[0].value(), Some(running.output("database_id", FAR)));

    let client = aws_sdk_cloudwatch::Client::new(&running.bench.sdk(NEAR));
    let name = running.output("dashboard_name", NEAR);
    let found = client.get_dashboard().dashboard_name(name).send().await.unwrap();
    let body = found.dashboard_body().unwrap();
    for shown in ["AWS/Lambda", "AWS/RDS", "AWS/DynamoDB", FUNCTION, TABLE, running.output("database_id", FAR)] {
        assert!(body.contains(shown), "{shown}: {body}");
    }
}

/// P-09: a payment is stored once with its decimal amount and audited; its repeat is the same, other content is a conflict, and bad
/// bodies say why.
#[tokio::test(flavor = "multi_thread")]
async fn p09_a_payment_is_accepted_once() {
    let running = running().await;
    let payment = |amount: &str| json!({ "transactionId": "t-1", "customerId": "c-1", "amount": amount });
    let first = running.pay(&payment("12.50"));
    assert_eq!((first.status, &first.body["transactionId"]), (200, &json!("t-1")), "{first:?}");
    let again = running.pay(&payment("12.50"));
    assert_eq!((again.status, &again.body["acceptedAt"]), (200, &first.body["acceptedAt"]), "{again:?}");
    let other = running.pay(&payment("12.51"));
    assert_eq!(other.status, 409, "{other:?}");

    let items = running.items("t-1").await;
    let payments: Vec<_> = items.iter().filter(|item| item.contains_key("status")).collect();
    let [stored] = payments[..] else { panic!("{items:?}") };
    assert_eq!(stored["amount"], AttributeValue::S("12.50".to_owned()));
    let dynamodb = aws_sdk_dynamodb::Client::new(&running.bench.sdk(NEAR));
    let call = dynamodb.query().table_name(TABLE).index_name("CustomerIndex");
    let call = call.key_condition_expression("customer_id = :customer");
    let found =
        call.expression_attribute_values(":customer", AttributeValue::S("c-1".to_owned())).send().await.unwrap();
    assert_eq!(found.items().len(), 1, "{found:?}");
    let accepted = first.body["acceptedAt"].as_str().unwrap();
    let prefix = format!("payments/{}/t-1-", accepted[..10].replace('-', "/"));
    let end = Instant::now() + Duration::from_secs(30);
    let bucket = running.output("payment_data_bucket_name", FAR);
    loop {
        let copies = running.bench.s3(FAR).list_objects_v2().bucket(bucket).prefix(&prefix).send().await.unwrap();
        if copies.contents().len() == 1 {
            break;
        }
        assert!(Instant::now() < end, "the audit record was not copied: {copies:?}");
        sleep(Duration::from_millis(200)).await;
    }

    for (body, reason) in [
        ("", "body"),
        ("{", "body"),
        ("[]", "body"),
        (r#"{"customerId":"c-1","amount":"1"}"#, "transactionId"),
        (r#"{"transactionId":"t-bad","amount":"1"}"#, "customerId"),
        (r#"{"transactionId":"t-bad","customerId":"c-1"}"#, "amount"),
        (r#"{"transactionId":"t-bad","customerId":"c-1","amount":-1}"#, "amount"),
        (r#"{"transactionId":"t-bad","customerId":"c-1","amount":"1.005"}"#, "amount"),
        (r#"{"transactionId":7,"customerId":"c-1","amount":"1"}"#, "transactionId"),
    ] {
        let answer = running.post("/payment", body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.body["error"].as_str().unwrap().contains(reason), "{body}: {answer:?}");
    }
    assert!(running.items("t-bad").await.is_empty());
}

/// P-10: the outputs name what exists.
#[tokio::test(flavor = "multi_thread")]
async fn p10_the_outputs_name_what_exists() {
    let running = running().await;
    for region in REGIONS {
        let vpc = running.bench.ec2(region).describe_vpcs().vpc_ids(running.output("vpc_id", region)).send().await;
        assert_eq!(vpc.unwrap().vpcs().len(), 1);
        running
            .bench
            .s3(region)
            .head_bucket()
            .bucket(running.output("payment_data_bucket_name", region))
            .send()
            .await
            .unwrap();
    }
    let rds = aws_sdk_rds::Client::new(&running.bench.sdk(FAR));
    let found = rds.describe_db_instances().db_instance_identifier(running.output("database_id", FAR));
    let found = found.send().await.unwrap();
    let endpoint = found.db_instances()[0].endpoint().unwrap().address();
    assert_eq!(endpoint, Some(running.output("database_endpoint", FAR)));
    assert_eq!(running.outputs["payment_transactions_table_name"], TABLE);
    let lambda = aws_sdk_lambda::Client::new(&running.bench.sdk(NEAR));
    let found = lambda.get_function_configuration().function_name(FUNCTION).send().await.unwrap();
    assert_eq!(found.function_arn(), Some(running.output("payment_processor_function_arn", NEAR)));
    assert!(running.output("api_url", NEAR).ends_with("/prod"));
}

/// P-01 to P-10: everything is created, nothing is planned afterwards, drift in both regions is found and repaired, and a
/// destroy leaves nothing but keys that wait for their deletion, for ten days.
#[tokio::test(flavor = "multi_thread")]
async fn p01_p10_the_example_lives_and_leaves_nothing() {
    let bench = bench().await;
    // A default VPC.
    let before = bench.inventory().await;
    let running = Running::start(bench);
    let bench = &running.bench;
    let applied = bench.inventory().await;
    for part in ["eu-west-1 rds.instance ", "eu-west-1 ec2.vpc-peering ", "us-east-1 lambda.function "] {
        assert_eq!(applied.count(part), 1, "{part}: {applied}");
    }
    bench.run(&["plan", "--workspace", "dev", "--exit-code"]).ok();
    bench.run(&["drift", "--workspace", "dev"]).ok();

    let rds = aws_sdk_rds::Client::new(&bench.sdk(FAR));
    let name = running.output("database_id", FAR);
    let changed = rds.modify_db_instance().db_instance_identifier(name).apply_immediately(true);
    changed.backup_retention_period(1).publicly_accessible(true).send().await.unwrap();
    let peering = bench.ec2(FAR).modify_vpc_peering_connection_options();
    let off = aws_sdk_ec2::types::PeeringConnectionOptionsRequest::builder();
    let off = off.allow_dns_resolution_from_remote_vpc(false).build();
    let peering = peering.vpc_peering_connection_id(running.output("peering_id", NEAR));
    peering.accepter_peering_connection_options(off).send().await.unwrap();
    let lambda = aws_sdk_lambda::Client::new(&bench.sdk(NEAR));
    lambda.put_function_concurrency().function_name(FUNCTION).reserved_concurrent_executions(99).send().await.unwrap();
    let drift = bench.run(&["drift", "--workspace", "dev"]).expect(2);
    for part in [
        "eu-west-1/rds.instance/main",
        "backup_retention_days",
        "publicly_accessible",
        "eu-west-1/ec2.vpc-peering-accepter/us-east-1",
        "us-east-1/lambda.function/payment-processor",
        "reserved_concurrency",
    ] {
        assert!(drift.stdout.contains(part), "{part}: {}", drift.stdout);
    }
    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    bench.run(&["drift", "--workspace", "dev"]).ok();
    let found = rds.describe_db_instances().db_instance_identifier(name).send().await.unwrap();
    let database = &found.db_instances()[0];
    assert_eq!((database.backup_retention_period(), database.publicly_accessible()), (Some(7), Some(false)));

    let paid = running.pay(&json!({ "transactionId": "t-last", "customerId": "c-1", "amount": "1" }));
    assert_eq!(paid.status, 200, "{paid:?}");
    bench.run(&["destroy", "--workspace", "dev", "--yes", "--accept-loss"]).ok();
    let orphans = bench.run(&["sweep", "--workspace", "dev"]).ok();
    assert!(orphans.stdout.contains("No orphaned resources"), "{}", orphans.stdout);
    assert_eq!(bench.inventory().await.beyond(&before), [""; 0]);
    let kms = aws_sdk_kms::Client::new(&bench.sdk(FAR));
    let key = kms.describe_key().key_id(running.output("database_key_arn", FAR)).send().await.unwrap();
    let key = key.key_metadata.unwrap();
    assert_eq!(key.key_state(), Some(&KeyState::PendingDeletion));
    let days = (key.deletion_date().unwrap().secs() - key.creation_date().unwrap().secs()) / 86_400;
    assert_eq!(days, 10, "{key:?}");
}
