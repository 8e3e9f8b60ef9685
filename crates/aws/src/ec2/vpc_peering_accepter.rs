//! The acceptance of a VPC peering, in the region of the peer.

use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, VpcPeeringConnectionStateReasonCode as State};
use payinfra_engine::{Class, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vpc_peering::{accepted, code, delete, describe, options};
use super::{VpcPeering, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An accepted peering; its id is that of the peering, the same in both regions. Deleting it deletes the peering, because
/// AWS cannot revoke the acceptance.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcPeeringAccepter {
    /// The requested peering.
    pub peering: Ref<Id<VpcPeering>>,
    /// Whether the VPC of this side resolves DNS names of the other side's instances to their private addresses.
    pub dns: bool,
    /// The tags of this side; the requester's side has its own.
    pub tags: Tags,
}

impl Resource for VpcPeeringAccepter {
    type Cx = Cx;
    const KIND: &'static str = "ec2.vpc-peering-accepter";
    const REPLACE: Fields = fields!(Self: peering);
    /// Its tags are set only after the acceptance.
    const IDENTITY: Identity = Identity::Part("peering");
    const KEY: Fields = fields!(Self: peering);
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(5_000, 3_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// The call accepts no tags and no options; `update` sets them.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let id = Id::new(self.peering.known()?);
        let call = cx.ec2().accept_vpc_peering_connection().vpc_peering_connection_id(&id);
        match call.send().await.explain() {
            Ok(_) => Ok(id),
            // Already accepted.
            Err(error) if error.is(Class::Conflict) => found(cx, &id).await?.ok_or(error),
            // The other region may not know the request yet.
            Err(error) if error.is(Class::NotFound) => Err(error.into_class(Class::Eventual)),
            Err(error) => Err(error),
        }
    }

    /// By its natural key: a request has one acceptance.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        found(cx, &Id::new(self.peering.known()?)).await
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = describe(cx, ids).await?;
        found.into_iter().filter_map(|peering| live(peering).transpose()).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.dns != live.args.dns {
            let call = cx.ec2().modify_vpc_peering_connection_options().vpc_peering_connection_id(&live.id);
            call.accepter_peering_connection_options(options(self.dns)).send().await.explain()?;
        }
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        delete(cx, &live.id).await
    }

    absent!(describe_vpc_peering_connections, vpc_peering_connection_ids, vpc_peering_connections, |it| accepted(
        code(it)
    )
    .is_none());
}

/// `id` if it has been accepted.
async fn found(cx: &Cx, id: &Id<VpcPeeringAccepter>) -> Result<Option<Id<VpcPeeringAccepter>>> {
    let found = describe(cx, std::slice::from_ref(id)).await?;
    let accepted = found.iter().any(|peering| matches!(code(peering), Some(State::Provisioning | State::Active)));
    Ok(accepted.then(|| id.clone()))
}

/// `None` if the peering is gone.
fn live(peering: sdk::VpcPeeringConnection) -> Result<Option<Live<VpcPeeringAccepter>>> {
    let Some(status) = accepted(code(&peering)) else { return Ok(None) };
    let id = peering.vpc_peering_connection_id.need("VpcPeeringConnectionId")?;
    let options = peering.accepter_vpc_info.and_then(|info| info.peering_options);
    Ok(Some(Live {
        args: VpcPeeringAccepter {
            peering: Ref::Known(Id::new(&id)),
            dns: options.and_then(|options| options.allow_dns_resolution_from_remote_vpc).unwrap_or_default(),
            tags: tags::from(peering.tags),
        },
        id: Id::new(id),
        status,
        outputs: (),
    }))
}
