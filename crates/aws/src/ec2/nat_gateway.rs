//! A NAT gateway: outbound internet access for private subnets.

use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, NatGatewayState, ResourceType};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Eip, Subnet, by_id, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A public NAT gateway in one zone. The internet gateway must be attached before; otherwise it fails after a while.
/// Deleting it neither releases the address nor removes the routes to it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatGateway {
    /// The public subnet.
    pub subnet: Ref<Id<Subnet>>,
    /// The Elastic IP address.
    pub eip: Ref<Id<Eip>>,
    /// The tags.
    pub tags: Tags,
}

impl Resource for NatGateway {
    type Cx = Cx;
    const KIND: &'static str = "ec2.nat-gateway";
    const REPLACE: Fields = fields!(Self: subnet, eip);
    const KEY: Fields = fields!(Self: eip);
    const TIMEOUT: Duration = Duration::from_mins(30);
    const EXPECTED: Expected = Expected::millis(105_000, 60_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_nat_gateway().subnet_id(self.subnet.known()?).allocation_id(self.eip.known()?);
        let call = call.client_token(cx.token()?).tag_specifications(tags::spec(ResourceType::Natgateway, &self.tags));
        let gateway = call.send().await.explain()?.nat_gateway.need("NatGateway")?;
        Ok(Id::new(gateway.nat_gateway_id.need("NatGatewayId")?))
    }

    /// By tags, not by the token, which would also return a deleted one. If the tags are not visible yet, the next
    /// `create` finds it by the token.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_nat_gateways().set_filter(Some(tags::owned_by(owner)));
        let found = call.send().await.explain()?;
        let alive = |state| matches!(state, Some(&NatGatewayState::Pending | &NatGatewayState::Available));
        let mut ids = found.nat_gateways().iter().filter(|gateway| alive(gateway.state()));
        let id = ids.find_map(|gateway| gateway.nat_gateway_id().filter(|id| !cx.is_known(id)));
        Ok(id.map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_nat_gateways().filter(by_id("nat-gateway-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        // Deleted ones are listed for about an hour.
        let found = found.into_iter().filter(|gateway| gateway.state != Some(NatGatewayState::Deleted));
        found.map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.ec2().delete_nat_gateway().nat_gateway_id(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    absent!(describe_nat_gateways, nat_gateway_ids, nat_gateways, |it| it.state() == Some(&NatGatewayState::Deleted));
}

fn live(gateway: sdk::NatGateway) -> Result<Live<NatGateway>> {
    let status = status(&gateway);
    let addresses = gateway.nat_gateway_addresses.unwrap_or_default();
    let primary = addresses.iter().find(|address| address.is_primary == Some(true)).or(addresses.first());
    Ok(Live {
        id: Id::new(gateway.nat_gateway_id.need("NatGatewayId")?),
        status,
        args: NatGateway {
            subnet: Ref::Known(Id::new(gateway.subnet_id.need("SubnetId")?)),
            // A failed or deleted one may have no address.
            eip: Ref::Known(Id::new(primary.and_then(|address| address.allocation_id()).unwrap_or_default())),
            tags: tags::from(gateway.tags),
        },
        outputs: (),
    })
}

fn status(gateway: &sdk::NatGateway) -> Status {
    match gateway.state {
        Some(NatGatewayState::Available) => Status::Ready,
        Some(NatGatewayState::Deleting) => Status::Deleting,
        Some(NatGatewayState::Failed) => {
            let code = gateway.failure_code().unwrap_or("failed");
            Status::Failed(format!("{code}: {}", gateway.failure_message().unwrap_or("AWS gave no reason")))
        }
        _ => Status::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_it_failed() {
        let gateway = sdk::NatGateway::builder().state(NatGatewayState::Failed).failure_code("Gateway.NotAttached");
        let gateway = gateway.failure_message("Network vpc-1 has no Internet gateway attached").build();
        let why = "Gateway.NotAttached: Network vpc-1 has no Internet gateway attached";
        assert_eq!(status(&gateway), Status::Failed(why.to_owned()));
    }
}
