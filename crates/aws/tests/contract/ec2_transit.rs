//! Examples of EC2: transit gateways, their attachments and peerings.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use payinfra_aws::ec2::{
    TransitGateway, TransitGatewayPeering, TransitGatewayPeeringAccepter, TransitGatewayRoute,
    TransitGatewayVpcAttachment, Vpc,
};
use payinfra_engine::{Graph, Node, Region, Result, Tags};

use crate::ec2::{network, part};
use crate::example::{Again, Example, examples, graph, region};

examples![
    transit_gateway,
    transit_gateway_peering,
    transit_gateway_peering_accepter,
    transit_gateway_route,
    transit_gateway_vpc_attachment,
];

fn far() -> Region {
    Region::new("us-east-2")
}

fn hub(asn: i64) -> TransitGateway {
    TransitGateway { asn, description: "An example".to_owned(), tags: Tags::new() }
}

fn transit_gateway() -> Result<Example> {
    let example = Example::new(graph("transit-gateway"), &region(), hub(64_513))?;
    example.change(|gateway: &mut TransitGateway| "Another text".clone_into(&mut gateway.description))
}

/// Two gateways, and a request for a peering between them.
fn requested(graph: &mut Graph) -> Result<(Node<TransitGateway>, TransitGatewayPeering)> {
    let near = graph.add(&region(), "near", hub(64_514))?;
    let peer = graph.add(&far(), "far", hub(64_515))?;
    let (gateway, peer_region) = (near.id.clone(), far());
    Ok((near, TransitGatewayPeering { gateway, peer: peer.id, peer_region, tags: Tags::new() }))
}

fn transit_gateway_peering() -> Result<Example> {
    let mut graph = graph("transit-gateway-peering");
    let (_, peering) = requested(&mut graph)?;
    Example::new(graph, &region(), peering)
}

fn transit_gateway_peering_accepter() -> Result<Example> {
    let mut graph = graph("transit-gateway-peering-accepter");
    let (_, peering) = requested(&mut graph)?;
    let peering = graph.add(&region(), "peering", peering)?;
    let accepter = TransitGatewayPeeringAccepter { peering: peering.id, tags: Tags::new() };
    Ok(Example::new(graph, &far(), accepter)?.again(Again::Taken))
}

fn attached(graph: &mut Graph, gateway: &Node<TransitGateway>, vpc: &Node<Vpc>) -> Result<TransitGatewayVpcAttachment> {
    let subnet = graph.add(&region(), "subnet", part(vpc, 0))?;
    Ok(TransitGatewayVpcAttachment {
        gateway: gateway.id.clone(),
        vpc: vpc.id.clone(),
        subnets: BTreeSet::from([subnet.id]),
        tags: Tags::new(),
    })
}

/// To a VPC, then across a peering.
fn transit_gateway_route() -> Result<Example> {
    let mut graph = graph("transit-gateway-route");
    let (gateway, peering) = requested(&mut graph)?;
    let peering = graph.add(&region(), "peering", peering)?;
    let accepter = TransitGatewayPeeringAccepter { peering: peering.id, tags: Tags::new() };
    let accepter = graph.add(&far(), "accepter", accepter)?;
    let vpc = graph.add(&region(), "vpc", network())?;
    let attachment = attached(&mut graph, &gateway, &vpc)?;
    let attachment = graph.add(&region(), "attachment", attachment)?;
    let route = TransitGatewayRoute {
        table: gateway.outputs.route_table,
        destination: Ipv4Net::new_assert([10, 1, 0, 0].into(), 16),
        attachment: attachment.id.into(),
    };
    let example = Example::new(graph, &region(), route)?.again(Again::Taken);
    example.change(|route: &mut TransitGatewayRoute| route.attachment = accepter.id.into())
}

fn transit_gateway_vpc_attachment() -> Result<Example> {
    let mut graph = graph("transit-gateway-vpc-attachment");
    let gateway = graph.add(&region(), "gateway", hub(64_516))?;
    let vpc = graph.add(&region(), "vpc", network())?;
    let attachment = attached(&mut graph, &gateway, &vpc)?;
    let first = attachment.subnets.clone();
    let second = graph.add(&region(), "second", part(&vpc, 1))?;
    let example = Example::new(graph, &region(), attachment)?.again(Again::Taken);
    let both = first.into_iter().chain([second.id.clone()]).collect();
    example
        .change(|attachment: &mut TransitGatewayVpcAttachment| attachment.subnets = both)?
        .change(|attachment: &mut TransitGatewayVpcAttachment| attachment.subnets = BTreeSet::from([second.id]))
}
