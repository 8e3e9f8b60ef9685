//! Only load balancers accept traffic from the internet, on ports 80 and 443.

use payinfra_aws::ec2::{Peer, Protocol, SecurityGroup};
use payinfra_aws::elbv2::LoadBalancer;
use payinfra_engine::{Graph, Resource, Result};

use payinfra_stack::{Names, Rule, Violation};

use super::all;

pub(super) const RULE: Rule = Rule {
    name: "private-groups",
    about: "only load balancers accept traffic from the internet, on ports 80 and 443",
    check,
};

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    for (address, group) in all::<SecurityGroup>(graph)? {
        let open: Vec<_> = group.ingress.into_iter().filter(|rule| is_everyone(&rule.peer)).collect();
        if open.is_empty() {
            continue;
        }
        if open.iter().any(|rule| !matches!(rule.protocol, Protocol::Tcp(80, 80) | Protocol::Tcp(443, 443))) {
            broken.push(Violation::new(&address, "accepts traffic from the internet on a port other than 80 and 443"));
        }
        // A resource that refers to the group only as the peer of a rule is not a member of it.
        let users = graph.nodes().keys().filter(|user| *user.kind != *SecurityGroup::KIND);
        let mut users = users.filter(|user| graph.depends(user).contains(&address));
        if let Some(user) = users.find(|user| *user.kind != *LoadBalancer::KIND) {
            broken.push(Violation::new(&address, format!("lets traffic from the internet reach {user}")));
        }
    }
    Ok(broken)
}

/// A block so large that it is not a single network.
fn is_everyone(peer: &Peer) -> bool {
    match peer {
        Peer::Cidr(net) => net.prefix_len() < 8,
        Peer::Cidr6(net) => net.prefix_len() < 16,
        Peer::Group(_) | Peer::PrefixList(_) | Peer::Itself => false,
    }
}
