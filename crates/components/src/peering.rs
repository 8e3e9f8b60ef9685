//! A peering of the networks of two regions, for which no transit gateway is needed.

use payinfra_aws::ec2::{Route, RouteTarget, VpcPeering, VpcPeeringAccepter, VpcPeeringDns};
use payinfra_engine::{Graph, Node, Region, Result, Tags};
use payinfra_stack::Site;

use crate::network::Network;

/// A side of a peering.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    /// The region.
    pub site: Site<'a>,
    /// Its network.
    pub network: &'a Network,
    /// The tags whose values differ between the sides.
    pub tags: Tags,
}

/// Peers two networks: `near` requests the peering, and `far` accepts it. Private subnets of both reach each other, and DNS
/// names of instances on the other side resolve to their private addresses. The networks must not overlap.
///
/// # Errors
/// If both are in the same region, or are peered already.
pub fn peering(graph: &mut Graph, near: &Side<'_>, far: &Side<'_>) -> Result<Node<VpcPeeringAccepter>> {
    let (near_region, far_region) = (near.site.region(), far.site.region());
    let request = VpcPeering {
        vpc: near.network.vpc.id.clone(),
        peer: far.network.vpc.id.clone(),
        peer_region: far_region.clone(),
        tags: near.tags(far_region),
    };
    let request = graph.add(near_region, far_region.as_str(), request)?;
    let accepter = VpcPeeringAccepter { peering: request.id, dns: true, tags: far.tags(near_region) };
    let accepter = graph.add(far_region, near_region.as_str(), accepter)?;
    graph.add(near_region, far_region.as_str(), VpcPeeringDns { peering: accepter.id.clone() })?;
    routes(graph, near, far, &accepter)?;
    routes(graph, far, near, &accepter)?;
    near.site.output(graph, "peering_id", &accepter.id);
    Ok(accepter)
}

impl Side<'_> {
    /// The tags of this side of the peering with `other`.
    fn tags(&self, other: &Region) -> Tags {
        let mut tags = self.tags.clone();
        tags.fill(&self.site.named(&format!("peering-{other}")));
        tags
    }
}

/// Routes from every private subnet of `from` to the network of `to`.
fn routes(graph: &mut Graph, from: &Side<'_>, to: &Side<'_>, accepter: &Node<VpcPeeringAccepter>) -> Result<()> {
    let name = to.site.region();
    for (table, number) in from.network.tables.iter().zip(1..) {
        let target = RouteTarget::VpcPeering(accepter.id.clone());
        let route = Route { table: table.id.clone(), destination: to.site.config.cidr, target };
        graph.add(from.site.region(), &format!("private-{number}-{name}"), route)?;
    }
    Ok(())
}
