//! Publishes a stack's metrics after a successful apply.

use std::time::Duration;

use futures_util::future::join_all;

use crate::cloud::Cloud;
use crate::error::{Class, Error};
use crate::graph::Graph;
use crate::metric::Metric;
use crate::retry::{Patience, patiently};

/// The limit for one metric. The apply is complete, so a missing metric is not worth a longer wait.
const ENOUGH: Duration = Duration::from_secs(30);

/// Publishes the metrics that `graph` declares, and returns those that failed, with the errors.
pub async fn publish<'a>(cloud: &dyn Cloud, graph: &'a Graph) -> Vec<(&'a Metric, Error)> {
    let told = graph.metrics().iter().map(|metric| async move {
        let patience = Patience::reading();
        let told = tokio::time::timeout(ENOUGH, patiently(&patience, || cloud.publish(metric))).await;
        let told = told.unwrap_or_else(|_| Err(Error::new(Class::Ambiguous, "AWS did not respond in time")));
        told.err().map(|error| (metric, error))
    });
    join_all(told).await.into_iter().flatten().collect()
}
