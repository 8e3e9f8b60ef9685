//! Buckets: private, encrypted in transit, with lifecycle rules, access logs and replication to other regions.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::iam::Role;
use payinfra_aws::kms::Key;
use payinfra_aws::s3::{Bucket, Encryption, LifecycleRule, Replication, ReplicationRule, Transition};
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Ref, Region, Result, Text};
use payinfra_stack::Site;

use crate::keys::{Purpose, key};
use crate::roles::{self, TaskRole};

/// The resource type in the name of the role that replicates objects.
pub const REPLICATION: &str = "replication";

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

/// A private bucket with a key of its own.
#[derive(Debug)]
pub struct Encrypted {
    /// The bucket.
    pub bucket: Node<Bucket>,
    /// The key that encrypts its objects.
    pub key: Node<Key>,
}

/// Declares a private, versioned bucket, and the key that encrypts its objects. Both have the name `resource_type`.
///
/// # Errors
/// If its name is too long for S3, or the graph has such a bucket or key already.
pub fn encrypted(graph: &mut Graph, site: &Site<'_>, resource_type: &str) -> Result<Encrypted> {
    let name = site.names.bucket(resource_type, site.region())?;
    let purpose = Purpose { name: resource_type, services: &["s3"], grants: false, statements: Vec::new() };
    let key = key(graph, site, purpose)?;
    let encryption = Encryption { key: key.outputs.arn.clone(), bucket_key: true };
    let bucket = private(site, resource_type, &name, []);
    let bucket = Bucket { versioning: true, encryption: Some(encryption), ..bucket };
    Ok(Encrypted { bucket: graph.add(site.region(), resource_type, bucket)?, key })
}

impl Encrypted {
    /// The statements that allow a role to read the objects.
    #[must_use]
    pub fn read(&self) -> [Statement; 2] {
        self.grant("Read", "s3:GetObject", "Decrypt", &["kms:Decrypt"])
    }

    /// The statements that allow a role to write objects. An upload in parts is decrypted when it is completed.
    #[must_use]
    pub fn write(&self) -> [Statement; 2] {
        self.grant("Write", "s3:PutObject", "Encrypt", &["kms:Decrypt", "kms:GenerateDataKey"])
    }

    fn grant(&self, sid: &str, action: &str, key_sid: &str, key_actions: &[&str]) -> [Statement; 2] {
        let objects = Text::from(&self.bucket.outputs.arn).and("/*");
        let key = Statement::allow(key_sid, key_actions.iter().copied()).on(&self.key.outputs.arn);
        [Statement::allow(sid, [action]).on(objects), roles::through(key, "s3", &self.bucket.address.region)]
    }
}

/// Moves objects to cheaper storage after 30 and 90 days, including noncurrent versions, and deletes them after
/// `expiration_days`; 0 keeps them. Noncurrent versions are kept as long as current ones, because an audit needs
/// overwritten and deleted objects.
#[must_use]
pub fn archive(expiration_days: i32) -> BTreeMap<String, LifecycleRule> {
    let transition = |days, class: &str| Transition { days, class: class.to_owned() };
    let transitions = BTreeSet::from([transition(30, "STANDARD_IA"), transition(90, "GLACIER")]);
    let rule = LifecycleRule {
        disabled: false,
        prefix: String::new(),
        transitions: transitions.clone(),
        expiration_days,
        noncurrent_transitions: transitions,
        noncurrent_expiration_days: expiration_days,
        abort_multipart_days: 7,
    };
    BTreeMap::from([("archive".to_owned(), rule)])
}

/// The policy statement that lets the buckets `sources` write their access logs to the bucket `name`.
#[must_use]
pub fn access_log_statement(site: &Site<'_>, name: &str, sources: &[&str]) -> Statement {
    let write = Statement::allow("WriteLogs", ["s3:PutObject"])
        .principal("Service", "logging.s3.amazonaws.com")
        .on(arn(name) + "/*")
        .when("StringEquals", "aws:SourceAccount", site.account());
    sources.iter().fold(write, |write, source| write.when("ArnLike", "aws:SourceArn", arn(source)))
}

/// The policy statement that lets load balancers of this account write their access logs to the bucket `name`, under
/// `prefix`.
#[must_use]
pub fn balancer_log_statement(site: &Site<'_>, name: &str, prefix: &str) -> Statement {
    // Older policies name the region's Elastic Load Balancing account; AWS recommends the service principal in all
    // regions (UG: Enable access logs). It has no condition key, so the account id is part of the object key.
    Statement::allow("WriteBalancerLogs", ["s3:PutObject"])
        .principal("Service", "logdelivery.elasticloadbalancing.amazonaws.com")
        .on(format!("{}/{prefix}/AWSLogs/{}/*", arn(name), site.account()))
}

/// The buckets of a region that take part in replication. They are named, because those that replicate to each other
/// cannot refer to each other.
#[derive(Clone, Debug)]
pub struct Replicas<'a> {
    /// The region.
    pub region: &'a Region,
    /// The ARN of the key that encrypts them.
    pub key: &'a Ref<String>,
    /// The names of the buckets, in the same order in all regions.
    pub buckets: Vec<&'a str>,
}

/// Declares the role that replicates the objects of `from`, in the site's region, to `to` (AWS-FACTS §4.3).
/// `statements` are added to its policy.
///
/// # Errors
/// If its name is too long for IAM.
pub fn replication_role(
    graph: &mut Graph,
    site: &Site<'_>,
    from: &Replicas<'_>,
    to: &[Replicas<'_>],
    statements: impl IntoIterator<Item = Statement>,
) -> Result<Node<Role>> {
    let mut watch = Statement::allow("Watch", ["s3:GetReplicationConfiguration", "s3:ListBucket"]);
    let read = ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"];
    let mut read = Statement::allow("Read", read);
    let decrypt = Statement::allow("Decrypt", ["kms:Decrypt"]).on(from.key);
    let mut decrypt = roles::through(decrypt, "s3", from.region);
    for bucket in &from.buckets {
        watch = watch.on(arn(bucket));
        read = read.on(arn(bucket) + "/*");
        decrypt = decrypt.when("StringLike", "kms:EncryptionContext:aws:s3:arn", arn(bucket) + "*");
    }
    let mut policy = vec![watch, read, decrypt];
    let write = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"];
    let mut write = Statement::allow("Write", write);
    for other in to {
        let encrypt = Statement::allow(&roles::sid("Encrypt", other.region), ["kms:Encrypt", "kms:GenerateDataKey"]);
        let mut encrypt = roles::through(encrypt, "s3", other.region).on(other.key);
        for bucket in &other.buckets {
            write = write.on(arn(bucket) + "/*");
            encrypt = encrypt.when("StringLike", "kms:EncryptionContext:aws:s3:arn", arn(bucket) + "*");
        }
        policy.push(encrypt);
    }
    policy.push(write);
    policy.extend(statements);
    let role = TaskRole {
        task: REPLICATION,
        description: "Copies objects to the other regions",
        // S3's documentation has no condition here, and an unmet condition would only show as failed replication.
        trust: roles::trust("s3.amazonaws.com"),
        policy: Some(Policy::new(policy)),
        managed: &[],
    };
    roles::role(graph, site, role)
}

/// The replication of the bucket at `index` of [`Replicas::buckets`] to every region in `to` that has it, including
/// delete markers. The rule to a region is named `to-REGION`.
#[must_use]
pub fn replication(role: &Ref<String>, to: &[Replicas<'_>], index: usize) -> Replication {
    let rules = to.iter().zip(1..).filter_map(|(other, priority)| {
        let copy = ReplicationRule {
            disabled: false,
            priority,
            prefix: String::new(),
            bucket: arn(other.buckets.get(index)?).into(),
            kms_key: Some(other.key.clone()),
            metrics: true,
            delete_markers: true,
        };
        Some((format!("to-{}", other.region), copy))
    });
    Replication { role: role.clone(), rules: rules.collect() }
}
