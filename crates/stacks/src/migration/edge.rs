//! The edge of a region: the load balancer, the only public resource, and the web ACL in front of it (M-16, M-24).

use std::collections::BTreeSet;

use payinfra_aws::ec2::{Peer, Rule, SecurityGroup};
use payinfra_aws::elbv2::{
    AccessLogs, Action, HealthCheck, Listener, LoadBalancer, Protocol, Redirect, Target, TargetGroup,
};
use payinfra_aws::s3::Bucket;
use payinfra_components::network::{ANYWHERE, Network};
use payinfra_components::web_acl::web_acl;
use payinfra_engine::{Graph, Node, Ref, Result, Secret};

use super::Site;
use super::storage::BALANCER_LOGS;

/// The resource types in names with a short limit.
pub(super) const BALANCERS: [&str; 3] = [BALANCER, BLUE, GREEN];

const BALANCER: &str = "alb";
const BLUE: &str = "blue";
const GREEN: &str = "green";

/// TLS 1.2 and 1.3 only.
const TLS: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/// The edge of a region.
pub(super) struct Edge {
    pub(super) balancer: Node<LoadBalancer>,
    /// The load balancer's security group, which may access the service.
    pub(super) group: Node<SecurityGroup>,
    /// The listener for clients. A target group accepts targets only after a listener uses it (AWS-FACTS §4.5).
    pub(super) https: Node<Listener>,
    pub(super) blue: Node<TargetGroup>,
    pub(super) green: Node<TargetGroup>,
}

/// Declares the edge of a region. `certificate` is the ARN of an issued certificate; `logs` is the bucket whose policy
/// allows load balancers to write.
pub(super) fn edge(
    graph: &mut Graph,
    site: &Site<'_>,
    network: &Network,
    certificate: Ref<String>,
    logs: &Node<Bucket>,
) -> Result<Edge> {
    let group = group(graph, site, network)?;
    let balancer = balancer(graph, site, network, &group, logs)?;
    let blue = target_group(graph, site, network, BLUE)?;
    let green = target_group(graph, site, network, GREEN)?;
    // Deployments shift the weights. Until then blue, the first by name, gets all traffic (M-17).
    let colours = [&blue, &green].map(|colour| Target { group: colour.id.clone(), weight: None });
    let https = Listener {
        load_balancer: balancer.id.clone(),
        port: 443,
        protocol: Protocol::Https,
        certificate: Some(certificate),
        ssl_policy: Some(TLS.to_owned()),
        default_action: Action::Forward(BTreeSet::from(colours)),
        tags: site.named("https-listener"),
    };
    let https = graph.add(site.region(), "https", https)?;
    let http = Listener {
        load_balancer: balancer.id.clone(),
        port: 80,
        protocol: Protocol::Http,
        certificate: None,
        ssl_policy: None,
        default_action: Action::Redirect(Redirect::to_https()),
        tags: site.named("http-listener"),
    };
    graph.add(site.region(), "http", http)?;
    web_acl(graph, site, &balancer, site.settings.waf.requests_per_5_minutes)?;
    site.output(graph, "load_balancer_arn", &balancer.outputs.arn);
    site.output(graph, "load_balancer_dns_name", &balancer.outputs.dns_name);
    site.output(graph, "target_group_blue_arn", &blue.outputs.arn);
    site.output(graph, "target_group_green_arn", &green.outputs.arn);
    Ok(Edge { balancer, group, https, blue, green })
}

/// Allows HTTP and HTTPS from everywhere, and egress only to the service.
fn group(graph: &mut Graph, site: &Site<'_>, network: &Network) -> Result<Node<SecurityGroup>> {
    let anywhere = || Peer::Cidr(ANYWHERE);
    let service = site.settings.service.port;
    let group = SecurityGroup {
        vpc: network.vpc.id.clone(),
        name: site.names.name("load-balancer"),
        description: "Requests from the Internet".to_owned(),
        ingress: BTreeSet::from([
            Rule::tcp(443, anywhere(), "HTTPS from everywhere"),
            Rule::tcp(80, anywhere(), "HTTP from everywhere, to be redirected"),
        ]),
        egress: BTreeSet::from([Rule::tcp(service, Peer::Cidr(site.config.cidr), "To the service")]),
        tags: site.named("load-balancer"),
    };
    graph.add(site.region(), "load-balancer", group)
}

fn balancer(
    graph: &mut Graph,
    site: &Site<'_>,
    network: &Network,
    group: &Node<SecurityGroup>,
    logs: &Node<Bucket>,
) -> Result<Node<LoadBalancer>> {
    let balancer = LoadBalancer {
        name: site.names.balancer(BALANCER)?,
        internal: false,
        subnets: network.public.iter().map(|subnet| subnet.id.clone()).collect(),
        security_groups: BTreeSet::from([group.id.clone()]),
        access_logs: Some(AccessLogs { bucket: logs.id.clone().into(), prefix: BALANCER_LOGS.to_owned() }),
        idle_timeout: Some(60),
        drop_invalid_header_fields: Some(true),
        deletion_protection: site.workspace.protect,
        tags: site.named("load-balancer"),
    };
    let balancer = graph.add(site.region(), "main", balancer)?;
    // Nothing refers to it, but AWS creates no public load balancer in a network without it (AWS-FACTS §4.5).
    if let Some(gateway) = &network.gateway {
        graph.order(&gateway.address, &balancer.address);
    }
    Ok(balancer)
}

fn target_group(graph: &mut Graph, site: &Site<'_>, network: &Network, colour: &str) -> Result<Node<TargetGroup>> {
    let group = TargetGroup {
        name: site.names.balancer(colour)?,
        vpc: network.vpc.id.clone(),
        // The service generates its certificate at startup; a load balancer does not validate it.
        protocol: Protocol::Https,
        port: site.settings.service.port,
        health_check: HealthCheck {
            protocol: Protocol::Https,
            port: "traffic-port".to_owned(),
            path: Secret::new("/health".to_owned()),
            codes: "200".to_owned(),
            interval: 10,
            timeout: 5,
            healthy: 2,
            unhealthy: 3,
        },
        // A payment takes far less than a second, and deployments wait for this delay.
        deregistration_delay: Some(30),
        slow_start: Some(0),
        tags: site.named(&format!("{colour}-target-group")),
    };
    graph.add(site.region(), colour, group)
}
