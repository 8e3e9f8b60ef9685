//! The drift detector in the stack `trading`: invoked by its schedule, with a role that can only read.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fmt::Debug;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::types::{Dimension, StateValue, Statistic};
use payinfra_tests::Bench;
use payinfra_tests::api::{credentials, write_package};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Policies that AWS accepts.
const BUCKET_POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::any/*"}]}"#;
const ROLE_POLICY: &str =
    r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#;

const EXAMPLE: &str = include_str!("../../crates/stacks/src/trading/payinfra.toml");
const KEY: &str = "trading/dev/drift.json";
const DETECTOR: &str = "\n[defaults.drift_detector]\npackage = \"drift-detector.zip\"\n\n[workspaces.dev]";
/// How long a run and its metrics may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The example with the drift detector, in two regions, applied, with permissions checked.
async fn applied() -> Bench {
    let bench = Bench::new().await;
    let last = "    { name = \"us-west-2\", cidr = \"10.2.0.0/16\" },\n";
    let configuration = EXAMPLE.replacen("\n[workspaces.dev]", DETECTOR, 1).replacen(last, "", 1);
    assert!(configuration.contains("drift_detector") && !configuration.contains(last));
    bench.configure(&configuration);
    write_package(&bench, "object-processor");
    write_package(&bench, "drift-detector");
    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    bench.run(&["plan", "--workspace", "dev", "--exit-code"]).ok();
    bench.aws.control().check_permissions(true).await.unwrap();
    bench
}

/// Fires the schedule.
async fn fire(bench: &Bench) {
    let rules = bench.aws.control().fire_schedules().await.unwrap();
    assert_eq!(rules, ["drift-detector-trdev"]);
}

/// The report, once it is newer than `before`.
async fn report(bench: &Bench, before: Option<&Value>) -> Value {
    let bucket = format!("payinfra-state-{}", payinfra_localstack::ACCOUNT_ID);
    let end = Instant::now() + PATIENCE;
    loop {
        let found = bench.s3("us-east-1").get_object().bucket(&bucket).key(KEY).send().await;
        if let Ok(found) = found {
            let report: Value = serde_json::from_slice(&found.body.collect().await.unwrap().to_vec()).unwrap();
            if before.is_none_or(|before| before["at"] != report["at"]) {
                return report;
            }
        }
        let log = log(bench).await;
        let failed = log.iter().any(|line| line.contains("cannot be handled"));
        assert!(!failed && Instant::now() < end, "no report: {log:#?}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// The log of the detector.
async fn log(bench: &Bench) -> Vec<String> {
    let logs = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk("us-east-1"));
    let found = logs.filter_log_events().log_group_name("/aws/lambda/drift-detector-trdev").send().await.unwrap();
    found.events().iter().filter_map(|event| event.message().map(str::to_owned)).collect()
}

/// The values of a metric of the deployment, or of the function.
async fn metric(bench: &Bench, namespace: &str, name: &str, statistic: Statistic) -> f64 {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk("us-east-1"));
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let dimensions = match namespace {
        "payinfra" => vec![dimension("Stack", "trading"), dimension("Workspace", "dev")],
        _ => vec![dimension("FunctionName", "drift-detector-trdev")],
    };
    let now = jiff::Timestamp::now().as_second();
    let at = |seconds: i64| aws_sdk_cloudwatch::primitives::DateTime::from_secs(now + seconds);
    let call = cloudwatch.get_metric_statistics().namespace(namespace).metric_name(name).statistics(statistic.clone());
    let call = call.set_dimensions(Some(dimensions)).start_time(at(-3_600)).end_time(at(60)).period(86_400);
    let found = call.send().await.unwrap();
    let value = |point: &aws_sdk_cloudwatch::types::Datapoint| match statistic {
        Statistic::Maximum => point.maximum().unwrap(),
        _ => point.sum().unwrap(),
    };
    found.datapoints().iter().map(value).sum()
}

/// Waits until a metric has this value.
async fn becomes(bench: &Bench, namespace: &str, name: &str, statistic: Statistic, expected: f64) {
    let end = Instant::now() + PATIENCE;
    loop {
        let value = metric(bench, namespace, name, statistic.clone()).await;
        if value.total_cmp(&expected).is_eq() {
            return;
        }
        assert!(Instant::now() < end, "{name}: {value}, not {expected}: {:#?}", log(bench).await);
        sleep(Duration::from_millis(200)).await;
    }
}

/// The events of `payinfra drift`, without what differs between two runs.
fn drift(bench: &Bench, options: &[&str], code: i32) -> Value {
    let found = bench.run(&[&["drift", "--workspace", "dev", "--json"], options].concat()).expect(code);
    serde_json::from_str(&found.stdout).unwrap()
}

/// T-08: the detector finds what the commands find, each time its schedule fires, while its role cannot write.
#[tokio::test(flavor = "multi_thread")]
async fn t08_the_detector_finds_what_the_commands_find() {
    let bench = applied().await;
    fire(&bench).await;
    let clean = report(&bench, None).await;
    assert_eq!((&clean["resources"], &clean["differences"]), (&json!([]), &json!([])), "{clean:#}");
    assert_eq!(clean["compared"], json!(bench.addresses("dev").len()));
    becomes(&bench, "payinfra", "DriftedResources", Statistic::Maximum, 0.0).await;

    // A change behind its back, in one region.
    let lambda = aws_sdk_lambda::Client::new(&bench.sdk("us-east-2"));
    let name = "object-processor-trdev";
    lambda.update_function_configuration().function_name(name).memory_size(777).send().await.unwrap();
    fire(&bench).await;
    let found = report(&bench, Some(&clean)).await;
    assert_eq!(found["resources"], drift(&bench, &[], 2)["resources"]);
    assert_eq!(found["differences"], drift(&bench, &["--between-regions"], 2)["differences"]);
    let named =
        found["differences"].as_array().unwrap().iter().map(|it| (it["kind"].as_str().unwrap(), &it["regions"]));
    assert!(named.clone().any(|it| it == ("lambda.function", &json!(["us-east-2"]))), "{found:#}");
    let drifted = found["resources"].as_array().unwrap();
    assert!(drifted.iter().any(|it| it["address"] == "us-east-2/lambda.function/object-processor"), "{found:#}");
    let count = |member: &str| found[member].as_array().unwrap().len();
    let number = |count: usize| f64::from(u32::try_from(count).unwrap());
    becomes(&bench, "payinfra", "DriftedResources", Statistic::Maximum, number(count("resources"))).await;
    becomes(&bench, "payinfra", "RegionalDifferences", Statistic::Maximum, number(count("differences"))).await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk("us-east-1"));
    for name in ["alarm-drift-trdev", "alarm-regional-differences-trdev"] {
        let alarm = cloudwatch.describe_alarms().alarm_names(name).send().await.unwrap();
        assert_eq!(alarm.metric_alarms()[0].state_value(), Some(&StateValue::Alarm), "{name}");
    }
    becomes(&bench, "AWS/Lambda", "Errors", Statistic::Sum, 0.0).await;

    let (allowed, count) = writes(&bench, &credentials(&bench, "us-east-1")).await;
    assert!(allowed.is_empty() && count > 25, "{count}: {allowed:#?}");
    failures(&bench).await;
}

/// Whether a call was denied; otherwise what happened, with its name.
fn denied<T: Debug, E: ProvideErrorMetadata + Debug>(name: &str, result: Result<T, E>) -> Option<String> {
    let codes = ["AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"];
    match result {
        Err(error) if error.code().is_some_and(|code| codes.contains(&code)) => None,
        other => Some(format!("{name}: {other:?}")),
    }
}

/// Writes to every service of the stack, with the role of the detector. Returns those that were not denied, and their number.
async fn writes(bench: &Bench, role: &SdkConfig) -> (Vec<String>, usize) {
    let bucket = format!("payinfra-state-{}", payinfra_localstack::ACCOUNT_ID);
    let bucket = bucket.as_str();
    let id = |address: &str| bench.id("dev", &format!("us-east-1/{address}"));
    let (vpc, cluster, key) = (id("ec2.vpc/main"), id("rds.cluster/main"), id("kms.key/region"));
    let (table, topic, content) = (id("dynamodb.table/sessions"), id("sns.topic/alarms"), id("s3.bucket/content"));
    let s3 = aws_sdk_s3::config::Builder::from(role).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let dynamodb = aws_sdk_dynamodb::Client::new(role);
    let ec2 = aws_sdk_ec2::Client::new(role);
    let rds = aws_sdk_rds::Client::new(role);
    let iam = aws_sdk_iam::Client::new(role);
    let cloudwatch = aws_sdk_cloudwatch::Client::new(role);
    let kms = aws_sdk_kms::Client::new(role);
    let lambda = aws_sdk_lambda::Client::new(role);
    let logs = aws_sdk_cloudwatchlogs::Client::new(role);
    let secrets = aws_sdk_secretsmanager::Client::new(role);
    let sns = aws_sdk_sns::Client::new(role);
    let events = aws_sdk_eventbridge::Client::new(role);
    let trails = aws_sdk_cloudtrail::Client::new(role);
    let api = aws_sdk_apigatewayv2::Client::new(role);
    let route53 = aws_sdk_route53::Client::new(role);
    let text = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned());
    let function = "object-processor-trdev";
    let mut all = Vec::new();
    macro_rules! call {
        ($client:ident.$action:ident() $(.$set:ident($($value:expr),*))*) => {
            all.push(denied(stringify!($client.$action), $client.$action()$(.$set($($value),*))*.send().await));
        };
    }
    call!(s3.put_object().bucket(bucket).key("trading/dev/state.json").body(b"{}".to_vec().into()));
    call!(s3.put_object().bucket(bucket).key("trading/dev/history/1.json").body(b"{}".to_vec().into()));
    call!(s3.put_object().bucket(bucket).key("trading/dev/journal/1.json").body(b"{}".to_vec().into()));
    call!(s3.put_object().bucket(bucket).key("trading/prod/drift.json").body(b"{}".to_vec().into()));
    call!(s3.delete_object().bucket(bucket).key(KEY));
    call!(s3.get_object().bucket(bucket).key("trading/prod/state.json"));
    call!(s3.get_object().bucket(bucket).key("trading/prod/journal/1.json"));
    call!(s3.get_object().bucket(&content).key("a"));
    call!(s3.put_object().bucket(&content).key("a").body(b"a".to_vec().into()));
    call!(s3.delete_bucket().bucket(&content));
    call!(s3.put_bucket_policy().bucket(&content).policy(BUCKET_POLICY));
    call!(dynamodb.put_item().table_name("payinfra-locks").item("LockID", text("a")));
    call!(dynamodb.delete_item().table_name("payinfra-locks").key("LockID", text("a")));
    call!(dynamodb.put_item().table_name(&table).item("session_id", text("a")));
    call!(dynamodb.scan().table_name(&table));
    call!(dynamodb.delete_table().table_name(&table));
    call!(ec2.create_vpc().cidr_block("10.9.0.0/16"));
    call!(ec2.delete_vpc().vpc_id(&vpc));
    call!(ec2.create_tags().resources(&vpc).tags(aws_sdk_ec2::types::Tag::builder().key("a").value("b").build()));
    call!(rds.delete_db_cluster().db_cluster_identifier(&cluster).skip_final_snapshot(true));
    call!(rds.modify_db_cluster().db_cluster_identifier(&cluster).deletion_protection(false));
    call!(
        iam.put_role_policy().role_name("drift-detector-trdev-us-east-1").policy_name("a").policy_document(ROLE_POLICY)
    );
    call!(iam.create_user().user_name("a"));
    call!(cloudwatch.delete_alarms().alarm_names("alarm-drift-trdev"));
    call!(cloudwatch.disable_alarm_actions().alarm_names("alarm-drift-trdev"));
    call!(kms.schedule_key_deletion().key_id(&key));
    call!(lambda.update_function_configuration().function_name(function).memory_size(128));
    call!(lambda.delete_function().function_name(function));
    call!(lambda.invoke().function_name(function).payload(aws_sdk_lambda::primitives::Blob::new("{}")));
    call!(logs.delete_log_group().log_group_name("/aws/lambda/object-processor-trdev"));
    call!(secrets.create_secret().name("a").secret_string("a"));
    call!(secrets.get_secret_value().secret_id("db-master-trdev"));
    call!(sns.publish().topic_arn(&topic).message("a"));
    call!(sns.delete_topic().topic_arn(&topic));
    call!(events.disable_rule().name("drift-detector-trdev"));
    call!(trails.stop_logging().name("trail-trdev"));
    call!(api.create_api().name("a").protocol_type(aws_sdk_apigatewayv2::types::ProtocolType::Http));
    call!(route53.delete_hosted_zone().id("Z1"));
    let count = all.len();
    (all.into_iter().flatten().collect(), count)
}

/// A state of a newer format, and none at all: the run fails, says why, and is counted; the report stays as it was.
async fn failures(bench: &Bench) {
    let (s3, bucket) = (bench.s3("us-east-1"), format!("payinfra-state-{}", payinfra_localstack::ACCOUNT_ID));
    let state = "trading/dev/state.json";
    let before = report(bench, None).await;
    let runs = metric(bench, "payinfra", "DriftedResources", Statistic::Maximum).await;
    let newer = json!({ "format": 99 }).to_string().into_bytes();
    s3.put_object().bucket(&bucket).key(state).body(newer.into()).send().await.unwrap();
    for (number, why) in [(1.0, "the state has format 99"), (2.0, "there is no state at s3://payinfra-state-")] {
        fire(bench).await;
        becomes(bench, "AWS/Lambda", "Errors", Statistic::Sum, number).await;
        let end = Instant::now() + PATIENCE;
        while !log(bench).await.iter().any(|line| line.contains(why)) {
            assert!(Instant::now() < end, "{why}: {:#?}", log(bench).await);
            sleep(Duration::from_millis(200)).await;
        }
        s3.delete_object().bucket(&bucket).key(state).send().await.unwrap();
    }
    assert_eq!(report(bench, None).await, before);
    assert!(metric(bench, "payinfra", "DriftedResources", Statistic::Maximum).await.total_cmp(&runs).is_eq());
}
