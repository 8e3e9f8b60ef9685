//! Protection of two kinds of resources that keep no data themselves (M-28).

use payinfra_aws::rds::GlobalCluster;
use payinfra_components::aurora::Database;
use payinfra_engine::{Address, Graph, Resource};

/// Protects the global cluster, because deleting it ends replication between the regions, and the first instance of each
/// region, because the region's cluster cannot be accessed without an instance.
pub(super) fn protection(graph: &mut Graph, databases: &[Database]) {
    let global = graph.nodes().keys().filter(|address| *address.kind == *GlobalCluster::KIND).cloned();
    let instances = databases.iter().filter_map(|database| database.instances.first());
    let protected: Vec<Address> = global.chain(instances.map(|instance| instance.address.clone())).collect();
    for address in protected {
        graph.protect(&address);
    }
}
