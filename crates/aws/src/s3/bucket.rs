//! An S3 bucket with all of its settings: one kind, because S3 rejects concurrent changes to a bucket.

mod contents;
mod empty;
mod lifecycle;
mod replication;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, Text, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use lifecycle::{LifecycleRule, Transition};
pub use replication::{Replication, ReplicationRule};

use super::tags;
use crate::error::{Unless, foreign};
use crate::{Cx, Explain, Policy};

/// A bucket. Deleting it deletes all of its objects, including all versions.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// The name, globally unique: 3 to 63 characters.
    pub name: String,
    /// Whether versioning is enabled. It can only be suspended afterwards.
    pub versioning: bool,
    /// The default encryption; without it, S3 uses a key of its own.
    pub encryption: Option<Encryption>,
    /// Whether public access is blocked.
    pub public_access_blocked: bool,
    /// The bucket policy.
    pub policy: Option<Policy>,
    /// The lifecycle rules by id.
    pub lifecycle: BTreeMap<String, LifecycleRule>,
    /// Replication of new objects.
    pub replication: Option<Replication>,
    /// The destination of access logs.
    pub logging: Option<Logging>,
    /// Whether the account owns all objects, whoever wrote them, and ACLs are disabled.
    pub ownership_enforced: bool,
    /// The tags.
    pub tags: Tags,
}

/// Encryption with a customer managed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// The ARN of a key in the bucket's region; an alias would be shown as drift.
    pub key: Ref<String>,
    /// Whether bucket keys are enabled, which reduce the number of KMS calls from one per object to one per bucket and
    /// hour.
    pub bucket_key: bool,
}

/// Access logging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// The target bucket. Its policy must allow `logging.s3.amazonaws.com` to write, it must be in the same region, and
    /// its encryption must be S3's own (AES256) or a key that this principal may use.
    pub bucket: Text,
    /// The key prefix of the logs.
    pub prefix: String,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BucketOutputs {
    /// The bucket's ARN.
    pub arn: Ref<String>,
}

/// The region that must not be specified as a location constraint, because it is S3's default.
const UNNAMED: &str = "us-east-1";

impl Resource for Bucket {
    type Cx = Cx;
    const KIND: &'static str = "s3.bucket";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const SERVES: Fields = fields!(Self: policy, replication);
    const KEEPS_DATA: bool = true;
    /// Emptying a full bucket takes time: a second per thousand versions (AWS-FACTS §5).
    const TIMEOUT: Duration = Duration::from_hours(1);
    const EXPECTED: Expected = Expected::millis(4_000, 2_000);
    type Outputs = BucketOutputs;

    fn losses(&self, live: &Self) -> Vec<String> {
        // Suspending versioning keeps all existing versions.
        lifecycle::losses(&self.lifecycle, &live.lifecycle)
    }

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        // In us-east-1, creating an existing bucket of the same account succeeds and resets its ACL, so look for it
        // first.
        if exists(cx, &self.name).await? {
            return Err(foreign("bucket", &self.name, &self.name));
        }
        let place = CreateBucketConfiguration::builder().set_tags(Some(tags::sdk(&self.tags)?));
        let place = match cx.region().as_str() {
            UNNAMED => place,
            region => place.location_constraint(BucketLocationConstraint::from(region)),
        };
        let call = cx.s3().create_bucket().bucket(&self.name).create_bucket_configuration(place.build());
        call.send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    /// A bucket with this name in our account counts as ours if it has our tags. After a create of ours, it also counts
    /// if it has no tags and is empty, because older endpoints do not set tags and create the bucket atomically.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        if !exists(cx, &self.name).await? {
            return Ok(None);
        }
        let tags = tags::of(cx, &self.name).await?;
        let ours = owner.owns(&tags) || (cx.begun() && tags.is_empty() && empty::is_empty(cx, &self.name).await?);
        if ours { Ok(Some(Id::new(&self.name))) } else { Err(foreign("bucket", &self.name, &self.name)) }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move { Box::pin(live(cx, id)).await.unless(Class::NotFound) });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Sequentially, because S3 rejects concurrent changes with `OperationAborted`. Replication is removed first and
    /// added last, because it requires versioning. Public access is blocked before a policy could grant it.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (bucket, was) = (live.id.as_str(), &live.args);
        if self.replication.is_none() && was.replication.is_some() {
            replication::put(cx, bucket, None).await?;
        }
        if self.ownership_enforced != was.ownership_enforced {
            settings::put_ownership(cx, bucket, self.ownership_enforced).await?;
        }
        if self.public_access_blocked != was.public_access_blocked {
            settings::put_public_access(cx, bucket, self.public_access_blocked).await?;
        }
        if self.versioning != was.versioning {
            settings::put_versioning(cx, bucket, self.versioning).await?;
        }
        if self.encryption != was.encryption {
            settings::put_encryption(cx, bucket, self.encryption.as_ref()).await?;
        }
        if self.policy != was.policy {
            settings::put_policy(cx, bucket, self.policy.as_ref()).await?;
        }
        if self.lifecycle != was.lifecycle {
            lifecycle::put(cx, bucket, &self.lifecycle).await?;
        }
        if self.logging != was.logging {
            settings::put_logging(cx, bucket, self.logging.as_ref()).await?;
        }
        if let Some(replication) = self.replication.as_ref().filter(|_| self.replication != was.replication) {
            replication::put(cx, bucket, Some(replication)).await?;
        }
        tags::sync(cx, bucket, &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        empty_and_delete(cx, live.id.as_str()).await.unless(Class::NotFound).map(drop)
    }

    /// A bucket that now belongs to another account, or is in another region, is no longer ours.
    async fn contents(cx: &Cx, live: &Live<Self>) -> Result<Option<String>> {
        contents::contents(cx, live.id.as_str(), live.args.replication.is_some()).await.map(Some)
    }

    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(exists(cx, id.as_str()).await.unless(Class::Foreign)? != Some(true))
    }
}

/// Replication is removed first, because two buckets that replicate to each other would refill each other (AWS-FACTS
/// §4.3).
async fn empty_and_delete(cx: &Cx, bucket: &str) -> Result<()> {
    replication::put(cx, bucket, None).await?;
    empty::empty(cx, bucket).await?;
    cx.s3().delete_bucket().bucket(bucket).send().await.explain().map(drop)
}

/// Whether the bucket is in our account and this region; an error if it is elsewhere.
async fn exists(cx: &Cx, name: &str) -> Result<bool> {
    let call = cx.s3().head_bucket().bucket(name).expected_bucket_owner(cx.account());
    let asked = call.send().await;
    // The response to HEAD has no body and therefore no code: 403 is another account's bucket; the response for another
    // region names it.
    let elsewhere = asked.as_ref().err().and_then(|error| error.raw_response()).is_some_and(|answer| {
        let place = answer.headers().get("x-amz-bucket-region");
        matches!(answer.status().as_u16(), 301 | 403) || place.is_some_and(|place| place != cx.region().as_str())
    });
    match asked.explain() {
        Ok(found) if found.bucket_region().is_some_and(|region| region != cx.region().as_str()) => {
            Err(foreign("bucket", name, name))
        }
        Ok(_) => Ok(true),
        Err(error) if error.is(Class::NotFound) => Ok(false),
        Err(error) if elsewhere => Err(foreign("bucket", name, name).source(error)),
        Err(error) => Err(error),
    }
}

async fn live(cx: &Cx, id: &Id<Bucket>) -> Result<Live<Bucket>> {
    let bucket = id.as_str();
    let (
        versioning,
        encryption,
        public_access_blocked,
        policy,
        lifecycle,
        replication,
        logging,
        ownership_enforced,
        tags,
    ) = tokio::try_join!(
        settings::versioning(cx, bucket),
        settings::encryption(cx, bucket),
        settings::public_access(cx, bucket),
        settings::policy(cx, bucket),
        lifecycle::of(cx, bucket),
        replication::of(cx, bucket),
        settings::logging(cx, bucket),
        settings::ownership(cx, bucket),
        tags::of(cx, bucket),
    )?;
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        args: Bucket {
            name: bucket.to_owned(),
            versioning,
            encryption,
            public_access_blocked,
            policy,
            lifecycle,
            replication,
            logging,
            ownership_enforced,
            tags,
        },
        outputs: BucketOutputs { arn: Ref::Known(format!("arn:aws:s3:::{bucket}")) },
    })
}
