//! Buckets of a region, and their replication to the other regions (M-19, M-20).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::s3::{Bucket, Encryption, LifecycleRule, Logging, Replication, ReplicationRule, Transition};
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Ref, Result, Text};

use super::roles::arn;
use super::{Part, Site, audit, roles};

/// The resource types in the buckets' names.
pub(super) const BUCKETS: [&str; 3] = [ACCESS_LOGS, AUDIT_TRAIL, TRANSACTIONS];

/// The resource types of replicated buckets, in the order of [`Buckets::replicated`].
pub(super) const DATA: [&str; 2] = [AUDIT_TRAIL, TRANSACTIONS];

const ACCESS_LOGS: &str = "access-logs";
const AUDIT_TRAIL: &str = "audit-trail";
const TRANSACTIONS: &str = "transactions";

/// The key prefix of the load balancer's access logs.
pub(super) const BALANCER_LOGS: &str = "load-balancer";

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
}

/// The names of a region's buckets.
pub(super) fn names(site: &Site<'_>) -> Result<Buckets> {
    let name = |resource_type| site.names.bucket(resource_type, site.region());
    Ok(Buckets { access_logs: name(ACCESS_LOGS)?, audit_trail: name(AUDIT_TRAIL)?, transactions: name(TRANSACTIONS)? })
}

/// Declares the buckets of a region, which replicate to those of the other regions.
pub(super) fn buckets(graph: &mut Graph, part: &Part<'_>, parts: &[Part<'_>]) -> Result<Stored> {
    let logs = access_logs(graph, part)?;
    let role = match part.others(parts).next() {
        Some(_) => Some(roles::replication(graph, part, parts)?.outputs.arn),
        None => None,
    };
    if let Some(role) = &role {
        part.site.output(graph, "replication_role_arn", role);
    }
    let data = |resource_type: &str, name: fn(&Buckets) -> &String, expiration_days, more: &[Statement]| {
        let replication = role.as_ref().map(|role| replication(role, part, parts, name));
        let name = name(&part.buckets);
        let bucket = Bucket {
            versioning: true,
            encryption: Some(Encryption { key: part.keys.storage.outputs.arn.clone(), bucket_key: true }),
            lifecycle: lifecycle(expiration_days),
            logging: Some(Logging { bucket: Text::from(&logs.id), prefix: format!("{resource_type}/") }),
            replication,
            ..bucket(&part.site, resource_type, name, more.iter().cloned())
        };
        (resource_type.to_owned(), bucket)
    };
    // The audit trail expires after seven years; transactions do not.
    let trail = audit::bucket_statements(&part.site, &part.buckets.audit_trail);
    let trail = if part.site.config.is_primary() { &trail[..] } else { &[] };
    let audit_trail = data(AUDIT_TRAIL, |buckets| &buckets.audit_trail, SEVEN_YEARS, trail);
    let transactions = data(TRANSACTIONS, |buckets| &buckets.transactions, 0, &[]);
    let mut declare = |(resource_type, bucket): (String, Bucket)| -> Result<Node<Bucket>> {
        let output = resource_type.replace('-', "_");
        part.site.output(graph, &format!("{output}_bucket_name"), bucket.name.as_str());
        let bucket = add(graph, part, &resource_type, bucket)?;
        part.site.output(graph, &format!("{output}_bucket_arn"), &bucket.outputs.arn);
        Ok(bucket)
    };
    declare(transactions)?;
    Ok(Stored { audit_trail: declare(audit_trail)?, access_logs: logs })
}

/// The bucket for access logs of the other buckets and of the load balancer.
fn access_logs(graph: &mut Graph, part: &Part<'_>) -> Result<Node<Bucket>> {
    let name = &part.buckets.access_logs;
    let mut write = Statement::allow("WriteLogs", ["s3:PutObject"])
        .principal("Service", "logging.s3.amazonaws.com")
        .on(arn(name) + "/*")
        .when("StringEquals", "aws:SourceAccount", part.site.account());
    for source in part.buckets.replicated() {
        write = write.when("ArnLike", "aws:SourceArn", arn(source));
    }
    // Older policies name the region's Elastic Load Balancing account; AWS recommends the service principal in all
    // regions (UG: Enable access logs). It has no condition key, so the account id is part of the object key.
    let balancer = Statement::allow("WriteBalancerLogs", ["s3:PutObject"])
        .principal("Service", "logdelivery.elasticloadbalancing.amazonaws.com")
        .on(format!("{}/{BALANCER_LOGS}/AWSLogs/{}/*", arn(name), part.site.account()));
    let bucket = Bucket { lifecycle: lifecycle(365), ..bucket(&part.site, ACCESS_LOGS, name, [write, balancer]) };
    part.site.output(graph, "access_logs_bucket_name", bucket.name.as_str());
    add(graph, part, ACCESS_LOGS, bucket)
}

/// What all buckets have in common: no public access, and TLS only.
fn bucket(site: &Site<'_>, resource_type: &str, name: &str, more: impl IntoIterator<Item = Statement>) -> Bucket {
    let plain = Statement::deny("DenyWithoutTls", ["s3:*"])
        .principal("*", "*")
        .on(arn(name))
        .on(arn(name) + "/*")
        .when("Bool", "aws:SecureTransport", "false");
    Bucket {
        name: name.to_owned(),
        versioning: false,
        encryption: None,
        public_access_blocked: true,
        policy: Some(Policy::new(std::iter::once(plain).chain(more))),
        lifecycle: BTreeMap::new(),
        replication: None,
        logging: None,
        ownership_enforced: true,
        tags: site.named(resource_type),
    }
}

fn add(graph: &mut Graph, part: &Part<'_>, resource_type: &str, bucket: Bucket) -> Result<Node<Bucket>> {
    graph.add(part.site.region(), resource_type, bucket)
}

/// Moves objects to cheaper storage after 30 and 90 days, including noncurrent versions. Those are kept as long as
/// current ones, because the audit needs overwritten and deleted objects.
fn lifecycle(expiration_days: i32) -> BTreeMap<String, LifecycleRule> {
    let transition = |days, class: &str| Transition { days, class: class.to_owned() };
    let transitions = BTreeSet::from([transition(30, "STANDARD_IA"), transition(90, "GLACIER")]);
    let rule = LifecycleRule {
        disabled: false,
        prefix: String::new(),
        transitions: transitions.clone(),
        expiration_days,
        noncurrent_transitions: transitions,
        noncurrent_expiration_days: expiration_days,
        abort_multipart_days: 7,
    };
    BTreeMap::from([("archive".to_owned(), rule)])
}

/// Replicates to every other region, including delete markers. Destinations are named, not referenced, because they
/// replicate back.
fn replication(
    role: &Ref<String>,
    part: &Part<'_>,
    parts: &[Part<'_>],
    bucket: fn(&Buckets) -> &String,
) -> Replication {
    let rules = part.others(parts).zip(1..).map(|(other, priority)| {
        let copy = ReplicationRule {
            disabled: false,
            priority,
            prefix: String::new(),
            bucket: arn(bucket(&other.buckets)).into(),
            kms_key: Some(other.keys.storage.outputs.arn.clone()),
            metrics: true,
            delete_markers: true,
        };
        (format!("to-{}", other.site.region()), copy)
    });
    Replication { role: role.clone(), rules: rules.collect() }
}
