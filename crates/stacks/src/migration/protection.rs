//! Protection of resources that keep data, and their final snapshots (M-28).

use payinfra_aws::KINDS;
use payinfra_aws::rds::{Cluster, GlobalCluster};
use payinfra_components::aurora::Database;
use payinfra_engine::{Address, Graph, Resource};
use payinfra_stack::Workspace;

use super::settings::MigrationVariables;

/// Protects all resources in `graph` that keep data, and requests final snapshots of database clusters, as configured
/// in the workspace.
///
/// The kinds declare whether they keep data. Two more are protected although they keep none: the global cluster,
/// because deleting it ends replication between the regions, and the first instance of each region, because the
/// region's cluster cannot be accessed without an instance.
pub(super) fn protection(graph: &mut Graph, workspace: &Workspace<MigrationVariables>, databases: &[Database]) {
    if workspace.protect {
        for address in resources(graph, |kind| keeps_data(kind) || kind == GlobalCluster::KIND) {
            graph.protect(&address);
        }
        for instance in databases.iter().filter_map(|database| database.instances.first()) {
            graph.protect(&instance.address);
        }
    }
    if workspace.final_snapshot {
        for address in resources(graph, |kind| kind == Cluster::KIND) {
            graph.final_snapshot(&address);
        }
    }
}

fn resources(graph: &Graph, wanted: impl Fn(&str) -> bool) -> Vec<Address> {
    let nodes = graph.nodes().iter().filter(|(address, node)| !node.lookup && wanted(&address.kind));
    nodes.map(|(address, _)| address.clone()).collect()
}

fn keeps_data(kind: &str) -> bool {
    KINDS.iter().copied().flatten().map(|kind| kind.spec()).any(|spec| spec.kind == kind && spec.keeps_data)
}
