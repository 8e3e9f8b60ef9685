//! The service's domain name: its zone, its certificates, and the routing to regions (M-16, M-25).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::elbv2::LoadBalancer;
use payinfra_aws::route53::{DnsName, HealthCheck, Routing};
use payinfra_components::aurora::Database;
use payinfra_components::domain::{Alias, Domain, health_check};
use payinfra_engine::{Address, Graph, Handover, Node, Ref, Region, Result};
use payinfra_stack::Names;

use super::Site;
use super::settings::{DomainConfig, Settings};

/// The weight in the arguments of a record set.
const WEIGHT: &str = "/routing/weighted";
/// The service in names and addresses.
const API: &str = "api";

/// Declares the zone, or looks it up. There is one for all regions.
pub(super) fn domain(graph: &mut Graph, settings: &Settings, names: &Names) -> Result<Domain> {
    let DomainConfig { zone, create_zone, resolver, .. } = &settings.domain;
    if *create_zone {
        Domain::create(graph, names, zone, API, *resolver)
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
    region: Region,
    record: Address,
}

/// Declares the record that routes traffic to a region by its weight, while it is healthy. The weight is operational:
/// `payinfra traffic` changes it (M-26).
pub(super) fn record(
    graph: &mut Graph,
    site: &Site<'_>,
    domain: &Domain,
    balancer: &Node<LoadBalancer>,
) -> Result<Route> {
    let host = DnsName::of(balancer.outputs.dns_name.clone());
    let check = health_check(graph, site, host.clone(), "/health")?;
    let alias = Alias { name: host, zone: balancer.outputs.zone_id.clone() };
    let record = domain.record(graph, site, alias, Routing::Weighted(site.weight()), &check)?;
    graph.operational(&record.address, WEIGHT)?;
    Ok(Route { check, region: site.region().clone(), record: record.address })
}

/// A region gets traffic only after everything in it is ready, as is what other regions have for it: routes, and the groups of
/// `databases`, which allow connections from it. All of that stays until the region's traffic has left.
pub(super) fn serve(graph: &mut Graph, routes: &[Route], databases: &[Database]) {
    let records: BTreeSet<_> = routes.iter().map(|route| route.record.clone()).collect();
    let depends: BTreeMap<Address, BTreeSet<Address>> =
        graph.nodes().keys().map(|address| (address.clone(), graph.depends(address))).collect();
    for route in routes {
        let is_its = |address: &Address| address.region == route.region;
        let own = depends.iter().filter(|(address, on)| is_its(address) || on.iter().any(is_its));
        let own: BTreeMap<_, _> = own.filter(|(address, _)| !records.contains(*address)).collect();
        // What others depend on is ready before them.
        let inner: BTreeSet<_> = own.values().copied().flatten().collect();
        for last in own.keys().filter(|address| !inner.contains(**address)) {
            graph.order(last, &route.record);
        }
        for database in databases {
            graph.order(&database.group.address, &route.record);
        }
    }
}

/// When a region leaves, the records of the others take all traffic before its own is deleted, and it serves until clients
/// have forgotten its addresses (M-03).
pub(super) fn hand_over(graph: &mut Graph, settings: &Settings, routes: &[Route]) {
    for route in routes {
        let to = routes.iter().map(|other| other.record.clone()).filter(|other| *other != route.record).collect();
        graph.hand_over(&route.record, Handover { to, drain_seconds: settings.domain.drain_seconds });
    }
}
