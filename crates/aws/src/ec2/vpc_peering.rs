//! A VPC peering, from the requester's side: connects two VPCs, also of two regions.

use std::time::Duration;

use aws_sdk_ec2::types::{
    self as sdk, PeeringConnectionOptionsRequest, ResourceType, VpcPeeringConnectionStateReasonCode as State,
};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Region, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Vpc, by_id, filter, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A request for a peering, which a [`super::VpcPeeringAccepter`] in the peer's region accepts. It is ready when it can be
/// accepted. Resources that need the accepted peering, such as routes, refer to the accepter, and so do the options of
/// both sides, which AWS only accepts then.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcPeering {
    /// The VPC in this region.
    pub vpc: Ref<Id<Vpc>>,
    /// The VPC in the other region.
    pub peer: Ref<Id<Vpc>>,
    /// The region of the peer.
    pub peer_region: Region,
    /// The tags of this side.
    pub tags: Tags,
}

impl Resource for VpcPeering {
    type Cx = Cx;
    const KIND: &'static str = "ec2.vpc-peering";
    const REPLACE: Fields = fields!(Self: vpc, peer, peer_region);
    const KEY: Fields = fields!(Self: vpc, peer);
    const TIMEOUT: Duration = Duration::from_mins(10);
    // The accepter, which is deleted first, has deleted it already.
    const EXPECTED: Expected = Expected::millis(3_000, 1_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_vpc_peering_connection().vpc_id(self.vpc.known()?).peer_vpc_id(self.peer.known()?);
        let call = call
            .peer_owner_id(cx.account())
            .peer_region(self.peer_region.as_str())
            .tag_specifications(tags::spec(ResourceType::VpcPeeringConnection, &self.tags));
        let peering = call.send().await.explain()?.vpc_peering_connection;
        Ok(Id::new(peering.and_then(|it| it.vpc_peering_connection_id).need("VpcPeeringConnectionId")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_vpc_peering_connections().set_filters(Some(tags::owned_by(owner)));
        let call = call.filters(filter("requester-vpc-info.vpc-id", self.vpc.known()?));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        let mut alive = found.into_iter().filter(|peering| status(code(peering)).is_some());
        let id = alive.find_map(|peering| peering.vpc_peering_connection_id.filter(|id| !cx.is_known(id)));
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

    absent!(describe_vpc_peering_connections, vpc_peering_connection_ids, vpc_peering_connections, |it| status(code(
        it
    ))
    .is_none());
}

/// Those of `ids` that exist in this region, including deleted ones.
pub(super) async fn describe<R>(cx: &Cx, ids: &[Id<R>]) -> Result<Vec<sdk::VpcPeeringConnection>> {
    let call = cx.ec2().describe_vpc_peering_connections().filters(by_id("vpc-peering-connection-id", ids));
    call.into_paginator().items().send().try_collect().await.explain()
}

/// This region may be on either side; the other side may have deleted it already. One that failed cannot be deleted, and
/// disappears by itself.
pub(super) async fn delete<R>(cx: &Cx, id: &Id<R>) -> Result<()> {
    let call = cx.ec2().delete_vpc_peering_connection().vpc_peering_connection_id(id);
    match call.send().await.explain().unless(Class::NotFound) {
        Err(error) if error.is(Class::Conflict) => {
            let found = describe(cx, std::slice::from_ref(id)).await?;
            let ended = |peering| !matches!(status(code(peering)), Some(Status::Ready | Status::Pending));
            if found.iter().all(ended) { Ok(()) } else { Err(error) }
        }
        other => other.map(drop),
    }
}

/// The state of a peering.
pub(super) fn code(peering: &sdk::VpcPeeringConnection) -> Option<&State> {
    peering.status().and_then(|status| status.code())
}

/// For the requester, it is ready when it can be accepted. `None` if it is gone.
fn status(state: Option<&State>) -> Option<Status> {
    match state {
        Some(State::PendingAcceptance) => Some(Status::Ready),
        other => accepted(other),
    }
}

/// The status of an accepted peering; `None` if it is gone. Those that ended by themselves are listed for hours.
pub(super) fn accepted(state: Option<&State>) -> Option<Status> {
    Some(match state {
        Some(State::Active) => Status::Ready,
        Some(State::Deleting) => Status::Deleting,
        // Overlapping CIDR blocks end here, after a successful call (AWS-FACTS §2).
        Some(state @ (State::Failed | State::Rejected | State::Expired)) => Status::Failed(state.as_str().to_owned()),
        Some(State::Deleted) => return None,
        _ => Status::Pending,
    })
}

/// The options of a side: whether it resolves the DNS names of the other side's instances to private addresses.
pub(super) fn options(dns: bool) -> PeeringConnectionOptionsRequest {
    PeeringConnectionOptionsRequest::builder().allow_dns_resolution_from_remote_vpc(dns).build()
}

/// `None` if the peering is gone.
fn live(peering: sdk::VpcPeeringConnection) -> Result<Option<Live<VpcPeering>>> {
    let Some(status) = status(code(&peering)) else { return Ok(None) };
    let peer = peering.accepter_vpc_info.need("AccepterVpcInfo")?;
    let vpc = peering.requester_vpc_info.and_then(|info| info.vpc_id);
    Ok(Some(Live {
        id: Id::new(peering.vpc_peering_connection_id.need("VpcPeeringConnectionId")?),
        status,
        args: VpcPeering {
            vpc: Ref::Known(Id::new(vpc.need("RequesterVpcInfo")?)),
            peer: Ref::Known(Id::new(peer.vpc_id.need("VpcId")?)),
            peer_region: Region::new(&peer.region.need("Region")?),
            tags: tags::from(peering.tags),
        },
        outputs: (),
    }))
}
