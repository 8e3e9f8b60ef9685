//! Secrets are never readable.

use payinfra_tests::{Bench, Outcome};
use serde_json::Value;

const SECRET: &str = "hush+NobodyMustReadThisKey/EXAMPLE";
const TOKEN: &str = "hush+NobodyMustReadThisToken/EXAMPLE";
const WORDS: [&str; 7] =
    ["accesskey", "credentials", "masteruserpassword", "password", "privatekey", "secret", "sessiontoken"];

/// The member names in `value` that mark secrets.
fn suspicious(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let plain = |key: &String| key.to_lowercase().replace(['_', '-'], "");
            let here = members.keys().filter(|key| WORDS.contains(&&plain(key)[..])).cloned();
            here.chain(members.values().flat_map(suspicious)).collect()
        }
        Value::Array(members) => members.iter().flat_map(suspicious).collect(),
        _ => Vec::new(),
    }
}

/// The values in Secrets Manager: each secret as a whole and, if it is JSON, each string in it.
async fn secrets(bench: &Bench) -> Vec<String> {
    let client = aws_sdk_secretsmanager::Client::new(&bench.sdk("us-east-1"));
    let mut secrets = Vec::new();
    for secret in client.list_secrets().send().await.unwrap().secret_list() {
        let value = client.get_secret_value().secret_id(secret.arn().unwrap()).send().await.unwrap();
        let Some(text) = value.secret_string() else { continue };
        secrets.push(text.to_owned());
        if let Ok(Value::Object(members)) = serde_json::from_str(text) {
            let secret = |name: &str| name.to_lowercase().contains("password");
            let members = members.into_iter().filter(|(name, _)| secret(name));
            secrets.extend(members.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
        }
    }
    secrets
}

/// neither the output, at the highest verbosity, nor the stored files contain a secret, neither ours nor one that
/// AWS generated for the database.
#[tokio::test(flavor = "multi_thread")]
async fn x07_no_secret_is_printed_or_kept() {
    let bench = Bench::new().await;
    let mut told = String::new();
    for args in [
        &["plan", "-w", "legacy", "--json", "-vv", "--out", "saved.json"][..],
        &["apply", "-w", "legacy", "--yes", "-vv"],
        &["plan", "-w", "legacy", "-v"],
        &["drift", "-w", "legacy", "-vv"],
        &["output", "-w", "legacy", "--json", "-vv"],
        &["state", "pull", "-w", "legacy", "-vv"],
    ] {
        let mut command = bench.command(args);
        command.env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_SESSION_TOKEN", TOKEN);
        let outcome = Outcome::from(command.output().unwrap()).ok();
        told += &outcome.stdout;
        told += &outcome.stderr;
    }
    let mut kept = vec![std::fs::read(bench.file("saved.json")).unwrap()];
    kept.push(std::fs::read(bench.file("cfn-outputs/flat-outputs.json")).unwrap());
    let s3 = bench.s3("us-east-1");
    let bucket = "payinfra-state-123456789012";
    let objects = s3.list_objects_v2().bucket(bucket).send().await.unwrap();
    assert!(objects.contents().len() >= 2, "the state and its history");
    for object in objects.contents() {
        let object = s3.get_object().bucket(bucket).key(object.key().unwrap()).send().await.unwrap();
        kept.push(object.body.collect().await.unwrap().to_vec());
    }
    let made = secrets(&bench).await;
    assert!(made.len() >= 2, "the master user's password, alone and with its name");
    for secret in [SECRET, TOKEN].into_iter().chain(made.iter().map(String::as_str)) {
        assert!(!told.contains(secret), "the output contains {secret}");
        for file in &kept {
            assert!(!String::from_utf8_lossy(file).contains(secret), "a stored file contains {secret}");
        }
    }
    for file in &kept {
        let found = suspicious(&serde_json::from_slice(file).unwrap());
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn finds_what_looks_like_a_secret() {
    let value = serde_json::json!({ "a": [{ "MasterUserPassword": "x" }], "private_key": 1, "secretsmanager": {} });
    assert_eq!(suspicious(&value), ["private_key", "MasterUserPassword"]);
}
