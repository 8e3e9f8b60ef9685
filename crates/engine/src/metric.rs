//! Numbers that a stack tells the world at the end of each successful apply.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::address::Region;
use crate::cloud::Cloud;
use crate::error::{Class, Error};
use crate::graph::Graph;
use crate::retry::{Patience, patiently};

/// A number with a name, such as the phase that a migration is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Where it is published.
    pub region: Region,
    /// Whose it is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub dimensions: BTreeMap<String, String>,
    /// The number.
    pub value: f64,
}

/// A metric is not worth more waiting: the apply that it tells of is done.
const ENOUGH: Duration = Duration::from_secs(30);

/// Publishes the metrics that `graph` declares, and returns those that could not be, with the reasons.
pub async fn publish<'a>(cloud: &dyn Cloud, graph: &'a Graph) -> Vec<(&'a Metric, Error)> {
    let told = graph.metrics().iter().map(|metric| async move {
        let patience = Patience::reading();
        let told = tokio::time::timeout(ENOUGH, patiently(&patience, || cloud.publish(metric))).await;
        let told = told.unwrap_or_else(|_| Err(Error::new(Class::Ambiguous, "AWS does not answer")));
        told.err().map(|error| (metric, error))
    });
    join_all(told).await.into_iter().flatten().collect()
}
