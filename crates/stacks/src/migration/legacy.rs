//! Existing resources in the primary region: only looked up, never created, updated or deleted (M-09).

use payinfra_aws::ec2::{ExistingSecurityGroup, Subnets};
use payinfra_engine::{Graph, Result};

use super::settings::Settings;
use crate::remote::Remote;

/// Declares the lookups of the legacy network.
pub(super) fn lookups(graph: &mut Graph, settings: &Settings, remote: &Remote) -> Result<()> {
    let (Some(legacy), Some(primary)) = (&settings.legacy_network, settings.regions.first()) else {
        return Ok(());
    };
    if let Some(finder) = legacy.subnets.clone() {
        let subnets =
            Subnets { ids: finder.ids, vpc: remote.given(finder.vpc.as_ref())?, name: finder.name, tags: finder.tags };
        let found = graph.find(&primary.region, "legacy", &subnets)?;
        graph.output("legacy_vpc_id", &found.outputs.vpc);
    }
    for (name, finder) in legacy.security_groups.clone() {
        let (id, vpc) = (remote.given(finder.id.as_ref())?, remote.given(finder.vpc.as_ref())?);
        let group = ExistingSecurityGroup { id, name: finder.name, vpc, tags: finder.tags };
        let found = graph.find(&primary.region, &format!("legacy-{name}"), &group)?;
        graph.output(&format!("legacy_security_group_id_{}", name.replace('-', "_")), &found.outputs.id);
    }
    Ok(())
}
