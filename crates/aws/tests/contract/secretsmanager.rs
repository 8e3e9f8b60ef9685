//! Examples of Secrets Manager.

use payinfra_aws::secretsmanager::{Password, Secret};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Graph, Lookup, Node, Ref, Resource, Result, Site, Status, Tags};
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph, region};
use crate::kms::key_for;
use crate::life::{access, aws, site};

examples![password, secret];

fn args(name: &str, kms_key: Ref<String>) -> Password {
    Password {
        name: name.to_owned(),
        description: "an example".to_owned(),
        username: "payments".to_owned(),
        kms_key,
        tags: Tags::new(),
    }
}

/// A password for the master user of a database.
pub(crate) fn password_for(graph: &mut Graph, name: &str) -> Result<Node<Password>> {
    let key = key_for(graph, &format!("{name}-password"), &[])?;
    let password = args(&format!("contract/{}/{name}", graph.workspace), key.outputs.arn);
    graph.add(&region(), name, password)
}

fn password() -> Result<Example> {
    let mut graph = graph("password");
    let first = key_for(&mut graph, "first", &[])?;
    let second = key_for(&mut graph, "second", &[])?;
    Example::new(graph, &region(), args("contract/password/example", first.outputs.arn))?
        .again(Again::Taken)
        .change(|password: &mut Password| password.description.push_str(" for more"))?
        .change(|password: &mut Password| password.kms_key = second.outputs.arn)
}

fn secret() -> Result<Example> {
    let mut graph = graph("secret");
    let password = password_for(&mut graph, "existing")?;
    let lookup = Secret { name: "contract/secret/existing".to_owned() };
    let found = json!({ "arn": password.outputs.arn });
    let mut example = Example::lookup(graph, &region(), &lookup, found)?;
    example.graph.order(&password.address, &example.address);
    Ok(example)
}

#[tokio::test]
async fn what_is_made_up_is_a_password_and_nobody_else_s() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let site = site(&region(), Password::KIND, "made-up")?;
    let wanted = args("contract/made-up", Ref::from("arn:aws:kms:us-east-1:123456789012:key/any"));
    let wanted = form(&Password { tags: site.owner.tags(), ..wanted })?;
    let arn = aws.create(&site, &wanted).await?;
    let value = cx.secretsmanager().get_secret_value().secret_id(&arn).send().await.explain()?;
    let value = serde_json::from_str::<serde_json::Value>(&value.secret_string.need("SecretString")?);
    let value = value.ok().need("a JSON object")?;
    assert_eq!(value["username"], "payments");
    let password = value["password"].as_str().need("password")?;
    assert_eq!(password.len(), 40);
    assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()), "it needs no escaping in shells and RDS");
    let live = aws.read(&region(), Password::KIND, std::slice::from_ref(&arn)).await?.pop().need("Password")?;
    assert!(!live.args.to_string().contains(password), "a read does not return it");
    aws.delete(&site, &live).await?;

    cx.secretsmanager().create_secret().name("contract/made-up").secret_string("theirs").send().await.explain()?;
    let class = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    let call = cx.secretsmanager().delete_secret().secret_id("contract/made-up").force_delete_without_recovery(true);
    call.send().await.explain().map(drop)
}

/// During the recovery window, its name is in use: by the secret that our destroy left, which the next create restores.
#[tokio::test]
async fn a_secret_in_its_recovery_window_is_restored() -> Result<()> {
    let aws = aws().await?;
    let site = Site { final_snapshot: true, ..site(&region(), Password::KIND, "window")? };
    let wanted = args("contract/window", Ref::from("arn:aws:kms:us-east-1:123456789012:key/any"));
    let wanted = form(&Password { tags: site.owner.tags(), ..wanted })?;
    let ids = [aws.create(&site, &wanted).await?];
    let live = aws.read(&region(), Password::KIND, &ids).await?.pop().need("Password")?;
    aws.delete(&site, &live).await?;
    let dying = aws.read(&region(), Password::KIND, &ids).await?.pop().need("Password")?;
    assert!(matches!(dying.status, Status::Scheduled(_)), "{:?}", dying.status);
    assert_eq!(aws.recover(&site, &wanted).await?, None);
    aws.delete(&site, &dying).await?;

    let mut theirs = wanted.clone();
    theirs["tags"]["payinfra:lineage"] = json!("another");
    let error = aws.create(&site, &theirs).await.err().need("an error")?;
    assert_eq!(error.class(), Class::Foreign, "{error}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains("restore-secret")));

    aws.restore(&site, &dying).await?;
    let live = aws.read(&region(), Password::KIND, &ids).await?.pop().need("Password")?;
    assert_eq!((live.status.clone(), &live.args), (Status::Ready, &wanted));
    aws.delete(&site, &live).await?;
    assert_eq!(aws.create(&site, &wanted).await?, ids[0], "destroy and apply");
    aws.delete(&Site { final_snapshot: false, ..site }, &live).await
}

/// Killed after `RestoreSecret`: the next read shows other differences and the next update sets them, the user in the
/// secret before the tag with the user.
#[tokio::test]
async fn a_secret_that_was_restored_half_way_is_finished() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let site = Site { final_snapshot: true, ..site(&region(), Password::KIND, "half")? };
    let before = args("contract/half", Ref::from("arn:aws:kms:us-east-1:123456789012:key/any"));
    let before = Password { tags: site.owner.tags(), ..before };
    let ids = [aws.create(&site, &form(&before)?).await?];
    let read = || async { aws.read(&region(), Password::KIND, &ids).await?.pop().need("Password") };
    aws.delete(&site, &read().await?).await?;
    cx.secretsmanager().restore_secret().secret_id(&ids[0]).send().await.explain()?;
    let key = Ref::from("arn:aws:kms:us-east-1:123456789012:key/other");
    let wanted = form(&Password {
        description: "another".to_owned(),
        username: "audit".to_owned(),
        kms_key: key,
        tags: site.owner.tags().with("Team", "payments"),
        ..before
    })?;
    assert_eq!(aws.recover(&site, &wanted).await?.as_ref(), Some(&ids[0]));
    let half = read().await?;
    assert_eq!(half.args["username"], "payments");
    aws.update(&site, &wanted, &half).await?;
    let live = read().await?;
    assert_eq!(live.args, wanted);
    let value = cx.secretsmanager().get_secret_value().secret_id(&ids[0]).send().await.explain()?;
    assert!(value.secret_string.need("SecretString")?.contains(r#""username":"audit""#));
    aws.delete(&Site { final_snapshot: false, ..site }, &live).await
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_named() -> Result<()> {
    let refused = aws().await?.find(&region(), Secret::KIND, &json!({ "name": "contract/nowhere" })).await;
    let error = refused.err().need("an error")?;
    assert_eq!(error.class(), Class::Invalid);
    assert!(error.message().contains("contract/nowhere"), "{error}");
    Ok(())
}
