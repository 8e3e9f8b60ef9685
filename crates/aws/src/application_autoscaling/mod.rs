//! Application Auto Scaling: scalable targets and scaling policies.

mod policy;
mod tags;
mod target;

use aws_sdk_applicationautoscaling::types::ServiceNamespace;
use payinfra_engine::{Kind, Result, Tags, kind};

pub use policy::{Metric, Policy, PolicyOutputs};
pub use target::{Target, TargetOutputs};

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Policy>(), kind::<Target>()];

/// The targets with their tags. Policies have no tags, and are deleted with their target.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let call = cx.application_autoscaling().describe_scalable_targets().service_namespace(ServiceNamespace::Ecs);
    let targets = call.into_paginator().items().send().try_collect().await.explain()?;
    let targets = targets.into_iter().filter_map(|target| {
        let id = target::id(&target.scalable_dimension, &target.resource_id);
        Some((id, target.scalable_target_arn?))
    });
    tagged(targets.map(|(id, arn)| (id, async move { tags::of(cx, &arn).await }))).await
}
