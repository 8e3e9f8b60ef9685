//! The bucket of states and its settings.

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging, VersioningConfiguration,
};
use payinfra_engine::{Class, Error, Result};
use payinfra_sdk::{Explain, Unless};
use serde_json::{Value, json};

use super::{Made, TAG, set};
use crate::retry::patiently;
use crate::s3::client;

/// By which our statement in the bucket's policy is known.
const SID: &str = "PayinfraOnlyTls";

/// Calls S3 until it answers. All of the calls here can be repeated.
macro_rules! call {
    ($call:expr) => {{
        let call = $call;
        patiently(|| async { call.clone().send().await.explain() }).await
    }};
}

pub(super) struct Bucket<'a> {
    s3: Client,
    region: &'a str,
    account: &'a str,
    name: &'a str,
}

impl<'a> Bucket<'a> {
    pub(super) fn new(config: &SdkConfig, region: &'a str, account: &'a str, name: &'a str) -> Self {
        Self { s3: client(config), region, account, name }
    }

    /// Whether it exists and is this account's.
    pub(super) async fn exists(&self) -> Result<bool> {
        let call = self.s3.head_bucket().bucket(self.name).expected_bucket_owner(self.account);
        let look = || async {
            match call.clone().send().await {
                Ok(answer) => Ok(answer.bucket_region),
                // Such an answer has no body: the header alone tells of a bucket in another region.
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
            Err(error) if error.is(Class::Denied) => Err(self.foreign(error)),
            Err(error) => Err(error),
        }
    }

    fn elsewhere(&self, region: &str) -> Error {
        Error::invalid(format!("the bucket `{}` is in {region}, not in {}", self.name, self.region))
            .hint("correct `region` in `[state]` of payinfra.toml")
    }

    fn foreign(&self, source: Error) -> Error {
        let text = format!("the bucket `{}` exists, and is not account {}'s or closed to it", self.name, self.account);
        Error::new(Class::Foreign, text)
            .hint("name another `bucket` in `[state]` of payinfra.toml: the names of buckets are shared by all of AWS")
            .source(source)
    }

    /// Makes it if it is missing, and sets what differs.
    pub(super) async fn ensure(&self, exists: bool, key: &str) -> Result<Made> {
        if !exists {
            self.create().await?;
        }
        let settings = [
            set("public access block", self.close().await?),
            set("ownership", self.own().await?),
            set("versioning", self.keep_versions().await?),
            set("encryption", self.encrypt(key).await?),
            set("policy", self.only_tls().await?),
            set("tags", self.tag().await?),
        ];
        Ok(Made::new(self.name, !exists, settings))
    }

    async fn create(&self) -> Result<()> {
        // AWS takes every region but the first as a constraint.
        let place = (self.region != "us-east-1").then(|| {
            let region = BucketLocationConstraint::from(self.region);
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        match call!(self.s3.create_bucket().bucket(self.name).set_create_bucket_configuration(place)) {
            Err(error) if error.get_code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            Err(error) if error.is(Class::Foreign) => Err(self.foreign(error)),
            answer => answer.map(|_| ()),
        }
    }

    async fn close(&self) -> Result<bool> {
        let closed = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let there = call!(self.s3.get_public_access_block().bucket(self.name)).unless(Class::NotFound)?;
        if there.and_then(|there| there.public_access_block_configuration).as_ref() == Some(&closed) {
            return Ok(false);
        }
        call!(self.s3.put_public_access_block().bucket(self.name).public_access_block_configuration(closed))?;
        Ok(true)
    }

    async fn own(&self) -> Result<bool> {
        let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced);
        let rule = rule.build().explain()?;
        let there = call!(self.s3.get_bucket_ownership_controls().bucket(self.name)).unless(Class::NotFound)?;
        if there.and_then(|there| there.ownership_controls).is_some_and(|there| there.rules() == [rule.clone()]) {
            return Ok(false);
        }
        let controls = OwnershipControls::builder().rules(rule).build().explain()?;
        call!(self.s3.put_bucket_ownership_controls().bucket(self.name).ownership_controls(controls))?;
        Ok(true)
    }

    async fn keep_versions(&self) -> Result<bool> {
        let there = call!(self.s3.get_bucket_versioning().bucket(self.name))?;
        if there.status() == Some(&BucketVersioningStatus::Enabled) {
            return Ok(false);
        }
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        call!(self.s3.put_bucket_versioning().bucket(self.name).versioning_configuration(on))?;
        Ok(true)
    }

    async fn encrypt(&self, key: &str) -> Result<bool> {
        let there = call!(self.s3.get_bucket_encryption().bucket(self.name)).unless(Class::NotFound)?;
        let there = there.and_then(|there| there.server_side_encryption_configuration);
        let is_ours = |rule: &ServerSideEncryptionRule| {
            rule.bucket_key_enabled() == Some(true)
                && rule.apply_server_side_encryption_by_default().is_some_and(|default| {
                    *default.sse_algorithm() == ServerSideEncryption::AwsKms && default.kms_master_key_id() == Some(key)
                })
        };
        if there.is_some_and(|there| matches!(there.rules(), [rule] if is_ours(rule))) {
            return Ok(false);
        }
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::AwsKms)
            .kms_master_key_id(key)
            .build()
            .explain()?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            .bucket_key_enabled(true)
            .build();
        let rules = ServerSideEncryptionConfiguration::builder().rules(rule).build().explain()?;
        call!(self.s3.put_bucket_encryption().bucket(self.name).server_side_encryption_configuration(rules))?;
        Ok(true)
    }

    /// Statements of others stay.
    async fn only_tls(&self) -> Result<bool> {
        let arn = format!("arn:{}:s3:::{}", partition(self.region), self.name);
        let ours = json!({
            "Sid": SID,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, format!("{arn}/*")],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        });
        let there = call!(self.s3.get_bucket_policy().bucket(self.name)).unless(Class::NotFound)?;
        let there = there.and_then(|there| there.policy).unwrap_or_default();
        let there: Value = serde_json::from_str(&there).unwrap_or_default();
        let mut statements = match there.get("Statement") {
            Some(Value::Array(statements)) => statements.clone(),
            Some(statement) => vec![statement.clone()],
            None => Vec::new(),
        };
        if statements.contains(&ours) {
            return Ok(false);
        }
        statements.retain(|statement| statement.get("Sid").and_then(Value::as_str) != Some(SID));
        statements.push(ours);
        let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        call!(self.s3.put_bucket_policy().bucket(self.name).policy(policy))?;
        Ok(true)
    }

    /// Tags of others stay.
    async fn tag(&self) -> Result<bool> {
        let ours = Tag::builder().key(TAG.0).value(TAG.1).build().explain()?;
        let there = call!(self.s3.get_bucket_tagging().bucket(self.name)).unless(Class::NotFound)?;
        let mut tags = there.map(|there| there.tag_set).unwrap_or_default();
        if tags.contains(&ours) {
            return Ok(false);
        }
        tags.retain(|tag| tag.key() != TAG.0);
        tags.push(ours);
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().explain()?;
        call!(self.s3.put_bucket_tagging().bucket(self.name).tagging(tagging))?;
        Ok(true)
    }
}

fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
