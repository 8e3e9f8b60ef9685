//! Flow logs of a region's network, in an encrypted log group (M-10).

use payinfra_aws::ec2::FlowLog;
use payinfra_aws::logs::LogGroup;
use payinfra_engine::{Graph, Result};

use super::keys::Keys;
use super::network::Network;
use super::{Site, roles};

/// Declares the flow log of a region's network, with its log group and role.
pub(super) fn flow_log(graph: &mut Graph, site: &Site<'_>, network: &Network, keys: &Keys) -> Result<()> {
    let name = site.names.name("flow-logs");
    let group = LogGroup {
        name: name.clone(),
        retention_days: Some(site.settings.flow_log_retention_days),
        kms_key: Some(keys.logs.outputs.arn.clone()),
        tags: site.named("flow-logs"),
    };
    let group = graph.add(site.region(), "flow-logs", group)?;
    let role = roles::flow_logs(graph, site, &group)?;
    let log = FlowLog {
        vpc: network.vpc.id.clone(),
        log_group: group.outputs.arn.clone(),
        role: role.outputs.arn.clone(),
        tags: site.named("flow-log"),
    };
    graph.add(site.region(), "main", log)?;
    site.output(graph, "flow_log_group_name", name);
    site.output(graph, "flow_log_role_arn", &role.outputs.arn);
    Ok(())
}
