//! A trail of `CloudTrail`, which writes to a bucket of its own region.

use std::collections::BTreeSet;

use payinfra_aws::Statement;
use payinfra_aws::cloudtrail;
use payinfra_aws::s3::Bucket;
use payinfra_engine::{Graph, Node, Ref, Result, Text};
use payinfra_stack::Site;

use crate::buckets::arn;

/// The resource type in the trail's name.
const TRAIL: &str = "trail";
/// The key prefix of the trail's files.
const PREFIX: &str = "cloudtrail";
const PRINCIPAL: &str = "cloudtrail.amazonaws.com";

/// What a trail records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All regions of the account.
    AllRegions,
    /// Its own region.
    OwnRegion,
}

/// Declares the trail. The policy of `bucket` must have [`bucket_statements`], and that of `key` [`key_statements`].
///
/// `recorded` are the names of the buckets whose reads and writes of objects are recorded. It must not contain the
/// trail's own bucket, because the trail would record its own writes endlessly.
///
/// # Errors
/// If the graph has a trail in this region already.
pub fn trail(
    graph: &mut Graph,
    site: &Site<'_>,
    bucket: &Node<Bucket>,
    key: &Ref<String>,
    scope: Scope,
    recorded: &[&str],
) -> Result<Node<cloudtrail::Trail>> {
    let trail = cloudtrail::Trail {
        name: name(site),
        bucket: bucket.id.clone().into(),
        prefix: PREFIX.to_owned(),
        multi_region: scope == Scope::AllRegions,
        log_file_validation: true,
        kms_key: Some(key.clone()),
        management_events: true,
        data_events: recorded.iter().map(|name| Text::from(arn(name) + "/")).collect::<BTreeSet<_>>(),
        logging: true,
        tags: site.named(TRAIL),
    };
    let trail = graph.add(site.region(), "main", trail)?;
    site.output(graph, "trail_arn", &trail.outputs.arn);
    Ok(trail)
}

fn name(site: &Site<'_>) -> String {
    site.names.name(TRAIL)
}

/// The trail's ARN, known before it exists: the policies of its bucket and key contain it, and it refers to both.
fn trail_arn(site: &Site<'_>) -> String {
    site.arn("cloudtrail", &format!("trail/{}", name(site)))
}

/// The statements that the trail needs in the policy of the bucket `name`.
#[must_use]
pub fn bucket_statements(site: &Site<'_>, name: &str) -> [Statement; 2] {
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
#[must_use]
pub fn key_statements(site: &Site<'_>) -> [Statement; 2] {
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
