//! The network of a region: three private and three public subnets, with a flow log (T-02, T-12).

use std::collections::BTreeSet;

use payinfra_components::endpoints::{self, Endpoints};
use payinfra_components::flow_log::flow_log;
use payinfra_components::network::{self, Layout, Network};
use payinfra_engine::{Graph, Ref, Result};
use payinfra_stack::cidr::Subnets;

use super::Site;
use super::settings::Nat;

/// The services that the function uses, all in its own region: it needs no NAT.
const GATEWAYS: [&str; 2] = ["dynamodb", "s3"];

/// Declares the network of a region.
pub(super) fn network(graph: &mut Graph, site: &Site<'_>, key: &Ref<String>) -> Result<Network> {
    let Subnets { private, public } = Subnets::of(&site.config.cidr)?;
    let nat = match site.variables().nat {
        Nat::None => network::Nat::None,
        Nat::Single => network::Nat::Single,
        Nat::PerZone => network::Nat::PerZone,
    };
    let network = network::network(graph, site, &Layout { private, public, nat })?;
    let wanted = Endpoints { gateways: &GATEWAYS, interfaces: &[], ingress: BTreeSet::new() };
    endpoints::endpoints(graph, site, &network, wanted)?;
    flow_log(graph, site, &network.vpc, key, site.variables().log_retention_days.0)?;
    Ok(network)
}
