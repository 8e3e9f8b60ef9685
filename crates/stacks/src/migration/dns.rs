//! The service's domain name: its zone, its certificates, and the routing to regions (M-16, M-25).

use payinfra_aws::elbv2::LoadBalancer;
use payinfra_aws::route53::{DnsName, HealthCheck, Routing};
use payinfra_components::domain::{Alias, Domain, health_check};
use payinfra_engine::{Address, Graph, Handover, Node, Ref, Result};
use payinfra_stack::Names;

use super::Site;
use super::settings::Settings;

/// The weight in the arguments of a record set.
const WEIGHT: &str = "/routing/weighted";
/// The service in names and addresses.
const API: &str = "api";

/// Declares the zone, or looks it up. There is one for all regions.
pub(super) fn domain(graph: &mut Graph, settings: &Settings, names: &Names) -> Result<Domain> {
    let zone = &settings.domain.zone;
    if settings.domain.create_zone {
        Domain::create(graph, names, zone, API)
    } else {
        Domain::find(graph, names, zone, API)
    }
}

/// Declares the certificate of a region, or looks it up, and returns its ARN.
pub(super) fn certificate(graph: &mut Graph, site: &Site<'_>, domain: &mut Domain) -> Result<Ref<String>> {
    match site.settings.domain.certificates.get(site.region().as_str()) {
        Some(arn) => domain.existing_certificate(graph, site, arn),
        None => domain.certificate(graph, site),
    }
}

/// What routes traffic to a region.
pub(super) struct Route {
    pub(super) check: Node<HealthCheck>,
    record: Address,
}

/// Declares the record that routes traffic to a region by its weight, while it is healthy. `ready` lists what must be
/// ready before the region gets traffic. The weight is operational: `payinfra traffic` changes it (M-26).
pub(super) fn record(
    graph: &mut Graph,
    site: &Site<'_>,
    domain: &Domain,
    balancer: &Node<LoadBalancer>,
    ready: &[&Address],
) -> Result<Route> {
    let host = DnsName::of(balancer.outputs.dns_name.clone());
    let check = health_check(graph, site, host.clone(), "/health")?;
    let alias = Alias { name: host, zone: balancer.outputs.zone_id.clone() };
    let record = domain.record(graph, site, alias, Routing::Weighted(site.weight()), &check)?;
    // For the record, the load balancer only has to exist; to get traffic, it has to respond.
    for first in ready.iter().copied().chain([&balancer.address]) {
        graph.order(first, &record.address);
    }
    graph.operational(&record.address, WEIGHT)?;
    Ok(Route { check, record: record.address })
}

/// When a region leaves, the records of the others take all traffic before its own is deleted, and it serves until clients
/// have forgotten its addresses (M-03).
pub(super) fn hand_over(graph: &mut Graph, settings: &Settings, routes: &[Route]) {
    for route in routes {
        let to = routes.iter().map(|other| other.record.clone()).filter(|other| *other != route.record).collect();
        graph.hand_over(&route.record, Handover { to, drain_seconds: settings.domain.drain_seconds });
    }
}
