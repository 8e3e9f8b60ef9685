//! Aurora clusters, alone or as members of a global database.

use std::collections::BTreeSet;

use payinfra_aws::ec2::{Rule, SecurityGroup};
use payinfra_aws::iam::Role;
use payinfra_aws::logs::LogGroup;
use payinfra_aws::rds::{
    Cluster, ClusterInstance, ClusterParameterGroup, GlobalCluster, Insights, Master, Monitoring, SubnetGroup,
};
use payinfra_engine::{Graph, Id, Node, Ref, Result};
use payinfra_stack::Site;

use crate::network::Network;
use crate::roles::{self, TaskRole};

/// The resource type in the name of the role for enhanced monitoring.
pub const MONITORING: &str = "db-monitoring";
/// The resource type in a cluster's name. Those of its instances are `db-instance-1` and so on.
pub const CLUSTER: &str = "db-cluster";

/// An engine of Aurora.
#[derive(Debug)]
pub struct Engine {
    /// Its name in RDS.
    pub name: &'static str,
    /// Its port.
    pub port: u16,
    /// The log to export.
    log: &'static str,
    /// The parameter that makes encrypted connections mandatory, and its value.
    tls: (&'static str, &'static str),
    /// The number of components of a version that name the parameter group family.
    major: usize,
}

/// Aurora `PostgreSQL`.
pub const POSTGRESQL: Engine =
    Engine { name: "aurora-postgresql", port: 5432, log: "postgresql", tls: ("rds.force_ssl", "1"), major: 1 };

/// Aurora `MySQL`.
pub const MYSQL: Engine =
    Engine { name: "aurora-mysql", port: 3306, log: "error", tls: ("require_secure_transport", "ON"), major: 2 };

/// A cluster in a region, with its instances.
#[derive(Debug)]
pub struct Aurora<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Its version.
    pub engine_version: &'a str,
    /// The global cluster that it is a member of.
    pub global: Option<&'a Ref<Id<GlobalCluster>>>,
    /// The ARN of the cluster in another region that it replicates.
    pub source: Option<&'a Ref<String>>,
    /// The initial database and the master user. A secondary of a global cluster, and a replica, have none of their own:
    /// AWS rejects explicit values.
    pub master: Option<MasterUser<'a>>,
    /// Parameters of the engine, besides the one that makes encrypted connections mandatory.
    pub parameters: &'a [(&'a str, &'a str)],
    /// The network, in whose private subnets the instances are.
    pub network: &'a Network,
    /// Who may connect.
    pub ingress: BTreeSet<Rule>,
    /// The key for data and Performance Insights.
    pub key: &'a Ref<String>,
    /// The key for logs.
    pub log_key: &'a Ref<String>,
    /// The retention of logs in days.
    pub log_retention_days: i32,
    /// The retention of backups in days, 1 to 35.
    pub backup_retention_days: i32,
    /// The daily backup window, in UTC: `03:00-04:00`.
    pub backup_window: &'a str,
    /// The number of instances. The first one is the writer, unless a failover changed that, or the cluster is a replica or
    /// a secondary of a global cluster.
    pub instances: usize,
    /// The class of the instances.
    pub instance_class: &'a str,
    /// The retention of Performance Insights in days.
    pub insights_days: i32,
    /// The interval of enhanced monitoring in seconds.
    pub monitoring_interval: i32,
}

/// The initial database, and its master user.
#[derive(Debug)]
pub struct MasterUser<'a> {
    /// The name of the initial database.
    pub database: &'a str,
    /// The name of the user.
    pub username: &'a str,
    /// The source of the password.
    pub password: Master,
}

/// The database of a region.
#[derive(Debug)]
pub struct Database {
    /// The cluster.
    pub cluster: Node<Cluster>,
    /// Its instances.
    pub instances: Vec<Node<ClusterInstance>>,
    /// Its security group, which says who may connect.
    pub group: Node<SecurityGroup>,
}

/// Declares a cluster in the private subnets of a region, encrypted at rest and in transit, with its instances.
///
/// # Errors
/// If a name is invalid in RDS.
pub fn aurora(graph: &mut Graph, site: &Site<'_>, wanted: Aurora<'_>) -> Result<Database> {
    let name = site.names.database(CLUSTER, site.region())?;
    let log = log_group(graph, site, &wanted, &name)?;
    let subnet_group = subnet_group(graph, site, wanted.network)?.id;
    let parameter_group = parameter_group(graph, site, &wanted)?.id;
    let role = monitoring_role(graph, site)?;
    let group = security_group(graph, site, wanted.network, wanted.ingress)?;
    let engine = wanted.engine;
    let (database, username, master) = match wanted.master {
        Some(user) => (Some(user.database.to_owned()), Some(user.username.to_owned()), Some(user.password)),
        None => (None, None, None),
    };
    let cluster = Cluster {
        name,
        engine: engine.name.to_owned(),
        engine_version: wanted.engine_version.to_owned(),
        global: wanted.global.cloned(),
        source: wanted.source.cloned(),
        database,
        username,
        master,
        port: engine.port.into(),
        subnet_group,
        security_groups: BTreeSet::from([Ref::from(group.id.clone())]),
        parameter_group,
        kms_key: wanted.key.clone(),
        iam_authentication: true,
        backup_retention_days: wanted.backup_retention_days,
        backup_window: wanted.backup_window.to_owned(),
        copy_tags_to_snapshots: true,
        log_exports: BTreeSet::from([engine.log.to_owned()]),
        deletion_protection: Some(site.protect),
        tags: site.named(CLUSTER),
    };
    let cluster = graph.add(site.region(), "main", cluster)?;
    // Otherwise the writer would create it with unlimited retention and without encryption.
    graph.order(&log.address, &cluster.address);
    let mut instances: Vec<Node<ClusterInstance>> = Vec::new();
    for number in 1..=wanted.instances {
        let resource_type = format!("db-instance-{number}");
        let insights = Insights { days: wanted.insights_days, kms_key: wanted.key.clone() };
        let instance = ClusterInstance {
            name: site.names.database(&resource_type, site.region())?,
            cluster: cluster.id.clone(),
            engine: engine.name.to_owned(),
            class: wanted.instance_class.to_owned(),
            promotion_tier: 1,
            // Upgrades come from the configuration, for all regions in order.
            auto_minor_version_upgrade: false,
            insights: Some(insights),
            monitoring: Some(Monitoring { interval: wanted.monitoring_interval, role: role.outputs.arn.clone() }),
            tags: site.named(&resource_type),
        };
        let instance = graph.add(site.region(), &format!("database-{number}"), instance)?;
        // The first instance becomes the writer.
        if let Some(writer) = instances.first() {
            graph.order(&writer.address, &instance.address);
        }
        instances.push(instance);
    }
    site.output(graph, "database_cluster_id", &cluster.id);
    site.output(graph, "database_cluster_arn", &cluster.outputs.arn);
    site.output(graph, "database_endpoint", &cluster.outputs.endpoint);
    site.output(graph, "database_reader_endpoint", &cluster.outputs.reader_endpoint);
    Ok(Database { cluster, instances, group })
}

/// The name of the group of the engine's log, known before the cluster exists: key policies contain it.
#[must_use]
pub fn log_group_name(engine: &Engine, cluster: &str) -> String {
    format!("/aws/rds/cluster/{cluster}/{}", engine.log)
}

fn log_group(graph: &mut Graph, site: &Site<'_>, wanted: &Aurora<'_>, cluster: &str) -> Result<Node<LogGroup>> {
    let log = LogGroup {
        name: log_group_name(wanted.engine, cluster).into(),
        retention_days: Some(wanted.log_retention_days),
        kms_key: Some(wanted.log_key.clone()),
        tags: site.named("db-log"),
    };
    graph.add(site.region(), "database", log)
}

/// The security group of a database, which accepts connections from `ingress`.
pub(crate) fn security_group(
    graph: &mut Graph,
    site: &Site<'_>,
    network: &Network,
    ingress: BTreeSet<Rule>,
) -> Result<Node<SecurityGroup>> {
    let group = SecurityGroup {
        vpc: network.vpc.id.clone(),
        name: site.names.name("database"),
        description: "Connections to the database".to_owned(),
        ingress,
        egress: BTreeSet::new(),
        tags: site.named("database"),
    };
    graph.add(site.region(), "database", group)
}

/// The private subnets of a network, for databases.
pub(crate) fn subnet_group(graph: &mut Graph, site: &Site<'_>, network: &Network) -> Result<Node<SubnetGroup>> {
    let group = SubnetGroup {
        name: site.names.name("db-subnets"),
        description: "The private subnets".to_owned(),
        subnets: network.private.iter().map(|subnet| Ref::from(subnet.id.clone())).collect(),
        tags: site.named("db-subnets"),
    };
    graph.add(site.region(), "database", group)
}

/// The parameters of the engine. Each major version has a group of its own, because the old group is in use until the
/// cluster has been upgraded.
fn parameter_group(graph: &mut Graph, site: &Site<'_>, wanted: &Aurora<'_>) -> Result<Node<ClusterParameterGroup>> {
    let engine = wanted.engine;
    let major: Vec<_> = wanted.engine_version.split('.').take(engine.major).collect();
    let resource_type = format!("db-parameters-{}", major.join("-"));
    let parameters = wanted.parameters.iter().chain([&engine.tls]);
    let group = ClusterParameterGroup {
        name: site.names.name(&resource_type),
        family: format!("{}{}", engine.name, major.join(".")),
        description: "Connections are encrypted".to_owned(),
        parameters: parameters.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        tags: site.named(&resource_type),
    };
    graph.add(site.region(), &format!("database-{}", major.join("-")), group)
}

/// The role for enhanced monitoring by RDS. AWS's managed policy names only the log group `RDSOSMetrics`, which all
/// databases of the account share.
fn monitoring_role(graph: &mut Graph, site: &Site<'_>) -> Result<Node<Role>> {
    let databases = site.arn("rds", &format!("db:{}-{}", site.names.name("*"), site.region()));
    let role = TaskRole {
        task: MONITORING,
        description: "Writes enhanced monitoring of databases",
        trust: roles::trust_from(site, "monitoring.rds.amazonaws.com", &databases),
        policy: None,
        managed: &["arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"],
    };
    roles::role(graph, site, role)
}
