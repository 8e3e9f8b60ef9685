//! The real `LocalStack` instead of `MiniStack` and moto, for the services that it emulates correctly: see
//! `localstack/GAPS.md`. `PAYINFRA_TEST_PROFILE=localstack` runs the other tests with it.

#![expect(clippy::unwrap_used, reason = "a test")]

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use payinfra_localstack::Profile;
use payinfra_tests::Bench;

const WORKSPACE: [&str; 2] = ["--workspace", "migration"];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &WORKSPACE[..]].concat()
}

/// a whole life, with manual changes and leftovers in the services that `LocalStack` emulates.
#[tokio::test(flavor = "multi_thread")]
async fn the_migration_stack_lives_on_localstack() {
    let bench = Bench::on(Profile::Localstack, include_str!("../../payinfra.toml")).await;
    let running = bench.aws.status().await.unwrap().backends;
    assert!(running.iter().any(|emulator| emulator.starts_with("localstack ")), "{running:?}");
    let before = bench.inventory().await;

    bench.run(&with(&["plan", "--exit-code"])).expect(2);
    bench.run(&with(&["apply", "--yes"])).expect(0);
    assert!(bench.outputs("migration").as_object().unwrap().len() > 5);
    bench.aws.clear_calls();
    bench.run(&with(&["apply", "--yes"])).expect(0);
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
    bench.run(&with(&["plan", "--exit-code"])).expect(0);

    let changed = change(&bench).await;
    let drift = bench.run(&with(&["drift", "--json"])).expect(2);
    let state = bench.state("migration");
    let named = state["resources"].as_object().unwrap().keys();
    let named: Vec<_> = named.filter(|address| drift.stdout.contains(&format!("\"{address}\""))).collect();
    assert_eq!(named, changed, "{}", drift.stdout);
    bench.aws.clear_calls();
    bench.run(&with(&["apply", "--yes"])).expect(0);
    let mut repairs: Vec<_> = bench.mutations().into_iter().map(|call| call.action).collect();
    repairs.sort();
    assert_eq!(repairs, ["EnableKeyRotation", "PutBucketVersioning", "PutRetentionPolicy", "TagRole"]);
    bench.run(&with(&["plan", "--exit-code"])).expect(0);

    fill(&bench).await;
    bench.run(&with(&["destroy", "--yes", "--accept-loss"])).expect(0);
    assert_eq!(bench.inventory().await, before);
}

/// Changes one resource of each service, and returns which, in order.
async fn change(bench: &Bench) -> [&'static str; 4] {
    let changed = [
        "global/iam.role/flow-logs-us-east-1",
        "us-east-1/kms.key/storage",
        "us-east-1/logs.log-group/flow-logs",
        "us-east-1/s3.bucket/access-logs",
    ];
    let [role, key, group, bucket] = changed.map(|address| bench.id("migration", address));
    let sdk = bench.sdk("us-east-1");
    let tag = aws_sdk_iam::types::Tag::builder().key("Project").value("somebody-elses").build().unwrap();
    aws_sdk_iam::Client::new(&sdk).tag_role().role_name(role).tags(tag).send().await.unwrap();
    aws_sdk_kms::Client::new(&sdk).disable_key_rotation().key_id(key).send().await.unwrap();
    let logs = aws_sdk_cloudwatchlogs::Client::new(&sdk);
    logs.put_retention_policy().log_group_name(group).retention_in_days(1).send().await.unwrap();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let call = bench.s3("us-east-1").put_bucket_versioning().bucket(bucket);
    call.versioning_configuration(enabled).send().await.unwrap();
    changed
}

/// Puts versions and a delete marker into a bucket.
async fn fill(bench: &Bench) {
    let (s3, bucket) = (bench.s3("us-east-1"), bench.id("migration", "us-east-1/s3.bucket/transactions"));
    for body in ["one", "two"] {
        let put = s3.put_object().bucket(&bucket).key("left/behind").body(body.as_bytes().to_vec().into());
        put.send().await.unwrap();
    }
    s3.delete_object().bucket(&bucket).key("left/behind").send().await.unwrap();
}
