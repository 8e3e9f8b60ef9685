//! A VPC: a private network in one region.

use aws_sdk_ec2::types::{self as sdk, AttributeBooleanValue, ResourceType, VpcAttributeName, VpcState};
use futures_util::future::try_join_all;
use ipnet::Ipv4Net;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{by_id, tags};
use crate::cidr::Cidr;
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A VPC. AWS creates and deletes a main route table, a network ACL and a security group with it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// The CIDR block.
    #[schemars(with = "Cidr")]
    pub cidr: Ipv4Net,
    /// Whether DNS resolution is enabled.
    pub dns_support: bool,
    /// Whether instances get DNS host names; requires `dns_support`.
    pub dns_hostnames: bool,
    /// The tags.
    pub tags: Tags,
}

impl Resource for Vpc {
    type Cx = Cx;
    const KIND: &'static str = "ec2.vpc";
    const REPLACE: Fields = fields!(Self: cidr);
    const EXPECTED: Expected = Expected::millis(2_000, 1_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_vpc().cidr_block(self.cidr.to_string());
        let call = call.tag_specifications(tags::spec(ResourceType::Vpc, &self.tags));
        let vpc = call.send().await.explain()?.vpc.need("Vpc")?;
        Ok(Id::new(vpc.vpc_id.need("VpcId")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_vpcs().set_filters(Some(tags::owned_by(owner)));
        let found = call.send().await.explain()?;
        let mut ids = found.vpcs().iter().filter_map(|vpc| vpc.vpc_id());
        Ok(ids.find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_vpcs().filters(by_id("vpc-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        let found = try_join_all(found.into_iter().map(|vpc| live(cx, vpc))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let on = |value| AttributeBooleanValue::builder().value(value).build();
        let modify = || cx.ec2().modify_vpc_attribute().vpc_id(&live.id);
        // One attribute per call, and DNS resolution before host names (AWS-FACTS §1.1).
        if self.dns_support != live.args.dns_support {
            modify().enable_dns_support(on(self.dns_support)).send().await.explain()?;
        }
        if self.dns_hostnames != live.args.dns_hostnames {
            modify().enable_dns_hostnames(on(self.dns_hostnames)).send().await.explain()?;
        }
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        cx.ec2().delete_vpc().vpc_id(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }

    absent!(describe_vpcs, vpc_ids, vpcs);
}

/// `None` if the VPC was deleted while it was read.
async fn live(cx: &Cx, vpc: sdk::Vpc) -> Result<Option<Live<Vpc>>> {
    let id = vpc.vpc_id.need("VpcId")?;
    let ask = async |name| {
        let call = cx.ec2().describe_vpc_attribute().vpc_id(&id).attribute(name);
        call.send().await.explain().unless(Class::NotFound)
    };
    let attributes =
        tokio::try_join!(ask(VpcAttributeName::EnableDnsSupport), ask(VpcAttributeName::EnableDnsHostnames))?;
    let (Some(support), Some(hostnames)) = attributes else { return Ok(None) };
    let cidr = vpc.cidr_block.need("CidrBlock")?;
    Ok(Some(Live {
        id: Id::new(id),
        status: if vpc.state == Some(VpcState::Available) { Status::Ready } else { Status::Pending },
        args: Vpc {
            cidr: cidr.parse().map_err(|_| Error::failed(format!("AWS returned the CIDR block `{cidr}`")))?,
            dns_support: support.enable_dns_support.and_then(|it| it.value).unwrap_or_default(),
            dns_hostnames: hostnames.enable_dns_hostnames.and_then(|it| it.value).unwrap_or_default(),
            tags: tags::from(vpc.tags),
        },
        outputs: (),
    }))
}
