//! Only load balancers let the world in, on the ports of the web.

use payinfra_aws::ec2::{Peer, Protocol, SecurityGroup};
use payinfra_aws::elbv2::LoadBalancer;
use payinfra_engine::{Graph, Resource, Result};

use super::{Rule, Violation, all, violation};
use crate::names::Names;

pub(super) const RULE: Rule =
    Rule { name: "private-groups", about: "only load balancers let the world in, on ports 80 and 443", check };

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    for (address, group) in all::<SecurityGroup>(graph)? {
        let open: Vec<_> = group.ingress.into_iter().filter(|rule| is_everyone(&rule.peer)).collect();
        if open.is_empty() {
            continue;
        }
        if open.iter().any(|rule| !matches!(rule.protocol, Protocol::Tcp(80, 80) | Protocol::Tcp(443, 443))) {
            broken.push(violation(&address, "lets the world in on another port than 80 and 443"));
        }
        // What only names it as the other end of a rule does not stand in it.
        let users = graph.nodes().keys().filter(|user| *user.kind != *SecurityGroup::KIND);
        let mut users = users.filter(|user| graph.depends(user).contains(&address));
        if let Some(user) = users.find(|user| *user.kind != *LoadBalancer::KIND) {
            broken.push(violation(&address, format!("lets the world in to {user}")));
        }
    }
    Ok(broken)
}

/// A block so large that it is not one network's.
fn is_everyone(peer: &Peer) -> bool {
    match peer {
        Peer::Cidr(net) => net.prefix_len() < 8,
        Peer::Cidr6(net) => net.prefix_len() < 16,
        Peer::Group(_) | Peer::PrefixList(_) | Peer::Itself => false,
    }
}
