//! Examples of EC2: security groups and flow logs.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use payinfra_aws::ec2::{
    EndpointType, FlowLog, Peer, Protocol, RouteTable, Rule, SecurityGroup, Subnet, Vpc, VpcEndpoint,
};
use payinfra_aws::{Aws, Explain, Need, Policy, Statement};
use payinfra_engine::{Class, Cloud, Graph, Id, Node, Ref, Resource, Result, Tags};

use crate::ec2::{network, part};
use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{access, site};

examples![flow_log, security_group, security_group_by_default, vpc_endpoint_gateway, vpc_endpoint_interface];

fn flow_log() -> Result<Example> {
    let mut graph = graph("flow-log");
    let vpc = graph.add(&region(), "vpc", network())?;
    let log = FlowLog {
        vpc: vpc.id,
        log_group: Ref::from("arn:aws:logs:us-east-1:123456789012:log-group:flow"),
        role: Ref::from("arn:aws:iam::123456789012:role/flow"),
        tags: Tags::new(),
    };
    Ok(Example::new(graph, &region(), log)?.again(Again::Same))
}

fn group(vpc: &Node<Vpc>, name: &str) -> SecurityGroup {
    SecurityGroup {
        vpc: vpc.id.clone(),
        name: name.to_owned(),
        description: "An example".to_owned(),
        ingress: BTreeSet::new(),
        egress: BTreeSet::new(),
        tags: Tags::new(),
    }
}

fn within() -> Peer {
    Peer::Cidr(Ipv4Net::new_assert([10, 0, 0, 0].into(), 8))
}

/// Rules of all kinds are added, change only their description, and are removed.
fn security_group() -> Result<Example> {
    let mut graph = graph("security-group");
    let vpc = graph.add(&region(), "vpc", network())?;
    let client = graph.add(&region(), "client", group(&vpc, "client"))?;
    let rules = [
        Rule::tcp(443, within(), "HTTPS"),
        Rule::tcp(443, Peer::Group(client.id), ""),
        Rule::new(Protocol::Tcp(8000, 8999), Peer::Itself, "among themselves"),
        Rule::new(Protocol::Udp(53, 53), within(), "DNS"),
        Rule::new(Protocol::Icmp, within(), "ping"),
    ];
    let args = SecurityGroup { ingress: BTreeSet::from(rules), ..group(&vpc, "server") };
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(|group: &mut SecurityGroup| {
            group.ingress.retain(|rule| rule.description != "HTTPS");
            group.ingress.insert(Rule::tcp(443, within(), "from within"));
        })?
        .change(|group: &mut SecurityGroup| {
            group.ingress.retain(|rule| rule.peer == Peer::Itself);
            group.egress = BTreeSet::from([Rule::tcp(443, Peer::Cidr(Ipv4Net::default()), "out")]);
        })?
        .change(|group: &mut SecurityGroup| {
            group.egress = BTreeSet::from([Rule::all(within(), ""), Rule::all(Peer::Itself, "")]);
        })
}

/// The default rule of a new group is kept if it is declared; otherwise it is revoked, and can be added again.
fn security_group_by_default() -> Result<Example> {
    let mut graph = graph("security-group-by-default");
    let vpc = graph.add(&region(), "vpc", network())?;
    let anywhere = || BTreeSet::from([Rule::all(Peer::Cidr(Ipv4Net::default()), "")]);
    let args = SecurityGroup { egress: anywhere(), ..group(&vpc, "default-egress") };
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(|group: &mut SecurityGroup| group.egress.clear())?
        .change(|group: &mut SecurityGroup| group.egress = anywhere())
}

fn endpoint(vpc: &Node<Vpc>, service: &str, kind: EndpointType) -> VpcEndpoint {
    VpcEndpoint {
        vpc: vpc.id.clone(),
        service: format!("com.amazonaws.{}.{service}", region()),
        kind,
        tables: BTreeSet::new(),
        subnets: BTreeSet::new(),
        groups: BTreeSet::new(),
        private_dns: None,
        policy: None,
        tags: Tags::new(),
    }
}

fn reading() -> Policy {
    Policy::new([Statement::allow("Read", ["s3:GetObject"]).principal("*", "*").on("*")])
}

fn vpc_endpoint_gateway() -> Result<Example> {
    let mut graph = graph("vpc-endpoint-gateway");
    let vpc = graph.add(&region(), "vpc", network())?;
    let add = |graph: &mut Graph, name: &str| -> Result<_> {
        Ok(graph.add(&region(), name, RouteTable { vpc: vpc.id.clone(), tags: Tags::new() })?.id)
    };
    let (first, second) = (add(&mut graph, "first")?, add(&mut graph, "second")?);
    let args = VpcEndpoint { tables: BTreeSet::from([first.clone()]), ..endpoint(&vpc, "s3", EndpointType::Gateway) };
    Example::new(graph, &region(), args)?
        .again(Again::Same)
        .change(|endpoint: &mut VpcEndpoint| endpoint.tables = BTreeSet::from([first, second.clone()]))?
        .change(|endpoint: &mut VpcEndpoint| endpoint.tables = BTreeSet::from([second]))?
        .change(|endpoint: &mut VpcEndpoint| endpoint.policy = Some(reading()))?
        .change(|endpoint: &mut VpcEndpoint| endpoint.policy = None)
}

fn vpc_endpoint_interface() -> Result<Example> {
    let mut graph = graph("vpc-endpoint-interface");
    let network = Vpc { dns_hostnames: true, ..network() };
    let vpc = graph.add(&region(), "vpc", network)?;
    let add = |graph: &mut Graph, name: &str, number| -> Result<_> {
        let subnet: Node<Subnet> = graph.add(&region(), &format!("subnet-{name}"), part(&vpc, number))?;
        Ok((subnet.id, graph.add(&region(), &format!("group-{name}"), group(&vpc, name))?.id))
    };
    let (first, first_group) = add(&mut graph, "first", 0)?;
    let (second, second_group) = add(&mut graph, "second", 1)?;
    let args = VpcEndpoint {
        subnets: BTreeSet::from([first.clone()]),
        groups: BTreeSet::from([first_group]),
        private_dns: Some(true),
        ..endpoint(&vpc, "kms", EndpointType::Interface)
    };
    Example::new(graph, &region(), args)?
        .again(Again::Same)
        .change(|endpoint: &mut VpcEndpoint| endpoint.subnets = BTreeSet::from([first, second]))?
        .change(|endpoint: &mut VpcEndpoint| endpoint.groups = BTreeSet::from([second_group]))?
        .change(|endpoint: &mut VpcEndpoint| endpoint.private_dns = Some(false))
}

#[tokio::test]
async fn a_group_that_others_refer_to_names_them() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let vpc = cx.ec2().create_vpc().cidr_block("10.77.0.0/16").send().await.explain()?.vpc.need("Vpc")?;
    let vpc = vpc.vpc_id.need("VpcId")?;
    let group = |name: &str| SecurityGroup {
        vpc: Ref::Known(Id::new(&vpc)),
        name: name.to_owned(),
        description: "An example".to_owned(),
        ingress: BTreeSet::new(),
        egress: BTreeSet::new(),
        tags: Tags::new().with("Name", name),
    };
    let make = async |group: &SecurityGroup| {
        aws.create(&site(&region(), SecurityGroup::KIND, &group.name)?, &form(group)?).await
    };
    let ours = make(&group("referred-to")).await?;
    let rule = Rule::tcp(443, Peer::Group(Ref::Known(Id::new(&ours))), "");
    let theirs = SecurityGroup { ingress: BTreeSet::from([rule]), ..group("referring") };
    let id = make(&theirs).await?;
    let site = site(&region(), SecurityGroup::KIND, "referred-to")?;
    let live = async |id: &String| {
        aws.read(&region(), SecurityGroup::KIND, std::slice::from_ref(id)).await?.pop().need("SecurityGroup")
    };
    let other = live(&id).await?;
    aws.update(&site, &form(&theirs)?, &other).await?;

    let live = [live(&ours).await?, live(&id).await?];
    let refused = aws.delete(&site, &live[0]).await;
    let told = format!("rules of other security groups refer to it: {id}");
    assert!(refused.as_ref().is_err_and(|it| it.is(Class::Conflict) && it.to_string().contains(&told)), "{refused:?}");
    aws.delete(&site, &live[1]).await?;
    aws.delete(&site, &live[0]).await?;
    cx.ec2().delete_vpc().vpc_id(&vpc).send().await.explain().map(drop)
}
