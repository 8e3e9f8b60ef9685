//! The network of a region: private subnets for the function, and endpoints for the services that it uses (G-10).

use std::collections::BTreeSet;

use payinfra_components::endpoints::{self, Endpoints};
use payinfra_components::network::{self, Layout, Network};
use payinfra_engine::{Graph, Result};
use payinfra_stack::cidr::Subnets;

use super::Site;
use super::settings::Nat;

/// Gateway endpoints.
const GATEWAYS: [&str; 2] = ["dynamodb", "s3"];
/// Interface endpoints.
const INTERFACES: [&str; 3] = ["kms", "logs", "ssm"];

/// Declares the network of a region. A payment is stored in the region that its id belongs to, so the function needs a way to the
/// other region: gateway endpoints only lead to their own.
pub(super) fn network(graph: &mut Graph, site: &Site<'_>) -> Result<Network> {
    let Subnets { private, public } = Subnets::of(&site.config.cidr)?;
    let nat = match site.variables().nat {
        Nat::PerZone => network::Nat::PerZone,
        Nat::Single => network::Nat::Single,
    };
    let network = network::network(graph, site, &Layout { private, public, nat })?;
    let wanted = Endpoints { gateways: &GATEWAYS, interfaces: &INTERFACES, ingress: BTreeSet::new() };
    endpoints::endpoints(graph, site, &network, wanted)?;
    Ok(network)
}
