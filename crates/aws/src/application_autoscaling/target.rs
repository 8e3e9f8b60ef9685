//! A scalable target of Application Auto Scaling.

use aws_sdk_applicationautoscaling::types::{self as sdk, ScalableDimension, ServiceNamespace};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::{Unless, claim, foreign};
use crate::{Cx, Explain, Need};

/// A scalable target. Its id is its dimension and, after a slash, the resource: `ecs:service:DesiredCount/service/a/b`.
///
/// It must be registered after the resource is created, and deregistered before the resource is deleted. Its policies
/// are deleted with it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The resource, as in `service/CLUSTER/SERVICE`.
    pub resource: Ref<String>,
    /// The dimension, as in `ecs:service:DesiredCount`; the part before the first colon is the service.
    pub dimension: String,
    /// The minimum capacity.
    pub min_capacity: i32,
    /// The maximum capacity.
    pub max_capacity: i32,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TargetOutputs {
    /// The ARN.
    pub arn: Ref<String>,
}

/// The id of the target for `dimension` of `resource`.
pub(super) fn id(dimension: &ScalableDimension, resource: &str) -> String {
    format!("{}/{resource}", dimension.as_str())
}

/// Service, dimension and resource of a target.
pub(super) fn parts(id: &str) -> Result<(ServiceNamespace, ScalableDimension, &str)> {
    let (dimension, resource) =
        id.split_once('/').ok_or_else(|| Error::failed(format!("`{id}` is not a scalable target id")))?;
    let namespace = dimension.split(':').next().unwrap_or_default();
    Ok((ServiceNamespace::from(namespace), ScalableDimension::from(dimension), resource))
}

impl Target {
    fn id(&self) -> Result<Id<Self>> {
        Ok(Id::new(id(&ScalableDimension::from(self.dimension.as_str()), self.resource.known()?)))
    }

    /// Whether it exists, and its tags.
    async fn found(&self, cx: &Cx) -> Result<Option<Tags>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.args.tags))
    }
}

impl Resource for Target {
    type Cx = Cx;
    const KIND: &'static str = "application-autoscaling.target";
    const REPLACE: Fields = fields!(Self: resource, dimension);
    const KEY: Fields = fields!(Self: resource, dimension);
    /// The maximum number of ids for `DescribeScalableTargets`.
    const BATCH: usize = 50;
    const EXPECTED: Expected = Expected::millis(400, 400);
    type Outputs = TargetOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        // The call updates an existing target, but not its tags, so look for one first.
        let id = self.id()?;
        if self.found(cx).await?.is_some() {
            return Err(foreign("scalable target", self.resource.known()?, id.as_str()));
        }
        let (namespace, dimension, resource) = parts(id.as_str())?;
        let call = cx.application_autoscaling().register_scalable_target().service_namespace(namespace);
        let call = call.scalable_dimension(dimension).resource_id(resource).set_tags(Some(tags::sdk(&self.tags)));
        call.min_capacity(self.min_capacity).max_capacity(self.max_capacity).send().await.explain()?;
        Ok(id)
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(tags) = self.found(cx).await? else { return Ok(None) };
        claim("scalable target", self.resource.known()?, self.id()?, &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let mut services = Vec::new();
        for id in ids {
            let (namespace, ..) = parts(id.as_str())?;
            if !services.contains(&namespace) {
                services.push(namespace);
            }
        }
        let asked = try_join_all(services.into_iter().map(|namespace| describe(cx, namespace, ids))).await?;
        Ok(asked.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let bounds = |it: &Self| (it.min_capacity, it.max_capacity);
        if bounds(self) != bounds(&live.args) {
            let (namespace, dimension, resource) = parts(live.id.as_str())?;
            let call = cx.application_autoscaling().register_scalable_target().service_namespace(namespace);
            let call = call.scalable_dimension(dimension).resource_id(resource);
            call.min_capacity(self.min_capacity).max_capacity(self.max_capacity).send().await.explain()?;
        }
        tags::sync(cx, live.outputs.arn.known()?, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (namespace, dimension, resource) = parts(live.id.as_str())?;
        let call = cx.application_autoscaling().deregister_scalable_target().service_namespace(namespace);
        let call = call.scalable_dimension(dimension).resource_id(resource);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// Without a filter, whose empty result proves nothing, and without the tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let (namespace, ..) = parts(id.as_str())?;
        let call = cx.application_autoscaling().describe_scalable_targets().service_namespace(namespace);
        let all = call.into_paginator().items().send().try_collect().await.explain()?;
        Ok(!all.iter().any(|target| self::id(&target.scalable_dimension, &target.resource_id) == id.as_str()))
    }
}

/// Those of `ids` that belong to one service.
async fn describe(cx: &Cx, namespace: ServiceNamespace, ids: &[Id<Target>]) -> Result<Vec<Live<Target>>> {
    let parts = ids.iter().map(|id| parts(id.as_str())).collect::<Result<Vec<_>>>()?;
    let resources = parts.iter().filter(|part| part.0 == namespace).map(|part| part.2.to_owned()).collect();
    let call = cx.application_autoscaling().describe_scalable_targets().service_namespace(namespace);
    let call = call.set_resource_ids(Some(resources));
    let found = call.into_paginator().items().send().try_collect().await.explain()?;
    // A resource may have several dimensions.
    let found = found.into_iter().filter(|target| {
        let found = id(&target.scalable_dimension, &target.resource_id);
        ids.iter().any(|id| id.as_str() == found)
    });
    let found = found.map(|target| async { live(cx, target).await.unless(Class::NotFound) });
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

async fn live(cx: &Cx, target: sdk::ScalableTarget) -> Result<Live<Target>> {
    let arn = target.scalable_target_arn.need("ScalableTargetARN")?;
    Ok(Live {
        id: Id::new(id(&target.scalable_dimension, &target.resource_id)),
        status: Status::Ready,
        args: Target {
            resource: Ref::Known(target.resource_id),
            dimension: target.scalable_dimension.as_str().to_owned(),
            min_capacity: target.min_capacity,
            max_capacity: target.max_capacity,
            tags: tags::of(cx, &arn).await?,
        },
        outputs: TargetOutputs { arn: Ref::Known(arn) },
    })
}
