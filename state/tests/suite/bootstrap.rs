//! Creates the bucket and the table, repeatedly.

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    ExpirationStatus, LifecycleRule, NoncurrentVersionExpiration, Tag, Tagging, VersioningConfiguration,
};
use payinfra_engine::Class;
use payinfra_localstack::{ACCOUNT_ID, Fault, When};
use payinfra_state::{Existing, Place, Report, bootstrap};

use crate::bench::{Faults, calls, config, fails, name};
use crate::owners::{CLOSED, OPEN, plain as s3};

/// Every test has its own region, because the key's alias is unique per region.
async fn run(host: &str, region: &str, bucket: &str, table: &str) -> payinfra_engine::Result<Report> {
    run_with(host, region, bucket, table, Existing::Refuse).await
}

async fn run_with(
    host: &str,
    region: &str,
    bucket: &str,
    table: &str,
    existing: Existing,
) -> payinfra_engine::Result<Report> {
    bootstrap(&config(host).await, Place { region, account: ACCOUNT_ID, bucket, table }, existing).await
}

/// The configuration of somebody else, in `region`.
async fn beside(region: &'static str) -> SdkConfig {
    config("test").await.into_builder().region(Region::new(region)).build()
}

#[tokio::test]
async fn the_second_time_nothing_is_done_and_what_was_changed_is_repaired() {
    let (region, bucket, table) = ("eu-west-1", name(), name());
    let report = run("test", region, &bucket, &table).await.unwrap();
    assert!(report.key.created && report.bucket.created && report.table.created, "{report:?}");
    assert_eq!((&report.bucket.name, &report.table.name), (&bucket, &table));
    assert!(report.key.name.starts_with("arn:aws:kms:eu-west-1:"), "{report:?}");
    let again = run("test", region, &bucket, &table).await.unwrap();
    assert!(again.is_unchanged(), "{again:?}");

    let config = config("test").await.into_builder().region(Region::new(region)).build();
    let s3 = s3(&config);
    let policy = s3.get_bucket_policy().bucket(&bucket).send().await.unwrap().policy.unwrap();
    assert!(policy.contains("aws:SecureTransport") && policy.contains(&report.key.name), "{policy}");
    let theirs = policy.replace("PayinfraOnly", "Theirs").replace("s3:*", "s3:DeleteBucket");
    s3.put_bucket_policy().bucket(&bucket).policy(theirs).send().await.unwrap();
    s3.delete_public_access_block().bucket(&bucket).send().await.unwrap();
    s3.delete_bucket_encryption().bucket(&bucket).send().await.unwrap();
    let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(off).send().await.unwrap();
    let rule = versions(&s3, &bucket).await.remove(0);
    assert_eq!(rule.noncurrent_version_expiration().and_then(NoncurrentVersionExpiration::noncurrent_days), Some(90));
    let theirs = rule_of_others(rule);
    let theirs = BucketLifecycleConfiguration::builder().rules(theirs).build().unwrap();
    let call = s3.put_bucket_lifecycle_configuration().bucket(&bucket).lifecycle_configuration(theirs);
    call.send().await.unwrap();
    let dynamo = aws_sdk_dynamodb::Client::new(&config);
    let refused = dynamo.delete_table().table_name(&table).send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("ValidationException"), "{refused:?}");
    dynamo.update_table().table_name(&table).deletion_protection_enabled(false).send().await.unwrap();
    let kms = aws_sdk_kms::Client::new(&config);
    kms.disable_key_rotation().key_id(&report.key.name).send().await.unwrap();

    let repaired = run("test", region, &bucket, &table).await.unwrap();
    assert_eq!(repaired.key.repaired, ["rotation"]);
    assert_eq!(repaired.bucket.repaired, ["public access block", "versioning", "lifecycle", "encryption", "policy"]);
    assert_eq!(repaired.table.repaired, ["deletion protection"]);
    assert!(!repaired.bucket.created, "{repaired:?}");
    assert_eq!(versions(&s3, &bucket).await.len(), 2);
    let policy = s3.get_bucket_policy().bucket(&bucket).send().await.unwrap().policy.unwrap();
    for sid in ["PayinfraOnlyTls", "PayinfraOnlyOurKey", "TheirsTls", "TheirsOurKey"] {
        assert!(policy.contains(sid), "{policy}");
    }
    assert!(run("test", region, &bucket, &table).await.unwrap().is_unchanged());
}

/// The lifecycle rules of a bucket.
async fn versions(s3: &aws_sdk_s3::Client, bucket: &str) -> Vec<LifecycleRule> {
    s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await.unwrap().rules.unwrap()
}

fn rule_of_others(rule: LifecycleRule) -> LifecycleRule {
    let ours = LifecycleRule::builder().id("theirs").status(ExpirationStatus::Enabled).set_filter(rule.filter);
    ours.set_noncurrent_version_expiration(rule.noncurrent_version_expiration).build().unwrap()
}

#[tokio::test]
async fn lost_answers_make_nothing_twice() {
    let faults = Faults::none().await;
    let host = "bootstrapper";
    let reset = Fault::Reset { when: When::After };
    faults.set([
        (calls(host, "s3", "CreateBucket").nth(1), reset.clone()),
        (calls(host, "dynamodb", "CreateTable").nth(1), reset.clone()),
        (calls(host, "kms", "CreateAlias").nth(1), reset.clone()),
        (calls(host, "kms", "CreateKey").nth(1), reset),
    ]);
    let (region, bucket, table) = ("eu-central-1", name(), name());
    let error = fails(run(host, region, &bucket, &table).await, Class::Ambiguous);
    assert!(error.get_hint().unwrap().contains("again"), "{error}");
    let report = run(host, region, &bucket, &table).await.unwrap();
    assert!(report.bucket.created && report.table.created, "{report:?}");
    let config = config("test").await.into_builder().region(Region::new(region)).build();
    let keys = aws_sdk_kms::Client::new(&config).list_keys().send().await.unwrap();
    let ours = keys.keys().iter().filter(|key| key.key_arn() == Some(&report.key.name));
    assert_eq!((ours.count(), keys.keys().len()), (1, 1));
    assert!(run(host, region, &bucket, &table).await.unwrap().is_unchanged());
}

#[tokio::test]
async fn a_bucket_elsewhere_is_refused_before_anything_is_made() {
    let (bucket, table) = (name(), name());
    run("test", "ap-south-1", &bucket, &table).await.unwrap();
    let error = fails(run("test", "ap-northeast-1", &bucket, &table).await, Class::Invalid);
    assert!(error.message().contains("ap-south-1"), "{error}");
    let config = config("test").await.into_builder().region(Region::new("ap-northeast-1")).build();
    let tables = aws_sdk_dynamodb::Client::new(&config).list_tables().send().await.unwrap();
    assert!(tables.table_names().is_empty());
}

#[tokio::test]
async fn a_table_of_something_else_is_refused() {
    let (region, bucket, table) = ("sa-east-1", name(), name());
    let config = config("test").await.into_builder().region(Region::new(region)).build();
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let call = aws_sdk_dynamodb::Client::new(&config).create_table().table_name(&table).key_schema(key);
    let call = call.attribute_definitions(attribute.build().unwrap()).billing_mode(BillingMode::PayPerRequest);
    call.send().await.unwrap();
    let error = fails(run("test", region, &bucket, &table).await, Class::Foreign);
    assert!(error.message().contains(&table), "{error}");
    assert!(s3(&config).head_bucket().bucket(&bucket).send().await.is_err());
}

#[tokio::test]
async fn somebody_elses_bucket_is_refused() {
    let faults = Faults::none().await;
    let (host, region, bucket) = ("stranger", "ca-central-1", name());
    faults.set([(calls(host, "s3", "HeadBucket"), Fault::Error { status: 403 })]);
    let error = fails(run(host, region, &bucket, &name()).await, Class::Foreign);
    assert!(error.message().contains(&bucket), "{error}");
    assert!(error.get_hint().unwrap().contains("[state]"), "{error}");
    let config = config("test").await.into_builder().region(Region::new(region)).build();
    assert!(aws_sdk_kms::Client::new(&config).list_keys().send().await.unwrap().keys().is_empty());
}

#[tokio::test]
async fn a_squatted_bucket_is_refused_even_if_it_lets_us_in() {
    let region = "ca-west-1";
    let config = beside(region).await;
    for kind in [OPEN, CLOSED] {
        let bucket = format!("{kind}{}", name());
        if kind == OPEN {
            create_bucket(&config, region, &bucket).await;
        }
        for existing in [Existing::Refuse, Existing::Adopt] {
            let error = fails(run_with("test", region, &bucket, &name(), existing).await, Class::Foreign);
            assert!(error.message().contains("does not belong to account"), "{error}");
        }
    }
    assert!(aws_sdk_kms::Client::new(&config).list_keys().send().await.unwrap().keys().is_empty());
}

async fn create_bucket(config: &SdkConfig, region: &str, bucket: &str) {
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region));
    let call = s3(config).create_bucket().bucket(bucket).create_bucket_configuration(place.build());
    call.send().await.unwrap();
}

/// The settings of a bucket.
async fn settings(config: &SdkConfig, bucket: &str) -> (Option<BucketVersioningStatus>, Option<String>, usize) {
    let s3 = s3(config);
    let versioning = s3.get_bucket_versioning().bucket(bucket).send().await.unwrap().status;
    let policy = s3.get_bucket_policy().bucket(bucket).send().await.ok().and_then(|answer| answer.policy);
    let tags = s3.get_bucket_tagging().bucket(bucket).send().await.map_or(0, |answer| answer.tag_set.len());
    (versioning, policy, tags)
}

#[tokio::test]
async fn a_bucket_of_something_else_keeps_its_settings_until_it_is_adopted() {
    let (region, bucket, table) = ("eu-north-1", name(), name());
    let config = beside(region).await;
    create_bucket(&config, region, &bucket).await;
    let tag = Tag::builder().key("team").value("data").build().unwrap();
    let tags = Tagging::builder().tag_set(tag).build().unwrap();
    s3(&config).put_bucket_tagging().bucket(&bucket).tagging(tags).send().await.unwrap();
    let before = settings(&config, &bucket).await;
    let error = fails(run("test", region, &bucket, &table).await, Class::Foreign);
    assert!(error.message().contains(&format!("bucket `{bucket}` of account")), "{error}");
    assert!(error.get_hint().unwrap().contains("payinfra bootstrap --adopt"), "{error}");
    assert_eq!(settings(&config, &bucket).await, before);
    assert!(aws_sdk_kms::Client::new(&config).list_keys().send().await.unwrap().keys().is_empty());

    let report = run_with("test", region, &bucket, &table, Existing::Adopt).await.unwrap();
    assert!(report.bucket.adopted && !report.bucket.created, "{report:?}");
    assert_eq!(report.bucket.repaired, ["tags", "versioning", "lifecycle", "encryption", "policy"]);
    let after = settings(&config, &bucket).await;
    assert_eq!((after.0, after.2), (Some(BucketVersioningStatus::Enabled), 2));
    let again = run("test", region, &bucket, &table).await.unwrap();
    assert!(again.is_unchanged() && !again.bucket.adopted, "{again:?}");
}

#[tokio::test]
async fn a_table_and_a_key_of_something_else_are_not_changed_until_they_are_adopted() {
    let (region, bucket, table) = ("eu-south-1", name(), name());
    let config = beside(region).await;
    let (dynamo, kms) = (aws_sdk_dynamodb::Client::new(&config), aws_sdk_kms::Client::new(&config));
    let attribute = AttributeDefinition::builder().attribute_name("LockID").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("LockID").key_type(KeyType::Hash).build().unwrap();
    let call = dynamo.create_table().table_name(&table).key_schema(key).billing_mode(BillingMode::PayPerRequest);
    call.attribute_definitions(attribute.build().unwrap()).send().await.unwrap();
    let error = fails(run("test", region, &bucket, &table).await, Class::Foreign);
    assert!(error.message().contains(&format!("table `{table}`")), "{error}");

    let key = kms.create_key().send().await.unwrap().key_metadata.unwrap();
    kms.create_alias().alias_name("alias/payinfra-state").target_key_id(key.key_id()).send().await.unwrap();
    let error = fails(run("test", region, &bucket, &name()).await, Class::Foreign);
    assert!(error.message().contains("key `alias/payinfra-state`"), "{error}");
    let rotation = kms.get_key_rotation_status().key_id(key.key_id()).send().await.unwrap();
    assert!(!rotation.key_rotation_enabled);
    assert!(s3(&config).head_bucket().bucket(&bucket).send().await.is_err());

    let report = run_with("test", region, &bucket, &table, Existing::Adopt).await.unwrap();
    assert!(report.key.adopted && report.table.adopted && report.bucket.created, "{report:?}");
    assert_eq!(report.key.repaired, ["tags", "rotation"]);
    assert_eq!(report.table.repaired, ["tags", "encryption", "point-in-time recovery", "deletion protection"]);
    assert!(run("test", region, &bucket, &table).await.unwrap().is_unchanged());
}

#[tokio::test]
async fn an_interrupted_bootstrap_knows_its_bucket_again() {
    let faults = Faults::none().await;
    let (host, region, bucket, table) = ("interrupted", "eu-west-2", name(), name());
    // Every call after the create fails, as if the process had been killed.
    faults.set([(calls(host, "s3", "Put*"), Fault::Error { status: 500 })]);
    fails(run(host, region, &bucket, &table).await, Class::Ambiguous);
    faults.set([]);
    let report = run(host, region, &bucket, &table).await.unwrap();
    assert!(!report.bucket.created && !report.bucket.adopted && report.table.created, "{report:?}");
    assert_eq!(report.bucket.repaired.first(), Some(&"versioning"));
    assert!(run(host, region, &bucket, &table).await.unwrap().is_unchanged());
}

#[tokio::test]
async fn what_is_set_is_read_back_until_it_is_seen() {
    let faults = Faults::none().await;
    let (host, region, bucket, table) = ("late", "eu-west-3", name(), name());
    faults.set([(calls(host, "s3", "PutBucketVersioning"), Fault::Stale { seconds: 1.5 })]);
    let begun = std::time::Instant::now();
    run(host, region, &bucket, &table).await.unwrap();
    assert!(begun.elapsed() >= std::time::Duration::from_millis(1500), "{:?}", begun.elapsed());
}
