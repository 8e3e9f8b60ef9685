//! KMS keys: one per purpose, so that access to logs does not include access to the database.

use payinfra_aws::kms::{Alias, Key};
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Result};
use payinfra_stack::Site;

/// The purpose of a key, and who uses it.
#[derive(Clone, Debug)]
pub struct Purpose<'a> {
    /// Its name, such as `database`.
    pub name: &'a str,
    /// The services that use the key on behalf of the account, such as `rds`.
    pub services: &'a [&'a str],
    /// Whether these services may create grants. Services that keep data open require it, such as databases.
    pub grants: bool,
    /// Statements for services that act in their own name, such as [`logs_statement`].
    pub statements: Vec<Statement>,
}

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

/// Declares a key with rotation, and its alias.
///
/// # Errors
/// If the graph has a key of that name already.
pub fn key(graph: &mut Graph, site: &Site<'_>, purpose: Purpose<'_>) -> Result<Node<Key>> {
    let name = purpose.name;
    let key = Key {
        enabled: true,
        description: format!("{name} of {}", site.names.name("platform")),
        policy: policy(site, purpose),
        rotation: true,
        deletion_window: site.key_deletion_days,
        tags: site.named(&format!("{name}-key")),
    };
    let key = graph.add(site.region(), name, key)?;
    let alias = format!("alias/{}", site.names.name(name));
    graph.add(site.region(), name, Alias { name: alias, key: key.id.clone() })?;
    site.output(graph, &format!("{}_key_arn", name.replace('-', "_")), &key.outputs.arn);
    Ok(key)
}

fn policy(site: &Site<'_>, purpose: Purpose<'_>) -> Policy {
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
    if !purpose.services.is_empty() {
        statements.push(through(Statement::allow("UseThroughServices", USE)));
        if purpose.grants {
            let grant = Statement::allow("GrantToServices", ["kms:CreateGrant"]);
            statements.push(through(grant.when("Bool", "kms:GrantIsForAWSResource", "true")));
        }
    }
    statements.extend(purpose.statements);
    Policy::new(statements)
}

/// The key policy statement for `CloudWatch` Logs, which may use the key only for log groups whose names match one of
/// `groups`.
#[must_use]
pub fn logs_statement(site: &Site<'_>, groups: &[&str]) -> Statement {
    let statement = Statement::allow("UseByLogs", USE)
        .principal("Service", format!("logs.{}.amazonaws.com", site.region()))
        .on("*");
    groups.iter().fold(statement, |statement, group| {
        let group = site.arn("logs", &format!("log-group:{group}"));
        statement.when("ArnLike", "kms:EncryptionContext:aws:logs:arn", group)
    })
}
