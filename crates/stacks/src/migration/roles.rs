//! Who may do what: one role for each task, each with what the task needs and no more (M-21, X-04).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::iam::Role;
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Region, Result, Text};

use super::{Part, Site};

/// The types of the roles, for their names.
pub(crate) const ROLES: [&str; 2] = [FLOW_LOGS, REPLICATION];

const FLOW_LOGS: &str = "flow-logs";
const REPLICATION: &str = "replication";

/// The role that writes a region's flow logs into their group.
pub(super) fn flow_logs(graph: &mut Graph, site: &Site<'_>, group: &Node<LogGroup>) -> Result<Node<Role>> {
    let trust = trust("vpc-flow-logs.amazonaws.com").when("StringEquals", "aws:SourceAccount", site.account()).when(
        "ArnLike",
        "aws:SourceArn",
        site.arn("ec2", "vpc-flow-log/*"),
    );
    let write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"];
    let write =
        Statement::allow("Write", write).on(&group.outputs.arn).on(Text::from(&group.outputs.arn).and(":log-stream:*"));
    // AWS takes no narrower resource for this one than the groups of the region.
    let find = Statement::allow("Find", ["logs:DescribeLogGroups"]).on(site.arn("logs", "log-group:*"));
    role(graph, site, FLOW_LOGS, "Writes VPC flow logs", trust, Policy::new([write, find]))
}

/// The role that copies what is written to a region's buckets into those of the other regions (AWS-FACTS §4.3).
///
/// The buckets are told by their names: they refer to the role, so it cannot refer to them.
pub(super) fn replication(graph: &mut Graph, part: &Part<'_>, parts: &[Part<'_>]) -> Result<Node<Role>> {
    let site = &part.site;
    let sources = part.buckets.replicated();
    let mut watch = Statement::allow("Watch", ["s3:GetReplicationConfiguration", "s3:ListBucket"]);
    let read = ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"];
    let mut read = Statement::allow("Read", read);
    let mut decrypt =
        through_s3(Statement::allow("Decrypt", ["kms:Decrypt"]), site.region()).on(&part.keys.storage.outputs.arn);
    for bucket in sources {
        watch = watch.on(arn(bucket));
        read = read.on(arn(bucket) + "/*");
        decrypt = decrypt.when("StringLike", "kms:EncryptionContext:aws:s3:arn", arn(bucket) + "*");
    }
    let mut statements = vec![watch, read, decrypt];
    let write = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"];
    let mut write = Statement::allow("Write", write);
    for other in part.others(parts) {
        let mut encrypt =
            Statement::allow(&sid("Encrypt", other.site.region()), ["kms:Encrypt", "kms:GenerateDataKey"]);
        encrypt = through_s3(encrypt, other.site.region()).on(&other.keys.storage.outputs.arn);
        for bucket in other.buckets.replicated() {
            write = write.on(arn(bucket) + "/*");
            encrypt = encrypt.when("StringLike", "kms:EncryptionContext:aws:s3:arn", arn(bucket) + "*");
        }
        statements.push(encrypt);
    }
    statements.push(write);
    // S3's documentation has no condition here, and a condition that S3 does not meet would only show in the objects.
    let trust = trust("s3.amazonaws.com");
    role(graph, site, REPLICATION, "Copies objects to the other regions", trust, Policy::new(statements))
}

/// The ARN of the bucket `name`.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// A statement's name with a region in it; names take letters and digits only.
fn sid(name: &str, region: &Region) -> String {
    let mut sid = name.to_owned();
    for part in region.as_str().split('-') {
        let mut letters = part.chars();
        sid.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        sid.push_str(letters.as_str());
    }
    sid
}

fn through_s3(statement: Statement, region: &Region) -> Statement {
    statement.when("StringEquals", "kms:ViaService", format!("s3.{region}.amazonaws.com"))
}

/// Lets a service take a role on.
fn trust(service: &str) -> Statement {
    Statement::allow("Assume", ["sts:AssumeRole"]).principal("Service", service)
}

fn role(
    graph: &mut Graph,
    site: &Site<'_>,
    task: &str,
    description: &str,
    trust: Statement,
    policy: Policy,
) -> Result<Node<Role>> {
    let role = Role {
        name: site.names.role(task, site.region())?,
        description: format!("{description} in {}", site.region()),
        trust: Policy::new([trust]),
        inline: BTreeMap::from([(task.to_owned(), policy)]),
        managed: BTreeSet::new(),
        max_session: 3_600,
        path: "/".to_owned(),
        tags: site.named(&format!("{task}-role")),
    };
    graph.add(&Region::global(), &format!("{task}-{}", site.region()), role)
}
