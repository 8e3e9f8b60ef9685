//! A stage of a REST API.

use std::collections::BTreeMap;

use aws_sdk_apigateway::operation::get_stage::GetStageOutput;
use aws_sdk_apigateway::types::PatchOperation;
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Deployment, RestApi, Throttle, part, patch, tags};
use crate::error::{Unless, claim};
use crate::{Cx, Explain};

/// A stage: a deployment that clients can use. Its id is `API/NAME`. An API has at most 10.
///
/// Logs require the account's role for CloudWatch (`apigateway.account`).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// The name, at most 128 letters, digits, `-` and `_`: the first part of its paths, except in a custom domain.
    pub name: String,
    /// The deployment.
    pub deployment: Ref<Id<Deployment>>,
    /// The description.
    pub description: String,
    /// The variables, which integrations can refer to.
    pub variables: BTreeMap<String, String>,
    /// The access log.
    pub access_log: Option<AccessLog>,
    /// The level of the execution log, in the group `API-Gateway-Execution-Logs_API/STAGE`.
    pub log_level: LogLevel,
    /// Whether metrics are published for each method.
    pub metrics: bool,
    /// The limit for requests of all clients together; that of the account if `None`.
    pub throttle: Option<Throttle>,
    /// Whether requests are traced by X-Ray.
    pub tracing: bool,
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

/// The level of an execution log. Bodies of requests are never logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// No log.
    Off,
    /// Errors.
    Error,
    /// Each request.
    Info,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StageOutputs {
    /// The ARN, for a web ACL.
    pub arn: Ref<String>,
    /// The name.
    pub name: Ref<String>,
    /// The URL, without a slash at the end.
    pub url: Ref<String>,
}

impl LogLevel {
    fn sdk(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Error => "ERROR",
            Self::Info => "INFO",
        }
    }

    fn from(level: Option<&str>) -> Self {
        [Self::Error, Self::Info].into_iter().find(|it| Some(it.sdk()) == level).unwrap_or(Self::Off)
    }
}

/// The settings of all methods of a stage.
const ALL: &str = "*/*";
const RATE: &str = "/*/*/throttling/rateLimit";
const BURST: &str = "/*/*/throttling/burstLimit";
/// The value of AWS for no limit of its own.
const NO_LIMIT: i32 = -1;

impl Resource for Stage {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.stage";
    const REPLACE: Fields = fields!(Self: api, name);
    const KEY: Fields = fields!(Self: api, name);
    const EXPECTED: Expected = Expected::millis(1_000, 500);
    type Outputs = StageOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// Logs, metrics and the limit can only be set afterwards.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.apigateway().create_stage().rest_api_id(self.api.known()?).stage_name(&self.name);
        let call = call.deployment_id(part::last(&self.deployment)?).description(&self.description);
        let call = call.set_variables(Some(self.variables.clone().into_iter().collect()));
        let call = call.tracing_enabled(self.tracing).set_tags(Some(tags::sdk(&self.tags)));
        call.send().await.explain()?;
        self.id()
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(found) = Self::read(cx, &[self.id()?]).await?.pop() else { return Ok(None) };
        claim("stage", &self.name, found.id, &found.args.tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [api, name] = part::of(id)?;
            let call = cx.apigateway().get_stage().rest_api_id(api).stage_name(name);
            let found = call.send().await.explain().unless(Class::NotFound)?;
            found.map(|found| live(cx, id, found)).transpose()
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let patches = self.patches(&live.args)?;
        let [api, name] = part::of(&live.id)?;
        if !patches.is_empty() {
            let call = cx.apigateway().update_stage().rest_api_id(api).stage_name(name);
            call.set_patch_operations(Some(patches)).send().await.explain()?;
        }
        tags::sync(cx, &format!("/restapis/{api}/stages/{name}"), &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [api, name] = part::of(&live.id)?;
        let call = cx.apigateway().delete_stage().rest_api_id(api).stage_name(name);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl Stage {
    fn id(&self) -> Result<Id<Self>> {
        Ok(part::id(&[self.api.known()?.as_str(), &self.name]))
    }

    fn patches(&self, was: &Self) -> Result<Vec<PatchOperation>> {
        let mut patches: Vec<_> = [
            patch::changed("/description", &was.description, &self.description),
            patch::changed("/tracingEnabled", &was.tracing, &self.tracing),
            patch::changed("/*/*/metrics/enabled", &was.metrics, &self.metrics),
            (self.log_level != was.log_level).then(|| patch::replace("/*/*/logging/loglevel", self.log_level.sdk())),
        ]
        .into_iter()
        .flatten()
        .collect();
        if self.deployment != was.deployment {
            patches.push(patch::replace("/deploymentId", part::last(&self.deployment)?));
        }
        let gone = was.variables.keys().filter(|name| !self.variables.contains_key(*name));
        patches.extend(gone.map(|name| patch::remove(&format!("/variables/{name}"))));
        let new = self.variables.iter().filter(|(name, value)| was.variables.get(*name) != Some(value));
        patches.extend(new.map(|(name, value)| patch::replace(&format!("/variables/{name}"), value)));
        match &self.access_log {
            log if *log == was.access_log => {}
            Some(AccessLog { group_arn, format }) => {
                patches.push(patch::replace("/accessLogSettings/destinationArn", group_arn.known()?));
                patches.push(patch::replace("/accessLogSettings/format", format));
            }
            None => patches.push(patch::remove("/accessLogSettings")),
        }
        match &self.throttle {
            throttle if *throttle == was.throttle => {}
            Some(throttle) => patches.extend(throttle.patches(RATE, BURST)),
            None => patches.extend([patch::replace(RATE, &NO_LIMIT), patch::replace(BURST, &NO_LIMIT)]),
        }
        Ok(patches)
    }
}

fn live(cx: &Cx, id: &Id<Stage>, stage: GetStageOutput) -> Result<Live<Stage>> {
    let [api, name] = part::of(id)?;
    let settings = stage.method_settings.and_then(|mut settings| settings.remove(ALL));
    let log = stage.access_log_settings;
    let region = cx.region();
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        args: Stage {
            api: Ref::Known(Id::new(api)),
            name: name.to_owned(),
            deployment: Ref::Known(part::id(&[api, stage.deployment_id.as_deref().unwrap_or_default()])),
            description: stage.description.unwrap_or_default(),
            variables: stage.variables.unwrap_or_default().into_iter().collect(),
            access_log: log.and_then(|log| {
                Some(AccessLog { group_arn: Ref::Known(log.destination_arn?), format: log.format.unwrap_or_default() })
            }),
            log_level: LogLevel::from(settings.as_ref().and_then(|it| it.logging_level.as_deref())),
            metrics: settings.as_ref().is_some_and(|it| it.metrics_enabled),
            throttle: settings.and_then(|it| Throttle::from(it.throttling_rate_limit, it.throttling_burst_limit)),
            tracing: stage.tracing_enabled,
            tags: tags::from(stage.tags),
        },
        outputs: StageOutputs {
            arn: Ref::Known(format!("arn:aws:apigateway:{region}::/restapis/{api}/stages/{name}")),
            name: Ref::Known(name.to_owned()),
            url: Ref::Known(format!("https://{api}.execute-api.{region}.amazonaws.com/{name}")),
        },
    })
}
