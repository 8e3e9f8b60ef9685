//! API Gateway, version 1: REST APIs.
//!
//! What an API consists of (resources, methods, models, validators, gateway responses) takes effect with a [`Deployment`] that a [`Stage`]
//! refers to. Both versions of API Gateway together accept ten calls per second in an account, and one delete of an API
//! in 30 seconds (AWS-FACTS §3.1).

mod account;
mod api_key;
mod api_resource;
mod base_path_mapping;
mod deployment;
mod domain_name;
mod gateway_response;
mod integration;
mod method;
mod model;
mod part;
mod patch;
mod request_validator;
mod rest_api;
mod stage;
mod tags;
mod throttle;
mod usage_plan;
mod usage_plan_key;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use account::Account;
pub use api_key::ApiKey;
pub use api_resource::{ApiResource, ApiResourceOutputs};
pub use base_path_mapping::BasePathMapping;
pub use deployment::Deployment;
pub use domain_name::{DomainName, DomainNameOutputs};
pub use gateway_response::GatewayResponse;
pub use integration::{Integration, IntegrationResponse, IntegrationType};
pub use method::{Method, MethodResponse};
pub use model::{Model, ModelOutputs};
pub use request_validator::{RequestValidator, RequestValidatorOutputs};
pub use rest_api::{RestApi, RestApiOutputs};
pub use stage::{AccessLog, LogLevel, Stage, StageOutputs};
pub use throttle::Throttle;
pub use usage_plan::{ApiStage, Period, Quota, UsagePlan};
pub use usage_plan_key::UsagePlanKey;

use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[
    kind::<Account>(),
    kind::<ApiKey>(),
    kind::<BasePathMapping>(),
    kind::<Deployment>(),
    kind::<DomainName>(),
    kind::<GatewayResponse>(),
    kind::<Method>(),
    kind::<Model>(),
    kind::<RequestValidator>(),
    kind::<ApiResource>(),
    kind::<RestApi>(),
    kind::<Stage>(),
    kind::<UsagePlan>(),
    kind::<UsagePlanKey>(),
];

/// The APIs, keys, usage plans and domain names with their tags. A stage is deleted with its API, which has the same
/// owner.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let client = cx.apigateway();
    let (apis, keys, plans, domains) = tokio::try_join!(
        async { client.get_rest_apis().limit(500).into_paginator().items().send().try_collect().await.explain() },
        async { client.get_api_keys().limit(500).into_paginator().items().send().try_collect().await.explain() },
        async { client.get_usage_plans().limit(500).into_paginator().items().send().try_collect().await.explain() },
        async { client.get_domain_names().limit(500).into_paginator().items().send().try_collect().await.explain() },
    )?;
    let apis = apis.into_iter().filter_map(|api| Some((api.id?, api.tags)));
    let keys = keys.into_iter().filter_map(|key| Some((key.id?, key.tags)));
    let plans = plans.into_iter().filter_map(|plan| Some((plan.id?, plan.tags)));
    let domains = domains.into_iter().filter_map(|domain| Some((domain.domain_name?, domain.tags)));
    Ok(apis.chain(keys).chain(plans).chain(domains).map(|(id, tags)| (id, tags::from(tags))).collect())
}
