//! IAM roles with only the permissions that one task needs.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::iam::Role;
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Region, Result};
use payinfra_stack::Site;

/// The role of a task.
#[derive(Clone, Debug)]
pub struct TaskRole<'a> {
    /// The task, such as `flow-logs`: part of the role's name.
    pub task: &'a str,
    /// What it does, such as `Writes VPC flow logs`. The region is added.
    pub description: &'a str,
    /// Who may assume it: [`trust`] or [`trust_from`].
    pub trust: Statement,
    /// Its permissions.
    pub policy: Option<Policy>,
    /// The ARNs of its managed policies.
    pub managed: &'a [&'a str],
}

impl<'a> TaskRole<'a> {
    /// A role without permissions.
    #[must_use]
    pub fn new(task: &'a str, description: &'a str, trust: Statement) -> Self {
        Self { task, description, trust, policy: None, managed: &[] }
    }

    /// The same role with these permissions.
    #[must_use]
    pub fn with_policy(self, statements: impl IntoIterator<Item = Statement>) -> Self {
        Self { policy: Some(Policy::new(statements)), ..self }
    }
}

/// Declares the role of a task in a region. Roles are global, so its name includes the region.
///
/// # Errors
/// If the name is too long for IAM.
pub fn role(graph: &mut Graph, site: &Site<'_>, role: TaskRole<'_>) -> Result<Node<Role>> {
    let TaskRole { task, description, trust, policy, managed } = role;
    let role = Role {
        name: site.names.role(task, site.region())?,
        description: format!("{description} in {}", site.region()),
        trust: Policy::new([trust]),
        inline: policy.into_iter().map(|policy| (task.to_owned(), policy)).collect::<BTreeMap<_, _>>(),
        managed: managed.iter().map(|&arn| arn.to_owned()).collect::<BTreeSet<_>>(),
        max_session: 3_600,
        path: "/".to_owned(),
        tags: site.named(&format!("{task}-role")),
    };
    graph.add(&Region::global(), &format!("{task}-{}", site.region()), role)
}

/// Allows a service to assume a role.
#[must_use]
pub fn trust(service: &str) -> Statement {
    Statement::allow("Assume", ["sts:AssumeRole"]).principal("Service", service)
}

/// Allows a service to assume a role on behalf of resources in this account whose ARNs match `source`.
#[must_use]
pub fn trust_from(site: &Site<'_>, service: &str, source: &str) -> Statement {
    trust(service).when("StringEquals", "aws:SourceAccount", site.account()).when("ArnLike", "aws:SourceArn", source)
}

/// Limits a statement about a key to requests through `service` in `region`.
#[must_use]
pub fn through(statement: Statement, service: &str, region: &Region) -> Statement {
    statement.when("StringEquals", "kms:ViaService", format!("{service}.{region}.amazonaws.com"))
}

/// A statement id with a region in it, such as `EncryptUsEast1`; only letters and digits are valid.
#[must_use]
pub fn sid(name: &str, region: &Region) -> String {
    let mut sid = name.to_owned();
    for part in region.as_str().split('-') {
        let mut letters = part.chars();
        sid.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        sid.push_str(letters.as_str());
    }
    sid
}

/// The ARN of the repository of an ECR image, `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG`; `None` for other images.
#[must_use]
pub fn repository(image: &str) -> Option<String> {
    let (registry, name) = image.split_once('/')?;
    let (account, host) = registry.split_once(".dkr.ecr.")?;
    let region = host.strip_suffix(".amazonaws.com")?;
    let name = name.split(['@', ':']).next()?;
    Some(format!("arn:aws:ecr:{region}:{account}:repository/{name}"))
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

    #[test]
    fn a_statement_id_has_only_letters_and_digits() {
        assert_eq!(sid("Encrypt", &Region::new("us-east-1")), "EncryptUsEast1");
    }
}
