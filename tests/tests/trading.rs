//! The stack `trading` on the emulated AWS: applied, planned again, drifted, compared between regions, destroyed.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;

use payinfra_tests::Bench;

const EXAMPLE: &str = include_str!("../../crates/stacks/src/trading/payinfra.toml");
/// A zip file without files: the emulated AWS does not run it here.
const PACKAGE: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.configure(EXAMPLE);
    fs::write(bench.file("object-processor.zip"), PACKAGE).unwrap();
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
    differences(&bench).await;

    bench.run(&["apply", "--workspace", "dev", "--yes"]).ok();
    bench.run(&["drift", "--workspace", "dev", "--between-regions", "--publish"]).ok();
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk("us-east-1"));
    let alarm = cloudwatch.describe_alarms().alarm_names("alarm-regional-differences-trdev").send().await.unwrap();
    assert_eq!(alarm.metric_alarms()[0].state_value(), Some(&aws_sdk_cloudwatch::types::StateValue::Ok));
    bench.run(&["destroy", "--workspace", "dev", "--yes", "--accept-loss"]).ok();
    let orphans = bench.run(&["sweep", "--workspace", "dev"]).ok();
    assert!(orphans.stdout.contains("No orphaned resources"), "{}", orphans.stdout);
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
