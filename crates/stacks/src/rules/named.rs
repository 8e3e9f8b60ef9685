//! Every name carries the workspace and the suffix.

use payinfra_aws::ec2::SecurityGroup;
use payinfra_aws::iam::Role;
use payinfra_aws::kms::Alias;
use payinfra_aws::logs::LogGroup;
use payinfra_aws::s3::Bucket;
use payinfra_engine::{Address, Graph, Result};

use super::{Rule, Violation, all, violation};
use crate::names::Names;

pub(super) const RULE: Rule = Rule { name: "named", about: "every name carries the workspace and the suffix", check };

fn check(graph: &Graph, names: &Names) -> Result<Vec<Violation>> {
    let mut found: Vec<(Address, String)> = Vec::new();
    found.extend(all::<Alias>(graph)?.into_iter().map(|(address, it)| (address, it.name)));
    found.extend(all::<Bucket>(graph)?.into_iter().map(|(address, it)| (address, it.name)));
    found.extend(all::<LogGroup>(graph)?.into_iter().map(|(address, it)| (address, it.name)));
    found.extend(all::<Role>(graph)?.into_iter().map(|(address, it)| (address, it.name)));
    found.extend(all::<SecurityGroup>(graph)?.into_iter().map(|(address, it)| (address, it.name)));
    for (address, node) in graph.nodes().iter().filter(|(_, node)| !node.lookup) {
        if let Some(tags) = node.args.get("tags") {
            let name = tags.get("Name").and_then(|name| name.as_str()).unwrap_or_default();
            found.push((address.clone(), name.to_owned()));
        }
    }
    let ending = format!("-{}", names.ending());
    found.retain(|(_, name)| !name.contains(&ending));
    Ok(found
        .iter()
        .map(|(address, name)| violation(address, format!("is named `{name}`, without `{ending}`")))
        .collect())
}
