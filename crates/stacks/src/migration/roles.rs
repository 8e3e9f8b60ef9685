//! IAM roles of the payment service (M-21, X-04).

use payinfra_aws::iam::Role;
use payinfra_aws::{Policy, Statement};
use payinfra_components::aurora::MONITORING;
use payinfra_components::buckets::{REPLICATION, arn};
use payinfra_components::fargate::{self, EXECUTION, INFRASTRUCTURE};
use payinfra_components::flow_log::FLOW_LOGS;
use payinfra_components::roles::{TaskRole, role, sid, through};
use payinfra_components::tables::GlobalTable;
use payinfra_engine::{Graph, Node, Result};

use super::Part;
use super::payments::PENDING;

/// The resource types in the roles' names.
pub(super) const ROLES: [&str; 6] = [EXECUTION, FLOW_LOGS, INFRASTRUCTURE, MONITORING, REPLICATION, TASK];

const TASK: &str = "ecs-task";

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
    let (trust, policy) = (fargate::trust(site), Some(Policy::new(statements)));
    role(graph, site, TaskRole { task: TASK, description: "Takes payments", trust, policy, managed: &[] })
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
