//! Buckets, and their replication to the other region.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{
    BucketVersioningStatus, DeleteMarkerReplicationStatus, LifecycleExpiration, MetricsStatus, ReplicationRuleStatus,
    ServerSideEncryption, SseKmsEncryptedObjectsStatus, Transition, TransitionStorageClass,
};
use payinfra_tests::Bench;
use serde_json::Value;

use crate::{SIDES, key, migration, texts};

/// The buckets of M-19.
const KINDS: [&str; 2] = ["audit-trail", "transactions"];

/// The region's bucket of the type `kind`.
async fn bucket(bench: &Bench, region: &str, kind: &str) -> String {
    let buckets = bench.s3(region).list_buckets().send().await.unwrap();
    let start = format!("payment-{kind}-migration-demo1-{region}-");
    let names = buckets.buckets().iter().filter_map(|bucket| bucket.name());
    let found: Vec<_> = names.filter(|name| name.starts_with(&start)).collect();
    assert_eq!(found.len(), 1, "one bucket {start}");
    found[0].to_owned()
}

fn step(transition: &Transition) -> (Option<i32>, Option<&TransitionStorageClass>) {
    (transition.days(), transition.storage_class())
}

/// M-19, X-03: versioning, the region's own key with bucket keys, access logs, and transitions to cheaper storage; the
/// audit trail expires after seven years.
#[tokio::test(flavor = "multi_thread")]
async fn m19_x03_buckets_are_versioned_encrypted_logged_and_archived() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let s3 = bench.s3(region);
        let storage = key(bench, region, "storage").await;
        for kind in KINDS {
            let bucket = bucket(bench, region, kind).await;
            let versioning = s3.get_bucket_versioning().bucket(&bucket).send().await.unwrap();
            assert_eq!(versioning.status(), Some(&BucketVersioningStatus::Enabled), "{bucket}");

            let encryption = s3.get_bucket_encryption().bucket(&bucket).send().await.unwrap();
            let rule = &encryption.server_side_encryption_configuration().unwrap().rules()[0];
            let default = rule.apply_server_side_encryption_by_default().unwrap();
            assert_eq!(default.sse_algorithm(), &ServerSideEncryption::AwsKms, "{bucket}");
            assert_eq!(default.kms_master_key_id(), Some(&storage[..]), "{bucket}");
            assert_eq!(rule.bucket_key_enabled(), Some(true), "{bucket}");

            let lifecycle = s3.get_bucket_lifecycle_configuration().bucket(&bucket).send().await.unwrap();
            let rule = &lifecycle.rules()[0];
            let steps: BTreeSet<_> = rule.transitions().iter().map(aws_sdk_s3::types::Transition::days).collect();
            assert_eq!(steps, BTreeSet::from([Some(30), Some(90)]), "{bucket}");
            for step in rule.transitions().iter().map(step) {
                let class = step.1.unwrap();
                let expected = if step.0 == Some(30) { "STANDARD_IA" } else { "GLACIER" };
                assert_eq!(class.as_str(), expected, "{bucket}");
            }
            let expiry = rule.expiration().and_then(LifecycleExpiration::days);
            let seven_years = (kind == "audit-trail").then_some(7 * 365 + 2);
            assert_eq!(expiry, seven_years, "{bucket}");

            let logging = s3.get_bucket_logging().bucket(&bucket).send().await.unwrap();
            let target = logging.logging_enabled().unwrap();
            assert_eq!(target.target_bucket(), self::bucket(bench, region, "access-logs").await, "{bucket}");
            assert_eq!(target.target_prefix(), format!("{kind}/"), "{bucket}");
        }
    }
}

/// M-19, X-05, X-03: no bucket is public, and all of them require TLS.
#[tokio::test(flavor = "multi_thread")]
async fn m19_x05_x03_buckets_are_private_and_take_tls_only() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let s3 = bench.s3(region);
        for kind in ["access-logs", "audit-trail", "transactions"] {
            let bucket = bucket(bench, region, kind).await;
            let block = s3.get_public_access_block().bucket(&bucket).send().await.unwrap();
            let block = block.public_access_block_configuration().unwrap();
            let all = [
                block.block_public_acls(),
                block.block_public_policy(),
                block.ignore_public_acls(),
                block.restrict_public_buckets(),
            ];
            assert_eq!(all, [Some(true); 4], "{bucket}");

            let policy = s3.get_bucket_policy().bucket(&bucket).send().await.unwrap();
            let policy: Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
            let statements = policy["Statement"].as_array().unwrap();
            let plain = |it: &&Value| it["Condition"]["Bool"]["aws:SecureTransport"].to_string().contains("false");
            let deny = statements.iter().find(plain).unwrap();
            assert_eq!((&deny["Effect"], texts(&deny["Action"])), (&"Deny".into(), vec!["s3:*"]), "{bucket}");
            let principal = &deny["Principal"];
            assert!(
                principal == "*" || texts(&principal["AWS"]) == ["*"] || texts(&principal["*"]) == ["*"],
                "{bucket}"
            );
            let on: BTreeSet<_> = texts(&deny["Resource"]).into_iter().map(str::to_owned).collect();
            let arn = format!("arn:aws:s3:::{bucket}");
            assert_eq!(on, BTreeSet::from([format!("{arn}/*"), arn]), "{bucket}");
            for allow in statements.iter().filter(|it| it["Effect"] == "Allow") {
                let named = allow["Principal"]["Service"].is_string() || allow["Principal"]["Service"].is_array();
                assert!(named, "{bucket}: only services are allowed");
            }
        }
    }
}

/// M-20: both buckets replicate in both directions, encrypted with the destination's key, including delete markers,
/// with metrics.
#[tokio::test(flavor = "multi_thread")]
async fn m20_buckets_replicate_both_ways_with_keys_delete_markers_and_metrics() {
    let bench = migration().await;
    for (region, other) in [("us-east-1", "us-east-2"), ("us-east-2", "us-east-1")] {
        for kind in KINDS {
            let bucket = bucket(bench, region, kind).await;
            let answer = bench.s3(region).get_bucket_replication().bucket(&bucket).send().await.unwrap();
            let configuration = answer.replication_configuration().unwrap();
            let replicator = format!("role/payment-replication-migration-demo1-{region}");
            assert!(configuration.role().ends_with(&replicator), "{bucket}: {}", configuration.role());
            assert_eq!(configuration.rules().len(), 1, "{bucket}");
            let rule = &configuration.rules()[0];
            assert_eq!(rule.status(), &ReplicationRuleStatus::Enabled, "{bucket}");
            let markers = rule.delete_marker_replication().unwrap();
            assert_eq!(markers.status(), Some(&DeleteMarkerReplicationStatus::Enabled), "{bucket}");
            let selected = rule.source_selection_criteria().unwrap().sse_kms_encrypted_objects().unwrap();
            assert_eq!(selected.status(), &SseKmsEncryptedObjectsStatus::Enabled, "{bucket}");
            let destination = rule.destination().unwrap();
            let far = self::bucket(bench, other, kind).await;
            assert_eq!(destination.bucket(), format!("arn:aws:s3:::{far}"), "{bucket}");
            let encryption = destination.encryption_configuration().unwrap();
            assert_eq!(encryption.replica_kms_key_id(), Some(&key(bench, other, "storage").await[..]), "{bucket}");
            assert_eq!(destination.metrics().unwrap().status(), &MetricsStatus::Enabled, "{bucket}");
        }
    }
}

/// M-20: objects that are written in one region appear in the other, if the emulators replicate as AWS does.
#[tokio::test(flavor = "multi_thread")]
async fn m20_an_object_arrives_in_the_other_region() {
    if std::env::var("PAYINFRA_TEST_PROFILE").is_ok_and(|profile| profile == "localstack") {
        return;
    }
    let bench = migration().await;
    for (region, other) in [("us-east-1", "us-east-2"), ("us-east-2", "us-east-1")] {
        for kind in KINDS {
            let (near, far) = (bucket(bench, region, kind).await, bucket(bench, other, kind).await);
            let (key, body) = (format!("from/{region}"), format!("{kind} of {region}"));
            let put = bench.s3(region).put_object().bucket(&near).key(&key).body(body.clone().into_bytes().into());
            put.send().await.unwrap();
            let copy = bench.s3(other).get_object().bucket(&far).key(&key).send().await.unwrap();
            assert_eq!(copy.body.collect().await.unwrap().to_vec(), body.into_bytes(), "{far}");
        }
    }
}
