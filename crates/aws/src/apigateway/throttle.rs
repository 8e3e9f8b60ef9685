//! Throttling of requests.

use aws_sdk_apigateway::types::{PatchOperation, ThrottleSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patch;

/// A limit for requests: a token bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// The rate in requests per second.
    pub rate: f64,
    /// The burst in requests.
    pub burst: i32,
}

impl Throttle {
    pub(super) fn sdk(&self) -> ThrottleSettings {
        ThrottleSettings::builder().rate_limit(self.rate).burst_limit(self.burst).build()
    }

    /// From API Gateway's form, in which no limit is -1 or 0.
    pub(super) fn from(rate: f64, burst: i32) -> Option<Self> {
        (rate > 0.0 || burst > 0).then_some(Self { rate, burst })
    }

    /// Sets the limit at these paths.
    pub(super) fn patches(&self, rate: &str, burst: &str) -> [PatchOperation; 2] {
        [patch::replace(rate, &self.rate), patch::replace(burst, &self.burst)]
    }
}
