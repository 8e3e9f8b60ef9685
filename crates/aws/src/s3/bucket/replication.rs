//! Replication of a bucket's new objects to other buckets (AWS-FACTS §4.3).

use std::collections::BTreeMap;

use aws_sdk_s3::types::{
    self as sdk, DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination, EncryptionConfiguration, Metrics,
    MetricsStatus, ReplicationConfiguration, ReplicationRuleFilter, ReplicationRuleStatus, SourceSelectionCriteria,
    SseKmsEncryptedObjects, SseKmsEncryptedObjectsStatus,
};
use payinfra_engine::{Ref, Result, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Unless;
use crate::{Cx, Explain};

/// Replication. Both buckets must be versioned. S3 does not validate role and keys: errors only show as objects that
/// are not replicated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replication {
    /// The ARN of the role that S3 assumes.
    pub role: Ref<String>,
    /// The rules by id.
    pub rules: BTreeMap<String, ReplicationRule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicationRule {
    /// Whether it is disabled.
    pub disabled: bool,
    /// The priority: if two rules match, the higher number counts.
    pub priority: i32,
    /// The key prefix of the objects; all objects if it is empty.
    pub prefix: String,
    /// The ARN of the destination bucket. If two buckets replicate to each other, it must be written with the bucket's
    /// name (`arn:aws:s3:::NAME`), because references would form a cycle.
    pub bucket: Text,
    /// The ARN of the key in the destination's region for replicas of objects that are encrypted with KMS; without it,
    /// such objects are not replicated.
    pub kms_key: Option<Ref<String>>,
    /// Whether replication metrics are published to `CloudWatch`.
    pub metrics: bool,
    /// Whether delete markers are replicated. Deletions of versions never are.
    pub delete_markers: bool,
}

pub(super) async fn of(cx: &Cx, bucket: &str) -> Result<Option<Replication>> {
    let found = cx.s3().get_bucket_replication().bucket(bucket).send().await.explain();
    let found = found.unless_code(&["ReplicationConfigurationNotFoundError"])?;
    Ok(found.and_then(|found| found.replication_configuration).map(|found| Replication {
        role: Ref::Known(found.role),
        rules: found.rules.into_iter().map(|rule| (rule.id.clone().unwrap_or_default(), from(rule))).collect(),
    }))
}

pub(super) async fn put(cx: &Cx, bucket: &str, replication: Option<&Replication>) -> Result<()> {
    let Some(replication) = replication else {
        let call = cx.s3().delete_bucket_replication().bucket(bucket).send().await.explain();
        return call.unless_code(&["ReplicationConfigurationNotFoundError"]).map(drop);
    };
    let rules = replication.rules.iter().map(|(id, rule)| sdk(id, rule)).collect::<Result<_>>()?;
    let configuration = ReplicationConfiguration::builder().role(replication.role.known()?).set_rules(Some(rules));
    let call = cx.s3().put_bucket_replication().bucket(bucket);
    call.replication_configuration(configuration.build().explain()?).send().await.explain().map(drop)
}

/// Priority, filter and delete markers are always set; otherwise S3 treats the rule as an older schema.
fn sdk(id: &str, rule: &ReplicationRule) -> Result<sdk::ReplicationRule> {
    let mut to = Destination::builder().bucket(rule.bucket.known()?);
    if rule.metrics {
        to = to.metrics(Metrics::builder().status(MetricsStatus::Enabled).build().explain()?);
    }
    let mut encrypted = None;
    if let Some(key) = &rule.kms_key {
        to = to.encryption_configuration(EncryptionConfiguration::builder().replica_kms_key_id(key.known()?).build());
        let objects = SseKmsEncryptedObjects::builder().status(SseKmsEncryptedObjectsStatus::Enabled);
        let criteria = SourceSelectionCriteria::builder().sse_kms_encrypted_objects(objects.build().explain()?);
        encrypted = Some(criteria.build());
    }
    let markers = if rule.delete_markers {
        DeleteMarkerReplicationStatus::Enabled
    } else {
        DeleteMarkerReplicationStatus::Disabled
    };
    sdk::ReplicationRule::builder()
        .id(id)
        .priority(rule.priority)
        .status(if rule.disabled { ReplicationRuleStatus::Disabled } else { ReplicationRuleStatus::Enabled })
        .filter(ReplicationRuleFilter::builder().prefix(&rule.prefix).build())
        .set_source_selection_criteria(encrypted)
        .destination(to.build().explain()?)
        .delete_marker_replication(DeleteMarkerReplication::builder().status(markers).build())
        .build()
        .explain()
}

fn from(rule: sdk::ReplicationRule) -> ReplicationRule {
    // Rules of the schema without filters have the prefix themselves.
    #[expect(deprecated, reason = "S3 still returns it")]
    let old_prefix = rule.prefix;
    let to = rule.destination;
    let criteria = rule.source_selection_criteria.and_then(|criteria| criteria.sse_kms_encrypted_objects);
    let encrypted = criteria.is_some_and(|objects| objects.status == SseKmsEncryptedObjectsStatus::Enabled);
    let key = to.as_ref().and_then(|to| to.encryption_configuration.as_ref()?.replica_kms_key_id.clone());
    let markers = rule.delete_marker_replication.and_then(|markers| markers.status);
    ReplicationRule {
        disabled: rule.status == ReplicationRuleStatus::Disabled,
        priority: rule.priority.unwrap_or_default(),
        prefix: match rule.filter {
            // Rules that payinfra cannot express; they never compare equal.
            Some(filter) if filter.and.is_some() || filter.tag.is_some() => format!("{filter:?}"),
            Some(filter) => filter.prefix.unwrap_or_default(),
            None => old_prefix.unwrap_or_default(),
        },
        kms_key: key.filter(|_| encrypted).map(Ref::Known),
        metrics: to
            .as_ref()
            .is_some_and(|to| to.metrics.as_ref().is_some_and(|metrics| metrics.status == MetricsStatus::Enabled)),
        delete_markers: markers == Some(DeleteMarkerReplicationStatus::Enabled),
        bucket: Text::from(to.map(|to| to.bucket).unwrap_or_default()),
    }
}
