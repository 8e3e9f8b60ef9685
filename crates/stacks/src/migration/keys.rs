//! The keys of a region (M-22).

use payinfra_aws::kms::Key;
use payinfra_components::keys::{Purpose, key, logs_statement};
use payinfra_components::{topic, trail};
use payinfra_engine::{Graph, Node, Result};

use super::Site;
use crate::settings::drift_detector::log_groups;

/// The keys of a region.
pub(super) struct Keys {
    pub(super) application: Node<Key>,
    pub(super) database: Node<Key>,
    pub(super) logs: Node<Key>,
    pub(super) storage: Node<Key>,
}

/// Declares the keys of a region, each with its alias.
pub(super) fn keys(graph: &mut Graph, site: &Site<'_>) -> Result<Keys> {
    let groups = site.names.name("*");
    // RDS chooses the names of the databases' log groups.
    let databases = format!("/aws/rds/cluster/{groups}-*");
    // The trail writes to a bucket of the primary region.
    let trail = if site.config.is_primary() { trail::key_statements(site).into() } else { Vec::new() };
    let application = Purpose {
        name: "application",
        services: &["dynamodb", "secretsmanager", "sns", "ssm"],
        grants: true,
        statements: vec![topic::key_statement(site)],
    };
    let database = Purpose { name: "database", services: &["rds"], grants: true, statements: Vec::new() };
    let mut groups = vec![groups, databases];
    groups.extend(log_groups(site, site.settings.drift_detector.as_ref()));
    let statements = vec![logs_statement(site, &groups.iter().map(String::as_str).collect::<Vec<_>>())];
    let logs = Purpose { name: "logs", services: &[], grants: false, statements };
    let storage = Purpose { name: "storage", services: &["s3"], grants: false, statements: trail };
    Ok(Keys {
        application: key(graph, site, application)?,
        database: key(graph, site, database)?,
        logs: key(graph, site, logs)?,
        storage: key(graph, site, storage)?,
    })
}
