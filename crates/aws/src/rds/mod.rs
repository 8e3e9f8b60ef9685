//! RDS: Aurora clusters and their instances, instances of their own, and groups.

mod cluster;
mod cluster_instance;
mod cluster_parameter_group;
mod final_snapshot;
mod global_cluster;
mod instance;
mod instances;
mod master;
mod monitoring;
mod parameter_group;
mod parameters;
mod roles;
mod subnet_group;
mod tags;

use payinfra_engine::{Class, Error, Kind, Result, Tags, kind};

pub use cluster::{Cluster, ClusterOutputs};
pub use cluster_instance::{ClusterInstance, ClusterInstanceOutputs};
pub use cluster_parameter_group::{ClusterParameterGroup, ClusterParameterGroupOutputs};
pub use global_cluster::{GlobalCluster, GlobalClusterOutputs};
pub use instance::{Instance, InstanceOutputs};
pub use master::Master;
pub use monitoring::{Insights, Monitoring};
pub use parameter_group::{ParameterGroup, ParameterGroupOutputs};
pub use roles::{GlobalDatabase, Member};
pub use subnet_group::{SubnetGroup, SubnetGroupOutputs};

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[
    kind::<Cluster>(),
    kind::<ClusterInstance>(),
    kind::<ClusterParameterGroup>(),
    kind::<GlobalCluster>(),
    kind::<Instance>(),
    kind::<ParameterGroup>(),
    kind::<SubnetGroup>(),
];

/// All taggable resources with their tags. Lists of groups do not include tags, so each group is asked.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let rds = cx.rds();
    let (clusters, instances, globals, groups, parameters, cluster_parameters) = tokio::try_join!(
        async { rds.describe_db_clusters().into_paginator().items().send().try_collect().await.explain() },
        async { rds.describe_db_instances().into_paginator().items().send().try_collect().await.explain() },
        async { rds.describe_global_clusters().into_paginator().items().send().try_collect().await.explain() },
        async { rds.describe_db_subnet_groups().into_paginator().items().send().try_collect().await.explain() },
        async { rds.describe_db_parameter_groups().into_paginator().items().send().try_collect().await.explain() },
        async {
            rds.describe_db_cluster_parameter_groups().into_paginator().items().send().try_collect().await.explain()
        },
    )?;
    let clusters = clusters.into_iter().filter_map(|it| Some((it.db_cluster_identifier?, tags::from(it.tag_list))));
    let instances = instances.into_iter().filter_map(|it| Some((it.db_instance_identifier?, tags::from(it.tag_list))));
    let globals = globals.into_iter().filter_map(|it| Some((it.global_cluster_identifier?, tags::from(it.tag_list))));
    let groups = groups.into_iter().filter_map(|it| Some((it.db_subnet_group_name?, it.db_subnet_group_arn?)));
    let parameters =
        parameters.into_iter().filter_map(|it| Some((it.db_parameter_group_name?, it.db_parameter_group_arn?)));
    let cluster_parameters = cluster_parameters
        .into_iter()
        .filter_map(|it| Some((it.db_cluster_parameter_group_name?, it.db_cluster_parameter_group_arn?)));
    // AWS's own groups have no tags.
    let groups = groups.chain(parameters).chain(cluster_parameters).filter(|(name, _)| !name.starts_with("default"));
    let groups = tagged(groups.map(|(name, arn)| (name, async move { tags::of(cx, &arn).await }))).await?;
    Ok(clusters.chain(instances).chain(globals).chain(groups).collect())
}

/// The change of `engine_version` from `live` to `want` if it is a downgrade. RDS refuses it: a database can only be changed
/// to a version in `ValidUpgradeTarget` of `DescribeDBEngineVersions`, and those are all newer.
fn downgrade(want: &str, live: &str) -> Vec<String> {
    let differ = want.split('.').zip(live.split('.')).find(|(want, live)| want != live);
    let lower = differ.is_some_and(|(want, live)| match (want.parse::<u64>(), live.parse::<u64>()) {
        (Ok(want), Ok(live)) => want < live,
        _ => false,
    });
    if lower { vec![format!("`engine_version` cannot go down from {live} to {want}")] } else { Vec::new() }
}

/// RDS returns success for a change, but shows the change only seconds later (AWS-FACTS §1.5). A read before that would
/// look as if it had been rejected.
fn unseen(id: &str) -> Error {
    Error::new(Class::Conflict, format!("the change of {id} is not visible in RDS yet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_version_is_a_downgrade() {
        for (want, live, lower) in [
            ("16.6", "16.10", true),
            ("15.12", "16.1", true),
            ("16.6", "16.6", false),
            ("16.10", "16.6", false),
            // Without the minor version, RDS chooses one.
            ("16", "16.6", false),
            ("8.0.mysql_aurora.3.07.1", "8.0.mysql_aurora.3.08.0", true),
            ("8.0.mysql_aurora.3.08.1", "8.0.mysql_aurora.3.08.0", false),
        ] {
            assert_eq!(!downgrade(want, live).is_empty(), lower, "{want} after {live}");
        }
    }
}
