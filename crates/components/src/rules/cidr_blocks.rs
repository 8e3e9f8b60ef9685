//! Networks are private and do not overlap; subnets are within their network and do not overlap.

use std::collections::BTreeMap;

use payinfra_aws::ec2::{Subnet, Vpc};
use payinfra_engine::{Address, Graph, ID, Ref, Result};

use payinfra_stack::cidr::{overlap, private};
use payinfra_stack::{Names, Rule, Violation};

use super::all;

pub(super) const RULE: Rule =
    Rule { name: "cidr-blocks", about: "networks and subnets are private and do not overlap", check };

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    let mut networks: BTreeMap<Address, Vpc> = BTreeMap::new();
    for (address, vpc) in all::<Vpc>(graph)? {
        if private(&vpc.cidr.to_string()).is_err() {
            broken.push(Violation::new(&address, format!("has {}, which is not private", vpc.cidr)));
        }
        for (other, network) in &networks {
            if overlap(&network.cidr, &vpc.cidr) {
                broken.push(Violation::new(
                    &address,
                    format!("has {}, which overlaps {} of {other}", vpc.cidr, network.cidr),
                ));
            }
        }
        networks.insert(address, vpc);
    }
    let mut before: Vec<(Address, Subnet)> = Vec::new();
    for (address, subnet) in all::<Subnet>(graph)? {
        let network = networks.iter().find(|(vpc, _)| subnet.vpc == Ref::to(vpc, ID));
        if let Some((vpc, network)) = network
            && !network.cidr.contains(&subnet.cidr)
        {
            broken.push(Violation::new(
                &address,
                format!("has {}, which is not in {} of {vpc}", subnet.cidr, network.cidr),
            ));
        }
        for (other, neighbour) in &before {
            if neighbour.vpc == subnet.vpc && overlap(&neighbour.cidr, &subnet.cidr) {
                let message = format!("has {}, which overlaps {} of {other}", subnet.cidr, neighbour.cidr);
                broken.push(Violation::new(&address, message));
            }
        }
        before.push((address, subnet));
    }
    Ok(broken)
}
