//! IAM roles of the payment service (M-21, X-04).

use payinfra_aws::iam::Role;
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Policy, Statement};
use payinfra_components::aurora::MONITORING;
use payinfra_components::buckets::{REPLICATION, arn};
use payinfra_components::flow_log::FLOW_LOGS;
use payinfra_components::roles::{TaskRole, repository, role, sid, through, trust_from};
use payinfra_components::tables::GlobalTable;
use payinfra_engine::{Graph, Node, Result, Text};

use super::payments::PENDING;
use super::{Part, Site};

/// The resource types in the roles' names.
pub(super) const ROLES: [&str; 5] = [EXECUTION, FLOW_LOGS, MONITORING, REPLICATION, TASK];

const EXECUTION: &str = "ecs-execution";
const TASK: &str = "ecs-task";

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
    tasks(graph, site, EXECUTION, "Starts the tasks of the payment service", statements)
}

/// The task role: stores payments and writes audit records, each in the region that the payment's id belongs to, and
/// finds payments without an audit record in its own region.
pub(super) fn task(
    graph: &mut Graph,
    part: &Part<'_>,
    parts: &[Part<'_>],
    payments: &GlobalTable,
) -> Result<Node<Role>> {
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
    tasks(graph, site, TASK, "Takes payments", statements)
}

/// The statements to store payments and write audit records in a region.
fn home(part: &Part<'_>, payments: &GlobalTable, name: &dyn Fn(&str) -> String) -> Vec<Statement> {
    let (site, audit) = (&part.site, arn(part.buckets.audit_trail()));
    let store = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"];
    let store = Statement::allow(&name("Store"), store).on(payments.arn(site));
    let open = Statement::allow(&name("OpenTable"), ["kms:Decrypt"]).on(&part.keys.application.outputs.arn);
    let open = through(open, "dynamodb", site.region());
    let write = Statement::allow(&name("Audit"), ["s3:PutObject"]).on(format!("{audit}/payments/*"));
    let encrypt = through(Statement::allow(&name("EncryptAudit"), ["kms:GenerateDataKey"]), "s3", site.region())
        .on(&part.keys.storage.outputs.arn)
        .when("StringLike", "kms:EncryptionContext:aws:s3:arn", format!("{audit}*"));
    vec![store, open, write, encrypt]
}

/// A role that tasks of this account and region assume.
fn tasks(
    graph: &mut Graph,
    site: &Site<'_>,
    task: &str,
    description: &str,
    statements: Vec<Statement>,
) -> Result<Node<Role>> {
    let trust = trust_from(site, "ecs-tasks.amazonaws.com", &site.arn("ecs", "*"));
    role(graph, site, TaskRole { task, description, trust, policy: Some(Policy::new(statements)), managed: &[] })
}
