//! The network of a region: two public and two private subnets in two zones (P-01).

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use payinfra_aws::ec2::{Peer, Rule};
use payinfra_components::endpoints::{self, Endpoints};
use payinfra_components::network::{self, Layout, Nat, Network};
use payinfra_components::postgresql::PORT;
use payinfra_engine::{Error, Graph, Result};

use super::{Part, Site};

/// The number of zones, and the length of the prefixes of subnets.
const ZONES: usize = 2;
const SUBNET: u8 = 24;
/// The services that the function stores payments with. Gateway endpoints are free of charge, NAT is not.
const GATEWAYS: [&str; 2] = ["dynamodb", "s3"];

/// The subnets of a region.
pub(super) struct Subnets {
    pub(super) public: Vec<Ipv4Net>,
    pub(super) private: Vec<Ipv4Net>,
}

/// The first blocks of `network`: those of the public subnets, then those of the private ones.
///
/// # Errors
/// If it is too small.
pub(super) fn subnets(network: Ipv4Net) -> Result<Subnets> {
    let mut blocks = network.subnets(SUBNET).into_iter().flatten();
    let public: Vec<_> = blocks.by_ref().take(ZONES).collect();
    let private: Vec<_> = blocks.take(ZONES).collect();
    if private.len() < ZONES {
        return Err(Error::invalid(format!("`{network}` is too small for four subnets of /{SUBNET}"))
            .hint("use a block between /16 and /22"));
    }
    Ok(Subnets { public, private })
}

/// Declares the network of a region.
pub(super) fn network(graph: &mut Graph, site: &Site<'_>) -> Result<Network> {
    let Subnets { public, private } = subnets(site.config.cidr)?;
    let network = network::network(graph, site, &Layout { private, public, nat: Nat::Single })?;
    if site.config.is_primary() {
        let wanted = Endpoints { gateways: &GATEWAYS, interfaces: &[], ingress: BTreeSet::new() };
        endpoints::endpoints(graph, site, &network, wanted)?;
    }
    Ok(network)
}

/// Connections from, or to, the private subnets of a region: rules cannot name a security group of another region (VPC Peering
/// Guide, Update your security groups to reference peer security groups). Only the function is in those of the first region.
pub(super) fn connections(part: &Part<'_>, about: &str) -> Result<BTreeSet<Rule>> {
    let private = subnets(part.site.config.cidr)?.private.into_iter();
    Ok(private.map(|block| Rule::tcp(PORT, Peer::Cidr(block), about)).collect())
}
