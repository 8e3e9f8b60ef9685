//! VPC endpoints for the AWS services that a region's network uses (M-07).

use std::collections::BTreeSet;

use payinfra_aws::ec2::{EndpointType, Peer, Rule, SecurityGroup, VpcEndpoint};
use payinfra_engine::{Graph, Node, Result};

use super::Site;
use super::network::Network;

/// Gateway endpoints.
const GATEWAYS: [&str; 2] = ["dynamodb", "s3"];
/// Interface endpoints: what tasks need to start, to write logs, and to read secrets.
const INTERFACES: [&str; 5] = ["ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager"];

/// Declares the endpoints of a region.
pub(super) fn endpoints(graph: &mut Graph, site: &Site<'_>, network: &Network) -> Result<()> {
    let group = group(graph, site, network)?;
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
    for service in GATEWAYS {
        let tables = network.tables.iter().map(|table| table.id.clone()).collect();
        graph.add(site.region(), service, VpcEndpoint { tables, ..endpoint(service, EndpointType::Gateway) })?;
    }
    for service in INTERFACES {
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

/// Allows HTTPS from the network itself and from the legacy network.
fn group(graph: &mut Graph, site: &Site<'_>, network: &Network) -> Result<Node<SecurityGroup>> {
    let own = Rule::tcp(443, Peer::Cidr(site.config.cidr), "HTTPS from this network");
    let legacy = site.settings.legacy_network.iter().flat_map(|legacy| &legacy.cidrs);
    let legacy = legacy.map(|cidr| Rule::tcp(443, Peer::Cidr(*cidr), "HTTPS from the legacy network"));
    let group = SecurityGroup {
        vpc: network.vpc.id.clone(),
        name: site.names.name("endpoints"),
        description: "Calls to the endpoints of AWS services".to_owned(),
        ingress: std::iter::once(own).chain(legacy).collect(),
        egress: BTreeSet::new(),
        tags: site.named("endpoints"),
    };
    graph.add(site.region(), "endpoints", group)
}
