//! A metric filter of a log group.

use aws_sdk_cloudwatchlogs::types::{self as sdk, MetricTransformation};
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LogGroup;
use crate::error::{Unless, vacant};
use crate::{Cx, Explain, Need};

/// A metric filter. AWS gives it no id, so group and name identify it: `GROUP:NAME`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricFilter {
    /// The log group; AWS allows a hundred filters per group.
    pub group: Ref<Id<LogGroup>>,
    /// The name, unique in the group.
    pub name: String,
    /// The pattern, such as `{ $.level = "error" }`; if it is empty, all entries match.
    pub pattern: String,
    /// The namespace of the metric.
    pub metric_namespace: String,
    /// The name of the metric.
    pub metric_name: String,
    /// The value that an entry adds to the metric: a number, or a field of the entry such as `$.latency`.
    pub metric_value: String,
    /// The value for a minute without matches.
    pub default_value: Option<f64>,
}

impl MetricFilter {
    /// The call replaces everything, so it sets all values.
    async fn put(&self, cx: &Cx) -> Result<()> {
        let metric = MetricTransformation::builder().metric_namespace(&self.metric_namespace);
        let metric = metric.metric_name(&self.metric_name).metric_value(&self.metric_value);
        let metric = metric.set_default_value(self.default_value).build().explain()?;
        let call = cx.logs().put_metric_filter().log_group_name(self.group.known()?).filter_name(&self.name);
        let call = call.filter_pattern(&self.pattern).metric_transformations(metric);
        call.send().await.explain().map(drop)
    }
}

impl MetricFilter {
    async fn found(&self, cx: &Cx) -> Result<Option<Id<Self>>> {
        let id = id(self.group.known()?.as_str(), &self.name);
        Ok(Self::read(cx, std::slice::from_ref(&id)).await?.pop().map(|live| live.id))
    }
}

impl Resource for MetricFilter {
    type Cx = Cx;
    const KIND: &'static str = "logs.metric-filter";
    const REPLACE: Fields = fields!(Self: group, name);
    const IDENTITY: Identity = Identity::Part("group");
    const KEY: Fields = fields!(Self: group, name);
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// The call would update an existing filter, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        vacant(self.found(cx).await?, "metric filter")?;
        self.put(cx).await?;
        Ok(id(self.group.known()?.as_str(), &self.name))
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        self.found(cx).await
    }

    /// One list call for all groups, or for a single filter if only one is read.
    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.logs().describe_metric_filters();
        let call = match ids {
            [one] => call.log_group_name(parts(one)?.0),
            _ => call,
        };
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let found = found.unwrap_or_default().into_iter().map(live).collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().filter(|live| ids.contains(&live.id)).collect())
    }

    async fn update(&self, cx: &Cx, _: &Live<Self>) -> Result<()> {
        self.put(cx).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (group, name) = parts(&live.id)?;
        let call = cx.logs().delete_metric_filter().log_group_name(group).filter_name(name);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

fn id(group: &str, name: &str) -> Id<MetricFilter> {
    Id::new(format!("{group}:{name}"))
}

/// Names of groups and filters contain no colons.
fn parts(id: &Id<MetricFilter>) -> Result<(&str, &str)> {
    id.as_str()
        .split_once(':')
        .ok_or_else(|| Error::invalid(format!("`{id}` is not a metric filter id")).hint("write GROUP:NAME"))
}

fn live(filter: sdk::MetricFilter) -> Result<Live<MetricFilter>> {
    let (group, name) = (filter.log_group_name.need("LogGroupName")?, filter.filter_name.need("FilterName")?);
    let metric = filter.metric_transformations.unwrap_or_default().into_iter().next().need("MetricTransformation")?;
    Ok(Live {
        id: id(&group, &name),
        status: Status::Ready,
        args: MetricFilter {
            group: Ref::Known(Id::new(group)),
            name,
            pattern: filter.filter_pattern.unwrap_or_default(),
            metric_namespace: metric.metric_namespace,
            metric_name: metric.metric_name,
            metric_value: metric.metric_value,
            default_value: metric.default_value,
        },
        outputs: (),
    })
}
