//! The public load balancer of a region, with the two target groups of blue/green deployments.

use std::collections::BTreeSet;

use payinfra_aws::ec2::{Peer, Rule, SecurityGroup};
use payinfra_aws::elbv2::{self, AccessLogs, Action, Listener, Protocol, Redirect, Target, TargetGroup};
use payinfra_aws::s3::Bucket;
use payinfra_engine::{Error, Graph, Node, Ref, Result, Secret};
use payinfra_stack::Site;

use crate::network::{ANYWHERE, Network};

/// The resource types in the names of the load balancer and its target groups, which have to be short.
pub const RESOURCE_TYPES: [&str; 3] = [BALANCER, BLUE, GREEN];
/// The key prefix of access logs, for [`balancer_log_statement`](crate::buckets::balancer_log_statement).
pub const LOG_PREFIX: &str = "load-balancer";

const BALANCER: &str = "alb";
const BLUE: &str = "blue";
const GREEN: &str = "green";

/// The initial weights of blue and green, in percent, if payinfra shifts requests.
const WEIGHTS: [i32; 2] = [100, 0];

/// TLS 1.2 and 1.3 only.
const TLS: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/// Who shifts the requests from the old to the new tasks in a deployment (M-17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// `payinfra deploy`, in steps: there is a service for each colour, and the weights are operational values.
    Stepwise,
    /// ECS, all at once: there is one service, and nobody else changes the weights.
    Native {
        /// How long the old tasks are kept afterwards, in minutes, 0 to 1,440.
        bake_minutes: i32,
    },
}

/// A load balancer that accepts HTTPS from the internet, and redirects HTTP to it.
#[derive(Debug)]
pub struct LoadBalancer<'a> {
    /// The network, in whose public subnets it is.
    pub network: &'a Network,
    /// The ARN of its certificate, resolved only after it is issued.
    pub certificate: Ref<String>,
    /// The bucket for access logs; its policy must have the statement that [`LOG_PREFIX`] is for.
    pub logs: &'a Node<Bucket>,
    /// The port on which targets accept HTTPS. The load balancer does not validate their certificates.
    pub port: u16,
    /// The path of health checks; a healthy target returns 200.
    pub health_path: &'a str,
    /// Who changes the weights of the colours.
    pub strategy: Strategy,
}

/// The public entry to a region.
#[derive(Debug)]
pub struct Edge {
    /// The load balancer.
    pub balancer: Node<elbv2::LoadBalancer>,
    /// Its security group, from which targets have to accept connections.
    pub group: Node<SecurityGroup>,
    /// The listener for clients, whose default action forwards to the colours. At first blue gets all traffic; deployments change
    /// the weights, which are operational values, or left to ECS (M-17).
    ///
    /// A target group accepts targets only after a listener uses it (AWS-FACTS §4.5).
    pub https: Node<Listener>,
    /// Blue and green, in this order.
    pub colours: [Colour; 2],
    /// The port of the targets.
    pub port: u16,
    /// Who changes the weights of the colours.
    pub strategy: Strategy,
}

/// One of the two groups of targets between which a deployment shifts traffic.
#[derive(Debug)]
pub struct Colour {
    /// `blue` or `green`.
    pub name: &'static str,
    /// Its target group, for IP addresses.
    pub target_group: Node<TargetGroup>,
}

/// Declares the load balancer of a region.
///
/// # Errors
/// If the network has fewer than two public subnets, or a name is too long for Elastic Load Balancing.
pub fn load_balancer(graph: &mut Graph, site: &Site<'_>, wanted: LoadBalancer<'_>) -> Result<Edge> {
    let group = group(graph, site, &wanted)?;
    let balancer = balancer(graph, site, &wanted, &group)?;
    let colours = [colour(graph, site, &wanted, BLUE)?, colour(graph, site, &wanted, GREEN)?];
    let is_stepwise = wanted.strategy == Strategy::Stepwise;
    let targets = colours.iter().zip(WEIGHTS).map(|(colour, weight)| Target {
        group: colour.target_group.id.clone(),
        weight: is_stepwise.then_some(weight),
    });
    let https = Listener {
        load_balancer: balancer.id.clone(),
        port: 443,
        protocol: Protocol::Https,
        certificate: Some(wanted.certificate),
        ssl_policy: Some(TLS.to_owned()),
        default_action: Action::Forward(targets.collect()),
        tags: site.named("https-listener"),
    };
    let https = graph.add(site.region(), "https", https)?;
    for index in (0..colours.len()).filter(|_| is_stepwise) {
        graph.operational(&https.address, &format!("/default_action/forward/{index}/weight"))?;
    }
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
    site.output(graph, "load_balancer_arn", &balancer.outputs.arn);
    site.output(graph, "load_balancer_dns_name", &balancer.outputs.dns_name);
    for Colour { name, target_group } in &colours {
        site.output(graph, &format!("target_group_{name}_arn"), &target_group.outputs.arn);
    }
    Ok(Edge { balancer, group, https, colours, port: wanted.port, strategy: wanted.strategy })
}

/// Allows HTTP and HTTPS from everywhere, and egress only to the targets.
fn group(graph: &mut Graph, site: &Site<'_>, wanted: &LoadBalancer<'_>) -> Result<Node<SecurityGroup>> {
    let anywhere = || Peer::Cidr(ANYWHERE);
    let group = SecurityGroup {
        vpc: wanted.network.vpc.id.clone(),
        name: site.names.name("load-balancer"),
        description: "Requests from the Internet".to_owned(),
        ingress: BTreeSet::from([
            Rule::tcp(443, anywhere(), "HTTPS from everywhere"),
            Rule::tcp(80, anywhere(), "HTTP from everywhere, to be redirected"),
        ]),
        egress: BTreeSet::from([Rule::tcp(wanted.port, Peer::Cidr(site.config.cidr), "To the service")]),
        tags: site.named("load-balancer"),
    };
    graph.add(site.region(), "load-balancer", group)
}

fn balancer(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &LoadBalancer<'_>,
    group: &Node<SecurityGroup>,
) -> Result<Node<elbv2::LoadBalancer>> {
    let (network, logs) = (wanted.network, wanted.logs);
    if network.public.len() < 2 {
        let message = format!("the network in {} has fewer than two public subnets for a load balancer", site.region());
        return Err(Error::invalid(message).hint("add public subnets, one per zone"));
    }
    let balancer = elbv2::LoadBalancer {
        name: site.names.balancer(BALANCER)?,
        internal: false,
        subnets: network.public.iter().map(|subnet| subnet.id.clone()).collect(),
        security_groups: BTreeSet::from([group.id.clone()]),
        access_logs: Some(AccessLogs { bucket: logs.id.clone().into(), prefix: LOG_PREFIX.to_owned() }),
        idle_timeout: Some(60),
        drop_invalid_header_fields: Some(true),
        deletion_protection: site.protect,
        tags: site.named("load-balancer"),
    };
    let balancer = graph.add(site.region(), "main", balancer)?;
    // Nothing refers to it, but AWS creates no public load balancer in a network without it (AWS-FACTS §4.5).
    if let Some(gateway) = &network.gateway {
        graph.order(&gateway.address, &balancer.address);
    }
    Ok(balancer)
}

fn colour(graph: &mut Graph, site: &Site<'_>, wanted: &LoadBalancer<'_>, name: &'static str) -> Result<Colour> {
    let group = TargetGroup {
        name: site.names.balancer(name)?,
        vpc: wanted.network.vpc.id.clone(),
        protocol: Protocol::Https,
        port: wanted.port,
        health_check: elbv2::HealthCheck {
            protocol: Protocol::Https,
            port: "traffic-port".to_owned(),
            path: Secret::new(wanted.health_path.to_owned()),
            codes: "200".to_owned(),
            interval: 10,
            timeout: 5,
            healthy: 2,
            unhealthy: 3,
        },
        // Requests take far less than that, and deployments wait for it.
        deregistration_delay: Some(30),
        slow_start: Some(0),
        tags: site.named(&format!("{name}-target-group")),
    };
    Ok(Colour { name, target_group: graph.add(site.region(), name, group)? })
}
