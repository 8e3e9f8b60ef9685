//! The network of a region: private and public subnets in several zones, and NAT.

use ipnet::Ipv4Net;
use payinfra_aws::ec2::{
    Eip, InternetGateway, NatGateway, Route, RouteTable, RouteTableAssociation, RouteTarget, Subnet, Vpc, Zones,
};
use payinfra_engine::{Address, Error, Graph, Node, Ref, Result, Text};
use payinfra_stack::Site;

/// All addresses.
pub const ANYWHERE: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0);

/// The subnets of a network, and how the private ones reach the internet.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The CIDR blocks of the private subnets, one per zone.
    pub private: Vec<Ipv4Net>,
    /// The CIDR blocks of the public subnets, one per zone. Without any, the network has no internet gateway.
    pub public: Vec<Ipv4Net>,
    /// How private subnets reach the internet.
    pub nat: Nat,
}

/// How private subnets reach the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Not at all.
    None,
    /// Through one NAT gateway per region.
    Single,
    /// Through one NAT gateway per zone, so that losing a zone does not affect the others.
    PerZone,
}

/// The network of a region.
#[derive(Debug)]
pub struct Network {
    /// The VPC.
    pub vpc: Node<Vpc>,
    /// The private subnets, one per zone.
    pub private: Vec<Node<Subnet>>,
    /// The public subnets, one per zone.
    pub public: Vec<Node<Subnet>>,
    /// The internet gateway, if there are public subnets. Public addresses are created after it and deleted before it
    /// (AWS-FACTS §4.5).
    pub gateway: Option<Node<InternetGateway>>,
    /// The route tables of the private subnets, one per zone.
    pub tables: Vec<Node<RouteTable>>,
}

/// Declares the network of a region, in the site's CIDR block. The zones are discovered.
///
/// # Errors
/// If private subnets are to reach the internet, but there is no public subnet for a NAT gateway.
pub fn network(graph: &mut Graph, site: &Site<'_>, layout: &Layout) -> Result<Network> {
    let region = site.region();
    let vpc = vpc(graph, site)?;
    let zones = Zones { count: layout.private.len().max(layout.public.len()) };
    let zones = graph.find(region, "main", &zones)?.outputs.names;
    let private = subnets(graph, site, &vpc, &zones, "private", &layout.private)?;
    let public = subnets(graph, site, &vpc, &zones, "public", &layout.public)?;
    let gateway = match &public[..] {
        [] => None,
        public => Some(internet(graph, site, &vpc, public)?),
    };
    let nats = nats(graph, site, layout.nat, &public, gateway.as_ref())?;

    let mut tables = Vec::new();
    for (index, subnet) in private.iter().enumerate() {
        let name = format!("private-{}", index + 1);
        let table = self::table(graph, site, &vpc, &name)?;
        if let Some(nat) = nats.iter().cycle().nth(index) {
            route(graph, site, &table, &format!("{name}-internet"), RouteTarget::NatGateway(nat.id.clone()))?;
        }
        associate(graph, site, &name, &table, subnet)?;
        tables.push(table);
    }
    site.output(graph, "vpc_id", &vpc.id);
    site.output(graph, "private_subnet_ids", list(&private));
    if !public.is_empty() {
        site.output(graph, "public_subnet_ids", list(&public));
    }
    Ok(Network { vpc, private, public, gateway, tables })
}

/// Declares the VPC of a region without subnets, in the site's CIDR block, with DNS resolution and host names.
///
/// # Errors
/// If the graph has a VPC in this region already.
pub fn vpc(graph: &mut Graph, site: &Site<'_>) -> Result<Node<Vpc>> {
    let vpc = Vpc { cidr: site.config.cidr, dns_support: true, dns_hostnames: true, tags: site.named("vpc") };
    graph.add(site.region(), "main", vpc)
}

fn subnets(
    graph: &mut Graph,
    site: &Site<'_>,
    vpc: &Node<Vpc>,
    zones: &Ref<Vec<String>>,
    kind: &str,
    blocks: &[Ipv4Net],
) -> Result<Vec<Node<Subnet>>> {
    let subnets = blocks.iter().enumerate().map(|(index, cidr)| {
        let tags = site.named(&format!("{kind}-subnet-{}", index + 1));
        // Load balancers and NAT gateways have their own public addresses; nothing else should get one.
        let subnet = Subnet { vpc: vpc.id.clone(), cidr: *cidr, zone: zones.at(index)?, public: false, tags };
        graph.add(site.region(), &format!("{kind}-{}", index + 1), subnet)
    });
    subnets.collect()
}

/// The internet gateway, with the route table of the public subnets.
fn internet(
    graph: &mut Graph,
    site: &Site<'_>,
    vpc: &Node<Vpc>,
    public: &[Node<Subnet>],
) -> Result<Node<InternetGateway>> {
    let gateway = InternetGateway { vpc: vpc.id.clone(), tags: site.named("internet-gateway") };
    let gateway = graph.add(site.region(), "main", gateway)?;
    let table = table(graph, site, vpc, "public")?;
    let out = route(graph, site, &table, "public-internet", RouteTarget::InternetGateway(gateway.id.clone()))?;
    // Usually the target of a route only has to exist, but this one must be attached (AWS-FACTS §4.5).
    graph.order(&gateway.address, &out.address);
    for (index, subnet) in public.iter().enumerate() {
        associate(graph, site, &format!("public-{}", index + 1), &table, subnet)?;
    }
    Ok(gateway)
}

fn nats(
    graph: &mut Graph,
    site: &Site<'_>,
    nat: Nat,
    public: &[Node<Subnet>],
    gateway: Option<&Node<InternetGateway>>,
) -> Result<Vec<Node<NatGateway>>> {
    let count = match nat {
        Nat::None => return Ok(Vec::new()),
        Nat::Single => 1,
        Nat::PerZone => public.len(),
    };
    let Some(gateway) = gateway else {
        return Err(Error::invalid(format!("the network in {} has no public subnet for a NAT gateway", site.region()))
            .hint("add a public subnet, or use no NAT gateway"));
    };
    let nats = public.iter().take(count).zip(1..);
    nats.map(|(subnet, number)| self::nat(graph, site, number, subnet, &gateway.address)).collect()
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
