//! A transit gateway, which connects the VPCs of a region.

use std::time::Duration;

use aws_sdk_ec2::types::{
    self as sdk, DefaultRouteTableAssociationValue, DefaultRouteTablePropagationValue, ResourceType,
    TransitGatewayRequestOptions, TransitGatewayState,
};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{by_id, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A transit gateway with one route table, with which every attachment is associated and to which it propagates its
/// routes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGateway {
    /// The autonomous system number; those of peers must differ.
    pub asn: i64,
    /// The description.
    pub description: String,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TransitGatewayOutputs {
    /// The id of the route table.
    pub route_table: Ref<String>,
}

impl Resource for TransitGateway {
    type Cx = Cx;
    const KIND: &'static str = "ec2.transit-gateway";
    const REPLACE: Fields = fields!(Self: asn);
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(120_000, 90_000);
    type Outputs = TransitGatewayOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let options = TransitGatewayRequestOptions::builder()
            .amazon_side_asn(self.asn)
            .default_route_table_association(DefaultRouteTableAssociationValue::Enable)
            .default_route_table_propagation(DefaultRouteTablePropagationValue::Enable);
        let call = cx.ec2().create_transit_gateway().description(&self.description).options(options.build());
        let call = call.tag_specifications(tags::spec(ResourceType::TransitGateway, &self.tags));
        let gateway = call.send().await.explain()?.transit_gateway.need("TransitGateway")?;
        Ok(Id::new(gateway.transit_gateway_id.need("TransitGatewayId")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_transit_gateways().set_filters(Some(tags::owned_by(owner)));
        let found = call.send().await.explain()?;
        let gone = |state| matches!(state, Some(&TransitGatewayState::Deleting | &TransitGatewayState::Deleted));
        let mut alive = found.transit_gateways().iter().filter(|gateway| !gone(gateway.state()));
        let id = alive.find_map(|gateway| gateway.transit_gateway_id().filter(|id| !cx.is_known(id)));
        Ok(id.map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_transit_gateways().filters(by_id("transit-gateway-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        // Deleted ones are listed for hours.
        let found = found.into_iter().filter(|gateway| gateway.state != Some(TransitGatewayState::Deleted));
        found.map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.description != live.args.description {
            let call = cx.ec2().modify_transit_gateway().transit_gateway_id(&live.id);
            call.description(&self.description).send().await.explain()?;
        }
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    /// `IncorrectState` until all of its attachments and peerings are gone.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.ec2().delete_transit_gateway().transit_gateway_id(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    absent!(describe_transit_gateways, transit_gateway_ids, transit_gateways, |it| it.state()
        == Some(&TransitGatewayState::Deleted));
}

fn live(gateway: sdk::TransitGateway) -> Result<Live<TransitGateway>> {
    let status = match gateway.state {
        Some(TransitGatewayState::Available) => Status::Ready,
        Some(TransitGatewayState::Deleting) => Status::Deleting,
        _ => Status::Pending,
    };
    let options = gateway.options.need("Options")?;
    let table = options.association_default_route_table_id;
    Ok(Live {
        id: Id::new(gateway.transit_gateway_id.need("TransitGatewayId")?),
        args: TransitGateway {
            asn: options.amazon_side_asn.need("AmazonSideAsn")?,
            description: gateway.description.unwrap_or_default(),
            tags: tags::from(gateway.tags),
        },
        outputs: TransitGatewayOutputs {
            // Only an available one certainly has it.
            route_table: match status {
                Status::Ready => table.need("AssociationDefaultRouteTableId")?.into(),
                _ => table.unwrap_or_default().into(),
            },
        },
        status,
    })
}
