//! `CloudWatch`: alarms, dashboards, and the metrics that payinfra publishes itself.

mod alarm;
mod composite_alarm;
mod dashboard;
mod metric;
mod publish;
mod tags;

use payinfra_engine::{Class, Kind, Result, Tags, kind};

pub use alarm::{Alarm, AlarmOutputs, Missing, Query, Watch};
pub use composite_alarm::{CompositeAlarm, CompositeAlarmOutputs};
pub use dashboard::Dashboard;
pub use metric::MetricStat;
pub(crate) use publish::publish;

use crate::error::Unless;
use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Alarm>(), kind::<CompositeAlarm>(), kind::<Dashboard>()];

/// Deletes a metric alarm or a composite alarm.
async fn delete(cx: &Cx, name: &str) -> Result<()> {
    let call = cx.cloudwatch().delete_alarms().alarm_names(name);
    call.send().await.explain().unless(Class::NotFound).map(drop)
}

/// The alarms with their tags; dashboards have no tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let types =
        [aws_sdk_cloudwatch::types::AlarmType::CompositeAlarm, aws_sdk_cloudwatch::types::AlarmType::MetricAlarm];
    let mut pages = cx.cloudwatch().describe_alarms().set_alarm_types(Some(types.to_vec())).into_paginator().send();
    let mut alarms = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.explain()?;
        let metric = page.metric_alarms.unwrap_or_default().into_iter().map(|it| (it.alarm_name, it.alarm_arn));
        let composite = page.composite_alarms.unwrap_or_default().into_iter().map(|it| (it.alarm_name, it.alarm_arn));
        alarms.extend(metric.chain(composite).filter_map(|(name, arn)| Some((name?, arn?))));
    }
    tagged(alarms.into_iter().map(|(name, arn)| (name, async move { tags::of(cx, &arn).await }))).await
}
