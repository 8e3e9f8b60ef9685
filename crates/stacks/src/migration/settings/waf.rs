//! Variables of the web ACL in front of the load balancers (M-24).

use payinfra_stack::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The web ACL of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WafConfig {
    /// The number of requests from one address in five minutes above which it is blocked.
    #[schemars(range(min = 10, max = 2_000_000_000))]
    pub requests_per_5_minutes: i64,
}

impl Default for WafConfig {
    fn default() -> Self {
        Self { requests_per_5_minutes: 2_000 }
    }
}

impl WafConfig {
    pub(super) fn check(&self, section: &mut Section<'_>) {
        section.number("requests_per_5_minutes", self.requests_per_5_minutes, 10..=2_000_000_000);
    }
}
