//! A metric, its statistic and its period.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types as sdk;
use payinfra_engine::{Result, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Need;

/// A metric and its statistic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricStat {
    /// The namespace, such as `AWS/ECS`.
    pub namespace: String,
    /// The name, such as `CPUUtilization`.
    pub name: String,
    /// The dimensions. They must be complete, because other dimensions make another metric.
    pub dimensions: BTreeMap<String, Text>,
    /// `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or a percentile such as `p99`.
    pub statistic: String,
    /// The period in seconds: 10, 30, or a multiple of 60.
    pub period: i32,
}

impl MetricStat {
    /// The dimensions in AWS's form.
    pub(super) fn dimensions(&self) -> Result<Vec<sdk::Dimension>> {
        let dimensions = self.dimensions.iter();
        dimensions.map(|(name, value)| Ok(sdk::Dimension::builder().name(name).value(value.known()?).build())).collect()
    }

    /// For a query of data, or a part of an expression.
    pub(crate) fn sdk(&self) -> Result<sdk::MetricStat> {
        let metric = sdk::Metric::builder().namespace(&self.namespace).metric_name(&self.name);
        let metric = metric.set_dimensions(Some(self.dimensions()?)).build();
        Ok(sdk::MetricStat::builder().metric(metric).period(self.period).stat(&self.statistic).build())
    }

    pub(super) fn parse(stat: sdk::MetricStat) -> Result<Self> {
        let metric = stat.metric.need("Metric")?;
        Ok(Self {
            namespace: metric.namespace.need("Namespace")?,
            name: metric.metric_name.need("MetricName")?,
            dimensions: named(metric.dimensions),
            statistic: stat.stat.need("Stat")?,
            period: stat.period.need("Period")?,
        })
    }
}

/// The dimensions by name.
pub(super) fn named(dimensions: Option<Vec<sdk::Dimension>>) -> BTreeMap<String, Text> {
    let dimensions = dimensions.unwrap_or_default().into_iter();
    dimensions.filter_map(|it| Some((it.name?, Text::from(it.value.unwrap_or_default())))).collect()
}
