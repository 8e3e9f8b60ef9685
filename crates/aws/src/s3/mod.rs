//! S3: buckets and their notifications.

mod bucket;
mod bucket_notification;
mod tags;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Kind, Result, Tags, kind};

pub use bucket::{Bucket, BucketOutputs, Encryption, LifecycleRule, Logging, Replication, ReplicationRule, Transition};
pub use bucket_notification::{BucketNotification, Destination, NotificationRule};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Bucket>(), kind::<BucketNotification>()];

/// The buckets of this region with their tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let call = cx.s3().list_buckets().bucket_region(cx.region().as_str());
    let buckets = call.into_paginator().items().send().try_collect().await.explain()?;
    let tagged = buckets.into_iter().filter_map(|bucket| bucket.name).map(|name| async move {
        // A bucket whose policy denies us access, or in another region, is not ours here.
        let tags = tags::of(cx, &name).await.unless(Class::NotFound).or_else(|error| match error.class() {
            Class::Denied | Class::Failed => Ok(None),
            _ => Err(error),
        })?;
        Ok::<_, payinfra_engine::Error>(tags.map(|tags| (name, tags)))
    });
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}
