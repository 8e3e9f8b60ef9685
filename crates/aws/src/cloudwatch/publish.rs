//! Publishes payinfra's own metrics.

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use payinfra_engine::{Metric, Result};

use crate::{Cx, Explain};

/// Publishes `metric` with the time of the call.
pub(crate) async fn publish(cx: &Cx, metric: &Metric) -> Result<()> {
    let dimensions = metric.dimensions.iter();
    let dimensions = dimensions.map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect();
    let datum = MetricDatum::builder().metric_name(&metric.name).set_dimensions(Some(dimensions));
    let datum = datum.value(metric.value).unit(StandardUnit::None).build();
    let call = cx.cloudwatch().put_metric_data().namespace(&metric.namespace).metric_data(datum);
    call.send().await.explain().map(drop)
}
