//! The database, in the second region (P-03).

use payinfra_components::postgresql::{Database, PostgreSql, postgresql};
use payinfra_engine::{Graph, Result};

use super::network::connections;
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
