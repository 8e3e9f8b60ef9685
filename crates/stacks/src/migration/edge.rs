//! The edge of a region: the load balancer, the only public resource, and the web ACL in front of it (M-16, M-24).

use payinfra_aws::s3::Bucket;
use payinfra_components::load_balancer::{Edge, LoadBalancer, load_balancer};
use payinfra_components::network::Network;
use payinfra_components::web_acl::web_acl;
use payinfra_engine::{Graph, Node, Ref, Result};

use super::Site;

/// Declares the edge of a region. `certificate` is the ARN of an issued certificate; `logs` is the bucket whose policy
/// allows load balancers to write.
pub(super) fn edge(
    graph: &mut Graph,
    site: &Site<'_>,
    network: &Network,
    certificate: Ref<String>,
    logs: &Node<Bucket>,
) -> Result<Edge> {
    // The service generates its certificate at startup.
    let service = &site.settings.service;
    let (port, strategy) = (service.port, service.shift());
    let wanted = LoadBalancer { network, certificate, logs, port, health_path: "/health", strategy };
    let edge = load_balancer(graph, site, wanted)?;
    web_acl(graph, site, &edge.balancer, site.settings.waf.requests_per_5_minutes)?;
    Ok(edge)
}
