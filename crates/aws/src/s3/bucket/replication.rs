//! The copies that S3 makes of a bucket's new objects in other buckets (AWS-FACTS §4.3).

use std::collections::BTreeMap;

use aws_sdk_s3::types::{
    self as sdk, DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination, EncryptionConfiguration, Metrics,
    MetricsStatus, ReplicationConfiguration, ReplicationRuleFilter, ReplicationRuleStatus, SourceSelectionCriteria,
    SseKmsEncryptedObjects, SseKmsEncryptedObjectsStatus,
};
use payinfra_engine::{Ref, Result, Text};
use serde::{Deserialize, Serialize};

use crate::error::Unless;
use crate::{Cx, Explain};

/// Replication. Both ends must keep versions. S3 does not check role and keys: what is wrong with them shows only in
/// the objects that are not copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    /// The ARN of the role that S3 takes on for it.
    pub role: Ref<String>,
    /// What goes where, by the rules' ids.
    pub rules: BTreeMap<String, ReplicationRule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationRule {
    /// Whether it rests.
    pub disabled: bool,
    /// Which rule counts where two fit: the higher number.
    pub priority: i32,
    /// The objects it is about: those whose keys start so; all if it is empty.
    pub prefix: String,
    /// The ARN of the bucket that the copies go to. Where two buckets copy into each other it has to be written from
    /// the bucket's name (`arn:aws:s3:::NAME`), because a reference would close a circle.
    pub bucket: Text,
    /// The ARN of the key, in that bucket's region, for copies of objects that a key of KMS encrypts; without it such
    /// objects are not copied.
    pub kms_key: Option<Ref<String>>,
    /// Whether `CloudWatch` gets to know how far behind the copies are.
    pub metrics: bool,
    /// Whether what is deleted here is deleted there too; never so for versions.
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

/// Priority, filter and delete markers are all said, for S3 takes a rule that lacks one for an older form.
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
    // Rules of before there were filters have the prefix themselves.
    #[expect(deprecated, reason = "S3 still answers so")]
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
            // Somebody else's: nothing that we say can equal it.
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
