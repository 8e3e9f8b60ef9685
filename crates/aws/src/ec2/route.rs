//! A route in a route table.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self as sdk, RouteOrigin};
use ipnet::Ipv4Net;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InternetGateway, NatGateway, RouteTable, TransitGateway, VpcPeeringAccepter, by_id};
use crate::cidr::Cidr;
use crate::error::Unless;
use crate::{Cx, Explain};

/// A route. AWS gives it no id, so route table and destination identify it: `rtb-1_10.0.0.0/8`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The route table.
    pub table: Ref<Id<RouteTable>>,
    /// The destination.
    #[schemars(with = "Cidr")]
    pub destination: Ipv4Net,
    /// The next hop.
    pub target: RouteTarget,
}

/// The next hop of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteTarget {
    /// An internet gateway.
    InternetGateway(Ref<Id<InternetGateway>>),
    /// A NAT gateway. It may still be pending.
    NatGateway(Ref<Id<NatGateway>>),
    /// A transit gateway. The VPC's attachment must be available first, which no reference here expresses.
    TransitGateway(Ref<Id<TransitGateway>>),
    /// A VPC peering, which has been accepted.
    VpcPeering(Ref<Id<VpcPeeringAccepter>>),
    /// Another one, by AWS's name; only returned by reads.
    Other(String),
}

impl Resource for Route {
    type Cx = Cx;
    const KIND: &'static str = "ec2.route";
    const REPLACE: Fields = fields!(Self: table, destination);
    const IDENTITY: Identity = Identity::Part("table");
    const KEY: Fields = fields!(Self: table, destination);
    const EARLY: Fields = fields!(Self: target);
    const EXPECTED: Expected = Expected::millis(1_000, 750);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let table = self.table.known()?;
        let [gateway, nat, transit, peering] = self.target.ids()?;
        let call = cx.ec2().create_route().route_table_id(table).destination_cidr_block(self.destination.to_string());
        let call = call
            .set_gateway_id(gateway)
            .set_nat_gateway_id(nat)
            .set_transit_gateway_id(transit)
            .set_vpc_peering_connection_id(peering);
        call.send().await.explain().map_err(fresh)?;
        Ok(id(table, self.destination))
    }

    /// By its natural key. A deleted one has the same id, so `is_known` is not useful here.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let id = id(self.table.known()?, self.destination);
        Ok(Self::read(cx, &[id]).await?.into_iter().next().map(|live| live.id))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let keys: BTreeSet<_> = ids.iter().map(parts).collect::<Result<_>>()?;
        let mut tables: Vec<_> = keys.iter().map(|(table, _)| table.clone()).collect();
        tables.dedup();
        let call = cx.ec2().describe_route_tables().filters(by_id("route-table-id", &tables));
        let tables = call.into_paginator().items().send().try_collect().await.explain()?;
        let routes = tables.into_iter().flat_map(|table| {
            let id = Id::new(table.route_table_id.unwrap_or_default());
            table.routes.unwrap_or_default().into_iter().filter_map(move |route| live(&id, route))
        });
        Ok(routes.filter(|live| ids.contains(&live.id)).collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.target != live.args.target {
            let [gateway, nat, transit, peering] = self.target.ids()?;
            let (table, destination) = (self.table.known()?, self.destination.to_string());
            let call = cx.ec2().replace_route().route_table_id(table).destination_cidr_block(destination);
            let call = call
                .set_gateway_id(gateway)
                .set_nat_gateway_id(nat)
                .set_transit_gateway_id(transit)
                .set_vpc_peering_connection_id(peering);
            call.send().await.explain().map_err(fresh)?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (table, destination) = parts(&live.id)?;
        let call = cx.ec2().delete_route().route_table_id(table).destination_cidr_block(destination.to_string());
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the id of its table, without a filter.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let (table, _) = parts(id)?;
        let found = cx.ec2().describe_route_tables().route_table_ids(&table).send().await.explain();
        let tables = found.unless(Class::NotFound)?.and_then(|found| found.route_tables).unwrap_or_default();
        let mut routes = tables.into_iter().flat_map(|table| table.routes.unwrap_or_default());
        Ok(!routes.any(|route| live(&table, route).is_some_and(|live| live.id == *id)))
    }
}

impl RouteTarget {
    /// The parameters of the call, of which one is set: gateway, NAT gateway, transit gateway, peering.
    fn ids(&self) -> Result<[Option<String>; 4]> {
        Ok(match self {
            Self::InternetGateway(id) => [Some(id.known()?.into()), None, None, None],
            Self::NatGateway(id) => [None, Some(id.known()?.into()), None, None],
            Self::TransitGateway(id) => [None, None, Some(id.known()?.into()), None],
            Self::VpcPeering(id) => [None, None, None, Some(id.known()?.into())],
            Self::Other(id) => return Err(Error::invalid(format!("a route to `{id}` can be read, but not created"))),
        })
    }
}

fn id(table: &Id<RouteTable>, destination: Ipv4Net) -> Id<Route> {
    Id::new(format!("{table}_{destination}"))
}

fn parts(id: &Id<Route>) -> Result<(Id<RouteTable>, Ipv4Net)> {
    let parts = id.as_str().split_once('_');
    let parts = parts.and_then(|(table, destination)| Some((Id::new(table), destination.parse().ok()?)));
    parts.ok_or_else(|| Error::invalid(format!("`{id}` is not a route id")).hint("write rtb-1_10.0.0.0/8"))
}

/// A new gateway may not be attached yet, or may not have propagated (AWS-FACTS §0.1).
fn fresh(error: Error) -> Error {
    match error.get_code() {
        Some("InvalidParameterException") => error.into_class(Class::Eventual),
        Some("InvalidParameterValue") if error.message().contains("different networks") => {
            error.into_class(Class::Eventual)
        }
        _ => error,
    }
}

/// `None` for routes that AWS manages: local ones, those of gateway endpoints, and propagated ones. Routes whose target
/// is gone (`blackhole`) exist.
fn live(table: &Id<RouteTable>, route: sdk::Route) -> Option<Live<Route>> {
    let target = target(&route);
    let destination = route.destination_cidr_block?.parse().ok()?;
    if route.origin != Some(RouteOrigin::CreateRoute) {
        return None;
    }
    Some(Live {
        id: id(table, destination),
        status: Status::Ready,
        args: Route { table: Ref::Known(table.clone()), destination, target },
        outputs: (),
    })
}

fn target(route: &sdk::Route) -> RouteTarget {
    if let Some(id) = route.nat_gateway_id() {
        return RouteTarget::NatGateway(Ref::Known(Id::new(id)));
    }
    if let Some(id) = route.transit_gateway_id() {
        return RouteTarget::TransitGateway(Ref::Known(Id::new(id)));
    }
    if let Some(id) = route.vpc_peering_connection_id() {
        return RouteTarget::VpcPeering(Ref::Known(Id::new(id)));
    }
    match route.gateway_id() {
        Some(id) if id.starts_with("igw-") => RouteTarget::InternetGateway(Ref::Known(Id::new(id))),
        gateway => {
            let other = gateway.or(route.network_interface_id());
            let other = other.or(route.instance_id()).or(route.egress_only_internet_gateway_id());
            let other = other.or(route.local_gateway_id()).or(route.carrier_gateway_id());
            RouteTarget::Other(other.or(route.core_network_arn()).unwrap_or("unknown").to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_ours_and_nothing_else() -> Result<()> {
        let table = Id::new("rtb-1");
        let destination = "10.0.0.0/8";
        let route = || sdk::Route::builder().destination_cidr_block(destination).origin(RouteOrigin::CreateRoute);
        let known = |id: &str| Ref::Known(Id::new(id));
        let (nat, transit) = (RouteTarget::NatGateway(known("nat-1")), Ref::Known(Id::new("tgw-1")));
        for (route, expected) in [
            (route().nat_gateway_id("nat-1").state(sdk::RouteState::Blackhole), Some(nat)),
            (route().transit_gateway_id("tgw-1"), Some(RouteTarget::TransitGateway(transit))),
            (route().gateway_id("igw-1"), Some(RouteTarget::InternetGateway(Ref::Known(Id::new("igw-1"))))),
            (route().instance_id("i-1").network_interface_id("eni-1"), Some(RouteTarget::Other("eni-1".to_owned()))),
            (route().gateway_id("local").origin(RouteOrigin::CreateRouteTable), None),
            (route().transit_gateway_id("tgw-1").origin(RouteOrigin::EnableVgwRoutePropagation), None),
            (sdk::Route::builder().destination_prefix_list_id("pl-1").gateway_id("vpce-1"), None),
        ] {
            let live = live(&table, route.build());
            assert_eq!(live.as_ref().map(|live| &live.args.target), expected.as_ref());
            assert!(live.is_none_or(|live| live.id.as_str() == "rtb-1_10.0.0.0/8"));
        }
        assert_eq!(parts(&id(&table, Ipv4Net::default()))?, (table, Ipv4Net::default()));
        Ok(())
    }

    #[test]
    fn waits_for_a_gateway_that_is_not_attached_yet() {
        let refused = |code, message| fresh(Error::failed(message).code(code)).class();
        let message = "route table rtb-1 and network gateway igw-1 belong to different networks";
        assert_eq!(refused("InvalidParameterValue", message), Class::Eventual);
        assert_eq!(refused("InvalidParameterValue", "another"), Class::Failed);
    }
}
