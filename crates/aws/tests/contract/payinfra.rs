//! Examples of payinfra itself: what other workspaces give away.

use std::collections::BTreeSet;

use aws_sdk_s3::primitives::ByteStream;
use payinfra_aws::payinfra::RemoteOutputs;
use payinfra_aws::{Aws, Explain};
use payinfra_engine::{Class, Cloud, Error, Lookup, Result, State};
use serde_json::{Value, json};

use crate::example::{Example, graph, region};
use crate::life::access;

const BUCKET: &str = "contract-remote-outputs";

pub(crate) fn examples() -> Result<Vec<Example>> {
    let args = RemoteOutputs {
        bucket: BUCKET.to_owned(),
        stack: "migration".to_owned(),
        workspace: "legacy".to_owned(),
        lineage: None,
        outputs: BTreeSet::from(["phase".to_owned(), "vpc_id".to_owned()]),
    };
    Ok(vec![Example::lookup(graph("remote-outputs"), &region(), &args, json!({}))?])
}

fn state() -> Value {
    let mut state = State::new("migration", "legacy", "123456789012");
    "b6c7".clone_into(&mut state.lineage);
    state.outputs.insert("vpc_id".to_owned(), json!("vpc-1"));
    state.outputs.insert("phase".to_owned(), json!("legacy"));
    state.outputs.insert("weight".to_owned(), json!(100));
    json!(state)
}

async fn put(key: &str, body: &Value) -> Result<()> {
    let s3 = access().await?.cx(&region());
    let made = s3.s3().create_bucket().bucket(BUCKET).send().await.explain();
    made.map(drop).or_else(|error| if error.is(Class::Foreign) { Ok(()) } else { Err(error) })?;
    let body = ByteStream::from(body.to_string().into_bytes());
    s3.s3().put_object().bucket(BUCKET).key(key).body(body).send().await.explain().map(drop)
}

async fn find(change: impl FnOnce(&mut Value)) -> Result<Value> {
    let mut args = json!({ "bucket": BUCKET, "stack": "migration", "workspace": "legacy", "lineage": null,
        "outputs": ["vpc_id", "weight"] });
    change(&mut args);
    Aws::new(access().await?).find(&region(), RemoteOutputs::KIND, &args).await
}

/// M-29: the outputs that are asked for come from the state of the other workspace, and nothing is written.
#[tokio::test]
async fn m29_outputs_of_another_workspace_are_read() -> Result<()> {
    put("migration/legacy/state.json", &state()).await?;
    assert_eq!(find(|_| {}).await?, json!({ "values": { "vpc_id": "vpc-1", "weight": "100" } }));
    assert!(find(|args| args["lineage"] = json!("b6c7")).await.is_ok());
    Ok(())
}

/// M-29: what is not the state that was meant, or does not have what is asked for, is refused with what to do.
#[tokio::test]
async fn m29_what_is_not_there_or_not_meant_is_told() -> Result<()> {
    put("migration/legacy/state.json", &state()).await?;
    put("migration/moved/state.json", &state()).await?;
    let mut newer = state();
    newer["format"] = json!(99);
    newer["workspace"] = json!("newer");
    put("migration/newer/state.json", &newer).await?;
    let mut young = state();
    (young["outputs"], young["workspace"]) = (json!({}), json!("young"));
    put("migration/young/state.json", &young).await?;
    put("migration/torn/state.json", &json!("{")).await?;
    let at = |key: &str| format!("s3://{BUCKET}/{key}/state.json");
    let cases: [(&str, Value, String, &str); 8] = [
        (
            "/bucket",
            json!("contract-no-such-bucket"),
            "there is no bucket `contract-no-such-bucket` in us-east-1 with the state of workspace `legacy` of stack \
             `migration`"
                .to_owned(),
            "correct `bucket` and `region` under `remote_outputs` in payinfra.toml",
        ),
        (
            "/workspace",
            json!("staging"),
            format!("workspace `staging` of stack `migration` has no state: there is no {}", at("migration/staging")),
            "apply that workspace first, or correct `remote_outputs` in payinfra.toml",
        ),
        (
            "/workspace",
            json!("newer"),
            format!("{}: the state has format 99, this payinfra knows 2", at("migration/newer")),
            "use the version of payinfra that wrote it, or a newer one",
        ),
        (
            "/workspace",
            json!("torn"),
            String::new(),
            "restore an earlier version of the object: the bucket keeps all of them",
        ),
        (
            "/workspace",
            json!("moved"),
            format!("{} is the state of workspace `legacy`, not of `moved`", at("migration/moved")),
            "it is not the deployment that `remote_outputs` in payinfra.toml means",
        ),
        (
            "/lineage",
            json!("another"),
            format!("{} is the state of lineage `b6c7`, not of `another`", at("migration/legacy")),
            "it is not the deployment that `remote_outputs` in payinfra.toml means",
        ),
        (
            "/outputs",
            json!(["vpc"]),
            "workspace `legacy` of stack `migration` has no output `vpc`".to_owned(),
            "it has phase, vpc_id, weight",
        ),
        (
            "/workspace",
            json!("young"),
            "workspace `young` of stack `migration` has no output `vpc_id`".to_owned(),
            "no apply of it has ended yet; apply it first",
        ),
    ];
    for (pointer, value, message, hint) in cases {
        let found = find(|args| args[&pointer[1..]] = value.clone()).await;
        let error = found.err().ok_or_else(|| Error::failed(format!("{value} was found")))?;
        assert_eq!(error.class(), Class::Invalid, "{value}: {error}");
        assert!(message.is_empty() || error.message() == message, "{value}: {error}");
        assert_eq!(error.get_hint(), Some(hint), "{value}: {error}");
    }
    Ok(())
}
