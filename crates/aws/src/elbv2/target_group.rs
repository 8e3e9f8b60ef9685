//! A target group: the addresses to which a listener forwards requests, and their health check.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{self as sdk, Matcher, TargetGroupAttribute, TargetTypeEnum};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Secret, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Protocol, each, full_name, tags};
use crate::ec2::Vpc;
use crate::error::{Unless, claim, foreign, same_owner};
use crate::{Cx, Explain, Need};

/// A target group for IP addresses. Targets are registered elsewhere, and not managed here.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetGroup {
    /// The name, unique in the region, at most 32 letters, digits and inner hyphens.
    pub name: String,
    /// The VPC of the targets.
    pub vpc: Ref<Id<Vpc>>,
    /// The protocol of the targets.
    pub protocol: Protocol,
    /// The port of the targets.
    pub port: u16,
    /// The health check of the targets.
    pub health_check: HealthCheck,
    /// The deregistration delay in seconds, 0 to 3,600; AWS's default is 300.
    pub deregistration_delay: Option<i32>,
    /// The slow start duration in seconds, 30 to 900, or 0 to disable it, AWS's default.
    pub slow_start: Option<i32>,
    /// The tags.
    pub tags: Tags,
}

/// A health check of targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The protocol of the check.
    pub protocol: Protocol,
    /// The port of the check: a number, or `traffic-port` for the target's own.
    pub port: String,
    /// The path of the check, such as `/health`; it may contain a token.
    pub path: Secret<String>,
    /// The HTTP status codes of a healthy target: `200`, or `200-299`.
    pub codes: String,
    /// The interval between two checks in seconds, 5 to 300.
    pub interval: i32,
    /// The timeout of a check in seconds, 2 to 120, less than the interval.
    pub timeout: i32,
    /// The number of consecutive successful checks after which a target is healthy, 2 to 10.
    pub healthy: i32,
    /// The number of consecutive failed checks after which a target is unhealthy, 2 to 10.
    pub unhealthy: i32,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TargetGroupOutputs {
    /// The ARN, equal to the id.
    pub arn: Ref<String>,
    /// The dimension `TargetGroup` of metrics: `targetgroup/NAME/ID`.
    pub full_name: Ref<String>,
}

const DELAY: &str = "deregistration_delay.timeout_seconds";
const SLOW_START: &str = "slow_start.duration_seconds";

/// The value to which `None` resets.
const DEFAULT_DELAY: i32 = 300;

impl Resource for TargetGroup {
    type Cx = Cx;
    const KIND: &'static str = "elbv2.target-group";
    const REPLACE: Fields = fields!(Self: name, vpc, protocol, port);
    const KEY: Fields = fields!(Self: name);
    const NETWORK: Fields = fields!(Self: vpc);
    const BATCH: usize = super::BATCH;
    const TIMEOUT: Duration = Duration::from_mins(5);
    const EXPECTED: Expected = Expected::millis(500, 500);
    type Outputs = TargetGroupOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// If an existing one has the same settings, AWS returns it, whoever owns it: so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if let Some((arn, theirs)) = by_name(cx, &self.name).await?
            && !same_owner(&self.tags, &theirs)
        {
            return Err(foreign("target group", &self.name, &arn));
        }
        let check = &self.health_check;
        let call = cx.elbv2().create_target_group().name(&self.name).vpc_id(self.vpc.known()?);
        let call = call.protocol(self.protocol.sdk()?).port(i32::from(self.port)).target_type(TargetTypeEnum::Ip);
        let call = call.health_check_enabled(true).health_check_path(check.path.expose()?).matcher(check.matcher());
        let call = call.health_check_protocol(check.protocol.sdk()?).health_check_port(&check.port);
        let call = call.health_check_interval_seconds(check.interval).health_check_timeout_seconds(check.timeout);
        let call = call.healthy_threshold_count(check.healthy).unhealthy_threshold_count(check.unhealthy);
        let made = call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        let made = made.target_groups.unwrap_or_default().pop().need("TargetGroup")?;
        Ok(Id::new(made.target_group_arn.need("TargetGroupArn")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        match by_name(cx, &self.name).await? {
            Some((arn, _)) if cx.is_known(&arn) => Ok(None),
            Some((arn, tags)) => claim("target group", &self.name, Id::new(arn), &tags, owner),
            None => Ok(None),
        }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let ask = |arns| async move {
            let call = cx.elbv2().describe_target_groups().set_target_group_arns(Some(arns));
            Ok(call.send().await.explain()?.target_groups.unwrap_or_default())
        };
        let found = each(ids.iter().map(String::from).collect(), ask).await?;
        let arns: Vec<_> = found.iter().filter_map(|group| group.target_group_arn.clone()).collect();
        let tags = tags::of(cx, &arns).await?;
        let found = found.into_iter().map(|group| live(cx, group, &tags));
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (elb, was) = (cx.elbv2(), &live.args);
        if self.health_check != was.health_check {
            let check = &self.health_check;
            let call = elb.modify_target_group().target_group_arn(&live.id);
            let call = call.health_check_enabled(true).health_check_path(check.path.expose()?).matcher(check.matcher());
            let call = call.health_check_protocol(check.protocol.sdk()?).health_check_port(&check.port);
            let call = call.health_check_interval_seconds(check.interval).health_check_timeout_seconds(check.timeout);
            let call = call.healthy_threshold_count(check.healthy).unhealthy_threshold_count(check.unhealthy);
            call.send().await.explain()?;
        }
        let mut changes = Vec::new();
        if self.deregistration_delay != was.deregistration_delay {
            changes.push(attribute(DELAY, self.deregistration_delay.unwrap_or(DEFAULT_DELAY)));
        }
        if self.slow_start != was.slow_start {
            changes.push(attribute(SLOW_START, self.slow_start.unwrap_or_default()));
        }
        if !changes.is_empty() {
            let call = elb.modify_target_group_attributes().target_group_arn(&live.id);
            call.set_attributes(Some(changes)).send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &was.tags, &self.tags).await
    }

    /// A listener or rule that still forwards to it is a conflict.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.elbv2().delete_target_group().target_group_arn(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the ARN alone, without the attributes and tags that a read includes.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let found = cx.elbv2().describe_target_groups().target_group_arns(id).send().await.explain();
        Ok(found.unless(Class::NotFound)?.is_none_or(|found| found.target_groups().is_empty()))
    }
}

impl HealthCheck {
    fn matcher(&self) -> Matcher {
        Matcher::builder().http_code(&self.codes).build()
    }
}

fn attribute(key: &str, value: i32) -> TargetGroupAttribute {
    TargetGroupAttribute::builder().key(key).value(value.to_string()).build()
}

/// The ARN and tags of the target group with this name.
async fn by_name(cx: &Cx, name: &str) -> Result<Option<(String, Tags)>> {
    let found = cx.elbv2().describe_target_groups().names(name).send().await.explain().unless(Class::NotFound)?;
    let found = found.and_then(|found| found.target_groups.unwrap_or_default().pop());
    let Some(arn) = found.and_then(|group| group.target_group_arn) else { return Ok(None) };
    let tags = tags::of(cx, std::slice::from_ref(&arn)).await?.remove(&arn).unwrap_or_default();
    Ok(Some((arn, tags)))
}

/// `None` if it was deleted since the list call.
async fn live(cx: &Cx, group: sdk::TargetGroup, tags: &HashMap<String, Tags>) -> Result<Option<Live<TargetGroup>>> {
    let arn = group.target_group_arn.need("TargetGroupArn")?;
    let call = cx.elbv2().describe_target_group_attributes().target_group_arn(&arn);
    let Some(attributes) = call.send().await.explain().unless(Class::NotFound)? else { return Ok(None) };
    let attributes = attributes.attributes.unwrap_or_default().into_iter();
    let attributes: BTreeMap<_, _> = attributes.filter_map(|it| Some((it.key?, it.value?))).collect();
    let seconds = |key| attributes.get(key).and_then(|seconds| seconds.parse().ok());
    let health_check = HealthCheck {
        protocol: Protocol::from_sdk(group.health_check_protocol.as_ref()),
        port: group.health_check_port.unwrap_or_default(),
        path: Secret::new(group.health_check_path.unwrap_or_default()),
        codes: group.matcher.and_then(|matcher| matcher.http_code).unwrap_or_default(),
        interval: group.health_check_interval_seconds.unwrap_or_default(),
        timeout: group.health_check_timeout_seconds.unwrap_or_default(),
        healthy: group.healthy_threshold_count.unwrap_or_default(),
        unhealthy: group.unhealthy_threshold_count.unwrap_or_default(),
    };
    let outputs = TargetGroupOutputs {
        full_name: Ref::Known(format!("targetgroup/{}", full_name(&arn, ":targetgroup/")?)),
        arn: Ref::Known(arn.clone()),
    };
    let args = TargetGroup {
        name: group.target_group_name.need("TargetGroupName")?,
        vpc: Ref::Known(Id::new(group.vpc_id.need("VpcId")?)),
        protocol: Protocol::from_sdk(group.protocol.as_ref()),
        port: group.port.and_then(|port| u16::try_from(port).ok()).need("Port")?,
        health_check,
        deregistration_delay: seconds(DELAY),
        slow_start: seconds(SLOW_START),
        tags: tags.get(&arn).cloned().unwrap_or_default(),
    };
    Ok(Some(Live { id: Id::new(arn), status: Status::Ready, args, outputs }))
}
