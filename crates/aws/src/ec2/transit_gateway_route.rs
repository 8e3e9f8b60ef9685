//! A static route of a transit gateway.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self as sdk, TransitGatewayRouteState};
use futures_util::future::try_join_all;
use ipnet::Ipv4Net;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter;
use crate::cidr::Cidr;
use crate::error::Unless;
use crate::{Cx, Explain};

/// A static route. AWS gives it no id, so route table and destination identify it: `tgw-rtb-1_10.1.0.0/16`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayRoute {
    /// The route table, such as the gateway's `outputs.route_table`.
    pub table: Ref<String>,
    /// The destination.
    #[schemars(with = "Cidr")]
    pub destination: Ipv4Net,
    /// The attachment: `vpc_attachment.id.into()` or, for a peering, the id of its accepter on both sides, because the
    /// peering must be accepted first.
    pub attachment: Ref<String>,
}

impl Resource for TransitGatewayRoute {
    type Cx = Cx;
    const KIND: &'static str = "ec2.transit-gateway-route";
    const REPLACE: Fields = fields!(Self: table, destination);
    const IDENTITY: Identity = Identity::Part("table");
    const KEY: Fields = fields!(Self: table, destination);
    const EXPECTED: Expected = Expected::millis(2_000, 2_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let table = self.table.known()?;
        let call = cx.ec2().create_transit_gateway_route().transit_gateway_route_table_id(table);
        let call = call
            .destination_cidr_block(self.destination.to_string())
            .transit_gateway_attachment_id(self.attachment.known()?);
        call.send().await.explain()?;
        Ok(id(table, self.destination))
    }

    /// By its natural key. A deleted one has the same id, so `is_known` is not useful here.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let id = id(self.table.known()?, self.destination);
        let found = Self::read(cx, &[id]).await?.into_iter().find(|live| live.status != Status::Deleting);
        Ok(found.map(|live| live.id))
    }

    /// One search per table: AWS offers no other call, and no second page after 1,000 routes.
    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let keys: BTreeSet<_> = ids.iter().map(parts).collect::<Result<_>>()?;
        let tables: BTreeSet<_> = keys.iter().map(|(table, _)| table).collect();
        let search = async |table: &String| {
            let call = cx.ec2().search_transit_gateway_routes().transit_gateway_route_table_id(table);
            let found = call.filters(filter("type", "static")).send().await.explain().unless(Class::NotFound)?;
            let routes = found.and_then(|found| found.routes).unwrap_or_default();
            Ok::<_, Error>(routes.into_iter().filter_map(|route| live(table, &route)).collect::<Vec<_>>())
        };
        let found = try_join_all(tables.into_iter().map(search)).await?;
        Ok(found.into_iter().flatten().filter(|live| ids.contains(&live.id)).collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.attachment != live.args.attachment {
            let call = cx.ec2().replace_transit_gateway_route().transit_gateway_route_table_id(self.table.known()?);
            let call = call
                .destination_cidr_block(self.destination.to_string())
                .transit_gateway_attachment_id(self.attachment.known()?);
            call.send().await.explain()?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (table, destination) = parts(&live.id)?;
        let call = cx.ec2().delete_transit_gateway_route().transit_gateway_route_table_id(table);
        let call = call.destination_cidr_block(destination.to_string());
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By its destination, with another filter than [`read`](Self::read).
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let (table, destination) = parts(id)?;
        let call = cx.ec2().search_transit_gateway_routes().transit_gateway_route_table_id(&table);
        let call = call.filters(filter("route-search.exact-match", destination.to_string()));
        let routes = call.send().await.explain().unless(Class::NotFound)?.and_then(|found| found.routes);
        let mut routes = routes
            .unwrap_or_default()
            .into_iter()
            .filter(|route| route.r#type == Some(aws_sdk_ec2::types::TransitGatewayRouteType::Static));
        Ok(!routes.any(|route| live(&table, &route).is_some()))
    }
}

fn id(table: &str, destination: Ipv4Net) -> Id<TransitGatewayRoute> {
    Id::new(format!("{table}_{destination}"))
}

fn parts(id: &Id<TransitGatewayRoute>) -> Result<(String, Ipv4Net)> {
    let parts = id.as_str().split_once('_');
    let parts = parts.and_then(|(table, destination)| Some((table.to_owned(), destination.parse().ok()?)));
    parts.ok_or_else(|| {
        Error::invalid(format!("`{id}` is not a transit gateway route id")).hint("write tgw-rtb-1_10.1.0.0/16")
    })
}

/// `None` for a deleted one. A route whose attachment is gone (`blackhole`) exists.
fn live(table: &str, route: &sdk::TransitGatewayRoute) -> Option<Live<TransitGatewayRoute>> {
    let destination = route.destination_cidr_block()?.parse().ok()?;
    let attachment = route.transit_gateway_attachments().first().and_then(|to| to.transit_gateway_attachment_id());
    Some(Live {
        id: id(table, destination),
        status: match route.state {
            Some(TransitGatewayRouteState::Active | TransitGatewayRouteState::Blackhole) => Status::Ready,
            Some(TransitGatewayRouteState::Deleting) => Status::Deleting,
            Some(TransitGatewayRouteState::Deleted) => return None,
            _ => Status::Pending,
        },
        args: TransitGatewayRoute {
            table: table.into(),
            destination,
            attachment: attachment.unwrap_or_default().into(),
        },
        outputs: (),
    })
}
