//! Examples of payinfra itself: outputs of other workspaces.

use std::collections::BTreeSet;

use aws_sdk_s3::primitives::ByteStream;
use payinfra_aws::payinfra::RemoteOutputs;
use payinfra_aws::{Access, Aws, Explain};
use payinfra_engine::{Class, Cloud, Error, FORMAT, Lookup, Result, State};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::example::{Example, graph, region};
use crate::life::access;

const BUCKET: &str = "contract-remote-outputs";

pub(crate) fn examples() -> Result<Vec<Example>> {
    let args = RemoteOutputs {
        bucket: BUCKET.to_owned(),
        account: None,
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

/// M-29: the requested outputs come from the state of the other workspace, and nothing is written.
#[tokio::test]
async fn m29_outputs_of_another_workspace_are_read() -> Result<()> {
    put("migration/legacy/state.json", &state()).await?;
    assert_eq!(find(|_| {}).await?, json!({ "values": { "vpc_id": "vpc-1", "weight": "100" } }));
    assert!(find(|args| args["lineage"] = json!("b6c7")).await.is_ok());
    for format in 1..=FORMAT {
        let workspace = format!("format-{format}");
        let mut older = state();
        (older["format"], older["workspace"]) = (json!(format), json!(workspace));
        put(&format!("migration/{workspace}/state.json"), &older).await?;
        assert!(find(|args| args["workspace"] = json!(workspace)).await.is_ok(), "{format}");
    }
    Ok(())
}

/// M-29: a wrong state, or one without the requested outputs, is rejected with a hint.
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
            "bucket `contract-no-such-bucket` not found in us-east-1, which should have the state of workspace `legacy` of stack \
             `migration`"
                .to_owned(),
            "correct `bucket` and `region` under `remote_outputs` in payinfra.toml",
        ),
        (
            "/workspace",
            json!("staging"),
            format!("workspace `staging` of stack `migration` has no state: {} does not exist", at("migration/staging")),
            "apply that workspace first, or correct `remote_outputs` in payinfra.toml",
        ),
        (
            "/workspace",
            json!("newer"),
            format!(
                "{}: the state has format 99, but this version of payinfra supports formats up to {FORMAT}",
                at("migration/newer")
            ),
            "use the version of payinfra that wrote it, or a newer one",
        ),
        (
            "/workspace",
            json!("torn"),
            String::new(),
            "restore an earlier version of the state object; the bucket keeps versions for 90 days",
        ),
        (
            "/workspace",
            json!("moved"),
            format!("{} is the state of workspace `legacy`, not of `moved`", at("migration/moved")),
            "correct `remote_outputs` in payinfra.toml",
        ),
        (
            "/lineage",
            json!("another"),
            format!("{} is the state of lineage `b6c7`, not of `another`", at("migration/legacy")),
            "correct `remote_outputs` in payinfra.toml",
        ),
        (
            "/outputs",
            json!(["vpc"]),
            "workspace `legacy` of stack `migration` has no output `vpc`".to_owned(),
            "available outputs: phase, vpc_id, weight",
        ),
        (
            "/workspace",
            json!("young"),
            "workspace `young` of stack `migration` has no output `vpc_id`".to_owned(),
            "it has no completed apply yet; apply it first",
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

/// An AWS in which account 123456789012 owns the only bucket, whose policy allows everybody. The emulated AWS accepts
/// any owner.
async fn owned_by_123456789012() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read_buf(&mut request).await {
                    Ok(1..) => {}
                    _ => break,
                }
            }
            let request = String::from_utf8_lossy(&request).to_lowercase();
            let owner = request.lines().find_map(|line| line.strip_prefix("x-amz-expected-bucket-owner: "));
            let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".to_owned();
            let (status, body) = match owner {
                _ if request.starts_with("post") => ("200 OK", IDENTITY.to_owned()),
                Some("123456789012") => ("200 OK", state().to_string()),
                None if request.starts_with("head") => ("200 OK", String::new()),
                _ if request.starts_with("head") => ("403 Forbidden", String::new()),
                _ => ("403 Forbidden", denied),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            // A client that does not wait for the response fails on its own.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok(endpoint)
}

const IDENTITY: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

/// M-29: the state is only read from a bucket of the current account, or of the configured one.
#[tokio::test]
async fn m29_a_bucket_of_another_account_is_not_read() -> Result<()> {
    let endpoint = owned_by_123456789012().await.map_err(|error| Error::failed(error.to_string()))?;
    let find = async |account: Option<&str>| {
        let args = json!({ "bucket": BUCKET, "account": account, "stack": "migration", "workspace": "legacy",
            "lineage": null, "outputs": ["vpc_id"] });
        Aws::new(Access::emulated(&endpoint).await?).find(&region(), RemoteOutputs::KIND, &args).await
    };
    for account in [None, Some("123456789012")] {
        assert_eq!(find(account).await?, json!({ "values": { "vpc_id": "vpc-1" } }), "{account:?}");
    }
    let error = find(Some("210987654321")).await.err().ok_or_else(|| Error::failed("it was read"))?;
    assert_eq!(error.class(), Class::Foreign, "{error}");
    let message = format!("the bucket `{BUCKET}` does not belong to account 210987654321");
    assert!(error.message().starts_with(&message), "{error}");
    assert!(error.get_hint().is_some_and(|hint| hint.contains("`account` under `remote_outputs`")), "{error}");
    Ok(())
}
