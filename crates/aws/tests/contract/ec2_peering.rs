//! Examples of EC2: VPC peerings, and routes over them.

use ipnet::Ipv4Net;
use payinfra_aws::ec2::{Route, RouteTable, RouteTarget, Vpc, VpcPeering, VpcPeeringAccepter, VpcPeeringDns};
use payinfra_engine::{Graph, Node, Region, Result, Tags};

use crate::ec2::network;
use crate::example::{Again, Example, examples, graph, region};

examples![route_over_a_peering, vpc_peering, vpc_peering_accepter, vpc_peering_dns];

fn far() -> Region {
    Region::new("us-east-2")
}

/// Two networks, and a request for a peering between them.
fn requested(graph: &mut Graph) -> Result<(Node<Vpc>, VpcPeering)> {
    let near = graph.add(&region(), "near", network())?;
    let peer = graph.add(&far(), "far", Vpc { cidr: Ipv4Net::new_assert([10, 64, 0, 0].into(), 16), ..network() })?;
    let (vpc, peer_region) = (near.id.clone(), far());
    Ok((near, VpcPeering { vpc, peer: peer.id, peer_region, tags: Tags::new() }))
}

/// An accepted peering.
fn accepted(graph: &mut Graph) -> Result<(Node<Vpc>, Node<VpcPeeringAccepter>)> {
    let (near, peering) = requested(graph)?;
    let peering = graph.add(&region(), "peering", peering)?;
    let accepter = VpcPeeringAccepter { peering: peering.id, dns: true, tags: Tags::new() };
    Ok((near, graph.add(&far(), "accepter", accepter)?))
}

fn vpc_peering() -> Result<Example> {
    let mut graph = graph("vpc-peering");
    let (_, peering) = requested(&mut graph)?;
    Example::new(graph, &region(), peering)
}

fn vpc_peering_accepter() -> Result<Example> {
    let mut graph = graph("vpc-peering-accepter");
    let (_, peering) = requested(&mut graph)?;
    let peering = graph.add(&region(), "peering", peering)?;
    let accepter = VpcPeeringAccepter { peering: peering.id, dns: false, tags: Tags::new() };
    let example = Example::new(graph, &far(), accepter)?.again(Again::Taken);
    example.change(|accepter: &mut VpcPeeringAccepter| accepter.dns = true)
}

fn vpc_peering_dns() -> Result<Example> {
    let mut graph = graph("vpc-peering-dns");
    let (_, accepter) = accepted(&mut graph)?;
    let names = VpcPeeringDns { peering: accepter.id };
    Ok(Example::new(graph, &region(), names)?.again(Again::Taken))
}

fn route_over_a_peering() -> Result<Example> {
    let mut graph = graph("route-over-a-peering");
    let (near, accepter) = accepted(&mut graph)?;
    let table = graph.add(&region(), "table", RouteTable { vpc: near.id, tags: Tags::new() })?;
    let destination = Ipv4Net::new_assert([10, 64, 0, 0].into(), 16);
    let route = Route { table: table.id, destination, target: RouteTarget::VpcPeering(accepter.id) };
    Ok(Example::new(graph, &region(), route)?.again(Again::Taken))
}
