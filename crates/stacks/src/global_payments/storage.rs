//! The audit bucket of a region, which replicates to the other one (G-05).

use payinfra_aws::Statement;
use payinfra_aws::s3::{Bucket, Encryption, Logging};
use payinfra_components::buckets::{
    Replicas, access_log_statement, archive, arn, private, replication, replication_role,
};
use payinfra_engine::{Graph, Node, Result, Text};

use super::processor::PROCESSOR;
use super::{Part, Site};

/// The resource type of the bucket for access logs.
pub(super) const ACCESS_LOGS: &str = "access-logs";
/// The resource type of the audit bucket.
pub(super) const AUDIT: &str = "audit";

/// Seven years, two of them leap years.
const SEVEN_YEARS: i32 = 7 * 365 + 2;

/// The names of a region's buckets, which refer to each other.
pub(super) struct Buckets {
    access_logs: String,
    pub(super) audit: String,
}

/// The names of a region's buckets.
pub(super) fn names(site: &Site<'_>) -> Result<Buckets> {
    let name = |resource_type| site.names.bucket(resource_type, site.region());
    Ok(Buckets { access_logs: name(ACCESS_LOGS)?, audit: name(AUDIT)? })
}

/// Declares the buckets of a region, and returns the one of audit records. Only the functions of both regions may write records,
/// besides replication.
pub(super) fn buckets(graph: &mut Graph, part: &Part<'_>, parts: &[Part<'_>]) -> Result<Node<Bucket>> {
    let site = &part.site;
    let name = &part.buckets.access_logs;
    let write = access_log_statement(site, name, &[&part.buckets.audit]);
    let logs = Bucket { lifecycle: archive(365), ..private(site, ACCESS_LOGS, name, [write]) };
    let logs = graph.add(site.region(), ACCESS_LOGS, logs)?;
    let others: Vec<_> = part.others(parts).map(replicas).collect();
    let role = replication_role(graph, site, &replicas(part), &others, [])?;
    let bucket = Bucket {
        versioning: true,
        encryption: Some(Encryption { key: part.keys.storage.outputs.arn.clone(), bucket_key: true }),
        lifecycle: archive(SEVEN_YEARS),
        logging: Some(Logging { bucket: Text::from(&logs.id), prefix: format!("{AUDIT}/") }),
        replication: Some(replication(&role.outputs.arn, &others, 0)),
        ..private(site, AUDIT, &part.buckets.audit, [only_functions(part, parts)?])
    };
    let bucket = graph.add(site.region(), AUDIT, bucket)?;
    site.output(graph, "audit_bucket_name", &bucket.id);
    site.output(graph, "audit_bucket_arn", &bucket.outputs.arn);
    Ok(bucket)
}

/// Denies writing audit records to everyone but the functions. Replication uses other actions.
fn only_functions(part: &Part<'_>, parts: &[Part<'_>]) -> Result<Statement> {
    let deny = Statement::deny("OnlyFunctions", ["s3:PutObject"])
        .principal("*", "*")
        .on(format!("{}/payments/*", arn(&part.buckets.audit)));
    parts.iter().try_fold(deny, |deny, part| {
        let site = &part.site;
        let role = format!("arn:aws:iam::{}:role/{}", site.account(), site.names.role(PROCESSOR, site.region())?);
        Ok(deny.when("ArnNotEquals", "aws:PrincipalArn", role))
    })
}

fn replicas<'a>(part: &'a Part<'_>) -> Replicas<'a> {
    Replicas { region: part.site.region(), key: &part.keys.storage.outputs.arn, buckets: vec![&part.buckets.audit] }
}
