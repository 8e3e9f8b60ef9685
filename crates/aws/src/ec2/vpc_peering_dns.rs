//! The resolution of DNS names on the requester's side of a VPC peering, which AWS only allows after the peering has been
//! accepted.

use std::time::Duration;

use aws_sdk_ec2::types as sdk;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::VpcPeeringAccepter;
use super::vpc_peering::{accepted, code, describe, options};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// The VPC of the requester's side resolves DNS names of the other side's instances to their private addresses. For the
/// other side, this is a field of the [`VpcPeeringAccepter`].
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcPeeringDns {
    /// The accepted peering.
    pub peering: Ref<Id<VpcPeeringAccepter>>,
}

impl Resource for VpcPeeringDns {
    type Cx = Cx;
    const KIND: &'static str = "ec2.vpc-peering-dns";
    const REPLACE: Fields = fields!(Self: peering);
    const IDENTITY: Identity = Identity::Part("peering");
    const KEY: Fields = fields!(Self: peering);
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(1_000, 1_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let id = Id::new(self.peering.known()?);
        set(cx, &id, true).await.map_err(early)?;
        Ok(id)
    }

    /// By its natural key: a peering has one setting.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let found = Self::read(cx, &[Id::new(self.peering.known()?)]).await?.pop();
        Ok(found.map(|found| found.id))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = describe(cx, ids).await?.into_iter().filter(is_on);
        found.map(|peering| peering.vpc_peering_connection_id.need("VpcPeeringConnectionId").map(live)).collect()
    }

    async fn update(&self, _: &Cx, _: &Live<Self>) -> Result<()> {
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        set(cx, &live.id, false).await.unless(Class::NotFound).map(drop)
    }

    /// That of a peering that is gone, or for which it is off.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let call = cx.ec2().describe_vpc_peering_connections().vpc_peering_connection_ids(id);
        let found = call.send().await.explain().unless(Class::NotFound)?;
        Ok(!found.and_then(|found| found.vpc_peering_connections).unwrap_or_default().iter().any(is_on))
    }
}

/// This region may not know yet that the other one has accepted.
fn early(error: Error) -> Error {
    let early = error.get_code() == Some("OperationNotPermitted") && error.message().contains("not active");
    if early { error.into_class(Class::Eventual) } else { error }
}

async fn set(cx: &Cx, id: &Id<VpcPeeringDns>, on: bool) -> Result<()> {
    let call = cx.ec2().modify_vpc_peering_connection_options().vpc_peering_connection_id(id);
    call.requester_peering_connection_options(options(on)).send().await.explain().map(drop)
}

/// Whether the peering is accepted and resolves names for the requester.
fn is_on(peering: &sdk::VpcPeeringConnection) -> bool {
    let options = peering.requester_vpc_info().and_then(|info| info.peering_options());
    let on = options.and_then(sdk::VpcPeeringConnectionOptionsDescription::allow_dns_resolution_from_remote_vpc);
    on == Some(true) && matches!(accepted(code(peering)), Some(Status::Ready | Status::Pending))
}

fn live(id: String) -> Live<VpcPeeringDns> {
    let args = VpcPeeringDns { peering: Ref::Known(Id::new(&id)) };
    Live { id: Id::new(id), status: Status::Ready, args, outputs: () }
}
