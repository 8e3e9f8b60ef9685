//! A stage of an HTTP API.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_apigatewayv2::operation::get_stage::GetStageOutput;
use aws_sdk_apigatewayv2::types::{AccessLogSettings, RouteSettings};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, part, tags};
use crate::error::{Unless, claim};
use crate::{Cx, Explain};

/// A stage that deploys every change of its API by itself. Its id is `API/NAME`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The API.
    pub api: Ref<Id<Api>>,
    /// The name: the first part of its paths, or `$default` for paths without it.
    pub name: String,
    /// The description.
    pub description: String,
    /// The variables, which integrations can refer to.
    pub variables: BTreeMap<String, String>,
    /// The access log.
    pub access_log: Option<AccessLog>,
    /// Whether metrics are published for each route.
    pub metrics: bool,
    /// The limit for requests of all clients together, for each route.
    pub throttle: Throttle,
    /// The tags.
    pub tags: Tags,
}

/// The access log of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// The ARN of the log group.
    pub group_arn: Ref<String>,
    /// The format of an entry, on one line, with at least `$context.requestId`.
    pub format: String,
}

/// A limit for requests: a token bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// The rate in requests per second.
    pub rate: f64,
    /// The burst in requests.
    pub burst: i32,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StageOutputs {
    /// The name.
    pub name: Ref<String>,
}

impl Resource for Stage {
    type Cx = Cx;
    const KIND: &'static str = "apigatewayv2.stage";
    const REPLACE: Fields = fields!(Self: api, name);
    const KEY: Fields = fields!(Self: api, name);
    const EXPECTED: Expected = Expected::millis(1_000, 500);
    type Outputs = StageOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.apigatewayv2().create_stage().api_id(self.api.known()?).stage_name(&self.name);
        let call = call.auto_deploy(true).description(&self.description);
        let call = call.set_stage_variables(Some(self.variables.clone().into_iter().collect()));
        let call = call.default_route_settings(self.settings()).set_access_log_settings(self.log()?);
        call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        self.id()
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(found) = Self::read(cx, &[self.id()?]).await?.pop() else { return Ok(None) };
        claim("stage", &self.name, found.id, &found.args.tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let (api, name) = part::of(id)?;
            let call = cx.apigatewayv2().get_stage().api_id(api).stage_name(name);
            let found = call.send().await.explain().unless(Class::NotFound)?;
            found.map(|found| live(id, found)).transpose()
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// A variable is removed by an empty value, and the access log by its own call (AWS-FACTS §1.7).
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let (api, name) = part::of(&live.id)?;
        if self.access_log.is_none() && was.access_log.is_some() {
            cx.apigatewayv2().delete_access_log_settings().api_id(api).stage_name(name).send().await.explain()?;
        }
        let gone = was.variables.keys().filter(|name| !self.variables.contains_key(*name));
        let mut variables: HashMap<_, _> = gone.map(|name| (name.clone(), String::new())).collect();
        variables.extend(self.variables.clone());
        let call = cx.apigatewayv2().update_stage().api_id(api).stage_name(name).auto_deploy(true);
        let call = call.description(&self.description).set_stage_variables(Some(variables));
        let call = call.default_route_settings(self.settings()).set_access_log_settings(self.log()?);
        call.send().await.explain()?;
        tags::sync(cx, &format!("/apis/{api}/stages/{name}"), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (api, name) = part::of(&live.id)?;
        let call = cx.apigatewayv2().delete_stage().api_id(api).stage_name(name);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl Stage {
    fn id(&self) -> Result<Id<Self>> {
        Ok(part::id(self.api.known()?.as_str(), &self.name))
    }

    fn settings(&self) -> RouteSettings {
        let settings = RouteSettings::builder().detailed_metrics_enabled(self.metrics);
        settings.throttling_rate_limit(self.throttle.rate).throttling_burst_limit(self.throttle.burst).build()
    }

    fn log(&self) -> Result<Option<AccessLogSettings>> {
        let Some(AccessLog { group_arn, format }) = &self.access_log else { return Ok(None) };
        Ok(Some(AccessLogSettings::builder().destination_arn(group_arn.known()?).format(format).build()))
    }
}

fn live(id: &Id<Stage>, stage: GetStageOutput) -> Result<Live<Stage>> {
    let (api, name) = part::of(id)?;
    let settings = stage.default_route_settings.unwrap_or_else(|| RouteSettings::builder().build());
    let log = stage.access_log_settings.and_then(|log| {
        Some(AccessLog { group_arn: Ref::Known(log.destination_arn?), format: log.format.unwrap_or_default() })
    });
    let variables = stage.stage_variables.unwrap_or_default().into_iter().filter(|(_, value)| !value.is_empty());
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        args: Stage {
            api: Ref::Known(Id::new(api)),
            name: name.to_owned(),
            description: stage.description.unwrap_or_default(),
            variables: variables.collect(),
            access_log: log,
            metrics: settings.detailed_metrics_enabled.unwrap_or_default(),
            throttle: Throttle {
                rate: settings.throttling_rate_limit.unwrap_or_default(),
                burst: settings.throttling_burst_limit.unwrap_or_default(),
            },
            tags: tags::from(stage.tags),
        },
        outputs: StageOutputs { name: Ref::Known(name.to_owned()) },
    })
}
