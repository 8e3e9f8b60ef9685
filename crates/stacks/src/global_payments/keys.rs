//! The keys of a region (G-08).

use payinfra_aws::kms::Key;
use payinfra_components::keys::{Purpose, key, logs_statement};
use payinfra_components::{function, rest_api, topic};
use payinfra_engine::{Graph, Node, Result};

use super::Site;
use super::api::API;
use super::processor::PROCESSOR;
use crate::settings::drift_detector::log_groups;

/// The keys of a region.
pub(super) struct Keys {
    /// For the alarm topic and the parameters.
    pub(super) application: Node<Key>,
    /// For the environment of the function.
    pub(super) function: Node<Key>,
    pub(super) logs: Node<Key>,
    pub(super) storage: Node<Key>,
    pub(super) table: Node<Key>,
}

/// Declares the keys of a region, each with its alias.
pub(super) fn keys(graph: &mut Graph, site: &Site<'_>) -> Result<Keys> {
    let application = Purpose {
        name: "application",
        services: &["sns", "ssm"],
        grants: false,
        statements: vec![topic::key_statement(site)],
    };
    let mut groups = vec![
        function::log_group_name(site, PROCESSOR),
        rest_api::access_log_name(site, API),
        format!("{}*", rest_api::EXECUTION_LOGS),
    ];
    groups.extend(log_groups(site, site.variables().drift_detector.as_ref()));
    let logs = logs_statement(site, &groups.iter().map(String::as_str).collect::<Vec<_>>());
    let logs = Purpose { name: "logs", services: &[], grants: false, statements: vec![logs] };
    let of = |name, services, grants| Purpose { name, services, grants, statements: Vec::new() };
    Ok(Keys {
        application: key(graph, site, application)?,
        function: key(graph, site, of("function", &["lambda"], true))?,
        logs: key(graph, site, logs)?,
        storage: key(graph, site, of("storage", &["s3"], false))?,
        table: key(graph, site, of("table", &["dynamodb"], true))?,
    })
}
