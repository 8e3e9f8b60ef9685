//! Variables of the web ACL in front of the load balancers (M-24).

use payinfra_stack::{Problem, Spanned, number};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The variables as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WafVariables {
    /// The number of requests from one address in five minutes above which it is blocked; by default 2000.
    #[schemars(with = "Option<i64>", range(min = 10, max = 2_000_000_000))]
    requests_per_5_minutes: Option<Spanned<i64>>,
}

/// The web ACL of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WafConfig {
    /// The number of requests from one address in five minutes above which it is blocked.
    pub requests_per_5_minutes: i64,
}

impl WafVariables {
    pub(super) fn check(&self) -> Result<WafConfig, Problem> {
        let requests = self.requests_per_5_minutes.as_ref();
        let requests = number("requests_per_5_minutes", requests, 2_000, 10..=2_000_000_000)?;
        Ok(WafConfig { requests_per_5_minutes: requests })
    }
}
