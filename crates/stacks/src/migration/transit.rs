//! Connections between regions: a transit gateway in each, with peerings between each pair (M-08).

use payinfra_aws::ec2::{
    Route, RouteTarget, TransitGateway, TransitGatewayPeering, TransitGatewayPeeringAccepter, TransitGatewayRoute,
    TransitGatewayVpcAttachment,
};
use payinfra_components::network::Network;
use payinfra_engine::{Graph, Node, Ref, Result};

use super::{Part, Site};

/// The first private autonomous system number; each region has its own, as peerings require.
const ASN: i64 = 64512;

/// The transit gateway of a region.
pub(super) struct Hub {
    gateway: Node<TransitGateway>,
    attachment: Node<TransitGatewayVpcAttachment>,
}

/// Declares the transit gateway of a region, and attaches the region's network.
pub(super) fn hub(graph: &mut Graph, site: &Site<'_>, network: &Network) -> Result<Hub> {
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

/// Peers each pair of transit gateways, with routes in both directions.
pub(super) fn mesh(graph: &mut Graph, parts: &[Part<'_>]) -> Result<()> {
    for (index, near) in parts.iter().enumerate() {
        for far in &parts[index + 1..] {
            let peering = peer(graph, near, far)?;
            route(graph, near, far, &peering)?;
            route(graph, far, near, &peering)?;
        }
    }
    Ok(())
}

/// A peering that one side requests and the other accepts.
fn peer(graph: &mut Graph, near: &Part<'_>, far: &Part<'_>) -> Result<Node<TransitGatewayPeeringAccepter>> {
    let (near, near_hub, far, far_hub) = (&near.site, &near.hub, &far.site, &far.hub);
    let peering = TransitGatewayPeering {
        gateway: near_hub.gateway.id.clone(),
        peer: far_hub.gateway.id.clone(),
        peer_region: far.region().clone(),
        tags: near.named(&format!("transit-peering-{}", far.region())),
    };
    let peering = graph.add(near.region(), far.region().as_str(), peering)?;
    let accepter = TransitGatewayPeeringAccepter {
        peering: peering.id.clone(),
        tags: far.named(&format!("transit-peering-{}", near.region())),
    };
    graph.add(far.region(), near.region().as_str(), accepter)
}

/// Routes traffic from the networks of `from` to `to`: from each private subnet to the transit gateway, and over the
/// peering.
fn route(
    graph: &mut Graph,
    from: &Part<'_>,
    to: &Part<'_>,
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
