//! The network of a region: private and public subnets in three zones, and NAT (M-06, M-07).

use ipnet::Ipv4Net;
use payinfra_aws::ec2::{
    Eip, InternetGateway, NatGateway, Route, RouteTable, RouteTableAssociation, RouteTarget, Subnet, Vpc, Zones,
};
use payinfra_engine::{Address, Graph, Node, Result, Text};

use super::Site;
use super::settings::Nat;
use payinfra_stack::cidr::{Subnets, ZONES};

/// All addresses.
pub(super) const ANYWHERE: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0);

/// The network of a region.
pub(super) struct Network {
    pub(super) vpc: Node<Vpc>,
    /// The private subnets, one per zone.
    pub(super) private: Vec<Node<Subnet>>,
    /// The public subnets, one per zone.
    pub(super) public: Vec<Node<Subnet>>,
    /// The internet gateway. Public addresses are created after it and deleted before it (AWS-FACTS §4.5).
    pub(super) gateway: Address,
    /// The route tables of the private subnets, one per zone.
    pub(super) tables: Vec<Node<RouteTable>>,
}

/// Declares the network of a region.
pub(super) fn network(graph: &mut Graph, site: &Site<'_>) -> Result<Network> {
    let region = site.region();
    let vpc = Vpc { cidr: site.config.cidr, dns_support: true, dns_hostnames: true, tags: site.named("vpc") };
    let vpc = graph.add(region, "main", vpc)?;
    let zones = graph.find(region, "main", &Zones { count: ZONES })?.outputs.names;

    let blocks = Subnets::of(&site.config.cidr)?;
    let mut subnets = |kind: &str, blocks: Vec<Ipv4Net>| {
        let subnets = blocks.into_iter().enumerate().map(|(index, cidr)| {
            let tags = site.named(&format!("{kind}-subnet-{}", index + 1));
            // Load balancers and NAT gateways have their own public addresses; nothing else should get one.
            let subnet = Subnet { vpc: vpc.id.clone(), cidr, zone: zones.at(index)?, public: false, tags };
            graph.add(region, &format!("{kind}-{}", index + 1), subnet)
        });
        subnets.collect::<Result<Vec<_>>>()
    };
    let private = subnets("private", blocks.private)?;
    let public = subnets("public", blocks.public)?;

    let gateway = InternetGateway { vpc: vpc.id.clone(), tags: site.named("internet-gateway") };
    let gateway = graph.add(region, "main", gateway)?;
    let table = table(graph, site, &vpc, "public")?;
    let out = route(graph, site, &table, "public-internet", RouteTarget::InternetGateway(gateway.id.clone()))?;
    // Usually the target of a route only has to exist, but this one must be attached (AWS-FACTS §4.5).
    graph.order(&gateway.address, &out.address);
    for (index, subnet) in public.iter().enumerate() {
        associate(graph, site, &format!("public-{}", index + 1), &table, subnet)?;
    }

    let nats = match site.settings.nat {
        Nat::PerZone => &public[..],
        Nat::Single => &public[..1],
    };
    let nats = nats.iter().enumerate().map(|(index, subnet)| nat(graph, site, index + 1, subnet, &gateway.address));
    let nats = nats.collect::<Result<Vec<_>>>()?;

    let mut tables = Vec::new();
    for ((index, subnet), nat) in private.iter().enumerate().zip(nats.iter().cycle()) {
        let name = format!("private-{}", index + 1);
        let table = self::table(graph, site, &vpc, &name)?;
        route(graph, site, &table, &format!("{name}-internet"), RouteTarget::NatGateway(nat.id.clone()))?;
        associate(graph, site, &name, &table, subnet)?;
        tables.push(table);
    }
    site.output(graph, "vpc_id", &vpc.id);
    site.output(graph, "private_subnet_ids", list(&private));
    site.output(graph, "public_subnet_ids", list(&public));
    Ok(Network { vpc, private, public, gateway: gateway.address, tables })
}

/// The ids, separated by commas, because an output is a string.
fn list(subnets: &[Node<Subnet>]) -> Text {
    subnets
        .iter()
        .enumerate()
        .fold(Text::default(), |list, (index, subnet)| list.and(if index == 0 { "" } else { "," }).and(&subnet.id))
}

/// A NAT gateway with its address. Both need the attached internet gateway and must be deleted before it, although they
/// do not refer to it (AWS-FACTS §4.5).
fn nat(
    graph: &mut Graph,
    site: &Site<'_>,
    number: usize,
    subnet: &Node<Subnet>,
    gateway: &Address,
) -> Result<Node<NatGateway>> {
    let name = format!("nat-{number}");
    let eip = graph.add(site.region(), &name, Eip { tags: site.named(&format!("nat-address-{number}")) })?;
    let tags = site.named(&format!("nat-gateway-{number}"));
    let nat = NatGateway { subnet: subnet.id.clone(), eip: eip.id.clone(), tags };
    let nat = graph.add(site.region(), &name, nat)?;
    site.output(graph, &format!("nat_public_ip_{number}"), &eip.outputs.public_ip);
    graph.order(gateway, &eip.address);
    graph.order(gateway, &nat.address);
    Ok(nat)
}

fn table(graph: &mut Graph, site: &Site<'_>, vpc: &Node<Vpc>, name: &str) -> Result<Node<RouteTable>> {
    let table = RouteTable { vpc: vpc.id.clone(), tags: site.named(&format!("{name}-route-table")) };
    graph.add(site.region(), name, table)
}

fn route(
    graph: &mut Graph,
    site: &Site<'_>,
    table: &Node<RouteTable>,
    name: &str,
    target: RouteTarget,
) -> Result<Node<Route>> {
    graph.add(site.region(), name, Route { table: table.id.clone(), destination: ANYWHERE, target })
}

fn associate(
    graph: &mut Graph,
    site: &Site<'_>,
    name: &str,
    table: &Node<RouteTable>,
    subnet: &Node<Subnet>,
) -> Result<Node<RouteTableAssociation>> {
    let association = RouteTableAssociation { table: table.id.clone(), subnet: subnet.id.clone() };
    graph.add(site.region(), name, association)
}
