//! A transit gateway peering, from the requester's side: connects the transit gateways of two regions.

use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, ResourceType, TransitGatewayAttachmentState as State};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Region, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TransitGateway, by_id, tags, transit_gateway_vpc_attachment};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A request for a peering, which a [`super::TransitGatewayPeeringAccepter`] in the peer's region accepts. It is ready
/// when it can be accepted. Resources that need the accepted peering, such as routes, refer to the accepter.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayPeering {
    /// The transit gateway in this region.
    pub gateway: Ref<Id<TransitGateway>>,
    /// The transit gateway in the other region.
    pub peer: Ref<Id<TransitGateway>>,
    /// The other region.
    pub peer_region: Region,
    /// The tags of this side.
    pub tags: Tags,
}

impl Resource for TransitGatewayPeering {
    type Cx = Cx;
    const KIND: &'static str = "ec2.transit-gateway-peering";
    const REPLACE: Fields = fields!(Self: gateway, peer, peer_region);
    const TIMEOUT: Duration = Duration::from_mins(10);
    // The accepter, which is deleted first, has deleted it already.
    const EXPECTED: Expected = Expected::millis(30_000, 1_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_transit_gateway_peering_attachment().transit_gateway_id(self.gateway.known()?);
        let call = call
            .peer_transit_gateway_id(self.peer.known()?)
            .peer_account_id(cx.account())
            .peer_region(self.peer_region.as_str())
            .tag_specifications(tags::spec(ResourceType::TransitGatewayAttachment, &self.tags));
        let peering = call.send().await.explain()?.transit_gateway_peering_attachment;
        Ok(Id::new(peering.and_then(|it| it.transit_gateway_attachment_id).need("TransitGatewayAttachmentId")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_transit_gateway_peering_attachments().set_filters(Some(tags::owned_by(owner)));
        let found = call.send().await.explain()?;
        let alive = |state| matches!(status(state), Some(Status::Pending | Status::Ready));
        let mut alive = found.transit_gateway_peering_attachments().iter().filter(|peering| alive(peering.state()));
        let id = alive.find_map(|peering| peering.transit_gateway_attachment_id().filter(|id| !cx.is_known(id)));
        Ok(id.map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = describe(cx, ids).await?;
        found.into_iter().filter_map(|peering| live(peering).transpose()).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        delete(cx, &live.id).await
    }

    absent!(
        describe_transit_gateway_peering_attachments,
        transit_gateway_attachment_ids,
        transit_gateway_peering_attachments,
        |it| status(it.state()).is_none()
    );
}

/// Those of `ids` that exist in this region, including deleted ones.
pub(super) async fn describe<R>(cx: &Cx, ids: &[Id<R>]) -> Result<Vec<sdk::TransitGatewayPeeringAttachment>> {
    let call = cx.ec2().describe_transit_gateway_peering_attachments();
    let call = call.filters(by_id("transit-gateway-attachment-id", ids));
    call.into_paginator().items().send().try_collect().await.explain()
}

/// This region may be on either side; the other side may have deleted it already.
pub(super) async fn delete<R>(cx: &Cx, id: &Id<R>) -> Result<()> {
    let call = cx.ec2().delete_transit_gateway_peering_attachment().transit_gateway_attachment_id(id);
    match call.send().await.explain().unless(Class::NotFound) {
        Err(error) if error.is(Class::Conflict) => {
            let found = describe(cx, std::slice::from_ref(id)).await?;
            let ending = |state| matches!(state, Some(&State::Deleting | &State::Deleted));
            if found.iter().all(|peering| ending(peering.state())) { Ok(()) } else { Err(error) }
        }
        other => other.map(drop),
    }
}

/// For the requester, it is ready when it can be accepted: the state `pending` follows the acceptance.
fn status(state: Option<&State>) -> Option<Status> {
    match state {
        Some(State::PendingAcceptance | State::Pending) => Some(Status::Ready),
        other => transit_gateway_vpc_attachment::status(other),
    }
}

/// `None` if the peering is gone.
fn live(peering: sdk::TransitGatewayPeeringAttachment) -> Result<Option<Live<TransitGatewayPeering>>> {
    let Some(status) = status(peering.state.as_ref()) else { return Ok(None) };
    let peer = peering.accepter_tgw_info.need("AccepterTgwInfo")?;
    let gateway = peering.requester_tgw_info.and_then(|info| info.transit_gateway_id);
    Ok(Some(Live {
        id: Id::new(peering.transit_gateway_attachment_id.need("TransitGatewayAttachmentId")?),
        status,
        args: TransitGatewayPeering {
            gateway: Ref::Known(Id::new(gateway.need("RequesterTgwInfo")?)),
            peer: Ref::Known(Id::new(peer.transit_gateway_id.need("TransitGatewayId")?)),
            peer_region: Region::new(&peer.region.need("Region")?),
            tags: tags::from(peering.tags),
        },
        outputs: (),
    }))
}
