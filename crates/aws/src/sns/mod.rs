//! SNS: topics and subscriptions.

mod subscription;
mod tags;
mod topic;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use subscription::{Endpoint, Subscription};
pub use topic::{Topic, TopicOutputs};

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Subscription>(), kind::<Topic>()];

/// The topics with their tags; subscriptions have no tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let topics = cx.sns().list_topics().into_paginator().items().send().try_collect().await.explain()?;
    let arns = topics.into_iter().filter_map(|topic| topic.topic_arn);
    tagged(arns.map(|arn| (arn.clone(), async move { tags::of(cx, &arn).await }))).await
}
