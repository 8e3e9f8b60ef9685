//! IAM roles: one per task, with only the permissions it needs (M-21, X-04).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::iam::Role;
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Region, Result, Text};

use super::payments::{PENDING, Payments};
use super::{Part, Site};

/// The resource types in the roles' names.
pub(super) const ROLES: [&str; 5] = [DATABASE_MONITORING, EXECUTION, FLOW_LOGS, REPLICATION, TASK];

const DATABASE_MONITORING: &str = "db-monitoring";
const EXECUTION: &str = "ecs-execution";
const FLOW_LOGS: &str = "flow-logs";
const REPLICATION: &str = "replication";
const TASK: &str = "ecs-task";

/// The role for enhanced monitoring by RDS. AWS's managed policy names only the log group `RDSOSMetrics`, which all
/// databases of the account share.
pub(super) fn database_monitoring(graph: &mut Graph, site: &Site<'_>) -> Result<Node<Role>> {
    let trust = trust("monitoring.rds.amazonaws.com").when("StringEquals", "aws:SourceAccount", site.account());
    let databases = site.arn("rds", &format!("db:{}-{}", site.names.name("*"), site.region()));
    let trust = trust.when("ArnLike", "aws:SourceArn", databases);
    let managed = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole";
    let role = Role {
        name: site.names.role(DATABASE_MONITORING, site.region())?,
        description: format!("Writes enhanced monitoring of databases in {}", site.region()),
        trust: Policy::new([trust]),
        inline: BTreeMap::new(),
        managed: BTreeSet::from([managed.to_owned()]),
        max_session: 3_600,
        path: "/".to_owned(),
        tags: site.named(&format!("{DATABASE_MONITORING}-role")),
    };
    graph.add(&Region::global(), &format!("{DATABASE_MONITORING}-{}", site.region()), role)
}

/// The role that writes a region's flow logs to their log group.
pub(super) fn flow_logs(graph: &mut Graph, site: &Site<'_>, group: &Node<LogGroup>) -> Result<Node<Role>> {
    let trust = trust("vpc-flow-logs.amazonaws.com").when("StringEquals", "aws:SourceAccount", site.account()).when(
        "ArnLike",
        "aws:SourceArn",
        site.arn("ec2", "vpc-flow-log/*"),
    );
    let write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"];
    let write =
        Statement::allow("Write", write).on(&group.outputs.arn).on(Text::from(&group.outputs.arn).and(":log-stream:*"));
    // AWS supports no narrower resource for this action than all log groups of the region.
    let find = Statement::allow("Find", ["logs:DescribeLogGroups"]).on(site.arn("logs", "log-group:*"));
    role(graph, site, FLOW_LOGS, "Writes VPC flow logs", trust, Policy::new([write, find]))
}

/// The execution role: ECS uses it to pull the image and to write logs.
///
/// Public images need no permissions. A private ECR repository takes three permissions, and one to sign in, for which
/// AWS supports no resource other than `*`.
pub(super) fn execution(graph: &mut Graph, site: &Site<'_>, group: &Node<LogGroup>) -> Result<Node<Role>> {
    let log = Statement::allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"])
        .on(Text::from(&group.outputs.arn).and(":log-stream:*"));
    let mut statements = vec![log];
    if let Some(repository) = repository(&site.settings.service.image) {
        let pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
        statements.push(Statement::allow("Pull", pull).on(repository));
        statements.push(Statement::allow("SignIn", ["ecr:GetAuthorizationToken"]).on("*"));
    }
    let description = "Starts the tasks of the payment service";
    role(graph, site, EXECUTION, description, tasks(site), Policy::new(statements))
}

/// The task role: stores payments and writes audit records, each in the region that the payment's id belongs to, and
/// finds payments without an audit record in its own region.
pub(super) fn task(graph: &mut Graph, part: &Part<'_>, parts: &[Part<'_>], payments: &Payments) -> Result<Node<Role>> {
    let site = &part.site;
    let mut statements = home(part, payments, &str::to_owned);
    let pending = format!("{}/index/{PENDING}", payments.arn(site));
    statements.push(Statement::allow("Sweep", ["dynamodb:Scan"]).on(pending));
    for other in part.others(parts) {
        statements.extend(home(other, payments, &|name| sid(name, other.site.region())));
    }
    if let Some(secret) = site.settings.service.keys_in(site.region()) {
        statements.push(Statement::allow("ApiKeys", ["secretsmanager:GetSecretValue"]).on(secret));
    }
    role(graph, site, TASK, "Takes payments", tasks(site), Policy::new(statements))
}

/// The statements to store payments and write audit records in a region.
fn home(part: &Part<'_>, payments: &Payments, name: &dyn Fn(&str) -> String) -> Vec<Statement> {
    let (site, audit) = (&part.site, arn(part.buckets.audit_trail()));
    let store = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"];
    let store = Statement::allow(&name("Store"), store).on(payments.arn(site));
    let open = Statement::allow(&name("OpenTable"), ["kms:Decrypt"]).on(&part.keys.application.outputs.arn).when(
        "StringEquals",
        "kms:ViaService",
        format!("dynamodb.{}.amazonaws.com", site.region()),
    );
    let write = Statement::allow(&name("Audit"), ["s3:PutObject"]).on(format!("{audit}/payments/*"));
    let encrypt = through_s3(Statement::allow(&name("EncryptAudit"), ["kms:GenerateDataKey"]), site.region())
        .on(&part.keys.storage.outputs.arn)
        .when("StringLike", "kms:EncryptionContext:aws:s3:arn", format!("{audit}*"));
    vec![store, open, write, encrypt]
}

/// Allows tasks of this account and region to assume a role.
fn tasks(site: &Site<'_>) -> Statement {
    let trust = trust("ecs-tasks.amazonaws.com").when("StringEquals", "aws:SourceAccount", site.account());
    trust.when("ArnLike", "aws:SourceArn", site.arn("ecs", "*"))
}

/// The ARN of the repository of an ECR image: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG`.
fn repository(image: &str) -> Option<String> {
    let (registry, name) = image.split_once('/')?;
    let (account, host) = registry.split_once(".dkr.ecr.")?;
    let region = host.strip_suffix(".amazonaws.com")?;
    let name = name.split(['@', ':']).next()?;
    Some(format!("arn:aws:ecr:{region}:{account}:repository/{name}"))
}

/// The role that replicates objects in a region's buckets to the other regions (AWS-FACTS §4.3).
///
/// It refers to buckets by name, because the buckets refer to the role.
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
    // S3's documentation has no condition here, and an unmet condition would only show as failed replication.
    let trust = trust("s3.amazonaws.com");
    role(graph, site, REPLICATION, "Copies objects to the other regions", trust, Policy::new(statements))
}

/// The ARN of the bucket `name`.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// A statement id with a region in it; only letters and digits are valid.
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

/// Allows a service to assume a role.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x04_only_an_image_of_ecr_needs_permissions() {
        let arn = "arn:aws:ecr:us-east-1:123456789012:repository/pay/service";
        for (image, expected) in [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com/pay/service:1.0.0", Some(arn)),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com/pay/service@sha256:00", Some(arn)),
            ("public.ecr.aws/payinfra/payment-service:1.0.0", None),
            ("nginx", None),
        ] {
            assert_eq!(repository(image).as_deref(), expected, "{image}");
        }
    }
}
