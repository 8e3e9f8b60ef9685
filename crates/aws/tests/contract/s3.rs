//! Examples of S3.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use payinfra_aws::lambda::Permission;
use payinfra_aws::s3::{
    Bucket, BucketNotification, Destination, Encryption, LifecycleRule, Logging, NotificationRule, Replication,
    ReplicationRule, Transition,
};
use payinfra_aws::{Aws, Explain, Need, Policy, Statement};
use payinfra_engine::{Class, Cloud, Graph, Node, Ref, Region, Resource, Result, Site, Tags, Text};

use crate::example::{Again, Example, examples, form, graph, region};
use crate::iam::role_for;
use crate::kms::key_for;
use crate::lambda::function_for;
use crate::life::{access, site};
use crate::sns::topic_for;

examples![bucket, bucket_elsewhere, bucket_notification];

fn args(name: &str) -> Bucket {
    Bucket {
        name: name.to_owned(),
        versioning: true,
        encryption: None,
        public_access_blocked: true,
        policy: None,
        lifecycle: BTreeMap::new(),
        replication: None,
        logging: None,
        ownership_enforced: true,
        tags: Tags::new(),
    }
}

/// A bucket for others to refer to.
pub(crate) fn bucket_for(graph: &mut Graph, name: &str) -> Result<Node<Bucket>> {
    let args = args(&format!("contract-{}-{name}-0123456789ab", graph.workspace));
    graph.add(&region(), name, args)
}

fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// Requires TLS.
fn tls_only(name: &str) -> Policy {
    Policy::new([Statement::deny("TlsOnly", ["s3:*"]).principal("*", "*").on(arn(name)).on(arn(name) + "/*").when(
        "Bool",
        "aws:SecureTransport",
        "false",
    )])
}

fn lifecycle() -> BTreeMap<String, LifecycleRule> {
    let to = |days, class: &str| Transition { days, class: class.to_owned() };
    let old = LifecycleRule {
        transitions: BTreeSet::from([to(30, "STANDARD_IA"), to(90, "GLACIER")]),
        expiration_days: 2_555,
        noncurrent_transitions: BTreeSet::from([to(30, "STANDARD_IA")]),
        noncurrent_expiration_days: 365,
        ..LifecycleRule::default()
    };
    let uploads = LifecycleRule { prefix: "in/".to_owned(), abort_multipart_days: 7, ..LifecycleRule::default() };
    BTreeMap::from([("old".to_owned(), old), ("uploads".to_owned(), uploads)])
}

fn replication(role: Ref<String>, to: Text, kms_key: Option<Ref<String>>) -> Replication {
    let all = ReplicationRule {
        disabled: false,
        priority: 1,
        prefix: String::new(),
        bucket: to,
        kms_key,
        metrics: true,
        delete_markers: true,
    };
    Replication { role, rules: BTreeMap::from([("all".to_owned(), all)]) }
}

fn bucket() -> Result<Example> {
    const NAME: &str = "contract-example-0123456789ab";
    let mut graph = graph("bucket");
    let key = key_for(&mut graph, "key", &[])?;
    let role = role_for(&mut graph, "role", "s3.amazonaws.com")?;
    let copies = graph.add(&region(), "copies", args("contract-copies-0123456789ab"))?;
    let records = graph.add(&region(), "records", args("contract-records-0123456789ab"))?;
    let encryption = Encryption { key: key.outputs.arn.clone(), bucket_key: true };
    let logging = Logging { bucket: Text::from(&records.id), prefix: "records/".to_owned() };
    let replication = replication(role.outputs.arn, Text::from(&copies.outputs.arn), Some(key.outputs.arn));
    let mut paused = replication.clone();
    paused.rules.values_mut().for_each(|rule| rule.disabled = true);
    Example::new(graph, &region(), args(NAME))?
        .again(Again::Taken)
        .change(|bucket: &mut Bucket| bucket.encryption = Some(encryption))?
        .change(|bucket: &mut Bucket| bucket.policy = Some(tls_only(NAME)))?
        .change(|bucket: &mut Bucket| bucket.lifecycle = lifecycle())?
        .change(|bucket: &mut Bucket| drop(bucket.lifecycle.remove("uploads")))?
        .change(|bucket: &mut Bucket| bucket.logging = Some(logging))?
        .change(|bucket: &mut Bucket| bucket.replication = Some(replication))?
        .change(|bucket: &mut Bucket| bucket.replication = Some(paused))?
        .change(|bucket: &mut Bucket| (bucket.public_access_blocked, bucket.ownership_enforced) = (false, false))?
        .change(|bucket: &mut Bucket| {
            let name = bucket.name.clone();
            *bucket = Bucket { versioning: false, ..args(&name) };
        })
}

/// Outside of the default region, the bucket has a location constraint.
fn bucket_elsewhere() -> Result<Example> {
    let name = "contract-elsewhere-0123456789ab";
    let region = Region::new("us-west-2");
    Ok(Example::new(graph("bucket-elsewhere"), &region, args(name))?.again(Again::Taken))
}

fn bucket_notification() -> Result<Example> {
    let mut graph = graph("bucket-notification");
    let bucket = bucket_for(&mut graph, "files")?;
    let function = function_for(&mut graph, "function")?;
    let topic = topic_for(&mut graph, "topic")?;
    let permission = Permission {
        function: function.id,
        qualifier: None,
        statement: "files".to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "s3.amazonaws.com".to_owned(),
        source_arn: Some(Text::from(&bucket.outputs.arn)),
        source_account: Some(payinfra_localstack::ACCOUNT_ID.to_owned()),
    };
    let permission = graph.add(&region(), "files", permission)?;
    let rule = NotificationRule {
        destination: Destination::Function(function.outputs.arn),
        events: BTreeSet::from(["s3:ObjectCreated:*".to_owned()]),
        prefix: "in/".to_owned(),
        suffix: String::new(),
    };
    let removed = NotificationRule {
        destination: Destination::Topic(topic.outputs.arn),
        events: BTreeSet::from(["s3:ObjectRemoved:*".to_owned()]),
        prefix: String::new(),
        suffix: ".json".to_owned(),
    };
    let rules = BTreeMap::from([("process".to_owned(), rule)]);
    let notification = BucketNotification { bucket: bucket.id, event_bridge: false, rules };
    let mut example = Example::new(graph, &region(), notification)?.again(Again::Taken);
    example.graph.order(&permission.address, &example.address);
    example
        .change(|it: &mut BucketNotification| drop(it.rules.insert("removed".to_owned(), removed)))?
        .change(|it: &mut BucketNotification| it.event_bridge = true)?
        .change(|it: &mut BucketNotification| drop(it.rules.remove("process")))
}

#[tokio::test]
async fn a_bare_bucket_is_ours_after_a_create_of_ours_only() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let name = "contract-found-0123456789ab";
    let site = site(&region(), Bucket::KIND, "found")?;
    let wanted = form(&Bucket { tags: site.owner.tags(), ..args(name) })?;
    let class = |error: payinfra_engine::Error| error.class();
    cx.s3().create_bucket().bucket(name).send().await.explain()?;
    assert_eq!(aws.create(&site, &wanted).await.map_err(class), Err(Class::Foreign), "also in us-east-1");
    assert_eq!(aws.recover(&site, &wanted).await.map_err(class), Err(Class::Foreign), "no create of ours was started");
    let begun = Site { begun: true, ..site.clone() };
    assert_eq!(aws.recover(&begun, &wanted).await?.as_deref(), Some(name));
    cx.s3().put_object().bucket(name).key("theirs").send().await.explain()?;
    assert_eq!(aws.recover(&begun, &wanted).await.map_err(class), Err(Class::Foreign));
    let live = aws.read(&region(), Bucket::KIND, &[name.to_owned()]).await?.pop().need("Bucket")?;
    aws.update(&site, &wanted, &live).await?;
    assert_eq!(aws.recover(&site, &wanted).await?.as_deref(), Some(name));
    aws.delete(&site, &live).await
}

#[tokio::test]
async fn replication_waits_until_its_destination_keeps_versions() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let (name, to) = ("contract-from-0123456789ab", "contract-to-0123456789ab");
    cx.s3().create_bucket().bucket(to).send().await.explain()?;
    let site = site(&region(), Bucket::KIND, "from")?;
    let role = Ref::from("arn:aws:iam::123456789012:role/replication");
    let replication = Some(replication(role, Text::from(arn(to)), None));
    let wanted = form(&Bucket { tags: site.owner.tags(), replication, ..args(name) })?;
    aws.create(&site, &wanted).await?;
    let ids = [name.to_owned()];
    let live = aws.read(&region(), Bucket::KIND, &ids).await?.pop().need("Bucket")?;
    let early = aws.update(&site, &wanted, &live).await.map_err(|error| error.class());
    assert_eq!(early, Err(Class::Eventual));
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    cx.s3().put_bucket_versioning().bucket(to).versioning_configuration(on).send().await.explain()?;
    aws.update(&site, &wanted, &live).await?;
    let live = aws.read(&region(), Bucket::KIND, &ids).await?.pop().need("Bucket")?;
    assert_eq!(live.args, wanted);
    cx.s3().put_object().bucket(name).key("copied").send().await.explain()?;
    aws.delete(&site, &live).await?;
    let to = aws.read(&region(), Bucket::KIND, &[to.to_owned()]).await?.pop().need("Bucket")?;
    aws.delete(&site, &to).await
}

#[tokio::test]
async fn all_versions_markers_and_uploads_go_with_the_bucket() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let name = "contract-full-0123456789ab";
    let site = site(&region(), Bucket::KIND, "full")?;
    let wanted = form(&Bucket { tags: site.owner.tags(), ..args(name) })?;
    aws.create(&site, &wanted).await?;
    let ids = [name.to_owned()];
    let live = aws.read(&region(), Bucket::KIND, &ids).await?.pop().need("Bucket")?;
    aws.update(&site, &wanted, &live).await?;
    // More than one page of the list.
    for _ in 0..1_001 {
        cx.s3().put_object().bucket(name).key("one key, many versions").send().await.explain()?;
    }
    cx.s3().delete_object().bucket(name).key("one key, many versions").send().await.explain()?;
    cx.s3().create_multipart_upload().bucket(name).key("unfinished").send().await.explain()?;
    aws.delete(&site, &live).await?;
    assert_eq!(aws.read(&region(), Bucket::KIND, &ids).await?, []);
    assert_eq!(aws.recover(&site, &wanted).await?, None);
    Ok(())
}
