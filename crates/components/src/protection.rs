//! Protection of resources that keep data, and their final snapshots.

use payinfra_aws::rds::{Cluster, Instance};
use payinfra_engine::{Address, Catalog, Graph, Resource};
use payinfra_stack::Workspace;

/// Protects all resources in `graph` whose kinds keep data, and requests final snapshots of databases, as
/// configured in the workspace. [`graph`](crate::graph) does this for every stack.
pub(crate) fn protect<V>(graph: &mut Graph, workspace: &Workspace<V>, catalog: &Catalog) {
    if workspace.protect {
        for address in resources(graph, |kind| catalog.kind(kind).is_ok_and(|kind| kind.spec().keeps_data)) {
            graph.protect(&address);
        }
    }
    if workspace.final_snapshot {
        for address in resources(graph, |kind| [Cluster::KIND, Instance::KIND].contains(&kind)) {
            graph.final_snapshot(&address);
        }
    }
}

fn resources(graph: &Graph, wanted: impl Fn(&str) -> bool) -> Vec<Address> {
    let nodes = graph.nodes().iter().filter(|(address, node)| !node.lookup && wanted(&address.kind));
    nodes.map(|(address, _)| address.clone()).collect()
}
