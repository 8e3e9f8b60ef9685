//! API Gateway, version 2: HTTP APIs.
//!
//! Domain names are the same as in version 1: [`crate::apigateway::DomainName`]. AWS changes one thing in an API at a
//! time, so concurrent changes are retried (AWS-FACTS §1.7).

mod api;
mod api_mapping;
mod integration;
mod part;
mod route;
mod stage;
mod tags;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use api::{Api, ApiOutputs, Cors};
pub use api_mapping::ApiMapping;
pub use integration::{Integration, IntegrationOutputs, IntegrationType};
pub use route::Route;
pub use stage::{AccessLog, Stage, StageOutputs, Throttle};

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] =
    &[kind::<Api>(), kind::<ApiMapping>(), kind::<Integration>(), kind::<Route>(), kind::<Stage>()];

/// The APIs with their tags. A stage is deleted with its API, which has the same owner.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let apis = api::all(cx).await?.into_iter();
    Ok(apis.filter_map(|api| Some((api.api_id?, tags::from(api.tags)))).collect())
}
