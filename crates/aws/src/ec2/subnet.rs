//! A subnet: a part of a VPC in one availability zone.

use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, AttributeBooleanValue, ResourceType, SubnetState};
use ipnet::Ipv4Net;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Vpc, by_id, filter, interfaces, tags};
use crate::cidr::Cidr;
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A subnet.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// The VPC.
    pub vpc: Ref<Id<Vpc>>,
    /// Its CIDR block, a part of the VPC's.
    #[schemars(with = "Cidr")]
    pub cidr: Ipv4Net,
    /// The availability zone, such as `us-east-1a`.
    pub zone: Ref<String>,
    /// Whether instances that start here get a public IP address.
    pub public: bool,
    /// The tags.
    pub tags: Tags,
}

impl Resource for Subnet {
    type Cx = Cx;
    const KIND: &'static str = "ec2.subnet";
    const REPLACE: Fields = fields!(Self: vpc, cidr, zone);
    const KEY: Fields = fields!(Self: vpc, cidr);
    const NETWORK: Fields = fields!(Self: vpc);
    const TIMEOUT: Duration = interfaces::TIMEOUT;
    const EXPECTED: Expected = Expected::millis(1_500, 1_500);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_subnet().vpc_id(self.vpc.known()?).cidr_block(self.cidr.to_string());
        let call =
            call.availability_zone(self.zone.known()?).tag_specifications(tags::spec(ResourceType::Subnet, &self.tags));
        let subnet = call.send().await.explain()?.subnet.need("Subnet")?;
        Ok(Id::new(subnet.subnet_id.need("SubnetId")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_subnets().set_filters(Some(tags::owned_by(owner)));
        let found = call.send().await.explain()?;
        let mut ids = found.subnets().iter().filter_map(|subnet| subnet.subnet_id());
        Ok(ids.find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_subnets().filters(by_id("subnet-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        found.into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.public != live.args.public {
            let public = AttributeBooleanValue::builder().value(self.public).build();
            let call = cx.ec2().modify_subnet_attribute().subnet_id(&live.id);
            call.map_public_ip_on_launch(public).send().await.explain()?;
        }
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let deleted = cx.ec2().delete_subnet().subnet_id(&live.id).send().await.explain();
        let deleted = deleted.unless(Class::NotFound).map(drop);
        interfaces::named(cx, filter("subnet-id", &live.id), deleted).await
    }

    absent!(describe_subnets, subnet_ids, subnets);
}

fn live(subnet: sdk::Subnet) -> Result<Live<Subnet>> {
    let cidr = subnet.cidr_block.need("CidrBlock")?;
    Ok(Live {
        id: Id::new(subnet.subnet_id.need("SubnetId")?),
        status: if subnet.state == Some(SubnetState::Available) { Status::Ready } else { Status::Pending },
        args: Subnet {
            vpc: Ref::Known(Id::new(subnet.vpc_id.need("VpcId")?)),
            cidr: cidr.parse().map_err(|_| Error::failed(format!("AWS returned the CIDR block `{cidr}`")))?,
            zone: Ref::Known(subnet.availability_zone.need("AvailabilityZone")?),
            public: subnet.map_public_ip_on_launch.unwrap_or_default(),
            tags: tags::from(subnet.tags),
        },
        outputs: (),
    })
}
