//! The database, in the second region (P-03).

use std::collections::BTreeSet;

use payinfra_aws::ec2::{Peer, Rule};
use payinfra_components::postgresql::{Database, PORT, PostgreSql, postgresql};
use payinfra_engine::{Graph, Result};

use super::network::subnets;
use super::{Part, keys};

/// Declares the database in `far`, for the function in `near`.
pub(super) fn database(graph: &mut Graph, near: &Part<'_>, far: &Part<'_>) -> Result<Database> {
    let variables = far.site.variables();
    let config = &variables.database;
    let key = keys::of_database(graph, &far.site)?;
    let wanted = PostgreSql {
        engine_version: &config.engine_version,
        class: &config.instance_class,
        storage: config.storage,
        multi_az: config.multi_az,
        database: &config.name,
        username: &config.username,
        network: &far.network,
        ingress: connections(near, "PostgreSQL from the function")?,
        key: &key,
        log_key: &far.key,
        log_retention_days: variables.log_retention_days.0,
        backup_retention_days: config.backup_retention_days,
        backup_window: &config.backup_window,
    };
    postgresql(graph, &far.site, wanted)
}

/// Connections from, or to, the private subnets of a region: rules cannot name a security group of another region (VPC Peering
/// Guide, Update your security groups to reference peer security groups). Only the function is in those of the first region.
pub(super) fn connections(part: &Part<'_>, about: &str) -> Result<BTreeSet<Rule>> {
    let private = subnets(part.site.config.cidr)?.private.into_iter();
    Ok(private.map(|block| Rule::tcp(PORT, Peer::Cidr(block), about)).collect())
}
