//! Buckets: private and encrypted in transit.

use std::collections::BTreeMap;

use payinfra_aws::s3::Bucket;
use payinfra_aws::{Policy, Statement};
use payinfra_stack::Site;

/// The ARN of the bucket `name`.
#[must_use]
pub fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// The arguments that all buckets have in common: no public access, TLS only, owned by the account. `statements` are
/// added to the policy. Everything else is not set: versioning, encryption, lifecycle, replication, logging.
#[must_use]
pub fn private(
    site: &Site<'_>,
    resource_type: &str,
    name: &str,
    statements: impl IntoIterator<Item = Statement>,
) -> Bucket {
    let plain = Statement::deny("DenyWithoutTls", ["s3:*"])
        .principal("*", "*")
        .on(arn(name))
        .on(arn(name) + "/*")
        .when("Bool", "aws:SecureTransport", "false");
    Bucket {
        name: name.to_owned(),
        versioning: false,
        encryption: None,
        public_access_blocked: true,
        policy: Some(Policy::new(std::iter::once(plain).chain(statements))),
        lifecycle: BTreeMap::new(),
        replication: None,
        logging: None,
        ownership_enforced: true,
        tags: site.named(resource_type),
    }
}
