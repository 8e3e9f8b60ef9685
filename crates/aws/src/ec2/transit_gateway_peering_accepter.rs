//! The acceptance of a transit gateway peering, in the region of the peer.

use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, TransitGatewayAttachmentState as State};
use payinfra_engine::{Class, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::transit_gateway_peering::{delete, describe};
use super::{TransitGatewayPeering, tags, transit_gateway_vpc_attachment};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An accepted peering; its id is that of the attachment, the same in both regions. Deleting it deletes the peering,
/// because AWS cannot revoke the acceptance.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayPeeringAccepter {
    /// The requested peering.
    pub peering: Ref<Id<TransitGatewayPeering>>,
    /// The tags of this side; the requester's side has its own.
    pub tags: Tags,
}

impl Resource for TransitGatewayPeeringAccepter {
    type Cx = Cx;
    const KIND: &'static str = "ec2.transit-gateway-peering-accepter";
    const REPLACE: Fields = fields!(Self: peering);
    /// Its tags are set only after the acceptance.
    const IDENTITY: Identity = Identity::Part("peering");
    const KEY: Fields = fields!(Self: peering);
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(90_000, 60_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// The call accepts no tags; `update` sets them.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let id = Id::new(self.peering.known()?);
        let call = cx.ec2().accept_transit_gateway_peering_attachment().transit_gateway_attachment_id(&id);
        match call.send().await.explain() {
            Ok(_) => Ok(id),
            // Too early, or already accepted.
            Err(error) if error.is(Class::Conflict) => accepted(cx, &id).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// By its natural key: a request has one acceptance.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        accepted(cx, &Id::new(self.peering.known()?)).await
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
        |it| transit_gateway_vpc_attachment::status(it.state()).is_none()
    );
}

/// `id` if it has been accepted.
async fn accepted(
    cx: &Cx,
    id: &Id<TransitGatewayPeeringAccepter>,
) -> Result<Option<Id<TransitGatewayPeeringAccepter>>> {
    let found = describe(cx, std::slice::from_ref(id)).await?;
    let mut states = found.iter().filter_map(|peering| peering.state());
    let accepted = states.any(|state| matches!(state, State::Pending | State::Available | State::Modifying));
    Ok(accepted.then(|| id.clone()))
}

/// `None` if the peering is gone.
fn live(peering: sdk::TransitGatewayPeeringAttachment) -> Result<Option<Live<TransitGatewayPeeringAccepter>>> {
    let Some(status) = transit_gateway_vpc_attachment::status(peering.state.as_ref()) else { return Ok(None) };
    let id = peering.transit_gateway_attachment_id.need("TransitGatewayAttachmentId")?;
    Ok(Some(Live {
        args: TransitGatewayPeeringAccepter { peering: Ref::Known(Id::new(&id)), tags: tags::from(peering.tags) },
        id: Id::new(id),
        status,
        outputs: (),
    }))
}
