//! Making the bucket and the table, again and again.

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use payinfra_engine::Class;
use payinfra_localstack::{ACCOUNT_ID, Fault, When};
use payinfra_state::{Report, bootstrap};

use crate::bench::{Faults, calls, config, fails, name};

/// Every test has a region of its own: keys have one alias per region.
async fn run(host: &str, region: &str, bucket: &str, table: &str) -> payinfra_engine::Result<Report> {
    bootstrap(&config(host).await, region, ACCOUNT_ID, bucket, table).await
}

fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(true).build())
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
    assert!(policy.contains("aws:SecureTransport"), "{policy}");
    let theirs = policy.replace("PayinfraOnlyTls", "Theirs").replace("s3:*", "s3:DeleteBucket");
    s3.put_bucket_policy().bucket(&bucket).policy(theirs).send().await.unwrap();
    s3.delete_public_access_block().bucket(&bucket).send().await.unwrap();
    s3.delete_bucket_tagging().bucket(&bucket).send().await.unwrap();
    s3.delete_bucket_encryption().bucket(&bucket).send().await.unwrap();
    let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(off).send().await.unwrap();
    let kms = aws_sdk_kms::Client::new(&config);
    kms.disable_key_rotation().key_id(&report.key.name).send().await.unwrap();

    let repaired = run("test", region, &bucket, &table).await.unwrap();
    assert_eq!(repaired.key.repaired, ["rotation"]);
    assert_eq!(repaired.bucket.repaired, ["public access block", "versioning", "encryption", "policy", "tags"]);
    assert!(repaired.table.repaired.is_empty() && !repaired.bucket.created, "{repaired:?}");
    let policy = s3.get_bucket_policy().bucket(&bucket).send().await.unwrap().policy.unwrap();
    assert!(policy.contains("PayinfraOnlyTls") && policy.contains("Theirs"), "{policy}");
    assert!(run("test", region, &bucket, &table).await.unwrap().is_unchanged());
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
