//! VPC endpoints for the AWS services that a region's network uses (M-07).

use payinfra_aws::ec2::{Peer, Rule};
use payinfra_components::endpoints::{self, Endpoints};
use payinfra_components::network::Network;
use payinfra_engine::{Graph, Result};

use super::Site;

/// Gateway endpoints.
const GATEWAYS: [&str; 2] = ["dynamodb", "s3"];
/// Interface endpoints: what tasks need to start, to write logs, and to read secrets.
const INTERFACES: [&str; 5] = ["ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager"];

/// Declares the endpoints of a region. The legacy network may use them, too.
pub(super) fn endpoints(graph: &mut Graph, site: &Site<'_>, network: &Network) -> Result<()> {
    let legacy = site.settings.legacy_network.iter().flat_map(|legacy| &legacy.cidrs);
    let legacy = legacy.map(|cidr| Rule::tcp(443, Peer::Cidr(*cidr), "HTTPS from the legacy network"));
    let wanted = Endpoints { gateways: &GATEWAYS, interfaces: &INTERFACES, ingress: legacy.collect() };
    endpoints::endpoints(graph, site, network, wanted)
}
