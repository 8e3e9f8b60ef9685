//! The keys of a region: one for the database, one for everything else.

use payinfra_components::keys::{self, Purpose, logs_statement};
use payinfra_components::postgresql::{self, INSTANCE};
use payinfra_components::{function, http_api, topic};
use payinfra_engine::{Graph, Ref, Result};

use super::Site;
use super::api::API;
use super::processor::PROCESSOR;
use crate::settings::drift_detector::log_groups;

/// Declares the key of a region, for everything but the database.
pub(super) fn key(graph: &mut Graph, site: &Site<'_>) -> Result<Ref<String>> {
    // The first region has the function, its API and the table; the second one has the database.
    let (services, mut groups): (&[&str], _) = if site.config.is_primary() {
        let groups = vec![function::log_group_name(site, PROCESSOR), http_api::access_log_name(site, API)];
        (&["dynamodb", "lambda", "s3", "sns"], groups)
    } else {
        (&["s3", "sns"], vec![postgresql::log_group_name(&site.names.database(INSTANCE, site.region())?)])
    };
    groups.extend(log_groups(site, site.variables().drift_detector.as_ref()));
    let groups: Vec<_> = groups.iter().map(String::as_str).collect();
    let statements = vec![logs_statement(site, &groups), topic::key_statement(site)];
    let purpose = Purpose { name: "data", services, grants: site.config.is_primary(), statements };
    Ok(keys::key(graph, site, purpose)?.outputs.arn)
}

/// Declares the key of the database, and of the password of its master user.
pub(super) fn of_database(graph: &mut Graph, site: &Site<'_>) -> Result<Ref<String>> {
    let services = &["rds", "secretsmanager"];
    let purpose = Purpose { name: "database", services, grants: true, statements: Vec::new() };
    Ok(keys::key(graph, site, purpose)?.outputs.arn)
}
