//! The IAM permissions that payinfra needs, derived from the kinds.

mod table;

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::Statement;
use crate::quota::Quota;

/// The IAM actions of a kind, with the names of the Service Authorization Reference.
#[derive(Clone, Copy, Debug)]
pub struct Permissions {
    /// The kind.
    pub kind: &'static str,
    /// What reading a known resource needs: for plan and drift.
    pub read: &'static [&'static str],
    /// What a plan reads besides: lookups, and what a resource contains.
    pub look: &'static [&'static str],
    /// What creating, recovering, updating and deleting need besides, and the checks between the steps of `deploy`, `traffic`,
    /// `phase` and `failover`.
    pub change: &'static [&'static str],
    /// What AWS checks with a change although no operation is named so.
    pub besides: &'static [&'static str],
    /// The service that a role is passed to: `lambda.amazonaws.com`.
    pub passes: Option<&'static str>,
    /// The service whose service-linked role AWS creates with the first resource in an account: `ecs.amazonaws.com`.
    pub links: Option<&'static str>,
    /// The service through which a read decrypts with a customer managed key: `lambda`.
    pub opens: Option<&'static str>,
    /// The service through which a change uses a customer managed key, and the actions of KMS.
    pub keys: Option<(&'static str, &'static [&'static str])>,
}

impl Permissions {
    /// A kind without any.
    const fn of(kind: &'static str) -> Self {
        Self {
            kind,
            read: &[],
            look: &[],
            change: &[],
            besides: &[],
            passes: None,
            links: None,
            opens: None,
            keys: None,
        }
    }

    const fn read(self, read: &'static [&'static str]) -> Self {
        Self { read, ..self }
    }

    const fn look(self, look: &'static [&'static str]) -> Self {
        Self { look, ..self }
    }

    const fn change(self, change: &'static [&'static str]) -> Self {
        Self { change, ..self }
    }

    const fn besides(self, besides: &'static [&'static str]) -> Self {
        Self { besides, ..self }
    }

    const fn passes(self, service: &'static str) -> Self {
        Self { passes: Some(service), ..self }
    }

    const fn links(self, service: &'static str) -> Self {
        Self { links: Some(service), ..self }
    }

    const fn opens(self, service: &'static str) -> Self {
        Self { opens: Some(service), ..self }
    }

    const fn keys(self, service: &'static str, actions: &'static [&'static str]) -> Self {
        Self { keys: Some((service, actions)), ..self }
    }
}

/// What a principal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Plan, and detect drift.
    Read,
    /// Run all commands.
    Change,
}

/// What a service that keeps data open does with a customer managed key for its caller: S3, and `DynamoDB`.
pub const USE_KEY: &[&str] = &[
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// What every command needs. AWS allows `sts:GetCallerIdentity` to everyone; the alias is only shown.
const ALWAYS: &[&str] = &["iam:ListAccountAliases", "sts:GetCallerIdentity"];

/// What an apply needs to publish the metrics of its stack.
const METRICS: &[&str] = &["cloudwatch:PutMetricData"];

/// The permissions of each kind, sorted by kind.
#[must_use]
pub fn permissions() -> &'static [Permissions] {
    table::TABLE
}

/// The entries of `kinds`. A kind that does not exist has none.
fn of<'a>(kinds: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = &'static Permissions> {
    let kinds: BTreeSet<_> = kinds.into_iter().collect();
    table::TABLE.iter().filter(move |permissions| kinds.contains(permissions.kind))
}

/// The IAM actions that reading known resources of these kinds needs, sorted. None of them changes anything.
#[must_use]
pub fn reads<'a>(kinds: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
    of(kinds).flat_map(|permissions| permissions.read).copied().collect()
}

/// The services through which reading resources of these kinds decrypts with a customer managed key, sorted: what they
/// return is encrypted with it.
#[must_use]
pub fn opens<'a>(kinds: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
    of(kinds).filter_map(|permissions| permissions.opens).collect()
}

/// The statements of the least policy for resources of these kinds, without those for the state. There is one statement per
/// service, on all of its resources; roles can only be passed to the services that need them, service-linked roles only be
/// created for the services that need them, and keys of others only be used through the services that encrypt with them.
#[must_use]
pub fn statements<'a>(kinds: impl IntoIterator<Item = &'a str>, extent: Extent) -> Vec<Statement> {
    let of: Vec<_> = of(kinds).collect();
    let changes = extent == Extent::Change;
    let mut actions: BTreeSet<&str> = ALWAYS.iter().chain(table::CENSUS).copied().collect();
    if changes {
        actions.extend(METRICS);
    }
    for permissions in &of {
        actions.extend(permissions.read.iter().chain(permissions.look));
        actions.extend(permissions.change.iter().chain(permissions.besides).filter(|_| changes));
        if Quota::of(permissions.kind).is_some() {
            actions.insert("servicequotas:GetServiceQuota");
        }
    }
    let mut services = BTreeMap::<&str, Vec<&str>>::new();
    for action in actions {
        services.entry(action.split(':').next().unwrap_or_default()).or_default().push(action);
    }
    let services = services.into_iter();
    let mut statements: Vec<_> =
        services.map(|(service, actions)| Statement::allow(&sid("", service), actions).on("*")).collect();
    if changes {
        let passes: BTreeSet<_> = of.iter().filter_map(|permissions| permissions.passes).collect();
        if !passes.is_empty() {
            let statement = Statement::allow("PassRole", ["iam:PassRole"]).on("*");
            let to =
                |statement: Statement, service: &str| statement.when("StringEquals", "iam:PassedToService", service);
            statements.push(passes.into_iter().fold(statement, to));
        }
        let links: BTreeSet<_> = of.iter().filter_map(|permissions| permissions.links).collect();
        if !links.is_empty() {
            let statement = Statement::allow("ServiceLinkedRoles", ["iam:CreateServiceLinkedRole"]);
            let statement = statement.on("arn:aws:iam::*:role/aws-service-role/*");
            let of =
                |statement: Statement, service: &str| statement.when("StringEquals", "iam:AWSServiceName", service);
            statements.push(links.into_iter().fold(statement, of));
        }
    }
    let mut keys = BTreeMap::<&str, BTreeSet<&str>>::new();
    for permissions in of {
        if let Some(service) = permissions.opens {
            keys.entry(service).or_default().insert("kms:Decrypt");
        }
        if let Some((service, actions)) = permissions.keys.filter(|_| changes) {
            keys.entry(service).or_default().extend(actions);
        }
    }
    statements.extend(keys.into_iter().map(|(service, actions)| {
        let statement = Statement::allow(&sid("KeysOf", service), actions).on("arn:aws:kms:*:*:key/*");
        statement.when("StringLike", "kms:ViaService", format!("{service}.*.amazonaws.com"))
    }));
    statements
}

/// The id of a statement about a service: `ApplicationAutoscaling`.
fn sid(prefix: &str, service: &str) -> String {
    let words = service.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    prefix.to_owned() + &words.collect::<String>()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::fs;
    use std::path::Path;

    use payinfra_localstack::iam_action;

    use super::table::{CENSUS, TABLE};
    use super::*;
    use crate::KINDS;

    /// The prefixes of actions that read.
    const READING: [&str; 5] = ["describe", "get", "head", "list", "search"];

    fn all() -> BTreeSet<&'static str> {
        let kinds = TABLE.iter().flat_map(|it| it.read.iter().chain(it.look).chain(it.change));
        kinds.chain(CENSUS).chain(METRICS).copied().collect()
    }

    /// The signing name of a client.
    fn signing(client: &str) -> &str {
        match client {
            "apigatewayv2" => "apigateway",
            "application_autoscaling" => "application-autoscaling",
            "elbv2" => "elasticloadbalancing",
            "eventbridge" => "events",
            other => other,
        }
    }

    /// `create_vpc` as `CreateVpc`.
    fn camel(name: &str) -> String {
        let capital = |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
        name.split('_').map(capital).collect()
    }

    /// The code of a file or folder, without blanks and tests.
    fn code(path: &Path) -> String {
        if path.is_dir() {
            return fs::read_dir(path).unwrap().map(|entry| code(&entry.unwrap().path())).collect();
        }
        let file = fs::read_to_string(path).unwrap();
        file.split("#[cfg(test)]").next().unwrap().split_whitespace().collect()
    }

    fn source() -> String {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let is_ours = |path: &Path| !path.to_string_lossy().contains("permissions");
        let entries = fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| is_ours(path)).map(|path| code(&path)).collect()
    }

    #[test]
    fn x04_the_table_is_sorted_and_has_every_kind() {
        let kinds: BTreeSet<_> = KINDS.iter().copied().flatten().map(|kind| kind.spec().kind).collect();
        assert_eq!(TABLE.iter().map(|it| it.kind).collect::<BTreeSet<_>>(), kinds);
        assert!(TABLE.is_sorted_by_key(|it| it.kind) && CENSUS.is_sorted());
        for it in TABLE {
            for actions in [it.read, it.look, it.change, it.besides] {
                assert!(actions.is_sorted(), "{}", it.kind);
            }
            let read: BTreeSet<_> = it.read.iter().chain(it.look).collect();
            let others = it.change.iter().chain(it.besides);
            assert!(others.clone().count() == others.collect::<BTreeSet<_>>().len());
            assert!(it.change.iter().all(|action| !read.contains(action)), "{} lists an action twice", it.kind);
        }
    }

    #[test]
    fn x04_every_kind_has_actions_that_only_read() {
        for kind in KINDS.iter().copied().flatten().map(|kind| kind.spec()) {
            // A lookup has no resource to read, and one of them reads the states of other workspaces.
            assert_eq!(reads([kind.kind]).is_empty(), kind.lookup, "{}", kind.kind);
        }
        for action in TABLE.iter().flat_map(|it| it.read.iter().chain(it.look)).chain(CENSUS) {
            let name = action.split_once(':').unwrap().1.to_lowercase();
            assert!(READING.iter().any(|prefix| name.starts_with(prefix)), "{action}");
        }
    }

    /// Each `cx.SERVICE().OPERATION(` in the code of the kinds is listed.
    #[test]
    fn x04_every_call_in_the_code_is_listed() {
        let known: BTreeSet<_> = all().into_iter().map(str::to_lowercase).collect();
        let clients = KINDS.iter().copied().flatten().filter_map(|kind| kind.spec().kind.split('.').next());
        let clients: BTreeSet<_> = clients.map(|service| service.replace('-', "_")).collect();
        let code = source();
        let calls = code.split("cx.").skip(1).filter_map(|rest| {
            let (client, rest) = rest.split_once("().")?;
            let (operation, _) = rest.split_once('(')?;
            let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            (clients.contains(client) && is_name(operation)).then_some((client, operation))
        });
        let mut found = BTreeSet::new();
        for (client, operation) in calls {
            found.insert(iam_action(signing(client), &camel(operation)).to_lowercase());
        }
        assert!(found.len() > 200, "{}", found.len());
        let missing: Vec<_> = found.difference(&known).collect();
        assert!(missing.is_empty(), "add them to their kinds in permissions/table.rs: {missing:?}");
    }

    /// Each listed action is that of an operation in the code.
    #[test]
    fn x04_no_action_is_listed_in_vain() {
        let text = source();
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let operations: BTreeSet<_> = words.map(camel).collect();
        let is_called = |action: &str| {
            let service = match action.split(':').next().unwrap() {
                "cloudwatch" => "monitoring",
                other => other,
            };
            operations.iter().any(|operation| iam_action(service, operation).eq_ignore_ascii_case(action))
        };
        let vain: Vec<_> = all().into_iter().filter(|action| !is_called(action)).collect();
        assert!(vain.is_empty(), "nothing calls {vain:?}");
    }

    #[test]
    fn x04_a_policy_that_reads_allows_nothing_else() {
        let kinds = || TABLE.iter().map(|it| it.kind);
        for statement in statements(kinds(), Extent::Read) {
            for action in &statement.actions {
                let name = action.split_once(':').unwrap().1.to_lowercase();
                let is_decrypt = action == "kms:Decrypt" && !statement.conditions.is_empty();
                assert!(is_decrypt || READING.iter().any(|prefix| name.starts_with(prefix)), "{action}");
            }
        }
        assert!(statements(kinds(), Extent::Change).len() > statements(kinds(), Extent::Read).len());
    }

    #[test]
    fn x04_the_policy_of_a_kind() {
        let statements = statements(["lambda.function"], Extent::Change);
        let of = |sid: &str| statements.iter().find(|statement| statement.sid == sid);
        let pass = Statement::allow("PassRole", ["iam:PassRole"]).on("*");
        assert_eq!(of("PassRole"), Some(&pass.when("StringEquals", "iam:PassedToService", "lambda.amazonaws.com")));
        let keys = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt"];
        let keys = Statement::allow("KeysOfLambda", keys).on("arn:aws:kms:*:*:key/*");
        assert_eq!(of("KeysOfLambda"), Some(&keys.when("StringLike", "kms:ViaService", "lambda.*.amazonaws.com")));
        assert!(of("Lambda").unwrap().actions.contains("lambda:UpdateFunctionCode"));
        assert!(!of("Ec2").unwrap().actions.contains("ec2:CreateVpc"));
        assert_eq!(of("ServiceLinkedRoles"), None);
    }
}
