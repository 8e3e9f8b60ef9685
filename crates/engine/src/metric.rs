//! Metrics that a stack publishes after each successful apply.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::address::Region;
use crate::cloud::Cloud;
use crate::error::{Class, Error};
use crate::graph::Graph;
use crate::retry::{Patience, patiently};

/// A metric, such as the phase of a migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The region to publish it in.
    pub region: Region,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

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
