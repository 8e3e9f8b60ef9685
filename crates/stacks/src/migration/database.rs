//! The database: one Aurora global database, with a cluster in each region (M-11 to M-14).

use std::collections::BTreeSet;

use payinfra_aws::ec2::{Peer, Rule};
use payinfra_aws::rds::{GlobalCluster, Master};
use payinfra_aws::secretsmanager::Password;
use payinfra_components::aurora::{Aurora, CLUSTER, Database, MasterUser, POSTGRESQL, aurora};
use payinfra_engine::{Graph, Id, Node, Ref, Result};
use payinfra_stack::cidr::Subnets;

use super::phase::Phase;
use super::{Part, Site};

/// The resource types in the names of the database's parts.
pub(super) const DATABASES: [&str; 3] = [CLUSTER, "db-instance-1", "db-instance-2"];

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
        engine: POSTGRESQL.name.to_owned(),
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
    let (site, config) = (&part.site, &part.site.settings.database);
    // Secondaries inherit user, password and database from the primary.
    let master = if site.config.is_primary() {
        let secret = password(graph, part)?;
        site.output(graph, "database_master_secret_arn", &secret.outputs.arn);
        let password = Master::Stored { arn: secret.outputs.arn };
        Some(MasterUser { database: &config.name, username: &config.username, password })
    } else {
        None
    };
    let cluster = Aurora {
        engine: &POSTGRESQL,
        engine_version: &config.engine_version,
        global: Some(global),
        source: None,
        master,
        parameters: &[],
        network: &part.network,
        ingress: ingress(parts)?,
        key: &part.keys.database.outputs.arn,
        log_key: &part.keys.logs.outputs.arn,
        log_retention_days: site.settings.service.log_retention_days,
        backup_retention_days: config.backup_retention_days,
        backup_window: &config.backup_window,
        // At full size there is a second one for failover.
        instances: if site.settings.phase == Phase::Production { 2 } else { 1 },
        instance_class: &config.instance_class,
        insights_days: config.performance_insights_days,
        monitoring_interval: config.monitoring_interval,
    };
    aurora(graph, site, cluster)
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

/// From the private subnets of all regions, where the service runs. Other regions reach the writer over the transit
/// gateways, and security groups cannot be referenced across regions.
fn ingress(parts: &[Part<'_>]) -> Result<BTreeSet<Rule>> {
    let mut ingress = BTreeSet::new();
    for from in parts {
        let description = format!("PostgreSQL from the private subnets of {}", from.site.region());
        for block in Subnets::of(&from.site.config.cidr)?.private {
            ingress.insert(Rule::tcp(POSTGRESQL.port, Peer::Cidr(block), &description));
        }
    }
    Ok(ingress)
}
