//! Buckets of a region, and their replication to the other regions (M-19, M-20).

use payinfra_aws::Statement;
use payinfra_aws::s3::{Bucket, Encryption, Logging};
use payinfra_components::buckets::{
    Replicas, access_log_statement, archive, balancer_log_statement, private, replication, replication_role,
};
use payinfra_components::load_balancer::LOG_PREFIX;
use payinfra_components::trail;
use payinfra_engine::{Graph, Node, Result, Text};

use super::{Part, Site};

/// The resource types in the buckets' names.
pub(super) const BUCKETS: [&str; 3] = [ACCESS_LOGS, AUDIT_TRAIL, TRANSACTIONS];

/// The resource types of replicated buckets, in the order of [`Buckets::replicated`].
pub(super) const DATA: [&str; 2] = [AUDIT_TRAIL, TRANSACTIONS];

const ACCESS_LOGS: &str = "access-logs";
const AUDIT_TRAIL: &str = "audit-trail";
const TRANSACTIONS: &str = "transactions";

/// Seven years, two of them leap years.
const SEVEN_YEARS: i32 = 7 * 365 + 2;

/// The names of a region's buckets, known before any bucket is declared, because they refer to each other.
pub(super) struct Buckets {
    access_logs: String,
    audit_trail: String,
    transactions: String,
}

impl Buckets {
    /// The replicated buckets.
    pub(super) fn replicated(&self) -> [&str; 2] {
        [&self.audit_trail, &self.transactions]
    }

    /// The bucket of the audit trail.
    pub(super) fn audit_trail(&self) -> &str {
        &self.audit_trail
    }

    /// The bucket of the transaction logs.
    pub(super) fn transactions(&self) -> &str {
        &self.transactions
    }
}

/// The buckets that other parts of the stack write to.
pub(super) struct Stored {
    pub(super) access_logs: Node<Bucket>,
    pub(super) audit_trail: Node<Bucket>,
    pub(super) transactions: Node<Bucket>,
}

/// The names of a region's buckets.
pub(super) fn names(site: &Site<'_>) -> Result<Buckets> {
    let name = |resource_type| site.names.bucket(resource_type, site.region());
    Ok(Buckets { access_logs: name(ACCESS_LOGS)?, audit_trail: name(AUDIT_TRAIL)?, transactions: name(TRANSACTIONS)? })
}

/// Declares the buckets of a region, which replicate to those of the other regions.
pub(super) fn buckets(graph: &mut Graph, part: &Part<'_>, parts: &[Part<'_>]) -> Result<Stored> {
    let site = &part.site;
    let access_logs = access_logs(graph, part)?;
    let others: Vec<_> = part.others(parts).map(replicas).collect();
    let role = match &others[..] {
        [] => None,
        others => Some(replication_role(graph, site, &replicas(part), others, [])?.outputs.arn),
    };
    if let Some(role) = &role {
        site.output(graph, "replication_role_arn", role);
    }
    let mut data = |index: usize, expiration_days, statements: &[Statement]| -> Result<Node<Bucket>> {
        let (resource_type, name) = (DATA[index], part.buckets.replicated()[index]);
        let bucket = Bucket {
            versioning: true,
            encryption: Some(Encryption { key: part.keys.storage.outputs.arn.clone(), bucket_key: true }),
            lifecycle: archive(expiration_days),
            logging: Some(Logging { bucket: Text::from(&access_logs.id), prefix: format!("{resource_type}/") }),
            replication: role.as_ref().map(|role| replication(role, &others, index)),
            ..private(site, resource_type, name, statements.iter().cloned())
        };
        let output = resource_type.replace('-', "_");
        site.output(graph, &format!("{output}_bucket_name"), name);
        let bucket = graph.add(site.region(), resource_type, bucket)?;
        site.output(graph, &format!("{output}_bucket_arn"), &bucket.outputs.arn);
        Ok(bucket)
    };
    // The audit trail expires after seven years; transactions do not.
    let trail = trail::bucket_statements(site, part.buckets.audit_trail());
    let audit_trail = data(0, SEVEN_YEARS, if site.config.is_primary() { &trail } else { &[] })?;
    let transactions = data(1, 0, &[])?;
    Ok(Stored { access_logs, audit_trail, transactions })
}

/// The bucket for access logs of the other buckets and of the load balancer.
fn access_logs(graph: &mut Graph, part: &Part<'_>) -> Result<Node<Bucket>> {
    let (site, name) = (&part.site, &part.buckets.access_logs);
    let write = access_log_statement(site, name, &part.buckets.replicated());
    let balancer = balancer_log_statement(site, name, LOG_PREFIX);
    let bucket = Bucket { lifecycle: archive(365), ..private(site, ACCESS_LOGS, name, [write, balancer]) };
    site.output(graph, "access_logs_bucket_name", name.as_str());
    graph.add(site.region(), ACCESS_LOGS, bucket)
}

/// The replicated buckets of a region.
fn replicas<'a>(part: &'a Part<'_>) -> Replicas<'a> {
    Replicas {
        region: part.site.region(),
        key: &part.keys.storage.outputs.arn,
        buckets: part.buckets.replicated().to_vec(),
    }
}
