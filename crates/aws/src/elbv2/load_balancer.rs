//! An application load balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    self as sdk, IpAddressType, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerStateEnum,
    LoadBalancerTypeEnum,
};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{each, full_name, tags};
use crate::ec2::{SecurityGroup, Subnet};
use crate::error::{Unless, claim, foreign, same_owner};
use crate::refs::known;
use crate::{Cx, Explain, Need};

/// An application load balancer. If it is not internal, an internet gateway must be attached before it is created
/// (AWS-FACTS §4.5). Its network interfaces remain for some minutes after it is deleted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// The name, unique in the region, at most 32 letters, digits and inner hyphens, without the prefix `internal-`.
    pub name: String,
    /// Whether it is internal.
    pub internal: bool,
    /// The subnets: in at least two zones, one per zone.
    pub subnets: BTreeSet<Ref<Id<Subnet>>>,
    /// The security groups.
    pub security_groups: BTreeSet<Ref<Id<SecurityGroup>>>,
    /// The destination of access logs; the bucket's policy must allow it to write (UG: Enable access logs).
    pub access_logs: Option<AccessLogs>,
    /// The idle timeout in seconds, 1 to 4,000; AWS's default is 60.
    pub idle_timeout: Option<i32>,
    /// Whether invalid header fields are dropped; AWS's default is that they are not.
    pub drop_invalid_header_fields: Option<bool>,
    /// Whether deletion protection is enabled.
    pub deletion_protection: bool,
    /// The tags.
    pub tags: Tags,
}

/// Access logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLogs {
    /// The bucket's name. The bucket must be in the same region and use S3's own encryption.
    pub bucket: Ref<String>,
    /// The key prefix, before `/AWSLogs/ACCOUNT/`; can be empty.
    pub prefix: String,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LoadBalancerOutputs {
    /// The ARN, equal to the id.
    pub arn: Ref<String>,
    /// The DNS name.
    pub dns_name: Ref<String>,
    /// The hosted zone of the DNS name, for alias records.
    pub zone_id: Ref<String>,
    /// The dimension `LoadBalancer` of metrics: `app/NAME/ID`.
    pub full_name: Ref<String>,
}

const LOGS: &str = "access_logs.s3.enabled";
const LOGS_BUCKET: &str = "access_logs.s3.bucket";
const LOGS_PREFIX: &str = "access_logs.s3.prefix";
const IDLE: &str = "idle_timeout.timeout_seconds";
const DROP: &str = "routing.http.drop_invalid_header_fields.enabled";
const PROTECTION: &str = "deletion_protection.enabled";

/// The value to which `None` resets.
const DEFAULT_IDLE: i32 = 60;

impl Resource for LoadBalancer {
    type Cx = Cx;
    const KIND: &'static str = "elbv2.load-balancer";
    const REPLACE: Fields = fields!(Self: name, internal);
    const KEY: Fields = fields!(Self: name);
    const HOLDS: Fields = fields!(Self: subnets, security_groups);
    const NETWORK: Fields = fields!(Self: subnets, security_groups);
    const SHIELD: Option<&'static str> = Some("deletion_protection");
    const BATCH: usize = super::BATCH;
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(120_000, 5_000);
    type Outputs = LoadBalancerOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// If an existing one has the same settings, AWS returns it, whoever owns it: so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if let Some((arn, theirs)) = by_name(cx, &self.name).await?
            && !same_owner(&self.tags, &theirs)
        {
            return Err(foreign("load balancer", &self.name, &arn));
        }
        let scheme =
            if self.internal { LoadBalancerSchemeEnum::Internal } else { LoadBalancerSchemeEnum::InternetFacing };
        let call = cx.elbv2().create_load_balancer().name(&self.name).scheme(scheme);
        let call = call.r#type(LoadBalancerTypeEnum::Application).ip_address_type(IpAddressType::Ipv4);
        let call = call.set_subnets(Some(known(&self.subnets)?));
        let call = call.set_security_groups(Some(known(&self.security_groups)?));
        let made = call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        let made = made.load_balancers.unwrap_or_default().pop().need("LoadBalancer")?;
        Ok(Id::new(made.load_balancer_arn.need("LoadBalancerArn")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        match by_name(cx, &self.name).await? {
            Some((arn, _)) if cx.is_known(&arn) => Ok(None),
            Some((arn, tags)) => claim("load balancer", &self.name, Id::new(arn), &tags, owner),
            None => Ok(None),
        }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let ask = |arns| async move {
            let call = cx.elbv2().describe_load_balancers().set_load_balancer_arns(Some(arns));
            Ok(call.send().await.explain()?.load_balancers.unwrap_or_default())
        };
        let found = each(ids.iter().map(String::from).collect(), ask).await?;
        let arns: Vec<_> = found.iter().filter_map(|balancer| balancer.load_balancer_arn.clone()).collect();
        let tags = tags::of(cx, &arns).await?;
        let found = found.into_iter().map(|balancer| live(cx, balancer, &tags));
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (elb, was) = (cx.elbv2(), &live.args);
        if self.subnets != was.subnets {
            let call = elb.set_subnets().load_balancer_arn(&live.id);
            call.set_subnets(Some(known(&self.subnets)?)).send().await.explain()?;
        }
        if self.security_groups != was.security_groups {
            let call = elb.set_security_groups().load_balancer_arn(&live.id);
            call.set_security_groups(Some(known(&self.security_groups)?)).send().await.explain()?;
        }
        let changes = self.attributes(was)?;
        if !changes.is_empty() {
            let call = elb.modify_load_balancer_attributes().load_balancer_arn(&live.id);
            call.set_attributes(Some(changes)).send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.elbv2().delete_load_balancer().load_balancer_arn(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the ARN alone, without the attributes and tags that a read includes.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let found = cx.elbv2().describe_load_balancers().load_balancer_arns(id).send().await.explain();
        Ok(found.unless(Class::NotFound)?.is_none_or(|found| found.load_balancers().is_empty()))
    }
}

impl LoadBalancer {
    /// The attributes that differ from `was`; unmanaged ones are reset to AWS's defaults.
    fn attributes(&self, was: &Self) -> Result<Vec<LoadBalancerAttribute>> {
        let mut changes = Vec::new();
        if self.access_logs != was.access_logs {
            match &self.access_logs {
                Some(logs) => changes.extend([
                    attribute(LOGS, true),
                    attribute(LOGS_BUCKET, logs.bucket.known()?),
                    attribute(LOGS_PREFIX, &logs.prefix),
                ]),
                None => changes.push(attribute(LOGS, false)),
            }
        }
        if self.idle_timeout != was.idle_timeout {
            changes.push(attribute(IDLE, self.idle_timeout.unwrap_or(DEFAULT_IDLE)));
        }
        if self.drop_invalid_header_fields != was.drop_invalid_header_fields {
            changes.push(attribute(DROP, self.drop_invalid_header_fields.unwrap_or_default()));
        }
        if self.deletion_protection != was.deletion_protection {
            changes.push(attribute(PROTECTION, self.deletion_protection));
        }
        Ok(changes)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "values of several types")]
fn attribute(key: &str, value: impl ToString) -> LoadBalancerAttribute {
    LoadBalancerAttribute::builder().key(key).value(value.to_string()).build()
}

/// The ARN and tags of the load balancer with this name.
async fn by_name(cx: &Cx, name: &str) -> Result<Option<(String, Tags)>> {
    let found = cx.elbv2().describe_load_balancers().names(name).send().await.explain().unless(Class::NotFound)?;
    let found = found.and_then(|found| found.load_balancers.unwrap_or_default().pop());
    let Some(arn) = found.and_then(|balancer| balancer.load_balancer_arn) else { return Ok(None) };
    let tags = tags::of(cx, std::slice::from_ref(&arn)).await?.remove(&arn).unwrap_or_default();
    Ok(Some((arn, tags)))
}

/// `None` if it was deleted since the list call.
async fn live(
    cx: &Cx,
    balancer: sdk::LoadBalancer,
    tags: &std::collections::HashMap<String, Tags>,
) -> Result<Option<Live<LoadBalancer>>> {
    let status = status(&balancer);
    let arn = balancer.load_balancer_arn.need("LoadBalancerArn")?;
    let call = cx.elbv2().describe_load_balancer_attributes().load_balancer_arn(&arn);
    let Some(attributes) = call.send().await.explain().unless(Class::NotFound)? else { return Ok(None) };
    let attributes = attributes.attributes.unwrap_or_default().into_iter();
    let attributes: BTreeMap<_, _> =
        attributes.filter_map(|it| Some((it.key?, it.value.unwrap_or_default()))).collect();
    let is_on = |key: &str| attributes.get(key).map(|value| value == "true");
    let text = |key: &str| attributes.get(key).cloned().unwrap_or_default();
    let zones = balancer.availability_zones.unwrap_or_default().into_iter();
    let logs = AccessLogs { bucket: Ref::Known(text(LOGS_BUCKET)), prefix: text(LOGS_PREFIX) };
    let outputs = LoadBalancerOutputs {
        dns_name: Ref::Known(balancer.dns_name.need("DNSName")?),
        zone_id: Ref::Known(balancer.canonical_hosted_zone_id.need("CanonicalHostedZoneId")?),
        full_name: Ref::Known(full_name(&arn, ":loadbalancer/")?),
        arn: Ref::Known(arn.clone()),
    };
    let args = LoadBalancer {
        name: balancer.load_balancer_name.need("LoadBalancerName")?,
        internal: balancer.scheme == Some(LoadBalancerSchemeEnum::Internal),
        subnets: zones.filter_map(|zone| zone.subnet_id).map(Id::new).map(Ref::Known).collect(),
        security_groups: balancer
            .security_groups
            .unwrap_or_default()
            .into_iter()
            .map(Id::new)
            .map(Ref::Known)
            .collect(),
        access_logs: (is_on(LOGS) == Some(true)).then_some(logs),
        idle_timeout: attributes.get(IDLE).and_then(|seconds| seconds.parse().ok()),
        drop_invalid_header_fields: is_on(DROP),
        deletion_protection: is_on(PROTECTION) == Some(true),
        tags: tags.get(&arn).cloned().unwrap_or_default(),
    };
    Ok(Some(Live { id: Id::new(arn), status, args, outputs }))
}

fn status(balancer: &sdk::LoadBalancer) -> Status {
    let state = balancer.state();
    match state.and_then(|state| state.code()) {
        // An impaired load balancer routes traffic but cannot scale.
        Some(LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired) => Status::Ready,
        Some(LoadBalancerStateEnum::Failed) => {
            let why = state.and_then(|state| state.reason()).unwrap_or("AWS gave no reason");
            Status::Failed(why.to_owned())
        }
        _ => Status::Pending,
    }
}
