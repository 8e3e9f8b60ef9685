//! A usage plan.

use std::collections::BTreeSet;

use aws_sdk_apigateway::operation::get_usage_plan::GetUsagePlanOutput;
use aws_sdk_apigateway::types::{self as sdk, PatchOperation, QuotaPeriodType, QuotaSettings};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RestApi, Throttle, patch, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A usage plan: limits for each client with one of its keys. Names are not unique, so it is found by its tags. AWS
/// accepts one update in 20 seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsagePlan {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The stages that it is for.
    pub stages: BTreeSet<ApiStage>,
    /// The limit for requests of a client; none if `None`.
    pub throttle: Option<Throttle>,
    /// The maximum number of requests of a client in a period; none if `None`.
    pub quota: Option<Quota>,
    /// The tags.
    pub tags: Tags,
}

/// A stage of an API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiStage {
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// The name of the stage.
    pub stage: Ref<String>,
}

/// A quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The number of requests.
    pub limit: i32,
    /// The period.
    pub period: Period,
}

/// The period of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
}

impl ApiStage {
    /// `API:STAGE`, as in patch operations.
    fn key(&self) -> Result<String> {
        Ok(format!("{}:{}", self.api.known()?, self.stage.known()?))
    }

    fn sdk(&self) -> Result<sdk::ApiStage> {
        Ok(sdk::ApiStage::builder().api_id(self.api.known()?).stage(self.stage.known()?).build())
    }
}

impl Period {
    fn sdk(self) -> QuotaPeriodType {
        match self {
            Self::Day => QuotaPeriodType::Day,
            Self::Week => QuotaPeriodType::Week,
            Self::Month => QuotaPeriodType::Month,
        }
    }

    fn from(period: Option<&QuotaPeriodType>) -> Self {
        match period {
            Some(QuotaPeriodType::Week) => Self::Week,
            Some(QuotaPeriodType::Month) => Self::Month,
            _ => Self::Day,
        }
    }
}

impl Resource for UsagePlan {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.usage-plan";
    const REPLACE: Fields = fields!(Self:);
    const EXPECTED: Expected = Expected::millis(500, 20_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.apigateway().create_usage_plan().name(&self.name).description(&self.description);
        let stages = self.stages.iter().map(ApiStage::sdk).collect::<Result<_>>()?;
        let quota = self.quota.as_ref();
        let quota = quota.map(|it| QuotaSettings::builder().limit(it.limit).period(it.period.sdk()).build());
        let call = call.set_api_stages(Some(stages)).set_throttle(self.throttle.as_ref().map(Throttle::sdk));
        let made = call.set_quota(quota).set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(made.id.need("Id")?))
    }

    /// By its tags.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.apigateway().get_usage_plans().limit(500);
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        let ours = found.into_iter().filter(|plan| owner.owns(&tags::from(plan.tags.clone())));
        Ok(ours.filter_map(|plan| plan.id).find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let call = cx.apigateway().get_usage_plan().usage_plan_id(id);
            Ok::<_, Error>(call.send().await.explain().unless(Class::NotFound)?.map(|plan| live(id, plan)))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// In one call, because of AWS's limit.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        patched(cx, &live.id, self.patches(&live.args)?).await?;
        tags::sync(cx, &format!("/usageplans/{}", live.id), &live.args.tags, &self.tags).await
    }

    /// One with stages cannot be deleted.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let Some(now) = Self::read(cx, std::slice::from_ref(&live.id)).await?.pop() else { return Ok(()) };
        let stages = now.args.stages.iter().map(|stage| Ok(patch::remove_from("/apiStages", &stage.key()?)));
        patched(cx, &live.id, stages.collect::<Result<_>>()?).await?;
        let call = cx.apigateway().delete_usage_plan().usage_plan_id(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl UsagePlan {
    fn patches(&self, was: &Self) -> Result<Vec<PatchOperation>> {
        let mut patches: Vec<_> = [
            patch::changed("/name", &was.name, &self.name),
            patch::changed("/description", &was.description, &self.description),
        ]
        .into_iter()
        .flatten()
        .collect();
        for stage in was.stages.difference(&self.stages) {
            patches.push(patch::remove_from("/apiStages", &stage.key()?));
        }
        for stage in self.stages.difference(&was.stages) {
            patches.push(patch::add("/apiStages", &stage.key()?));
        }
        match &self.throttle {
            throttle if *throttle == was.throttle => {}
            Some(throttle) => patches.extend(throttle.patches("/throttle/rateLimit", "/throttle/burstLimit")),
            None => patches.push(patch::remove("/throttle")),
        }
        match &self.quota {
            quota if *quota == was.quota => {}
            Some(Quota { limit, period }) => {
                patches.push(patch::replace("/quota/limit", limit));
                patches.push(patch::replace("/quota/period", period.sdk().as_str()));
            }
            None => patches.push(patch::remove("/quota")),
        }
        Ok(patches)
    }
}

async fn patched(cx: &Cx, id: &Id<UsagePlan>, patches: Vec<PatchOperation>) -> Result<()> {
    if !patches.is_empty() {
        let call = cx.apigateway().update_usage_plan().usage_plan_id(id);
        call.set_patch_operations(Some(patches)).send().await.explain()?;
    }
    Ok(())
}

fn live(id: &Id<UsagePlan>, plan: GetUsagePlanOutput) -> Live<UsagePlan> {
    let stages = plan.api_stages.unwrap_or_default().into_iter().filter_map(|stage| {
        Some(ApiStage { api: Ref::Known(Id::new(stage.api_id?)), stage: Ref::Known(stage.stage?) })
    });
    let quota = plan.quota.filter(|quota| quota.limit > 0);
    Live {
        id: id.clone(),
        status: Status::Ready,
        args: UsagePlan {
            name: plan.name.unwrap_or_default(),
            description: plan.description.unwrap_or_default(),
            stages: stages.collect(),
            throttle: plan.throttle.and_then(|it| Throttle::from(it.rate_limit, it.burst_limit)),
            quota: quota.map(|quota| Quota { limit: quota.limit, period: Period::from(quota.period.as_ref()) }),
            tags: tags::from(plan.tags),
        },
        outputs: (),
    }
}
