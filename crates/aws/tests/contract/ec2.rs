//! Examples of EC2.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use payinfra_aws::ec2::{
    Eip, ExistingSecurityGroup, Image, InternetGateway, NatGateway, PrefixList, Route, RouteTable,
    RouteTableAssociation, RouteTarget, SecurityGroup, Subnet, Subnets, TransitGateway, TransitGatewayVpcAttachment,
    Vpc, Zones,
};
use payinfra_engine::{Cloud, Graph, Lookup, Node, Ref, Resource, Result, Tags};
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{aws, site};

examples![
    eip,
    existing_security_group,
    image,
    internet_gateway,
    nat_gateway,
    prefix_list,
    route,
    route_table,
    route_table_association,
    subnet,
    subnets,
    vpc,
    zones,
];

pub(crate) fn network() -> Vpc {
    let cidr = Ipv4Net::new_assert([10, 0, 0, 0].into(), 16);
    Vpc { cidr, dns_support: true, dns_hostnames: false, tags: Tags::new() }
}

/// The `number`th subnet of a VPC.
pub(crate) fn part(vpc: &Node<Vpc>, number: u8) -> Subnet {
    Subnet {
        vpc: vpc.id.clone(),
        cidr: Ipv4Net::new_assert([10, 0, number, 0].into(), 24),
        zone: Ref::from(if number.is_multiple_of(2) { "us-east-1a" } else { "us-east-1b" }),
        public: false,
        tags: Tags::new(),
    }
}

/// A VPC with an internet gateway.
fn connected(graph: &mut Graph) -> Result<(Node<Vpc>, Node<InternetGateway>)> {
    let vpc = graph.add(&region(), "vpc", network())?;
    let gateway = InternetGateway { vpc: vpc.id.clone(), tags: Tags::new() };
    Ok((vpc, graph.add(&region(), "gateway", gateway)?))
}

/// A NAT gateway in a VPC with an internet gateway.
fn translated(graph: &mut Graph, vpc: &Node<Vpc>, gateway: &Node<InternetGateway>) -> Result<NatGateway> {
    let subnet = graph.add(&region(), "subnet", part(vpc, 0))?;
    let eip = graph.add(&region(), "eip", Eip { tags: Tags::new() })?;
    // Public addresses prevent detaching the gateway, so they are created after it and deleted before it.
    graph.order(&gateway.address, &subnet.address);
    graph.order(&gateway.address, &eip.address);
    Ok(NatGateway { subnet: subnet.id, eip: eip.id, tags: Tags::new() })
}

fn table(graph: &mut Graph, name: &str, vpc: &Node<Vpc>) -> Result<Node<RouteTable>> {
    graph.add(&region(), name, RouteTable { vpc: vpc.id.clone(), tags: Tags::new() })
}

fn eip() -> Result<Example> {
    Example::new(graph("eip"), &region(), Eip { tags: Tags::new() })
}

fn existing_security_group() -> Result<Example> {
    let mut graph = graph("existing-security-group");
    let vpc = graph.add(&region(), "vpc", network())?;
    let group = SecurityGroup {
        vpc: vpc.id.clone(),
        name: "looked-up".to_owned(),
        description: "made by others".to_owned(),
        ingress: BTreeSet::new(),
        egress: BTreeSet::new(),
        tags: Tags::new().with("Tier", "looked up"),
    };
    let group = graph.add(&region(), "group", group)?;
    let args = ExistingSecurityGroup {
        id: None,
        name: Some("looked-up".to_owned()),
        vpc: None,
        tags: BTreeMap::from([("Tier".to_owned(), "looked up".to_owned())]),
    };
    Example::lookup(graph, &region(), &args, json!({ "id": group.id, "vpc": vpc.id }))
}

/// The newest one with the architecture, not of all.
fn image() -> Result<Example> {
    let owners = BTreeSet::from(["amazon".to_owned()]);
    let args = Image { owners, name: "al2023-ami-2023.*".to_owned(), architecture: Some("x86_64".to_owned()) };
    let name = "al2023-ami-2023.8.20250715.0-kernel-6.1-x86_64";
    Example::lookup(graph("image"), &region(), &args, json!({ "id": "ami-0b1b2c3d4e5f60718", "name": name }))
}

fn internet_gateway() -> Result<Example> {
    let mut graph = graph("internet-gateway");
    let vpc = graph.add(&region(), "vpc", network())?;
    let other = graph.add(&region(), "other", network())?;
    let gateway = InternetGateway { vpc: vpc.id, tags: Tags::new() };
    Example::new(graph, &region(), gateway)?.change(|gateway: &mut InternetGateway| gateway.vpc = other.id)
}

fn nat_gateway() -> Result<Example> {
    let mut graph = graph("nat-gateway");
    let (vpc, gateway) = connected(&mut graph)?;
    let nat = translated(&mut graph, &vpc, &gateway)?;
    Ok(Example::new(graph, &region(), nat)?.again(Again::Same))
}

fn prefix_list() -> Result<Example> {
    let args = PrefixList { name: "com.amazonaws.us-east-1.s3".to_owned() };
    let cidrs = ["3.5.0.0/19", "52.216.0.0/15", "54.231.0.0/16"];
    Example::lookup(graph("prefix-list"), &region(), &args, json!({ "id": "pl-63a5400a", "cidrs": cidrs }))
}

fn route() -> Result<Example> {
    let mut graph = graph("route");
    let (vpc, gateway) = connected(&mut graph)?;
    let nat = translated(&mut graph, &vpc, &gateway)?;
    let nat = graph.add(&region(), "nat", nat)?;
    let transit = TransitGateway { asn: 64_512, description: "hub".to_owned(), tags: Tags::new() };
    let transit = graph.add(&region(), "transit", transit)?;
    let subnets = BTreeSet::from([graph.add(&region(), "attached", part(&vpc, 1))?.id]);
    let (to, vpc_id) = (transit.id.clone(), vpc.id.clone());
    let attachment = TransitGatewayVpcAttachment { gateway: to, vpc: vpc_id, subnets, tags: Tags::new() };
    graph.add(&region(), "attachment", attachment)?;
    let table = table(&mut graph, "table", &vpc)?;
    let target = RouteTarget::InternetGateway(gateway.id);
    let route = Route { table: table.id, destination: Ipv4Net::default(), target };
    let example = Example::new(graph, &region(), route)?.again(Again::Taken);
    example
        .change(|route: &mut Route| route.target = RouteTarget::NatGateway(nat.id))?
        .change(|route: &mut Route| route.target = RouteTarget::TransitGateway(transit.id))
}

fn route_table() -> Result<Example> {
    let mut graph = graph("route-table");
    let vpc = graph.add(&region(), "vpc", network())?;
    let table = RouteTable { vpc: vpc.id, tags: Tags::new() };
    Ok(Example::new(graph, &region(), table)?.again(Again::Same))
}

fn route_table_association() -> Result<Example> {
    let mut graph = graph("route-table-association");
    let vpc = graph.add(&region(), "vpc", network())?;
    let subnet = graph.add(&region(), "subnet", part(&vpc, 0))?;
    let first = table(&mut graph, "first", &vpc)?;
    let second = table(&mut graph, "second", &vpc)?;
    let association = RouteTableAssociation { table: first.id, subnet: subnet.id };
    let example = Example::new(graph, &region(), association)?.again(Again::Taken);
    example.change(|association: &mut RouteTableAssociation| association.table = second.id)
}

fn subnet() -> Result<Example> {
    let mut graph = graph("subnet");
    let vpc = graph.add(&region(), "vpc", network())?;
    let example = Example::new(graph, &region(), part(&vpc, 0))?;
    example.change(|subnet: &mut Subnet| subnet.public = true)?.change(|subnet: &mut Subnet| subnet.public = false)
}

fn subnets() -> Result<Example> {
    let mut graph = graph("subnets");
    let vpc = graph.add(&region(), "vpc", network())?;
    let mut add = |name: &str, number, tags| graph.add(&region(), name, Subnet { tags, ..part(&vpc, number) });
    let ours = Tags::new().with("Tier", "looked up");
    let (second, first) = (add("second", 1, ours.clone())?, add("first", 2, ours)?);
    add("other", 3, Tags::new().with("Tier", "another"))?;
    let args = Subnets {
        ids: None,
        vpc: None,
        name: None,
        tags: BTreeMap::from([("Tier".to_owned(), "looked up".to_owned())]),
    };
    let found = json!({ "ids": [first.id, second.id], "cidrs": ["10.0.2.0/24", "10.0.1.0/24"], "vpc": vpc.id });
    Example::lookup(graph, &region(), &args, found)
}

fn vpc() -> Result<Example> {
    let example = Example::new(graph("vpc"), &region(), network())?;
    example
        .change(|vpc: &mut Vpc| vpc.dns_hostnames = true)?
        .change(|vpc: &mut Vpc| (vpc.dns_hostnames, vpc.dns_support) = (false, false))
}

fn zones() -> Result<Example> {
    Example::lookup(graph("zones"), &region(), &Zones { count: 2 }, json!({ "names": ["us-east-1a", "us-east-1b"] }))
}

#[tokio::test]
async fn lookups_say_what_is_not_there() -> Result<()> {
    let aws = aws().await?;
    let nothing = json!({ "ids": null, "vpc": null, "name": null, "tags": {} });
    let group = |id, name| json!({ "id": id, "name": name, "vpc": null, "tags": {} });
    for (kind, args, says) in [
        (
            Image::KIND,
            json!({ "owners": ["amazon"], "name": "no-such-*", "architecture": null }),
            "not found in us-east-1: an image `no-such-*` owned by amazon",
        ),
        (
            Image::KIND,
            json!({ "owners": [], "name": "al2023-*", "architecture": null }),
            "no owner is set for the image `al2023-*`",
        ),
        (
            PrefixList::KIND,
            json!({ "name": "com.amazonaws.us-east-1.no-such" }),
            "not found in us-east-1: the prefix list com.amazonaws.us-east-1.no-such",
        ),
        (Zones::KIND, json!({ "count": 9 }), "us-east-1 has 6 availability zones, but 9 are needed"),
        (Subnets::KIND, nothing, "no criteria are set for the subnets"),
        (
            Subnets::KIND,
            json!({ "ids": ["subnet-0123456789abcdef0"], "vpc": null, "name": null, "tags": {} }),
            "not found in us-east-1: [\"subnet-0123456789abcdef0\"]",
        ),
        (
            Subnets::KIND,
            json!({ "ids": null, "vpc": null, "name": "no such name", "tags": {} }),
            "not found in us-east-1: such subnets",
        ),
        (ExistingSecurityGroup::KIND, group(None, None), "no criteria are set for the security group"),
        (
            ExistingSecurityGroup::KIND,
            group(Some("sg-0123456789abcdef0"), None),
            "not found in us-east-1: the security group sg-0123456789abcdef0",
        ),
    ] {
        let error = aws.find(&region(), kind, &args).await.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(says), "{args}");
    }
    // Every VPC has a group with this name.
    for name in ["ambiguous-1", "ambiguous-2"] {
        aws.create(&site(&region(), Vpc::KIND, name)?, &form(&network())?).await?;
    }
    let aws_own = aws.find(&region(), ExistingSecurityGroup::KIND, &group(None, Some("default"))).await;
    let several = aws_own.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(several.starts_with("ambiguous security group in us-east-1"), "{several}");
    Ok(())
}
