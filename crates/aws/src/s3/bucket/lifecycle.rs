//! Lifecycle rules of a bucket.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::types::{
    self as sdk, AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration,
    LifecycleRuleFilter, NoncurrentVersionExpiration, NoncurrentVersionTransition, TransitionStorageClass,
};
use payinfra_engine::{Result, counted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Unless;
use crate::{Cx, Explain};

/// A lifecycle rule. A number of days of 0 means never: rules are managed as a whole, so no part of one is unmanaged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LifecycleRule {
    /// Whether it is disabled.
    pub disabled: bool,
    /// The key prefix of the objects; all objects if it is empty.
    pub prefix: String,
    /// Transitions of objects.
    pub transitions: BTreeSet<Transition>,
    /// The age in days at which objects expire; in a versioned bucket, they become noncurrent.
    pub expiration_days: i32,
    /// Transitions of noncurrent versions.
    pub noncurrent_transitions: BTreeSet<Transition>,
    /// The age in days at which noncurrent versions expire.
    pub noncurrent_expiration_days: i32,
    /// The age in days at which incomplete multipart uploads are aborted.
    pub abort_multipart_days: i32,
}

/// A transition to another storage class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The age in days.
    pub days: i32,
    /// The storage class: `STANDARD_IA`, `GLACIER`, ….
    pub class: String,
}

/// The objects that expire with the rules in `want`, but not, or later, with those in `was`.
pub(super) fn losses(want: &BTreeMap<String, LifecycleRule>, was: &BTreeMap<String, LifecycleRule>) -> Vec<String> {
    let mut losses = Vec::new();
    for (id, rule) in want.iter().filter(|(_, rule)| !rule.disabled) {
        let before = was.get(id).filter(|before| !before.disabled && rule.prefix.starts_with(&before.prefix));
        let sooner = |days: i32, before: i32| days != 0 && (before == 0 || days < before);
        let under = if rule.prefix.is_empty() { String::new() } else { format!(" under `{}`", rule.prefix) };
        if sooner(rule.expiration_days, before.map_or(0, |before| before.expiration_days)) {
            let age = counted(rule.expiration_days, "day", "days");
            losses.push(format!("objects older than {age}{under}"));
        }
        if sooner(rule.noncurrent_expiration_days, before.map_or(0, |before| before.noncurrent_expiration_days)) {
            let age = counted(rule.noncurrent_expiration_days, "day", "days");
            losses.push(format!("noncurrent versions older than {age}{under}"));
        }
    }
    losses
}

/// The rules of `bucket` by id.
pub(super) async fn of(cx: &Cx, bucket: &str) -> Result<BTreeMap<String, LifecycleRule>> {
    let found = cx.s3().get_bucket_lifecycle_configuration().bucket(bucket).send().await.explain();
    let found = found.unless_code(&["NoSuchLifecycleConfiguration"])?.and_then(|found| found.rules);
    Ok(found.into_iter().flatten().map(|rule| (rule.id.clone().unwrap_or_default(), from(rule))).collect())
}

/// Replaces all `rules`, as S3 requires.
pub(super) async fn put(cx: &Cx, bucket: &str, rules: &BTreeMap<String, LifecycleRule>) -> Result<()> {
    if rules.is_empty() {
        return cx.s3().delete_bucket_lifecycle().bucket(bucket).send().await.explain().map(drop);
    }
    let rules = rules.iter().map(|(id, rule)| sdk(id, rule)).collect::<Result<_>>()?;
    let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().explain()?;
    let call = cx.s3().put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(rules);
    call.send().await.explain().map(drop)
}

fn sdk(id: &str, rule: &LifecycleRule) -> Result<sdk::LifecycleRule> {
    let days = |days| (days != 0).then_some(days);
    let class = |class: &str| TransitionStorageClass::from(class);
    let moves = rule.transitions.iter();
    let moves = moves.map(|to| sdk::Transition::builder().days(to.days).storage_class(class(&to.class)).build());
    let old_moves = rule.noncurrent_transitions.iter().map(|to| {
        NoncurrentVersionTransition::builder().noncurrent_days(to.days).storage_class(class(&to.class)).build()
    });
    sdk::LifecycleRule::builder()
        .id(id)
        .status(if rule.disabled { ExpirationStatus::Disabled } else { ExpirationStatus::Enabled })
        .filter(LifecycleRuleFilter::builder().prefix(&rule.prefix).build())
        .set_transitions(some(moves.collect()))
        .set_expiration(days(rule.expiration_days).map(|days| LifecycleExpiration::builder().days(days).build()))
        .set_noncurrent_version_transitions(some(old_moves.collect()))
        .set_noncurrent_version_expiration(
            days(rule.noncurrent_expiration_days)
                .map(|days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build()),
        )
        .set_abort_incomplete_multipart_upload(
            days(rule.abort_multipart_days)
                .map(|days| AbortIncompleteMultipartUpload::builder().days_after_initiation(days).build()),
        )
        .build()
        .explain()
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn from(rule: sdk::LifecycleRule) -> LifecycleRule {
    // Rules of the schema without filters have the prefix themselves.
    #[expect(deprecated, reason = "S3 still returns it")]
    let old_prefix = rule.prefix;
    let class = |class: Option<TransitionStorageClass>| class.map(|class| class.to_string()).unwrap_or_default();
    let moves = rule.transitions.unwrap_or_default().into_iter();
    let old_moves = rule.noncurrent_version_transitions.unwrap_or_default().into_iter();
    LifecycleRule {
        disabled: rule.status == ExpirationStatus::Disabled,
        prefix: match rule.filter {
            // Rules that payinfra cannot express; they never compare equal.
            Some(filter) if filter.and.is_some() || filter.tag.is_some() => format!("{filter:?}"),
            Some(filter) => filter.prefix.unwrap_or_default(),
            None => old_prefix.unwrap_or_default(),
        },
        transitions: moves
            .map(|to| Transition { days: to.days.unwrap_or_default(), class: class(to.storage_class) })
            .collect(),
        expiration_days: rule.expiration.and_then(|expiration| expiration.days).unwrap_or_default(),
        noncurrent_transitions: old_moves
            .map(|to| Transition { days: to.noncurrent_days.unwrap_or_default(), class: class(to.storage_class) })
            .collect(),
        noncurrent_expiration_days: rule
            .noncurrent_version_expiration
            .and_then(|expiration| expiration.noncurrent_days)
            .unwrap_or_default(),
        abort_multipart_days: rule
            .abort_incomplete_multipart_upload
            .and_then(|abort| abort.days_after_initiation)
            .unwrap_or_default(),
    }
}
