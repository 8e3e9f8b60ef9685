//! Examples of KMS.

use aws_sdk_kms::primitives::Blob;
use payinfra_aws::kms::{Alias, ExistingKey, Key};
use payinfra_aws::{Aws, Explain, Need, Policy, Statement};
use payinfra_engine::{Class, Cloud, Graph, Lookup, Node, Ref, Region, Resource, Result, Status, Tags};
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{access, site};

examples![alias, existing_key, key];

/// The account administers its key: KMS rejects a policy without this statement.
fn policy() -> Policy {
    let root = format!("arn:aws:iam::{}:root", payinfra_localstack::ACCOUNT_ID);
    Policy::new([Statement::allow("Administer", ["kms:*"]).principal("AWS", root).on("*")])
}

fn args() -> Key {
    Key {
        description: "an example".to_owned(),
        policy: policy(),
        enabled: true,
        rotation: true,
        deletion_window: 7,
        tags: Tags::new(),
    }
}

/// A key that services may use.
pub(crate) fn key_for(graph: &mut Graph, name: &str, services: &[&str]) -> Result<Node<Key>> {
    let mut policy = policy().statements().cloned().collect::<Vec<_>>();
    for service in services {
        let actions = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"];
        policy.push(Statement::allow("", actions).principal("Service", *service).on("*"));
    }
    graph.add(&region(), name, Key { policy: Policy::new(policy), ..args() })
}

/// A key in another region.
pub(crate) fn key_in(graph: &mut Graph, region: &Region, name: &str) -> Result<Node<Key>> {
    graph.add(region, name, args())
}

fn alias() -> Result<Example> {
    let mut graph = graph("alias");
    let first = graph.add(&region(), "first", args())?;
    let second = graph.add(&region(), "second", args())?;
    let alias = Alias { name: "alias/contract/example".to_owned(), key: first.id };
    let example = Example::new(graph, &region(), alias)?.again(Again::Taken);
    example.change(|alias: &mut Alias| alias.key = second.id)
}

fn existing_key() -> Result<Example> {
    let mut graph = graph("existing-key");
    let key = graph.add(&region(), "managed", args())?;
    let name = "alias/contract/existing";
    graph.add(&region(), "managed", Alias { name: name.to_owned(), key: key.id.clone() })?;
    let arn = format!("arn:aws:kms:{}:{}:{name}", region(), payinfra_localstack::ACCOUNT_ID);
    let lookup = ExistingKey { arn: Ref::Known(arn) };
    Example::lookup(graph, &region(), &lookup, json!({ "arn": form(&key.outputs.arn)? }))
}

fn key() -> Result<Example> {
    let use_it = Statement::allow("Logs", ["kms:Decrypt", "kms:GenerateDataKey*"])
        .principal("Service", "logs.us-east-1.amazonaws.com")
        .on("*")
        .when("StringLike", "kms:EncryptionContext:aws:logs:arn", "arn:aws:logs:us-east-1:*");
    Example::new(graph("key"), &region(), args())?
        .change(|key: &mut Key| key.description.push_str(" for more"))?
        .change(|key: &mut Key| key.policy = Policy::new(policy().statements().cloned().chain([use_it])))?
        .change(|key: &mut Key| key.rotation = false)?
        .change(|key: &mut Key| key.enabled = false)?
        .change(|key: &mut Key| key.enabled = true)?
        .change(|key: &mut Key| (key.rotation, key.deletion_window) = (true, 30))
}

/// A key with the owner tags of `name`, created as the engine does.
async fn our_key(aws: &Aws, name: &str) -> Result<String> {
    let site = site(&region(), Key::KIND, name)?;
    aws.create(&site, &form(&Key { tags: site.owner.tags(), ..args() })?).await
}

#[tokio::test]
async fn a_dying_key_is_restored_and_a_disabled_one_is_enabled() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let id = our_key(&aws, "disabled").await?;
    let site = site(&region(), Key::KIND, "disabled")?;
    let wanted = form(&Key { tags: site.owner.tags(), ..args() })?;
    let ids = [id];
    cx.kms().enable_key_rotation().key_id(&ids[0]).send().await.explain()?;
    cx.kms().disable_key().key_id(&ids[0]).send().await.explain()?;
    let live = aws.read(&region(), Key::KIND, &ids).await?.pop().need("Key")?;
    assert_eq!(live.args["enabled"], json!(false));
    aws.update(&site, &wanted, &live).await?;
    let live = aws.read(&region(), Key::KIND, &ids).await?.pop().need("Key")?;
    assert_eq!(live.args, wanted);
    cx.kms().schedule_key_deletion().key_id(&ids[0]).send().await.explain()?;
    let dying = aws.read(&region(), Key::KIND, &ids).await?.pop().need("Key")?;
    assert!(matches!(&dying.status, Status::Scheduled(until) if until.starts_with("until 20")), "{:?}", dying.status);
    assert!(!aws.absent(&region(), Key::KIND, &ids[0]).await?);
    assert_eq!(aws.recover(&site, &wanted).await?, None, "a create would make another one");
    aws.delete(&site, &dying).await?;
    aws.restore(&site, &dying).await?;
    let live = aws.read(&region(), Key::KIND, &ids).await?.pop().need("Key")?;
    assert_eq!((live.status.clone(), &live.args), (Status::Ready, &wanted), "it is enabled again");
    aws.restore(&site, &live).await?;
    aws.delete(&site, &live).await
}

/// Killed after `CancelKeyDeletion`, which leaves a key disabled: the next read shows this, and the next update enables
/// the key, with or without rotation.
#[tokio::test]
async fn a_restore_that_was_killed_half_way_is_finished() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    for rotation in [false, true] {
        let name = format!("half-restored-{rotation}");
        let site = site(&region(), Key::KIND, &name)?;
        let wanted = form(&Key { tags: site.owner.tags(), rotation, ..args() })?;
        let ids = [aws.create(&site, &wanted).await?];
        let read = || async { aws.read(&region(), Key::KIND, &ids).await?.pop().need("Key") };
        aws.update(&site, &wanted, &read().await?).await?;
        aws.delete(&site, &read().await?).await?;
        cx.kms().cancel_key_deletion().key_id(&ids[0]).send().await.explain()?;
        let half = read().await?;
        assert_eq!((half.status.clone(), &half.args["enabled"]), (Status::Ready, &json!(false)));
        aws.update(&site, &wanted, &half).await?;
        let live = read().await?;
        assert_eq!(live.args, wanted);
        cx.kms().encrypt().key_id(&ids[0]).plaintext(Blob::new("used")).send().await.explain()?;
        aws.delete(&site, &live).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_alias_of_a_key_that_is_not_ours_is_refused() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let name = "alias/contract/taken-over";
    let theirs = cx.kms().create_key().send().await.explain()?.key_metadata.need("KeyMetadata")?.key_id;
    cx.kms().create_alias().alias_name(name).target_key_id(&theirs).send().await.explain()?;
    let site = site(&region(), Alias::KIND, "taken-over")?;
    let wanted = json!({ "name": name, "key": our_key(&aws, "taken-over").await? });
    let refused = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&site, &wanted).await.map_err(refused), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(refused), Err(Class::Foreign));
    cx.kms().schedule_key_deletion().key_id(&theirs).send().await.explain()?;
    assert_eq!(aws.recover(&site, &wanted).await.map_err(refused), Err(Class::Foreign), "it may be restored");
    let ids = [name.to_owned()];
    let live = aws.read(&region(), Alias::KIND, &ids).await?.pop().need("Alias")?;
    assert_eq!(live.args["key"], json!(theirs));
    aws.update(&site, &wanted, &live).await?;
    let live = aws.read(&region(), Alias::KIND, &ids).await?.pop().need("Alias")?;
    assert_eq!(live.args, wanted);
    assert_eq!(aws.recover(&site, &wanted).await?.as_deref(), Some(name), "of a key of our own");
    aws.delete(&site, &live).await
}

#[tokio::test]
async fn an_existing_key_must_be_enabled_and_of_the_region() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let find = async |arn: &str| {
        let args = form(&ExistingKey { arn: Ref::from(arn) })?;
        Ok::<_, payinfra_engine::Error>(aws.find(&region(), ExistingKey::KIND, &args).await)
    };
    let told = |found: payinfra_engine::Result<serde_json::Value>| found.map_err(|error| error.message().to_owned());
    let key = cx.kms().create_key().send().await.explain()?.key_metadata.need("KeyMetadata")?;
    let arn = key.arn.need("Arn")?;
    assert_eq!(told(find(&arn).await?), Ok(json!({ "arn": arn })));
    cx.kms().disable_key().key_id(&arn).send().await.explain()?;
    assert_eq!(told(find(&arn).await?), Err(format!("the key {arn} is not enabled: its state is Disabled")));
    let elsewhere = arn.replace("us-east-1", "us-west-2");
    let expected = format!("the key {elsewhere} is in us-west-2, but is needed in us-east-1");
    assert_eq!(told(find(&elsewhere).await?), Err(expected));
    let missing = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000";
    assert_eq!(told(find(missing).await?), Err(format!("key {missing} not found in us-east-1")));
    assert_eq!(told(find("key").await?), Err("`key` is not the ARN of a key".to_owned()));
    Ok(())
}
