//! The HTTP API of the function (P-07).

use payinfra_components::function::Deployed;
use payinfra_components::http_api::{Access, Api, HttpApi, Route, http_api};
use payinfra_engine::{Graph, Result};

use super::Part;

/// The API in names and addresses.
pub(super) const API: &str = "api";
/// The stage.
const STAGE: &str = "prod";
/// Its only route.
const ROUTES: [Route<'static>; 1] =
    [Route { name: "payment", method: "POST", path: "/payment", access: Access::Public }];

/// Declares the API.
pub(super) fn api(graph: &mut Graph, near: &Part<'_>, function: &Deployed) -> Result<Api> {
    let variables = near.site.variables();
    let rate = variables.api.requests_per_second;
    let wanted = HttpApi {
        name: API,
        about: "Payments",
        stage: STAGE,
        routes: &ROUTES,
        function,
        limit: (rate.into(), i32::try_from(rate.saturating_mul(2)).unwrap_or(i32::MAX)),
        log_key: &near.key,
        log_retention_days: variables.log_retention_days.0,
    };
    http_api(graph, &near.site, &wanted)
}
