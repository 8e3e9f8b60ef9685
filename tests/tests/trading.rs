//! The stack `trading` on the emulated AWS: applied, planned again, drifted, compared between regions, destroyed.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_sdk_acm::types::CertificateStatus;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_rds::types::{ApplyMethod, Parameter};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
};
use payinfra_localstack::Call;
use payinfra_tests::Bench;
use payinfra_tests::api::write_package;
use payinfra_tests::content::is_chosen_by_aws;
use serde_json::Value;
use tokio::time::sleep;

const EXAMPLE: &str = include_str!("../../crates/stacks/src/trading/payinfra.toml");
/// The regions of the example, the primary first.
const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];
/// The hosted zone of the domain names.
const ZONE: &str = "trading.test-bank.com";

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.configure(EXAMPLE);
    write_package(&bench, "object-processor");
    bench
}

/// T-01 to T-12: everything is created, nothing is planned afterwards, drift is found and repaired, differences between the
/// regions are found and published, and a destroy leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn t01_t12_the_example_lives_and_leaves_nothing() {
    let bench = bench().await;
    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    bench.run(&["plan", "--workspace", "dev", "--exit-code"]).ok();
    bench.run(&["drift", "--workspace", "dev"]).ok();
    let same = bench.run(&["drift", "--workspace", "dev", "--between-regions"]).ok();
    assert!(same.stdout.contains("No differences between us-east-1, us-east-2, us-west-2"), "{}", same.stdout);
    let outputs = bench.outputs("dev");
    for (output, start) in [
        ("api_url_us_east_1", "http"),
        ("content_bucket_name_us_east_2", "content-trdev-us-east-2-"),
        ("database_cluster_arn_us_west_2", "arn:aws:rds:us-west-2:"),
        ("object_processor_function_arn_us_east_2", "arn:aws:lambda:us-east-2:"),
        ("region_key_arn_us_west_2", "arn:aws:kms:us-west-2:"),
        ("sessions_table_arn_us_west_2", "arn:aws:dynamodb:us-west-2:"),
        ("trail_arn_us_east_2", "arn:aws:cloudtrail:us-east-2:"),
    ] {
        let value = outputs[output].as_str().unwrap();
        assert!(value.starts_with(start), "{output}: {value}");
    }
    replicas(&bench).await;
    notifications(&bench, outputs["content_bucket_name_us_east_2"].as_str().unwrap()).await;
    objects(&bench, &outputs).await;
    differences(&bench).await;
    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    several_differences(&bench).await;

    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    bench.run(&["drift", "--workspace", "dev", "--between-regions", "--publish"]).ok();
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk("us-east-1"));
    let alarm = cloudwatch.describe_alarms().alarm_names("alarm-regional-differences-trdev").send().await.unwrap();
    assert_eq!(alarm.metric_alarms()[0].state_value(), Some(&aws_sdk_cloudwatch::types::StateValue::Ok));
    bench.run(&["destroy", "--workspace", "dev", "--yes", "--accept-loss"]).ok();
    let orphans = bench.run(&["sweep", "--workspace", "dev"]).ok();
    assert!(orphans.stdout.contains("No orphaned resources"), "{}", orphans.stdout);
}

/// The ARN of an issued certificate for `domain`. Nobody has its zone yet, so it counts as validated.
async fn certificate(bench: &Bench, region: &str, domain: &str) -> String {
    let acm = aws_sdk_acm::Client::new(&bench.sdk(region));
    let method = aws_sdk_acm::types::ValidationMethod::Dns;
    let made = acm.request_certificate().domain_name(domain).validation_method(method).send().await.unwrap();
    let arn = made.certificate_arn.unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let found = acm.describe_certificate().certificate_arn(&arn).send().await.unwrap().certificate.unwrap();
        if found.status() == Some(&CertificateStatus::Issued) {
            return arn;
        }
        assert!(Instant::now() < end, "{found:?}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// T-01, T-05, T-06: each region's API has its domain name on the region's certificate, in a zone that was there before. A
/// further region in the list creates the resources of that region, updates the global table, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn t01_t05_t06_a_fourth_region_is_one_more_line() {
    const FOURTH: &str = "eu-west-1";
    let bench = bench().await;
    let mut configuration: toml::Table = EXAMPLE.parse().unwrap();
    let defaults = configuration["defaults"].as_table_mut().unwrap();
    let zone = toml::Table::from_iter([("zone".to_owned(), ZONE.into())]);
    defaults.insert("domain".to_owned(), zone.into());
    let mut modules = toml::Table::new();
    for region in [&REGIONS[..], &[FOURTH]].concat() {
        let domain = format!("api-{region}.{ZONE}");
        let certificate = certificate(&bench, region, &domain).await;
        let module = [("domain".to_owned(), domain.into()), ("certificate".to_owned(), certificate.into())];
        modules.insert(region.to_owned(), toml::Table::from_iter(module).into());
    }
    let fourth = modules.remove(FOURTH).unwrap();
    defaults.insert("modules".to_owned(), modules.into());
    let route53 = aws_sdk_route53::Client::new(&bench.sdk(REGIONS[0]));
    let zone = route53.create_hosted_zone().name(ZONE).caller_reference("trading").send().await.unwrap();
    let zone = zone.hosted_zone.unwrap().id;
    bench.configure(&configuration.to_string());
    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    for region in REGIONS {
        named(&bench, &zone, region).await;
    }

    let defaults = configuration["defaults"].as_table_mut().unwrap();
    let entry = toml::Table::from_iter([("name".to_owned(), FOURTH.into()), ("cidr".to_owned(), "10.3.0.0/16".into())]);
    defaults["regions"].as_array_mut().unwrap().push(entry.into());
    bench.configure(&configuration.to_string());
    let incomplete = bench.run(&["plan", "--workspace", "dev"]).expect(1);
    assert!(incomplete.stderr.contains(FOURTH), "{}", incomplete.stderr);
    let defaults = configuration["defaults"].as_table_mut().unwrap();
    defaults["modules"].as_table_mut().unwrap().insert(FOURTH.to_owned(), fourth);
    bench.configure(&configuration.to_string());
    let planned = bench.run(&["plan", "--workspace", "dev", "--json"]).ok();
    let events: Vec<Value> = planned.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let plan = events.iter().find(|event| event["event"] == "plan").unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let steps = steps.iter().map(|step| (step["address"].as_str().unwrap(), step["action"].as_str().unwrap()));
    let (there, elsewhere): (Vec<_>, Vec<_>) = steps.partition(|(address, _)| address.contains(FOURTH));
    assert_eq!(elsewhere, [("us-east-1/dynamodb.table/sessions", "update")]);
    assert!(there.len() > 50 && there.iter().all(|(_, action)| *action == "create"), "{there:?}");

    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    bench.run(&["plan", "--workspace", "dev", "--exit-code"]).ok();
    named(&bench, &zone, FOURTH).await;
    let same = bench.run(&["drift", "--workspace", "dev", "--between-regions"]).ok();
    assert!(same.stdout.contains(FOURTH), "{}", same.stdout);
    bench.run(&["destroy", "--workspace", "dev", "--yes", "--accept-loss"]).ok();
    let records = route53.list_resource_record_sets().hosted_zone_id(&zone).send().await.unwrap();
    assert!(records.resource_record_sets().iter().all(|it| it.name().trim_end_matches('.') == ZONE), "{records:?}");
}

/// T-05: the domain name of the region leads to its API, on its certificate.
async fn named(bench: &Bench, zone: &str, region: &str) {
    let domain = format!("api-{region}.{ZONE}");
    let apis = aws_sdk_apigatewayv2::Client::new(&bench.sdk(region));
    let found = apis.get_domain_name().domain_name(&domain).send().await.unwrap();
    let endpoint = &found.domain_name_configurations()[0];
    assert!(endpoint.certificate_arn().unwrap().starts_with(&format!("arn:aws:acm:{region}:")), "{endpoint:?}");
    let mappings = apis.get_api_mappings().domain_name(&domain).send().await.unwrap();
    let mapped: Vec<_> = mappings.items().iter().filter_map(|mapping| mapping.api_id()).collect();
    assert_eq!(mapped, [bench.id("dev", &format!("{region}/apigatewayv2.api/api"))]);
    let route53 = aws_sdk_route53::Client::new(&bench.sdk(REGIONS[0]));
    let records = route53.list_resource_record_sets().hosted_zone_id(zone).send().await.unwrap();
    let record = records.resource_record_sets().iter().find(|it| it.name().trim_end_matches('.') == domain).unwrap();
    let target = record.alias_target().unwrap().dns_name().trim_end_matches('.');
    assert_eq!(Some(target), endpoint.api_gateway_domain_name());
}

/// T-03: the clusters of the other regions replicate the primary region's, each with its own key.
async fn replicas(bench: &Bench) {
    let mut keys = Vec::new();
    for region in ["us-east-1", "us-east-2", "us-west-2"] {
        let rds = aws_sdk_rds::Client::new(&bench.sdk(region));
        let name = format!("db-cluster-trdev-{region}");
        let found = rds.describe_db_clusters().db_cluster_identifier(&name).send().await.unwrap();
        let cluster = found.db_clusters().first().unwrap();
        let source = cluster.replication_source_identifier().unwrap_or_default();
        let expected = if region == "us-east-1" { "" } else { ":us-east-1:" };
        assert!(source.contains(expected) && source.is_empty() == expected.is_empty(), "{region}: {source}");
        assert_eq!(cluster.storage_encrypted(), Some(true), "{region}");
        let key = cluster.kms_key_id().unwrap().to_owned();
        assert!(key.contains(region) && !keys.contains(&key), "{region}: {key}");
        keys.push(key);
    }
}

/// T-04: the bucket invokes the function of its own region.
async fn notifications(bench: &Bench, bucket: &str) {
    let s3 = aws_sdk_s3::Client::new(&bench.sdk("us-east-2"));
    let found = s3.get_bucket_notification_configuration().bucket(bucket).send().await.unwrap();
    assert_eq!(found.lambda_function_configurations().len(), 1, "{found:?}");
    let arn = found.lambda_function_configurations()[0].lambda_function_arn();
    assert!(arn.contains(":us-east-2:") && arn.ends_with(":function:object-processor-trdev:live"), "{arn}");
}

/// T-04, T-06: an object in a region's bucket is processed by the region's function, and all regions have its session.
async fn objects(bench: &Bench, outputs: &Value) {
    for region in REGIONS {
        let bucket = outputs[format!("content_bucket_name_{}", region.replace('-', "_"))].as_str().unwrap();
        let key = format!("orders/from-{region}.json");
        bench.s3(region).put_object().bucket(bucket).key(&key).body(b"{}".to_vec().into()).send().await.unwrap();
        for other in REGIONS {
            let dynamodb = aws_sdk_dynamodb::Client::new(&bench.sdk(other));
            let table = outputs["sessions_table_name"].as_str().unwrap();
            let end = Instant::now() + Duration::from_secs(30);
            loop {
                let items = dynamodb.scan().table_name(table).send().await.unwrap().items.unwrap_or_default();
                let text = |value: &AttributeValue| value.as_s().cloned().unwrap_or_default();
                let mut sessions = items.iter().map(|item| (text(&item["key"]), text(&item["region"])));
                if sessions.any(|(session, processed)| session == key && processed == region) {
                    break;
                }
                assert!(Instant::now() < end, "no session of {key} in {other}: {items:?}");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// T-08: each of several changes is named with its region, resource and field.
async fn several_differences(bench: &Bench) {
    let s3 = bench.s3("us-east-2");
    let bucket = bench.id("dev", "us-east-2/s3.bucket/content");
    let rule = LifecycleRule::builder().id("old-versions").status(ExpirationStatus::Enabled);
    let rule = rule.filter(LifecycleRuleFilter::builder().prefix("").build());
    let rule = rule.noncurrent_version_expiration(NoncurrentVersionExpiration::builder().noncurrent_days(7).build());
    let lifecycle = BucketLifecycleConfiguration::builder().rules(rule.build().unwrap()).build().unwrap();
    let call = s3.put_bucket_lifecycle_configuration().bucket(&bucket).lifecycle_configuration(lifecycle);
    call.send().await.unwrap();
    let rds = aws_sdk_rds::Client::new(&bench.sdk("us-west-2"));
    let group = bench.id("dev", "us-west-2/rds.cluster-parameter-group/database-8-0");
    let parameter = Parameter::builder().parameter_name("binlog_format").parameter_value("ROW");
    let parameter = parameter.apply_method(ApplyMethod::PendingReboot).build();
    let call = rds.modify_db_cluster_parameter_group().db_cluster_parameter_group_name(group).parameters(parameter);
    call.send().await.unwrap();

    let found = bench.run(&["drift", "--workspace", "dev", "--between-regions", "--json"]).expect(2);
    let event: Value = serde_json::from_str(&found.stdout).unwrap();
    let differences = event["differences"].as_array().unwrap();
    let named: BTreeSet<_> = differences.iter().map(|it| (it["kind"].as_str(), it["regions"][0].as_str())).collect();
    let expected = [(Some("rds.cluster-parameter-group"), Some("us-west-2")), (Some("s3.bucket"), Some("us-east-2"))];
    assert_eq!(named, expected.into(), "{event:#}");
}

/// T-11: the workspaces are side by side in one account, and a change of one makes no call that refers to another one.
#[tokio::test(flavor = "multi_thread")]
async fn t11_workspaces_are_side_by_side() {
    let bench = bench().await;
    for workspace in ["dev", "staging", "prod"] {
        bench.run(&["apply", "--workspace", workspace, "--yes"]).ok();
    }
    let mut watched = Vec::new();
    for (workspace, suffix) in [("staging", "trstg"), ("prod", "trprd")] {
        let state = bench.state(workspace);
        let ids = state["resources"].as_object().unwrap().values().filter_map(|record| record["id"].as_str());
        watched.extend(ids.filter(|id| id.contains(suffix) || is_chosen_by_aws(id)).map(str::to_owned));
    }
    bench.aws.watch(watched);
    bench.aws.clear_calls();
    bench.configure(&EXAMPLE.replace("{ memory = 256 }", "{ memory = 320 }"));
    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    let about = |calls: Vec<Call>| -> Vec<_> {
        let about = calls.into_iter().filter(|call| !call.mentions.is_empty());
        about.map(|call| (call.mutating, call.service, call.action, call.mentions)).collect()
    };
    let applied = about(bench.aws.calls());
    assert!(applied.is_empty(), "{applied:#?}");
    bench.aws.clear_calls();
    bench.run(&["destroy", "--workspace", "dev", "--yes", "--accept-loss"]).ok();
    // The search for orphans at its end reads the tags of everything in the account.
    let destroyed: Vec<_> = about(bench.aws.calls()).into_iter().filter(|(mutating, ..)| *mutating).collect();
    assert!(destroyed.is_empty(), "{destroyed:#?}");
    for workspace in ["staging", "prod"] {
        bench.run(&["plan", "--workspace", workspace, "--exit-code"]).ok();
    }
}

/// T-08: a change in one region is named with its region, resource and field, and counted in the published metric; the alarm is on
/// that metric.
async fn differences(bench: &Bench) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk("us-west-2"));
    let name = "alarm-function-errors-trdev";
    let alarm = cloudwatch.describe_alarms().alarm_names(name).send().await.unwrap();
    let alarm = alarm.metric_alarms()[0].clone();
    let changed = cloudwatch.put_metric_alarm().alarm_name(name).threshold(99.0);
    let changed = changed.comparison_operator(alarm.comparison_operator().unwrap().clone());
    let changed = changed.evaluation_periods(alarm.evaluation_periods().unwrap());
    let changed = changed.set_datapoints_to_alarm(alarm.datapoints_to_alarm());
    let changed = changed.metric_name(alarm.metric_name().unwrap()).namespace(alarm.namespace().unwrap());
    let changed = changed.set_dimensions(alarm.dimensions.clone()).period(alarm.period().unwrap());
    let changed =
        changed.set_statistic(alarm.statistic.clone()).set_treat_missing_data(alarm.treat_missing_data.clone());
    let changed = changed.set_alarm_actions(alarm.alarm_actions.clone()).set_ok_actions(alarm.ok_actions.clone());
    changed.set_alarm_description(alarm.alarm_description.clone()).send().await.unwrap();
    let found = bench.run(&["drift", "--workspace", "dev", "--between-regions"]).expect(2);
    for text in ["cloudwatch.alarm/function-errors", "threshold:", "us-west-2: 99.0", "us-east-1, us-east-2: 5.0"] {
        assert!(found.stdout.contains(text), "{text}: {}", found.stdout);
    }
    assert!(found.stdout.contains("1 difference between"), "{}", found.stdout);
    let found = bench.run(&["drift", "--workspace", "dev", "--between-regions", "--json", "--publish"]).expect(2);
    let event: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    let difference = &event["differences"][0];
    assert_eq!(
        (&difference["field"], &difference["regions"]),
        (&"threshold".into(), &serde_json::json!(["us-west-2"]))
    );

    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk("us-east-1"));
    let published = cloudwatch.list_metrics().namespace("payinfra").metric_name("RegionalDifferences");
    let published = published.send().await.unwrap();
    assert_eq!(published.metrics().len(), 1, "{published:?}");
    let metric = &published.metrics()[0];
    let name = "alarm-regional-differences-trdev";
    let alarm = cloudwatch.describe_alarms().alarm_names(name).send().await.unwrap();
    let alarm = &alarm.metric_alarms()[0];
    assert_eq!((alarm.namespace(), alarm.metric_name()), (metric.namespace(), metric.metric_name()));
    assert_eq!(alarm.state_value(), Some(&aws_sdk_cloudwatch::types::StateValue::Alarm));
    let sorted = |dimensions: &[aws_sdk_cloudwatch::types::Dimension]| {
        let mut pairs: Vec<_> =
            dimensions.iter().map(|it| (it.name().unwrap().to_owned(), it.value().unwrap().to_owned())).collect();
        pairs.sort();
        pairs
    };
    assert_eq!(sorted(alarm.dimensions()), sorted(metric.dimensions()));
}
