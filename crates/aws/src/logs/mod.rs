//! `CloudWatch` Logs: log groups and metric filters.

mod log_group;
mod metric_filter;
mod tags;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use log_group::{LogGroup, LogGroupOutputs};
pub use metric_filter::MetricFilter;

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<LogGroup>(), kind::<MetricFilter>()];

/// The log groups with their tags; metric filters have no tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let groups = cx.logs().describe_log_groups().into_paginator().items().send().try_collect().await.explain()?;
    let groups = groups.into_iter().filter_map(|group| Some((group.log_group_name?, group.log_group_arn?)));
    tagged(groups.map(|(name, arn)| (name, async move { tags::of(cx, &arn).await }))).await
}
