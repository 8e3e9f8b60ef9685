//! The database of a region: the primary region's, or a replica of it (T-03).

use std::collections::BTreeSet;

use payinfra_aws::ec2::{Peer, Rule};
use payinfra_aws::rds::Master;
use payinfra_aws::secretsmanager::Password;
use payinfra_components::aurora::{Aurora, Database, MYSQL, MasterUser, aurora};
use payinfra_engine::{Address, Graph, Node, Ref, Result};
use payinfra_stack::Workspace;
use payinfra_stack::cidr::Subnets;

use super::settings::TradingVariables;
use super::{Part, Site};
use crate::remote::Remote;

/// A region without replicas has the binary log as well: enabling it later would require a restart of the writer.
const PARAMETERS: [(&str, &str); 1] = [("binlog_format", "MIXED")];

/// The database of a region.
pub(super) struct Regional {
    pub(super) database: Database,
    pub(super) is_replica: bool,
}

/// What the databases of the other regions replicate.
pub(super) struct Source {
    arn: Ref<String>,
    /// The cluster and its writer, if they are in this graph.
    parts: Option<[Address; 2]>,
}

impl Regional {
    /// As the source of replicas.
    pub(super) fn source(&self) -> Source {
        let Database { cluster, instances, .. } = &self.database;
        let parts = instances.first().map(|writer| [cluster.address.clone(), writer.address.clone()]);
        Source { arn: cluster.outputs.arn.clone(), parts }
    }
}

/// The source in another deployment, if the variables name one.
pub(super) fn given(workspace: &Workspace<TradingVariables>, remote: &Remote) -> Result<Option<Source>> {
    let arn = remote.given(workspace.variables.database.source.as_ref())?;
    Ok(arn.map(|arn| Source { arn, parts: None }))
}

/// Declares the database of a region, which replicates `source`.
pub(super) fn database(graph: &mut Graph, part: &Part<'_>, source: Option<&Source>) -> Result<Regional> {
    let (site, config) = (&part.site, &part.site.variables().database);
    // A replica has the users and the databases of its source.
    let master = if source.is_some() {
        None
    } else {
        let secret = password(graph, part)?;
        site.output(graph, "database_master_secret_arn", &secret.outputs.arn);
        let password = Master::Stored { arn: secret.outputs.arn };
        Some(MasterUser { database: &config.name, username: &config.username, password })
    };
    let wanted = Aurora {
        engine: &MYSQL,
        engine_version: &config.engine_version,
        global: None,
        source: source.map(|source| &source.arn),
        master,
        parameters: &PARAMETERS,
        network: &part.network,
        ingress: ingress(site)?,
        key: &part.key,
        log_key: &part.key,
        log_retention_days: site.variables().log_retention_days.0,
        backup_retention_days: config.backup_retention_days,
        backup_window: &config.backup_window,
        instances: config.instances,
        instance_class: &config.instance_class,
        insights_days: config.performance_insights_days,
        monitoring_interval: config.monitoring_interval,
    };
    let database = aurora(graph, site, wanted)?;
    if let Some([cluster, writer]) = source.and_then(|source| source.parts.as_ref()) {
        // Without a writer, there is nothing to replicate.
        graph.order(writer, &database.cluster.address);
        graph.replace_triggered_by(cluster, &database.cluster.address);
    }
    Ok(Regional { database, is_replica: source.is_some() })
}

/// The master user's password. RDS can manage it, but not if the cluster has replicas in other regions (Amazon Aurora user guide,
/// Password management with AWS Secrets Manager, Limitations).
fn password(graph: &mut Graph, part: &Part<'_>) -> Result<Node<Password>> {
    let site = &part.site;
    let password = Password {
        name: site.names.name("db-master"),
        description: format!("The master user of {}", site.names.name("db-cluster")),
        username: site.variables().database.username.clone(),
        kms_key: part.key.clone(),
        tags: site.named("db-master"),
    };
    graph.add(site.region(), "database", password)
}

/// From the private subnets of the region. Replication does not use the network.
fn ingress(site: &Site<'_>) -> Result<BTreeSet<Rule>> {
    let private = Subnets::of(&site.config.cidr)?.private.into_iter();
    Ok(private.map(|block| Rule::tcp(MYSQL.port, Peer::Cidr(block), "MySQL from the private subnets")).collect())
}
