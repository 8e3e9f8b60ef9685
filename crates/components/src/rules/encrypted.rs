//! Stored data is encrypted with a rotating customer managed key, and buckets and databases require TLS.

use payinfra_aws::cloudtrail::Trail;
use payinfra_aws::dynamodb::Table;
use payinfra_aws::kms::Key;
use payinfra_aws::logs::LogGroup;
use payinfra_aws::rds::{ClusterParameterGroup, ParameterGroup};
use payinfra_aws::s3::Bucket;
use payinfra_aws::sns::Topic;
use payinfra_aws::{Effect, Policy};
use payinfra_engine::{Graph, Result};

use payinfra_stack::{Names, Rule, Violation};

use super::all;

pub(super) const RULE: Rule = Rule {
    name: "encrypted",
    about: "data is encrypted at rest with rotating customer managed keys, and in transit",
    check,
};

/// Buckets, by the names in their addresses, that cannot use a customer managed key, and why.
const WITHOUT_KEY: [(&str, &str); 1] =
    [("access-logs", "S3 delivers access logs only to buckets with its own encryption (AES256)")];

/// The parameters that make `PostgreSQL` and `MySQL` reject unencrypted connections.
const FORCES_TLS: [(&str, &str); 2] = [("rds.force_ssl", "1"), ("require_secure_transport", "ON")];

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    for (address, bucket) in all::<Bucket>(graph)? {
        if bucket.encryption.is_none() && !WITHOUT_KEY.iter().any(|(name, _)| *name == &*address.name) {
            broken.push(Violation::new(&address, "is not encrypted with a customer managed key"));
        }
        if !bucket.policy.as_ref().is_some_and(refuses_plain) {
            broken.push(Violation::new(&address, "can be accessed without TLS"));
        }
    }
    let mut open = Vec::new();
    open.extend(all::<LogGroup>(graph)?.into_iter().filter(|(_, it)| it.kms_key.is_none()).map(|(it, _)| it));
    open.extend(all::<Topic>(graph)?.into_iter().filter(|(_, it)| it.kms_key.is_none()).map(|(it, _)| it));
    open.extend(all::<Trail>(graph)?.into_iter().filter(|(_, it)| it.kms_key.is_none()).map(|(it, _)| it));
    broken.extend(open.iter().map(|address| Violation::new(address, "is not encrypted with a customer managed key")));
    for (address, table) in all::<Table>(graph)? {
        let without = table.replicas.iter().filter(|(_, replica)| replica.kms_key.is_none());
        broken.extend(without.map(|(region, _)| {
            Violation::new(&address, format!("is not encrypted with a customer managed key in {region}"))
        }));
        if table.kms_key.is_none() {
            broken.push(Violation::new(&address, "is not encrypted with a customer managed key"));
        }
    }
    let keys = all::<Key>(graph)?.into_iter().filter(|(_, key)| !key.rotation);
    broken.extend(keys.map(|(address, _)| Violation::new(&address, "does not rotate")));
    // The types of databases require a key. TLS is enforced by a parameter of their engine.
    let clusters = all::<ClusterParameterGroup>(graph)?.into_iter().map(|(address, group)| (address, group.parameters));
    let instances = all::<ParameterGroup>(graph)?.into_iter().map(|(address, group)| (address, group.parameters));
    let plain = clusters.chain(instances).filter(|(_, parameters)| {
        !FORCES_TLS.iter().any(|(name, on)| parameters.get(*name).is_some_and(|is| is == on))
    });
    broken.extend(plain.map(|(address, _)| Violation::new(&address, "lets databases be accessed without TLS")));
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
