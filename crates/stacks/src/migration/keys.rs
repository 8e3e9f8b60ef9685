//! KMS keys of a region: one per purpose, so that access to logs does not include access to the database (M-22).

use payinfra_aws::kms::{Alias, Key};
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Result};

use super::{Site, audit, monitoring};

/// The keys of a region.
pub(super) struct Keys {
    pub(super) application: Node<Key>,
    pub(super) database: Node<Key>,
    pub(super) logs: Node<Key>,
    pub(super) storage: Node<Key>,
}

/// The purpose of a key.
struct Purpose {
    name: &'static str,
    /// The services that use it on behalf of the account.
    services: &'static [&'static str],
    /// Additional actions: services that keep data open, such as databases, use grants.
    grants: &'static [&'static str],
    /// Statements for services that act in their own name.
    more: fn(&Site<'_>) -> Vec<Statement>,
}

const APPLICATION: Purpose = Purpose {
    name: "application",
    services: &["dynamodb", "secretsmanager", "sns", "ssm"],
    grants: &["kms:CreateGrant"],
    more: |site| vec![monitoring::key_statement(site)],
};
const DATABASE: Purpose =
    Purpose { name: "database", services: &["rds"], grants: &["kms:CreateGrant"], more: |_| Vec::new() };
const LOGS: Purpose = Purpose { name: "logs", services: &[], grants: &[], more: |site| vec![logs(site)] };
const STORAGE: Purpose = Purpose { name: "storage", services: &["s3"], grants: &[], more: trail };

/// The actions to encrypt and decrypt.
const USE: [&str; 7] = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// The actions to administer a key, without those to decrypt.
const ADMINISTER: [&str; 20] = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
];

/// Declares the keys of a region, each with its alias.
pub(super) fn keys(graph: &mut Graph, site: &Site<'_>) -> Result<Keys> {
    Ok(Keys {
        application: key(graph, site, &APPLICATION)?,
        database: key(graph, site, &DATABASE)?,
        logs: key(graph, site, &LOGS)?,
        storage: key(graph, site, &STORAGE)?,
    })
}

fn key(graph: &mut Graph, site: &Site<'_>, purpose: &Purpose) -> Result<Node<Key>> {
    let key = graph.add(
        site.region(),
        purpose.name,
        Key {
            enabled: true,
            description: format!("{} of {}", purpose.name, site.names.name("platform")),
            policy: policy(site, purpose),
            rotation: true,
            deletion_window: site.workspace.key_deletion_days,
            tags: site.named(&format!("{}-key", purpose.name)),
        },
    )?;
    let name = format!("alias/{}", site.names.name(purpose.name));
    graph.add(site.region(), purpose.name, Alias { name, key: key.id.clone() })?;
    site.output(graph, &format!("{}_key_arn", purpose.name), &key.outputs.arn);
    Ok(key)
}

fn policy(site: &Site<'_>, purpose: &Purpose) -> Policy {
    // In a key policy, the resource `*` is the key itself, and the account's root principal enables IAM policies.
    let root = format!("arn:aws:iam::{}:root", site.account());
    let administer = Statement::allow("Administer", ADMINISTER).principal("AWS", root.as_str()).on("*");
    let through = |statement: Statement| {
        let statement = statement.principal("AWS", root.as_str()).on("*");
        let statement = statement.when("StringEquals", "kms:CallerAccount", site.account());
        purpose.services.iter().fold(statement, |statement, service| {
            let service = format!("{service}.{}.amazonaws.com", site.region());
            statement.when("StringEquals", "kms:ViaService", service)
        })
    };
    let mut statements = vec![administer];
    statements.extend((purpose.more)(site));
    if !purpose.services.is_empty() {
        statements.push(through(Statement::allow("UseThroughServices", USE)));
    }
    if !purpose.grants.is_empty() {
        let grant = Statement::allow("GrantToServices", purpose.grants.iter().copied());
        statements.push(through(grant.when("Bool", "kms:GrantIsForAWSResource", "true")));
    }
    Policy::new(statements)
}

/// The trail writes to a bucket of the primary region.
fn trail(site: &Site<'_>) -> Vec<Statement> {
    if site.config.is_primary() { audit::key_statements(site).into() } else { Vec::new() }
}

/// `CloudWatch` Logs may use the key, but only for the log groups of this workspace.
fn logs(site: &Site<'_>) -> Statement {
    let groups = site.arn("logs", &format!("log-group:{}", site.names.name("*")));
    // RDS chooses the names of the databases' log groups.
    let databases = site.arn("logs", &format!("log-group:/aws/rds/cluster/{}-*", site.names.name("*")));
    Statement::allow("UseByLogs", USE)
        .principal("Service", format!("logs.{}.amazonaws.com", site.region()))
        .on("*")
        .when("ArnLike", "kms:EncryptionContext:aws:logs:arn", groups)
        .when("ArnLike", "kms:EncryptionContext:aws:logs:arn", databases)
}
