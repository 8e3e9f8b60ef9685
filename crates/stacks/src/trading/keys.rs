//! The key of a region, which encrypts all of its data: created, or one that exists.

use payinfra_aws::kms::ExistingKey;
use payinfra_components::aurora::{CLUSTER, MYSQL};
use payinfra_components::flow_log::FLOW_LOGS;
use payinfra_components::keys::{self, Purpose, logs_statement};
use payinfra_components::{aurora, function, http_api, topic, trail};
use payinfra_engine::{Graph, Ref, Result};

use super::Site;
use super::api::API;
use super::processor::PROCESSOR;
use crate::remote::Remote;
use crate::settings::drift_detector::log_groups;

/// The key in names and addresses.
const KEY: &str = "region";
/// The services that use the key on behalf of the account.
const SERVICES: [&str; 6] = ["dynamodb", "lambda", "rds", "s3", "secretsmanager", "sns"];

/// The ARN of the key of a region.
pub(super) fn key(graph: &mut Graph, site: &Site<'_>, remote: &Remote) -> Result<Ref<String>> {
    if let Some(arn) = &site.module().key {
        let existing = ExistingKey { arn: remote.value(arn)? };
        return Ok(graph.find(site.region(), KEY, &existing)?.outputs.arn);
    }
    let mut groups = vec![
        aurora::log_group_name(&MYSQL, &site.names.database(CLUSTER, site.region())?),
        site.names.name(FLOW_LOGS),
        function::log_group_name(site, PROCESSOR),
        http_api::access_log_name(site, API),
    ];
    groups.extend(log_groups(site, site.variables().drift_detector.as_ref()));
    let logs = logs_statement(site, &groups.iter().map(String::as_str).collect::<Vec<_>>());
    let statements = [logs, topic::key_statement(site)].into_iter().chain(trail::key_statements(site)).collect();
    let purpose = Purpose { name: KEY, services: &SERVICES, grants: true, statements };
    Ok(keys::key(graph, site, purpose)?.outputs.arn)
}
