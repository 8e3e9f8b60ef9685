//! SNS: topics and their subscriptions.

mod subscription;
mod tags;
mod topic;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Kind, Result, Tags, kind};

pub use subscription::Subscription;
pub use topic::{Topic, TopicOutputs};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Subscription>(), kind::<Topic>()];

/// The topics with their tags; subscriptions carry none.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let topics = cx.sns().list_topics().into_paginator().items().send().try_collect().await.explain()?;
    let topics = topics.into_iter().filter_map(|topic| topic.topic_arn).map(|arn| async move {
        let tags = tags::of(cx, &arn).await.unless(Class::NotFound)?;
        Ok::<_, payinfra_engine::Error>(tags.map(|tags| (arn, tags)))
    });
    Ok(try_join_all(topics).await?.into_iter().flatten().collect())
}
