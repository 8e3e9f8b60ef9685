//! All that is kept is encrypted under a key of the account's own that rotates, and buckets speak TLS only.

use payinfra_aws::kms::Key;
use payinfra_aws::logs::LogGroup;
use payinfra_aws::s3::Bucket;
use payinfra_aws::{Effect, Policy};
use payinfra_engine::{Graph, Result};

use super::{Rule, Violation, all, violation};
use crate::names::Names;

pub(super) const RULE: Rule =
    Rule { name: "encrypted", about: "data is encrypted under own keys that rotate, and on the wire", check };

/// Buckets, by the names in their addresses, that cannot have a key of the account's own, and why.
const WITHOUT_KEY: [(&str, &str); 1] =
    [("access-logs", "S3 delivers access logs only to buckets with its own encryption (AES256)")];

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    for (address, bucket) in all::<Bucket>(graph)? {
        if bucket.encryption.is_none() && !WITHOUT_KEY.iter().any(|(name, _)| *name == &*address.name) {
            broken.push(violation(&address, "is not encrypted with a key"));
        }
        if !bucket.policy.as_ref().is_some_and(refuses_plain) {
            broken.push(violation(&address, "may be called without TLS"));
        }
    }
    let groups = all::<LogGroup>(graph)?.into_iter().filter(|(_, group)| group.kms_key.is_none());
    broken.extend(groups.map(|(address, _)| violation(&address, "is not encrypted with a key")));
    let keys = all::<Key>(graph)?.into_iter().filter(|(_, key)| !key.rotation);
    broken.extend(keys.map(|(address, _)| violation(&address, "does not rotate")));
    Ok(broken)
}

fn refuses_plain(policy: &Policy) -> bool {
    policy.statements().any(|statement| {
        let secure = statement.conditions.get("Bool").and_then(|keys| keys.get("aws:SecureTransport"));
        statement.effect == Effect::Deny
            && statement.principals.contains_key("*")
            && statement.actions.contains("s3:*")
            && secure.is_some_and(|values| values.iter().any(|value| value.known().is_ok_and(|it| it == "false")))
    })
}
