//! Connections between regions: a transit gateway in each, with a peering between each pair.

use payinfra_aws::ec2::{
    Route, RouteTarget, TransitGateway, TransitGatewayPeering, TransitGatewayPeeringAccepter, TransitGatewayRoute,
    TransitGatewayVpcAttachment,
};
use payinfra_engine::{Graph, Node, Ref, Result};
use payinfra_stack::Site;

use crate::network::Network;

/// The first private autonomous system number; each region has its own, as peerings require.
const ASN: i64 = 64512;

/// The transit gateway of a region.
#[derive(Debug)]
pub struct Hub {
    /// The transit gateway.
    pub gateway: Node<TransitGateway>,
    /// Its attachment to the private subnets of the region's network.
    pub attachment: Node<TransitGatewayVpcAttachment>,
}

/// Declares the transit gateway of a region, and attaches the region's network.
///
/// # Errors
/// If the region has one already.
pub fn hub(graph: &mut Graph, site: &Site<'_>, network: &Network) -> Result<Hub> {
    let gateway = TransitGateway {
        asn: ASN + i64::from(site.config.index),
        description: format!("Joins {} to the other regions", site.names.name("vpc")),
        tags: site.named("transit-gateway"),
    };
    let gateway = graph.add(site.region(), "main", gateway)?;
    let attachment = TransitGatewayVpcAttachment {
        gateway: gateway.id.clone(),
        vpc: network.vpc.id.clone(),
        subnets: network.private.iter().map(|subnet| subnet.id.clone()).collect(),
        tags: site.named("transit-attachment"),
    };
    let attachment = graph.add(site.region(), "main", attachment)?;
    site.output(graph, "transit_gateway_id", &gateway.id);
    Ok(Hub { gateway, attachment })
}

/// A region that is connected to others.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The region.
    pub site: Site<'a>,
    /// Its network.
    pub network: &'a Network,
    /// Its transit gateway.
    pub hub: &'a Hub,
}

/// A connection of two regions.
#[derive(Debug)]
pub struct Peering {
    /// The request of the first region.
    pub requester: Node<TransitGatewayPeering>,
    /// The acceptance of the second region: the peering can be used once it exists.
    pub accepter: Node<TransitGatewayPeeringAccepter>,
}

/// Peers the transit gateways of each pair of `members`, with routes in both directions: from each private subnet to the
/// transit gateway, and from there over the peering. The networks must not overlap.
///
/// # Errors
/// If a region is listed twice.
pub fn mesh(graph: &mut Graph, members: &[Member<'_>]) -> Result<Vec<Peering>> {
    let mut peerings = Vec::new();
    for (index, near) in members.iter().enumerate() {
        for far in &members[index + 1..] {
            let peering = peer(graph, near, far)?;
            route(graph, near, far, &peering.accepter)?;
            route(graph, far, near, &peering.accepter)?;
            peerings.push(peering);
        }
    }
    Ok(peerings)
}

/// A peering that one side requests and the other accepts.
fn peer(graph: &mut Graph, near: &Member<'_>, far: &Member<'_>) -> Result<Peering> {
    let (near_region, far_region) = (near.site.region(), far.site.region());
    let requester = TransitGatewayPeering {
        gateway: near.hub.gateway.id.clone(),
        peer: far.hub.gateway.id.clone(),
        peer_region: far_region.clone(),
        tags: near.site.named(&format!("transit-peering-{far_region}")),
    };
    let requester = graph.add(near_region, far_region.as_str(), requester)?;
    let accepter = TransitGatewayPeeringAccepter {
        peering: requester.id.clone(),
        tags: far.site.named(&format!("transit-peering-{near_region}")),
    };
    let accepter = graph.add(far_region, near_region.as_str(), accepter)?;
    Ok(Peering { requester, accepter })
}

/// Routes traffic from the network of `from` to that of `to`.
fn route(
    graph: &mut Graph,
    from: &Member<'_>,
    to: &Member<'_>,
    peering: &Node<TransitGatewayPeeringAccepter>,
) -> Result<()> {
    let region = from.site.region();
    let (destination, name) = (to.site.config.cidr, to.site.region().as_str());
    let over = TransitGatewayRoute {
        table: from.hub.gateway.outputs.route_table.clone(),
        destination,
        attachment: Ref::from(peering.id.clone()),
    };
    graph.add(region, name, over)?;
    for (table, number) in from.network.tables.iter().zip(1..) {
        let target = RouteTarget::TransitGateway(from.hub.gateway.id.clone());
        let route = Route { table: table.id.clone(), destination, target };
        let route = graph.add(region, &format!("private-{number}-{name}"), route)?;
        // A route to the transit gateway requires its attachment to the network (AWS-FACTS §4.5).
        graph.order(&from.hub.attachment.address, &route.address);
    }
    Ok(())
}
