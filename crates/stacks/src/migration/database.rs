//! The database: one Aurora global database, with a cluster in each region (M-11 to M-14).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::ec2::{Peer, Rule, SecurityGroup};
use payinfra_aws::logs::LogGroup;
use payinfra_aws::rds::{
    Cluster, ClusterInstance, ClusterParameterGroup, GlobalCluster, Insights, Master, Monitoring, SubnetGroup,
};
use payinfra_aws::secretsmanager::Password;
use payinfra_engine::{Graph, Id, Node, Ref, Result};

use super::phase::Phase;
use super::settings::DatabaseConfig;
use super::{Part, Site, roles};
use payinfra_stack::cidr::Subnets;

const ENGINE: &str = "aurora-postgresql";
const PORT: u16 = 5432;
/// The exported log (M-14).
const LOG: &str = "postgresql";

/// The resource types in the names of the database's parts.
pub(super) const DATABASES: [&str; 3] = [CLUSTER, "db-instance-1", "db-instance-2"];

const CLUSTER: &str = "db-cluster";

/// The database of a region.
pub(super) struct Database {
    pub(super) cluster: Node<Cluster>,
    /// In the primary region the first one is the writer, unless a failover changed that.
    pub(super) instances: Vec<Node<ClusterInstance>>,
}

/// Declares the database of each region.
///
/// The global cluster exists from the first phase on, although it has only one member: a standalone cluster cannot join
/// one later, so otherwise the first step of the migration would replace the database.
pub(super) fn databases(graph: &mut Graph, parts: &[Part<'_>]) -> Result<Vec<Database>> {
    let Some(primary) = parts.first() else { return Ok(Vec::new()) };
    let global = global(graph, &primary.site)?;
    let mut databases: Vec<Database> = Vec::new();
    for part in parts {
        let database = database(graph, part, parts, &global.id)?;
        // AWS rejects a secondary before the primary has its writer (AWS-FACTS §4.2), and it has to be deleted before
        // the writer.
        if let Some((primary, writer)) = databases.first().and_then(|it| Some((it, it.instances.first()?))) {
            graph.order(&writer.address, &database.cluster.address);
            // The primary can leave the global database only after its secondaries.
            graph.replace_triggered_by(&primary.cluster.address, &database.cluster.address);
        }
        databases.push(database);
    }
    Ok(databases)
}

fn global(graph: &mut Graph, site: &Site<'_>) -> Result<Node<GlobalCluster>> {
    let config = &site.settings.database;
    let global = GlobalCluster {
        name: site.names.name("global-database"),
        engine: ENGINE.to_owned(),
        engine_version: config.engine_version.clone(),
        database: Some(config.name.clone()),
        encrypted: true,
        deletion_protection: Some(site.workspace.protect),
        tags: site.named("global-database"),
    };
    let global = graph.add(site.region(), "main", global)?;
    graph.output("global_database_id", &global.id);
    graph.output("global_database_writer_endpoint", &global.outputs.endpoint);
    Ok(global)
}

fn database(
    graph: &mut Graph,
    part: &Part<'_>,
    parts: &[Part<'_>],
    global: &Ref<Id<GlobalCluster>>,
) -> Result<Database> {
    let site = &part.site;
    let config = &site.settings.database;
    let name = site.names.database(CLUSTER, site.region())?;
    let group = group(graph, part, parts)?;
    // Declare it before the writer, which would create it with unlimited retention and without encryption.
    let log = LogGroup {
        name: format!("/aws/rds/cluster/{name}/{LOG}"),
        retention_days: Some(site.settings.service.log_retention_days),
        kms_key: Some(part.keys.logs.outputs.arn.clone()),
        tags: site.named("db-log"),
    };
    let log = graph.add(site.region(), "database", log)?;
    // Secondaries inherit user, password and database from the primary; AWS rejects explicit values.
    let secret = if site.config.is_primary() { Some(password(graph, part)?) } else { None };
    let cluster = Cluster {
        name,
        engine: ENGINE.to_owned(),
        engine_version: config.engine_version.clone(),
        global: Some(global.clone()),
        database: secret.is_some().then(|| config.name.clone()),
        username: secret.is_some().then(|| config.username.clone()),
        master: secret.as_ref().map(|secret| Master::Stored { arn: secret.outputs.arn.clone() }),
        port: PORT.into(),
        subnet_group: subnet_group(graph, part)?.id,
        security_groups: BTreeSet::from([Ref::from(group.id.clone())]),
        parameter_group: parameter_group(graph, site)?.id,
        kms_key: part.keys.database.outputs.arn.clone(),
        iam_authentication: true,
        backup_retention_days: config.backup_retention_days,
        backup_window: config.backup_window.clone(),
        copy_tags_to_snapshots: true,
        log_exports: BTreeSet::from([LOG.to_owned()]),
        deletion_protection: Some(site.workspace.protect),
        tags: site.named(CLUSTER),
    };
    let cluster = graph.add(site.region(), "main", cluster)?;
    graph.order(&log.address, &cluster.address);
    let instances = instances(graph, part, &cluster)?;
    outputs(graph, site, &cluster, secret.as_ref());
    Ok(Database { cluster, instances })
}

fn outputs(graph: &mut Graph, site: &Site<'_>, cluster: &Node<Cluster>, secret: Option<&Node<Password>>) {
    site.output(graph, "database_cluster_id", &cluster.id);
    site.output(graph, "database_cluster_arn", &cluster.outputs.arn);
    site.output(graph, "database_endpoint", &cluster.outputs.endpoint);
    site.output(graph, "database_reader_endpoint", &cluster.outputs.reader_endpoint);
    if let Some(secret) = secret {
        site.output(graph, "database_master_secret_arn", &secret.outputs.arn);
    }
}

/// The master user's password. RDS can generate and manage the password, but not for members of a global database ("DB
/// clusters that are part of an Aurora global database": Amazon Aurora user guide, Password management with AWS Secrets
/// Manager, Limitations). So Secrets Manager generates it, encrypted with our key, and it is passed only to RDS.
fn password(graph: &mut Graph, part: &Part<'_>) -> Result<Node<Password>> {
    let site = &part.site;
    let password = Password {
        name: site.names.name("db-master"),
        description: format!("The master user of {}", site.names.name("global-database")),
        username: site.settings.database.username.clone(),
        kms_key: part.keys.application.outputs.arn.clone(),
        tags: site.named("db-master"),
    };
    graph.add(site.region(), "database", password)
}

fn subnet_group(graph: &mut Graph, part: &Part<'_>) -> Result<Node<SubnetGroup>> {
    let site = &part.site;
    let group = SubnetGroup {
        name: site.names.name("db-subnets"),
        description: "The private subnets".to_owned(),
        subnets: part.network.private.iter().map(|subnet| Ref::from(subnet.id.clone())).collect(),
        tags: site.named("db-subnets"),
    };
    graph.add(site.region(), "database", group)
}

/// The parameters of the engine. Each major version has a group of its own, because the old group is in use until the
/// cluster has been upgraded.
fn parameter_group(graph: &mut Graph, site: &Site<'_>) -> Result<Node<ClusterParameterGroup>> {
    let major = major(&site.settings.database);
    let resource_type = format!("db-parameters-{major}");
    let group = ClusterParameterGroup {
        name: site.names.name(&resource_type),
        family: format!("{ENGINE}{major}"),
        description: "Connections are encrypted".to_owned(),
        parameters: BTreeMap::from([("rds.force_ssl".to_owned(), "1".to_owned())]),
        tags: site.named(&resource_type),
    };
    graph.add(site.region(), &format!("database-{major}"), group)
}

fn major(config: &DatabaseConfig) -> &str {
    config.engine_version.split('.').next().unwrap_or_default()
}

/// Allows ingress from the private subnets of all regions, where the service runs. Other regions reach the writer over
/// the transit gateways, and security groups cannot be referenced across regions. No egress.
fn group(graph: &mut Graph, part: &Part<'_>, parts: &[Part<'_>]) -> Result<Node<SecurityGroup>> {
    let site = &part.site;
    let mut ingress = BTreeSet::new();
    for from in parts {
        let description = format!("PostgreSQL from the private subnets of {}", from.site.region());
        for block in Subnets::of(&from.site.config.cidr)?.private {
            ingress.insert(Rule::tcp(PORT, Peer::Cidr(block), &description));
        }
    }
    let group = SecurityGroup {
        vpc: part.network.vpc.id.clone(),
        name: site.names.name("database"),
        description: "Connections to the database".to_owned(),
        ingress,
        egress: BTreeSet::new(),
        tags: site.named("database"),
    };
    graph.add(site.region(), "database", group)
}

/// One instance, and at full size a second one for failover.
fn instances(graph: &mut Graph, part: &Part<'_>, cluster: &Node<Cluster>) -> Result<Vec<Node<ClusterInstance>>> {
    let site = &part.site;
    let config = &site.settings.database;
    let role = roles::database_monitoring(graph, site)?;
    let count = if site.settings.phase == Phase::Production { 2 } else { 1 };
    let mut instances: Vec<Node<ClusterInstance>> = Vec::new();
    for (resource_type, number) in DATABASES[1..].iter().zip(1..=count) {
        let instance = ClusterInstance {
            name: site.names.database(resource_type, site.region())?,
            cluster: cluster.id.clone(),
            engine: ENGINE.to_owned(),
            class: config.instance_class.clone(),
            promotion_tier: 1,
            // Upgrades come from the configuration, for all regions in order.
            auto_minor_version_upgrade: false,
            insights: Some(Insights {
                days: config.performance_insights_days,
                kms_key: part.keys.database.outputs.arn.clone(),
            }),
            monitoring: Some(Monitoring { interval: config.monitoring_interval, role: role.outputs.arn.clone() }),
            tags: site.named(resource_type),
        };
        let instance = graph.add(site.region(), &format!("database-{number}"), instance)?;
        // The first instance becomes the writer.
        if let Some(writer) = instances.first() {
            graph.order(&writer.address, &instance.address);
        }
        instances.push(instance);
    }
    Ok(instances)
}
