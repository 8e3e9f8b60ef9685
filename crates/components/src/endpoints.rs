//! VPC endpoints: private access to AWS services from a region's network.

use std::collections::BTreeSet;

use payinfra_aws::ec2::{EndpointType, Peer, Rule, SecurityGroup, VpcEndpoint};
use payinfra_engine::{Graph, Node, Result};
use payinfra_stack::Site;

use crate::network::Network;

/// The endpoints of a network. Services are written without their prefix `com.amazonaws.REGION`.
#[derive(Clone, Debug)]
pub struct Endpoints<'a> {
    /// The services with gateway endpoints: `dynamodb` and `s3`.
    pub gateways: &'a [&'a str],
    /// The services with interface endpoints, such as `logs`.
    pub interfaces: &'a [&'a str],
    /// Ingress rules of the interface endpoints, in addition to HTTPS from the network itself.
    pub ingress: BTreeSet<Rule>,
}

/// Declares the endpoints of a region's network. The interface endpoints share a security group.
///
/// # Errors
/// If the graph has an endpoint of that service already.
pub fn endpoints(graph: &mut Graph, site: &Site<'_>, network: &Network, wanted: Endpoints<'_>) -> Result<()> {
    let endpoint = |service: &str, kind| VpcEndpoint {
        vpc: network.vpc.id.clone(),
        service: format!("com.amazonaws.{}.{service}", site.region()),
        kind,
        tables: BTreeSet::new(),
        subnets: BTreeSet::new(),
        groups: BTreeSet::new(),
        private_dns: None,
        policy: None,
        tags: site.named(&format!("{}-endpoint", service.replace('.', "-"))),
    };
    for service in wanted.gateways {
        let tables = network.tables.iter().map(|table| table.id.clone()).collect();
        graph.add(site.region(), service, VpcEndpoint { tables, ..endpoint(service, EndpointType::Gateway) })?;
    }
    if wanted.interfaces.is_empty() {
        return Ok(());
    }
    let group = group(graph, site, network, wanted.ingress)?;
    for service in wanted.interfaces {
        let interface = VpcEndpoint {
            subnets: network.private.iter().map(|subnet| subnet.id.clone()).collect(),
            groups: BTreeSet::from([group.id.clone()]),
            private_dns: Some(true),
            ..endpoint(service, EndpointType::Interface)
        };
        graph.add(site.region(), service, interface)?;
    }
    Ok(())
}

fn group(
    graph: &mut Graph,
    site: &Site<'_>,
    network: &Network,
    mut ingress: BTreeSet<Rule>,
) -> Result<Node<SecurityGroup>> {
    ingress.insert(Rule::tcp(443, Peer::Cidr(site.config.cidr), "HTTPS from this network"));
    let group = SecurityGroup {
        vpc: network.vpc.id.clone(),
        name: site.names.name("endpoints"),
        description: "Calls to the endpoints of AWS services".to_owned(),
        ingress,
        egress: BTreeSet::new(),
        tags: site.named("endpoints"),
    };
    graph.add(site.region(), "endpoints", group)
}
