//! The attachment of a VPC to a transit gateway.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, ResourceType, TransitGatewayAttachmentState as State};
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Subnet, TransitGateway, Vpc, by_id, filter, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A VPC attachment. Routes to the transit gateway, in its route tables and in the VPC's, must wait until it is ready.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayVpcAttachment {
    /// The transit gateway.
    pub gateway: Ref<Id<TransitGateway>>,
    /// The VPC.
    pub vpc: Ref<Id<Vpc>>,
    /// The subnets of its network interfaces, one per zone.
    pub subnets: BTreeSet<Ref<Id<Subnet>>>,
    /// The tags.
    pub tags: Tags,
}

impl Resource for TransitGatewayVpcAttachment {
    type Cx = Cx;
    const KIND: &'static str = "ec2.transit-gateway-vpc-attachment";
    const REPLACE: Fields = fields!(Self: gateway, vpc);
    const KEY: Fields = fields!(Self: gateway, vpc);
    const HOLDS: Fields = fields!(Self: subnets);
    const NETWORK: Fields = fields!(Self: vpc, subnets);
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(75_000, 75_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let subnets = self.subnets.iter().map(|id| Ok(id.known()?.into())).collect::<Result<_>>()?;
        let call = cx.ec2().create_transit_gateway_vpc_attachment().transit_gateway_id(self.gateway.known()?);
        let call = call
            .vpc_id(self.vpc.known()?)
            .set_subnet_ids(Some(subnets))
            .tag_specifications(tags::spec(ResourceType::TransitGatewayAttachment, &self.tags));
        let attachment = call.send().await.explain()?.transit_gateway_vpc_attachment;
        Ok(Id::new(attachment.and_then(|it| it.transit_gateway_attachment_id).need("TransitGatewayAttachmentId")?))
    }

    /// By transit gateway and VPC, between which only one is possible.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let (gateway, vpc) = (self.gateway.known()?, self.vpc.known()?);
        let call = cx.ec2().describe_transit_gateway_vpc_attachments().filters(filter("transit-gateway-id", gateway));
        let found = call.filters(filter("vpc-id", vpc)).send().await.explain()?;
        for attachment in found.transit_gateway_vpc_attachments.unwrap_or_default() {
            let id = attachment.transit_gateway_attachment_id.need("TransitGatewayAttachmentId")?;
            let alive = matches!(status(attachment.state.as_ref()), Some(Status::Pending | Status::Ready));
            if !alive || cx.is_known(&id) {
                continue;
            }
            if !owner.owns(&tags::from(attachment.tags)) {
                return Err(Error::new(Class::Foreign, format!("{id} already attaches {vpc} to {gateway}")).taken(id));
            }
            return Ok(Some(Id::new(id)));
        }
        Ok(None)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_transit_gateway_vpc_attachments();
        let call = call.filters(by_id("transit-gateway-attachment-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        found.into_iter().filter_map(|attachment| live(attachment).transpose()).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.subnets != live.args.subnets {
            let (want, live_subnets) = (&self.subnets, &live.args.subnets);
            let mut call = cx.ec2().modify_transit_gateway_vpc_attachment().transit_gateway_attachment_id(&live.id);
            for id in want.difference(live_subnets) {
                call = call.add_subnet_ids(id.known()?);
            }
            for id in live_subnets.difference(want) {
                call = call.remove_subnet_ids(id.known()?);
            }
            call.send().await.explain()?;
        }
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.ec2().delete_transit_gateway_vpc_attachment().transit_gateway_attachment_id(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    absent!(
        describe_transit_gateway_vpc_attachments,
        transit_gateway_attachment_ids,
        transit_gateway_vpc_attachments,
        |it| status(it.state()).is_none()
    );
}

/// The status of an attachment of any type; `None` for a deleted one, which is listed for hours.
pub(super) fn status(state: Option<&State>) -> Option<Status> {
    Some(match state {
        Some(State::Available) => Status::Ready,
        Some(State::Deleting) => Status::Deleting,
        Some(State::Deleted) => return None,
        Some(state @ (State::Failed | State::Failing | State::Rejected | State::Rejecting | State::RollingBack)) => {
            Status::Failed(format!("the attachment failed: its state is {state}"))
        }
        _ => Status::Pending,
    })
}

/// `None` if the attachment is gone.
fn live(attachment: sdk::TransitGatewayVpcAttachment) -> Result<Option<Live<TransitGatewayVpcAttachment>>> {
    let Some(status) = status(attachment.state.as_ref()) else { return Ok(None) };
    let subnets = attachment.subnet_ids.unwrap_or_default();
    Ok(Some(Live {
        id: Id::new(attachment.transit_gateway_attachment_id.need("TransitGatewayAttachmentId")?),
        status,
        args: TransitGatewayVpcAttachment {
            gateway: Ref::Known(Id::new(attachment.transit_gateway_id.need("TransitGatewayId")?)),
            vpc: Ref::Known(Id::new(attachment.vpc_id.need("VpcId")?)),
            subnets: subnets.into_iter().map(|id| Ref::Known(Id::new(id))).collect(),
            tags: tags::from(attachment.tags),
        },
        outputs: (),
    }))
}
