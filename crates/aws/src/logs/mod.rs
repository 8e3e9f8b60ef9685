//! `CloudWatch` Logs: log groups, and the metrics made of what is in them.

mod log_group;
mod metric_filter;
mod tags;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Kind, Result, Tags, kind};

pub use log_group::{LogGroup, LogGroupOutputs};
pub use metric_filter::MetricFilter;

use crate::error::Unless;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<LogGroup>(), kind::<MetricFilter>()];

/// The log groups with their tags; metric filters carry none.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let groups = cx.logs().describe_log_groups().into_paginator().items().send().try_collect().await.explain()?;
    let tagged = groups.into_iter().filter_map(|group| Some((group.log_group_name?, group.log_group_arn?)));
    let tagged = tagged.map(|(name, arn)| async move {
        let tags = tags::of(cx, &arn).await.unless(Class::NotFound)?;
        Ok::<_, payinfra_engine::Error>(tags.map(|tags| (name, tags)))
    });
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}
