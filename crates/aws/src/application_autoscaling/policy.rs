//! A scaling policy with target tracking: keeps a metric near a value.

use aws_sdk_applicationautoscaling::types::{
    self as sdk, MetricType, PolicyType, PredefinedMetricSpecification, ServiceNamespace,
    TargetTrackingScalingPolicyConfiguration,
};
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Target;
use super::target::{id as target_id, parts};
use crate::error::{Unless, vacant};
use crate::{Cx, Explain, Need};

/// A target tracking policy. Its id is its name and, after a slash, its target's id.
///
/// AWS creates alarms for it, `TargetTracking-…`, and deletes them with it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The name, unique per target; without slashes.
    pub name: String,
    /// The scalable target.
    pub target: Ref<Id<Target>>,
    /// The metric.
    pub metric: Metric,
    /// The target value, in the metric's unit.
    pub target_value: f64,
    /// The scale-out cooldown in seconds.
    pub scale_out_cooldown: i32,
    /// The scale-in cooldown in seconds.
    pub scale_in_cooldown: i32,
    /// Whether scale-in is disabled.
    pub disable_scale_in: bool,
}

/// The metric of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The average CPU utilization of an ECS service, in percent.
    EcsCpu,
    /// The average memory utilization of an ECS service, in percent.
    EcsMemory,
    /// The number of requests per target and minute.
    RequestsPerTarget {
        /// The ARN of the application load balancer.
        load_balancer: Ref<String>,
        /// The ARN of the target group.
        target_group: Ref<String>,
    },
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyOutputs {
    /// The ARN.
    pub arn: Ref<String>,
}

impl Metric {
    fn sdk(&self) -> Result<PredefinedMetricSpecification> {
        let metric = PredefinedMetricSpecification::builder();
        let metric = match self {
            Self::EcsCpu => metric.predefined_metric_type(MetricType::EcsServiceAverageCpuUtilization),
            Self::EcsMemory => metric.predefined_metric_type(MetricType::EcsServiceAverageMemoryUtilization),
            Self::RequestsPerTarget { load_balancer, target_group } => metric
                .predefined_metric_type(MetricType::AlbRequestCountPerTarget)
                .resource_label(label(load_balancer.known()?, target_group.known()?)?),
            Self::Other(name) => metric.predefined_metric_type(MetricType::from(name.as_str())),
        };
        metric.build().explain()
    }

    fn from(cx: &Cx, metric: &PredefinedMetricSpecification) -> Self {
        match &metric.predefined_metric_type {
            MetricType::EcsServiceAverageCpuUtilization => Self::EcsCpu,
            MetricType::EcsServiceAverageMemoryUtilization => Self::EcsMemory,
            MetricType::AlbRequestCountPerTarget => {
                let (load_balancer, target_group) = unlabel(cx, metric.resource_label().unwrap_or_default());
                Self::RequestsPerTarget { load_balancer, target_group }
            }
            other => Self::Other(other.as_str().to_owned()),
        }
    }
}

const BALANCER: &str = ":loadbalancer/";
const GROUP: &str = "targetgroup/";

/// `app/NAME/ID/targetgroup/NAME/ID`, from two ARNs.
fn label(load_balancer: &str, target_group: &str) -> Result<String> {
    let balancer = load_balancer.split_once(BALANCER).map(|(_, balancer)| balancer);
    let group = target_group.split_once(GROUP).map(|(_, group)| group);
    let (Some(balancer), Some(group)) = (balancer, group) else {
        return Err(Error::invalid(format!(
            "`{load_balancer}` and `{target_group}` do not support the metric for requests per target"
        ))
        .hint("use the ARNs of an application load balancer and of one of its target groups"));
    };
    Ok(format!("{balancer}/{GROUP}{group}"))
}

/// The two ARNs of a resource label.
fn unlabel(cx: &Cx, label: &str) -> (Ref<String>, Ref<String>) {
    let (balancer, group) = label.split_once(&format!("/{GROUP}")).unwrap_or((label, ""));
    let arn = |rest: String| {
        let (region, account) = (cx.region(), cx.account());
        Ref::Known(format!("arn:aws:elasticloadbalancing:{region}:{account}:{rest}"))
    };
    (arn(format!("loadbalancer/{balancer}")), arn(format!("{GROUP}{group}")))
}

/// Name and target of a policy.
fn of(id: &Id<Policy>) -> Result<(&str, &str)> {
    id.as_str().split_once('/').ok_or_else(|| Error::failed(format!("`{id}` is not a policy id")))
}

impl Policy {
    fn id(&self) -> Result<Id<Self>> {
        Ok(Id::new(format!("{}/{}", self.name, self.target.known()?)))
    }

    async fn found(&self, cx: &Cx) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    /// The call replaces an existing policy.
    async fn put(&self, cx: &Cx) -> Result<()> {
        let (namespace, dimension, resource) = parts(self.target.known()?.as_str())?;
        let tracking = TargetTrackingScalingPolicyConfiguration::builder()
            .target_value(self.target_value)
            .predefined_metric_specification(self.metric.sdk()?)
            .scale_out_cooldown(self.scale_out_cooldown)
            .scale_in_cooldown(self.scale_in_cooldown)
            .disable_scale_in(self.disable_scale_in);
        let call = cx.application_autoscaling().put_scaling_policy().policy_name(&self.name);
        let call = call.service_namespace(namespace).scalable_dimension(dimension).resource_id(resource);
        let call = call.policy_type(PolicyType::TargetTrackingScaling);
        let call = call.target_tracking_scaling_policy_configuration(tracking.build().explain()?);
        call.send().await.explain().map(drop)
    }
}

impl Resource for Policy {
    type Cx = Cx;
    const KIND: &'static str = "application-autoscaling.policy";
    const REPLACE: Fields = fields!(Self: name, target);
    const IDENTITY: Identity = Identity::Part("target");
    const KEY: Fields = fields!(Self: target, name);
    /// The maximum number of names for `DescribeScalingPolicies`.
    const BATCH: usize = 50;
    const EXPECTED: Expected = Expected::millis(400, 400);
    type Outputs = PolicyOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// The call would update an existing policy, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        vacant(self.found(cx).await?, "scaling policy")?;
        self.put(cx).await?;
        self.id()
    }

    /// Identified by its name and its target, which is ours.
    async fn recover(&self, cx: &Cx, _owner: &Owner) -> Result<Option<Id<Self>>> {
        self.found(cx).await
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let mut services: Vec<(ServiceNamespace, Vec<String>)> = Vec::new();
        for id in ids {
            let (name, target) = of(id)?;
            let (namespace, ..) = parts(target)?;
            match services.iter_mut().find(|(other, _)| *other == namespace) {
                Some((_, names)) => names.push(name.to_owned()),
                None => services.push((namespace, vec![name.to_owned()])),
            }
        }
        let asked = services.into_iter().map(|(namespace, mut names)| async move {
            // Several targets may have policies with the same name.
            names.sort_unstable();
            names.dedup();
            let call = cx.application_autoscaling().describe_scaling_policies().service_namespace(namespace);
            let call = call.set_policy_names(Some(names));
            call.into_paginator().items().send().try_collect().await.explain()
        });
        let found = try_join_all(asked).await?.into_iter().flatten();
        let found = found.map(|policy| live(cx, policy)).collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().filter(|live| ids.contains(&live.id)).collect())
    }

    async fn update(&self, cx: &Cx, _live: &Live<Self>) -> Result<()> {
        self.put(cx).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (namespace, dimension, resource) = parts(live.args.target.known()?.as_str())?;
        let call = cx.application_autoscaling().delete_scaling_policy().policy_name(&live.args.name);
        let call = call.service_namespace(namespace).scalable_dimension(dimension).resource_id(resource);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// Among all policies of its target: an empty result of a filter by name proves nothing.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let (name, target) = of(id)?;
        let (namespace, dimension, resource) = parts(target)?;
        let call = cx.application_autoscaling().describe_scaling_policies().service_namespace(namespace);
        let call = call.scalable_dimension(dimension).resource_id(resource).into_paginator().items().send();
        let all = call.try_collect().await.explain().unless(Class::NotFound)?.unwrap_or_default();
        Ok(!all.iter().any(|policy| policy.policy_name == name))
    }
}

fn live(cx: &Cx, policy: sdk::ScalingPolicy) -> Result<Live<Policy>> {
    let target = target_id(&policy.scalable_dimension, &policy.resource_id);
    let tracking =
        policy.target_tracking_scaling_policy_configuration.need("TargetTrackingScalingPolicyConfiguration")?;
    let metric = tracking.predefined_metric_specification.as_ref().map(|metric| Metric::from(cx, metric));
    Ok(Live {
        id: Id::new(format!("{}/{target}", policy.policy_name)),
        status: Status::Ready,
        args: Policy {
            name: policy.policy_name,
            target: Ref::Known(Id::new(target)),
            metric: metric.unwrap_or_else(|| Metric::Other("customized".to_owned())),
            target_value: tracking.target_value,
            scale_out_cooldown: tracking.scale_out_cooldown.unwrap_or(300),
            scale_in_cooldown: tracking.scale_in_cooldown.unwrap_or(300),
            disable_scale_in: tracking.disable_scale_in.unwrap_or_default(),
        },
        outputs: PolicyOutputs { arn: Ref::Known(policy.policy_arn) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_balancer_and_group() -> Result<()> {
        let arn = |rest: &str| format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:{rest}");
        let label = label(&arn("loadbalancer/app/edge/50dc"), &arn("targetgroup/blue/943f"))?;
        assert_eq!(label, "app/edge/50dc/targetgroup/blue/943f");
        assert!(super::label("edge", &arn("targetgroup/blue/943f")).is_err());
        Ok(())
    }
}
