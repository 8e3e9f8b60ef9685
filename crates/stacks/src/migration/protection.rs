//! What keeps data is protected, and saved before it is deleted (M-28).

use payinfra_aws::KINDS;
use payinfra_aws::rds::{Cluster, GlobalCluster};
use payinfra_engine::{Address, Graph, Resource};

use super::database::Database;
use crate::config::Workspace;

/// Protects everything in `graph` that keeps data, and requests final snapshots of the database clusters, as the
/// workspace asks for.
///
/// The kinds say themselves whether they keep data. Two more are protected although they keep none: the global cluster,
/// because deleting it ends the replication between the regions, and each region's first instance, because without an
/// instance nobody can read or write the region's cluster.
pub(super) fn protection(graph: &mut Graph, workspace: &Workspace, databases: &[Database]) {
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
