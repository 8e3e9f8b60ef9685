//! The audit trail: one trail for all regions, stored in the primary region's audit bucket (M-23).

use std::collections::BTreeSet;

use payinfra_aws::Statement;
use payinfra_aws::cloudtrail::Trail;
use payinfra_aws::s3::Bucket;
use payinfra_engine::{Graph, Node, Result, Text};

use super::roles::arn;
use super::{Part, Site};

/// The key prefix of the trail's files.
const PREFIX: &str = "cloudtrail";
const PRINCIPAL: &str = "cloudtrail.amazonaws.com";

/// Declares the trail in the primary region. It writes to `bucket`, whose policy allows it.
pub(super) fn trail(graph: &mut Graph, primary: &Part<'_>, parts: &[Part<'_>], bucket: &Node<Bucket>) -> Result<()> {
    let site = &primary.site;
    // Exclude the audit buckets: the trail would record its own writes endlessly.
    let transactions = parts.iter().map(|part| Text::from(arn(part.buckets.transactions()) + "/"));
    let trail = Trail {
        name: name(site),
        bucket: bucket.id.clone().into(),
        prefix: PREFIX.to_owned(),
        multi_region: true,
        log_file_validation: true,
        kms_key: Some(primary.keys.storage.outputs.arn.clone()),
        management_events: true,
        data_events: transactions.collect::<BTreeSet<_>>(),
        logging: true,
        tags: site.named("trail"),
    };
    let trail = graph.add(site.region(), "main", trail)?;
    site.output(graph, "trail_arn", &trail.outputs.arn);
    Ok(())
}

fn name(site: &Site<'_>) -> String {
    site.names.name("trail")
}

/// The trail's ARN, known before it exists: the policies of its bucket and key contain it, and it refers to both.
fn trail_arn(site: &Site<'_>) -> String {
    site.arn("cloudtrail", &format!("trail/{}", name(site)))
}

/// The statements that the trail needs in the policy of the bucket `name`.
pub(super) fn bucket_statements(site: &Site<'_>, name: &str) -> [Statement; 2] {
    let ours = |statement: Statement| {
        statement.principal("Service", PRINCIPAL).when("StringEquals", "aws:SourceArn", trail_arn(site))
    };
    let files = format!("{}/{PREFIX}/AWSLogs/{}/*", arn(name), site.account());
    let write = Statement::allow("WriteTrail", ["s3:PutObject"]).on(files);
    [
        ours(Statement::allow("CheckTrail", ["s3:GetBucketAcl"]).on(arn(name))),
        ours(write.when("StringEquals", "s3:x-amz-acl", "bucket-owner-full-control")),
    ]
}

/// The statements that the trail needs in the policy of its key.
pub(super) fn key_statements(site: &Site<'_>) -> [Statement; 2] {
    let ours = |statement: Statement| {
        let statement = statement.principal("Service", PRINCIPAL).on("*");
        statement.when("StringEquals", "aws:SourceArn", trail_arn(site))
    };
    let trails = format!("arn:aws:cloudtrail:*:{}:trail/*", site.account());
    let encrypt = Statement::allow("EncryptTrail", ["kms:GenerateDataKey"]);
    [
        ours(Statement::allow("DescribeToTrail", ["kms:DescribeKey"])),
        ours(encrypt.when("StringLike", "kms:EncryptionContext:aws:cloudtrail:arn", trails)),
    ]
}
