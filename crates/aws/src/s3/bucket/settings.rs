//! The small settings of a bucket: how each is read and written.
//!
//! A missing setting has an error code of its own. That of a missing bucket is different, and is passed on.

use aws_sdk_s3::types::{
    BucketLoggingStatus, BucketVersioningStatus, LoggingEnabled, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use payinfra_engine::{Ref, Result, Text};

use super::{Encryption, Logging};
use crate::error::Unless;
use crate::{Cx, Explain, Policy};

pub(super) async fn versioning(cx: &Cx, bucket: &str) -> Result<bool> {
    let found = cx.s3().get_bucket_versioning().bucket(bucket).send().await.explain()?;
    Ok(found.status == Some(BucketVersioningStatus::Enabled))
}

pub(super) async fn put_versioning(cx: &Cx, bucket: &str, on: bool) -> Result<()> {
    let status = if on { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
    let versioning = VersioningConfiguration::builder().status(status).build();
    let call = cx.s3().put_bucket_versioning().bucket(bucket).versioning_configuration(versioning);
    call.send().await.explain().map(drop)
}

/// `None` if S3's own key is used, as in every new bucket.
pub(super) async fn encryption(cx: &Cx, bucket: &str) -> Result<Option<Encryption>> {
    let found = cx.s3().get_bucket_encryption().bucket(bucket).send().await.explain();
    let found = found.unless_code(&["ServerSideEncryptionConfigurationNotFoundError"])?;
    let rules = found.and_then(|found| found.server_side_encryption_configuration).map(|found| found.rules);
    let encryption = rules.into_iter().flatten().find_map(|rule| {
        let default = rule.apply_server_side_encryption_by_default?;
        let own = default.sse_algorithm != ServerSideEncryption::Aes256;
        own.then(|| Encryption {
            key: Ref::Known(default.kms_master_key_id.unwrap_or_default()),
            bucket_key: rule.bucket_key_enabled.unwrap_or_default(),
        })
    });
    Ok(encryption)
}

pub(super) async fn put_encryption(cx: &Cx, bucket: &str, encryption: Option<&Encryption>) -> Result<()> {
    let Some(encryption) = encryption else {
        return cx.s3().delete_bucket_encryption().bucket(bucket).send().await.explain().map(drop);
    };
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms);
    let default = default.kms_master_key_id(encryption.key.known()?).build().explain()?;
    let rule = ServerSideEncryptionRule::builder().bucket_key_enabled(encryption.bucket_key);
    let rule = rule.apply_server_side_encryption_by_default(default).build();
    let encryption = ServerSideEncryptionConfiguration::builder().rules(rule).build().explain()?;
    let call = cx.s3().put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(encryption);
    call.send().await.explain().map(drop)
}

pub(super) async fn public_access(cx: &Cx, bucket: &str) -> Result<bool> {
    let found = cx.s3().get_public_access_block().bucket(bucket).send().await.explain();
    let found = found.unless_code(&["NoSuchPublicAccessBlockConfiguration"])?;
    Ok(found.and_then(|found| found.public_access_block_configuration).is_some_and(|block| {
        [block.block_public_acls, block.ignore_public_acls, block.block_public_policy, block.restrict_public_buckets]
            .iter()
            .all(|blocked| *blocked == Some(true))
    }))
}

pub(super) async fn put_public_access(cx: &Cx, bucket: &str, blocked: bool) -> Result<()> {
    if !blocked {
        return cx.s3().delete_public_access_block().bucket(bucket).send().await.explain().map(drop);
    }
    let block = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
    let block = block.block_public_policy(true).restrict_public_buckets(true).build();
    let call = cx.s3().put_public_access_block().bucket(bucket).public_access_block_configuration(block);
    call.send().await.explain().map(drop)
}

pub(super) async fn policy(cx: &Cx, bucket: &str) -> Result<Option<Policy>> {
    let found = cx.s3().get_bucket_policy().bucket(bucket).send().await.explain();
    let found = found.unless_code(&["NoSuchBucketPolicy"])?.and_then(|found| found.policy);
    found.as_deref().map(Policy::parse).transpose()
}

pub(super) async fn put_policy(cx: &Cx, bucket: &str, policy: Option<&Policy>) -> Result<()> {
    let Some(policy) = policy else {
        return cx.s3().delete_bucket_policy().bucket(bucket).send().await.explain().map(drop);
    };
    cx.s3().put_bucket_policy().bucket(bucket).policy(policy.document()?).send().await.explain().map(drop)
}

pub(super) async fn logging(cx: &Cx, bucket: &str) -> Result<Option<Logging>> {
    let found = cx.s3().get_bucket_logging().bucket(bucket).send().await.explain()?;
    Ok(found
        .logging_enabled
        .map(|logging| Logging { bucket: Text::from(logging.target_bucket), prefix: logging.target_prefix }))
}

pub(super) async fn put_logging(cx: &Cx, bucket: &str, logging: Option<&Logging>) -> Result<()> {
    let mut status = BucketLoggingStatus::builder();
    if let Some(logging) = logging {
        let enabled = LoggingEnabled::builder().target_bucket(logging.bucket.known()?).target_prefix(&logging.prefix);
        status = status.logging_enabled(enabled.build().explain()?);
    }
    let call = cx.s3().put_bucket_logging().bucket(bucket).bucket_logging_status(status.build());
    call.send().await.explain().map(drop)
}

pub(super) async fn ownership(cx: &Cx, bucket: &str) -> Result<bool> {
    let found = cx.s3().get_bucket_ownership_controls().bucket(bucket).send().await.explain();
    let found = found.unless_code(&["OwnershipControlsNotFoundError"])?.and_then(|found| found.ownership_controls);
    Ok(found.is_some_and(|controls| {
        controls.rules.iter().any(|rule| rule.object_ownership == ObjectOwnership::BucketOwnerEnforced)
    }))
}

pub(super) async fn put_ownership(cx: &Cx, bucket: &str, enforced: bool) -> Result<()> {
    if !enforced {
        return cx.s3().delete_bucket_ownership_controls().bucket(bucket).send().await.explain().map(drop);
    }
    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced);
    let controls = OwnershipControls::builder().rules(rule.build().explain()?).build().explain()?;
    let call = cx.s3().put_bucket_ownership_controls().bucket(bucket).ownership_controls(controls);
    call.send().await.explain().map(drop)
}
