//! The bucket for states and its settings. Every call names the account that must own it.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
    ObjectOwnership, OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging,
    VersioningConfiguration,
};
use payinfra_engine::{Class, Error, Result};
use payinfra_sdk::{Explain, Unless};
use serde_json::{Value, json};

use super::{Existing, Found, Made, PATIENCE, TAG, read_back};
use crate::retry::patiently;
use crate::s3::{client, denied};

/// The ids of our statements in the bucket policy.
const SIDS: [&str; 2] = ["PayinfraOnlyTls", "PayinfraOnlyOurKey"];
/// The id of our lifecycle rule.
const RULE: &str = "payinfra-noncurrent-versions";
/// How long a version stays after it has been replaced or deleted, in days.
const VERSION_DAYS: i32 = 90;

/// Retries a call to S3 on a bucket that is ours. All calls here are idempotent.
macro_rules! call {
    ($bucket:ident, $call:ident $(. $set:ident($value:expr))*) => {{
        let call = $bucket.s3.$call().bucket($bucket.name).expected_bucket_owner($bucket.account)$(.$set($value))*;
        patiently(|| async { call.clone().send().await.explain() }).await
    }};
}

pub(super) struct Bucket<'a> {
    s3: Client,
    region: &'a str,
    account: &'a str,
    name: &'a str,
}

/// The settings of a bucket for states, in the order in which they are applied.
#[derive(Clone, Copy)]
enum Setting {
    Tags,
    PublicAccessBlock,
    Ownership,
    Versioning,
    Lifecycle,
    Encryption,
    Policy,
}

impl Setting {
    const ALL: [Self; 7] = [
        Self::Tags,
        Self::PublicAccessBlock,
        Self::Ownership,
        Self::Versioning,
        Self::Lifecycle,
        Self::Encryption,
        Self::Policy,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::PublicAccessBlock => "public access block",
            Self::Ownership => "ownership",
            Self::Versioning => "versioning",
            Self::Lifecycle => "lifecycle",
            Self::Encryption => "encryption",
            Self::Policy => "policy",
        }
    }
}

impl<'a> Bucket<'a> {
    pub(super) fn new(config: &SdkConfig, region: &'a str, account: &'a str, name: &'a str) -> Self {
        Self { s3: client(config), region, account, name }
    }

    /// Whether it exists, and whether bootstrap created it.
    pub(super) async fn find(&self) -> Result<Found> {
        if !self.exists().await? {
            return Ok(Found::Missing);
        }
        let tagged = self.tags().await?.contains(&our_tag()?);
        Ok(if tagged { Found::Ours } else { Found::Untagged })
    }

    /// Whether it exists and belongs to this account.
    async fn exists(&self) -> Result<bool> {
        let call = self.s3.head_bucket().bucket(self.name).expected_bucket_owner(self.account);
        let look = || async {
            match call.clone().send().await {
                Ok(answer) => Ok(answer.bucket_region),
                // The response has no body. Its header shows that the bucket is in another region.
                Err(error) => match error.raw_response() {
                    Some(response) if matches!(response.status().as_u16(), 301 | 307 | 400) => {
                        let region = response.headers().get("x-amz-bucket-region");
                        Ok(Some(region.unwrap_or("another region").to_owned()))
                    }
                    _ => Err(error).explain(),
                },
            }
        };
        match patiently(look).await.unless(Class::NotFound) {
            Ok(None) => Ok(false),
            Ok(Some(Some(region))) if region != self.region => Err(self.elsewhere(&region)),
            Ok(Some(_)) => Ok(true),
            Err(error) => Err(denied(self.name, self.account).explain(&self.s3, error).await),
        }
    }

    fn elsewhere(&self, region: &str) -> Error {
        Error::invalid(format!("bucket `{}` is in {region}, not in {}", self.name, self.region))
            .hint("correct `region` in `[state]` of payinfra.toml")
    }

    /// Creates it if it is missing, and repairs its settings.
    pub(super) async fn ensure(&self, found: Found, key: &str) -> Result<Made> {
        if found == Found::Missing {
            self.create().await?;
        }
        let what = format!("bucket `{}`", self.name);
        let mut repaired = Vec::new();
        for setting in Setting::ALL {
            if !self.has(setting, key).await? {
                self.set(setting, key).await?;
                repaired.push(read_back(&what, setting.name(), PATIENCE, || self.has(setting, key)).await?);
            }
        }
        Ok(Made::new(self.name, found, repaired))
    }

    /// Creates it with our tag, so that bootstrap recognizes it after an interruption.
    async fn create(&self) -> Result<()> {
        let mut place = CreateBucketConfiguration::builder().tags(our_tag()?);
        // `us-east-1` must not be given as a location constraint.
        if self.region != "us-east-1" {
            place = place.location_constraint(BucketLocationConstraint::from(self.region));
        }
        let call = self.s3.create_bucket().bucket(self.name).create_bucket_configuration(place.build());
        let Err(error) = patiently(|| async { call.clone().send().await.explain() }).await else { return Ok(()) };
        match error.get_code() {
            // An earlier attempt whose response was lost, or another bootstrap at the same time.
            Some("BucketAlreadyOwnedByYou") => {
                self.find().await?.may_be_changed(&format!("bucket `{}`", self.name), Existing::Refuse)
            }
            // Created by another account in the meantime; `find` reports that.
            Some("BucketAlreadyExists") => self.exists().await.and(Err(error)),
            _ => Err(error),
        }
    }

    async fn has(&self, setting: Setting, key: &str) -> Result<bool> {
        match setting {
            Setting::Tags => Ok(self.tags().await?.contains(&our_tag()?)),
            Setting::PublicAccessBlock => {
                let there = call!(self, get_public_access_block).unless(Class::NotFound)?;
                Ok(there.and_then(|there| there.public_access_block_configuration) == Some(closed()))
            }
            Setting::Ownership => {
                let there = call!(self, get_bucket_ownership_controls).unless(Class::NotFound)?;
                let there = there.and_then(|there| there.ownership_controls);
                Ok(there == Some(owner_enforced()?))
            }
            Setting::Versioning => {
                Ok(call!(self, get_bucket_versioning)?.status() == Some(&BucketVersioningStatus::Enabled))
            }
            Setting::Encryption => self.is_encrypted(key).await,
            Setting::Lifecycle => Ok(self.rules().await?.iter().any(expires)),
            Setting::Policy => {
                let statements = self.statements().await?;
                Ok(self.ours(key).iter().all(|ours| statements.contains(ours)))
            }
        }
    }

    async fn set(&self, setting: Setting, key: &str) -> Result<()> {
        match setting {
            Setting::Tags => {
                // Keep tags of others.
                let mut tags = self.tags().await?;
                tags.retain(|tag| tag.key() != TAG.0);
                tags.push(our_tag()?);
                let tagging = Tagging::builder().set_tag_set(Some(tags)).build().explain()?;
                call!(self, put_bucket_tagging.tagging(tagging)).map(drop)
            }
            Setting::PublicAccessBlock => {
                call!(self, put_public_access_block.public_access_block_configuration(closed())).map(drop)
            }
            Setting::Ownership => {
                call!(self, put_bucket_ownership_controls.ownership_controls(owner_enforced()?)).map(drop)
            }
            Setting::Versioning => {
                let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
                call!(self, put_bucket_versioning.versioning_configuration(on)).map(drop)
            }
            Setting::Lifecycle => {
                // Keep rules of others.
                let mut rules = self.rules().await?;
                rules.retain(|rule| rule.id() != Some(RULE));
                rules.push(expiry()?);
                let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().explain()?;
                call!(self, put_bucket_lifecycle_configuration.lifecycle_configuration(rules)).map(drop)
            }
            Setting::Encryption => {
                let rules = encrypted(key)?;
                call!(self, put_bucket_encryption.server_side_encryption_configuration(rules)).map(drop)
            }
            Setting::Policy => {
                // Keep statements of others.
                let mut statements = self.statements().await?;
                let is_ours = |sid: &Value| sid.as_str().is_some_and(|sid| SIDS.contains(&sid));
                statements.retain(|statement| !statement.get("Sid").is_some_and(is_ours));
                statements.extend(self.ours(key));
                let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
                call!(self, put_bucket_policy.policy(policy)).map(drop)
            }
        }
    }

    async fn tags(&self) -> Result<Vec<Tag>> {
        let there = call!(self, get_bucket_tagging).unless_code(&["NoSuchTagSet"])?;
        Ok(there.map(|there| there.tag_set).unwrap_or_default())
    }

    async fn rules(&self) -> Result<Vec<LifecycleRule>> {
        let there = call!(self, get_bucket_lifecycle_configuration).unless_code(&["NoSuchLifecycleConfiguration"])?;
        Ok(there.and_then(|there| there.rules).unwrap_or_default())
    }

    async fn is_encrypted(&self, key: &str) -> Result<bool> {
        let there = call!(self, get_bucket_encryption).unless(Class::NotFound)?;
        let there = there.and_then(|there| there.server_side_encryption_configuration);
        let is_ours = |rule: &ServerSideEncryptionRule| {
            rule.bucket_key_enabled() == Some(true)
                && rule.apply_server_side_encryption_by_default().is_some_and(|default| {
                    *default.sse_algorithm() == ServerSideEncryption::AwsKms && default.kms_master_key_id() == Some(key)
                })
        };
        Ok(there.is_some_and(|there| matches!(there.rules(), [rule] if is_ours(rule))))
    }

    /// The statements of the bucket policy.
    async fn statements(&self) -> Result<Vec<Value>> {
        let there = call!(self, get_bucket_policy).unless(Class::NotFound)?;
        let Some(policy) = there.and_then(|there| there.policy) else { return Ok(Vec::new()) };
        let unreadable = |error| {
            Error::failed(format!("the policy of bucket `{}` cannot be parsed, and was not changed", self.name))
                .source(error)
        };
        let policy: Value = serde_json::from_str(&policy).map_err(unreadable)?;
        Ok(match policy.get("Statement") {
            Some(Value::Array(statements)) => statements.clone(),
            Some(statement) => vec![statement.clone()],
            None => Vec::new(),
        })
    }

    /// Our statements of the policy: without TLS, nothing is accepted, and nobody stores an object with another key than the
    /// bucket's. Requests that say nothing of encryption get the bucket's own.
    fn ours(&self, key: &str) -> [Value; 2] {
        let arn = format!("arn:{}:s3:::{}", partition(self.region), self.name);
        let [tls, encryption] = SIDS;
        let objects = format!("{arn}/*");
        [
            json!({
                "Sid": tls,
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, objects],
                "Condition": { "Bool": { "aws:SecureTransport": "false" } },
            }),
            json!({
                "Sid": encryption,
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": objects,
                "Condition": {
                    "Null": { "s3:x-amz-server-side-encryption": "false" },
                    "StringNotEquals": { "s3:x-amz-server-side-encryption-aws-kms-key-id": key },
                },
            }),
        ]
    }
}

fn our_tag() -> Result<Tag> {
    Tag::builder().key(TAG.0).value(TAG.1).build().explain()
}

fn closed() -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build()
}

fn owner_enforced() -> Result<OwnershipControls> {
    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced);
    OwnershipControls::builder().rules(rule.build().explain()?).build().explain()
}

/// The rule that deletes versions some time after they have been replaced or deleted.
fn expiry() -> Result<LifecycleRule> {
    let versions = NoncurrentVersionExpiration::builder().noncurrent_days(VERSION_DAYS).build();
    // A delete marker that hides nothing any more.
    let markers = LifecycleExpiration::builder().expired_object_delete_marker(true).build();
    LifecycleRule::builder()
        .id(RULE)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .noncurrent_version_expiration(versions)
        .expiration(markers)
        .build()
        .explain()
}

/// Whether `rule` is ours and has an effect.
fn expires(rule: &LifecycleRule) -> bool {
    let days = rule.noncurrent_version_expiration().and_then(NoncurrentVersionExpiration::noncurrent_days);
    rule.id() == Some(RULE) && *rule.status() == ExpirationStatus::Enabled && days == Some(VERSION_DAYS)
}

fn encrypted(key: &str) -> Result<ServerSideEncryptionConfiguration> {
    let default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::AwsKms)
        .kms_master_key_id(key)
        .build()
        .explain()?;
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .bucket_key_enabled(true)
        .build();
    ServerSideEncryptionConfiguration::builder().rules(rule).build().explain()
}

fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
