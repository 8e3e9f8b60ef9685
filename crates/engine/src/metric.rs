//! Metrics that a stack publishes after each successful apply.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Region;

/// A metric, such as the phase of a migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
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

impl Metric {
    /// The number of differences between the regions of a deployment, which is published in `region`. A stack declares an
    /// alarm on it, and `payinfra drift --between-regions --publish` publishes it.
    #[must_use]
    pub fn of_regions(stack: &str, workspace: &str, region: &Region, value: f64) -> Self {
        Self::of("RegionalDifferences", stack, workspace, region, value)
    }

    /// The number of resources of a deployment that have drifted, which the drift detector publishes in `region` after each run
    /// that succeeds.
    #[must_use]
    pub fn of_drift(stack: &str, workspace: &str, region: &Region, value: f64) -> Self {
        Self::of("DriftedResources", stack, workspace, region, value)
    }

    fn of(name: &str, stack: &str, workspace: &str, region: &Region, value: f64) -> Self {
        let dimensions = [("Stack", stack), ("Workspace", workspace)];
        Self {
            region: region.clone(),
            namespace: "payinfra".to_owned(),
            name: name.to_owned(),
            dimensions: dimensions.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            value,
        }
    }
}
