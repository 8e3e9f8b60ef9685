//! `PostgreSQL` in RDS: an instance of its own, without Aurora.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::ec2::{Rule, SecurityGroup};
use payinfra_aws::logs::LogGroup;
use payinfra_aws::rds::{Instance, Master, ParameterGroup};
use payinfra_engine::{Graph, Node, Ref, Result};
use payinfra_stack::Site;

use crate::aurora::{security_group, subnet_group};
use crate::network::Network;

/// The resource type in the instance's name.
pub const INSTANCE: &str = "db";
/// The port.
pub const PORT: u16 = 5432;
/// The engine in RDS, and the log that it exports.
const ENGINE: &str = "postgres";
const LOG: &str = "postgresql";

/// An instance, and what it needs.
#[derive(Debug)]
pub struct PostgreSql<'a> {
    /// The version of `PostgreSQL`.
    pub engine_version: &'a str,
    /// The class, such as `db.m6g.large`.
    pub class: &'a str,
    /// The size of its storage in GB, at least 20.
    pub storage: i32,
    /// Whether it has a standby in another zone.
    pub multi_az: bool,
    /// The name of the initial database.
    pub database: &'a str,
    /// The name of the master user, whose password RDS manages.
    pub username: &'a str,
    /// The network, in whose private subnets it is.
    pub network: &'a Network,
    /// Who may connect.
    pub ingress: BTreeSet<Rule>,
    /// The key of its data and of the master user's password.
    pub key: &'a Ref<String>,
    /// The key of its log.
    pub log_key: &'a Ref<String>,
    /// The retention of its log in days.
    pub log_retention_days: i32,
    /// The retention of backups in days, 1 to 35.
    pub backup_retention_days: i32,
    /// The daily backup window, in UTC: `03:00-04:00`.
    pub backup_window: &'a str,
}

/// A database of its own.
#[derive(Debug)]
pub struct Database {
    /// The instance.
    pub instance: Node<Instance>,
    /// Its security group, which says who may connect.
    pub group: Node<SecurityGroup>,
}

/// The name of the group of an instance's log, known before the instance exists: key policies contain it.
#[must_use]
pub fn log_group_name(instance: &str) -> String {
    format!("/aws/rds/instance/{instance}/{LOG}")
}

/// Declares an instance in the private subnets of a region, encrypted at rest and in transit. The policy of its log key must
/// allow `CloudWatch` Logs to use it for [`log_group_name`], and that of its key must allow RDS and Secrets Manager to use it
/// and to create grants.
///
/// # Errors
/// If its name is invalid in RDS, or the region has a database already.
pub fn postgresql(graph: &mut Graph, site: &Site<'_>, wanted: PostgreSql<'_>) -> Result<Database> {
    let name = site.names.database(INSTANCE, site.region())?;
    let log = LogGroup {
        name: log_group_name(&name).into(),
        retention_days: Some(wanted.log_retention_days),
        kms_key: Some(wanted.log_key.clone()),
        tags: site.named("db-log"),
    };
    let log = graph.add(site.region(), "database", log)?;
    let subnet_group = subnet_group(graph, site, wanted.network)?.id;
    let parameter_group = parameter_group(graph, site, wanted.engine_version)?.id;
    let group = security_group(graph, site, wanted.network, wanted.ingress)?;
    let instance = Instance {
        name,
        engine: ENGINE.to_owned(),
        engine_version: wanted.engine_version.to_owned(),
        class: wanted.class.to_owned(),
        storage: wanted.storage,
        storage_type: "gp3".to_owned(),
        multi_az: wanted.multi_az,
        database: Some(wanted.database.to_owned()),
        username: wanted.username.to_owned(),
        master: Master::Managed { kms_key: wanted.key.clone() },
        port: PORT.into(),
        subnet_group,
        security_groups: BTreeSet::from([Ref::from(group.id.clone())]),
        parameter_group,
        publicly_accessible: false,
        kms_key: wanted.key.clone(),
        iam_authentication: true,
        backup_retention_days: wanted.backup_retention_days,
        backup_window: wanted.backup_window.to_owned(),
        copy_tags_to_snapshots: true,
        // Upgrades come from the configuration.
        auto_minor_version_upgrade: false,
        log_exports: BTreeSet::from([LOG.to_owned()]),
        insights: None,
        monitoring: None,
        deletion_protection: Some(site.protect),
        tags: site.named(INSTANCE),
    };
    let instance = graph.add(site.region(), "main", instance)?;
    // Otherwise the instance would create it with unlimited retention and without encryption.
    graph.order(&log.address, &instance.address);
    site.output(graph, "database_id", &instance.id);
    site.output(graph, "database_arn", &instance.outputs.arn);
    site.output(graph, "database_endpoint", &instance.outputs.endpoint);
    site.output(graph, "database_master_secret_arn", &instance.outputs.master);
    Ok(Database { instance, group })
}

/// The parameters of the engine. Each major version has a group of its own, because the old group is in use until the
/// instance has been upgraded.
fn parameter_group(graph: &mut Graph, site: &Site<'_>, version: &str) -> Result<Node<ParameterGroup>> {
    let major = version.split('.').next().unwrap_or_default();
    let resource_type = format!("db-parameters-{major}");
    let group = ParameterGroup {
        name: site.names.name(&resource_type),
        family: format!("{ENGINE}{major}"),
        description: "Connections are encrypted".to_owned(),
        parameters: BTreeMap::from([("rds.force_ssl".to_owned(), "1".to_owned())]),
        tags: site.named(&resource_type),
    };
    graph.add(site.region(), &format!("database-{major}"), group)
}
