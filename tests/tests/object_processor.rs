//! The function `object-processor` as Lambda runs it, with the emulated AWS.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use payinfra_localstack::{Emulator, Fault, Match, Rule};
use payinfra_tests::function::{Function, request_2};
use payinfra_tests::service::{BUCKET, TABLE, account_with, items, put_object};
use serde_json::{Value, json};

const LEFT: Duration = Duration::from_secs(9);

/// An emulated AWS with the bucket and the table, and the function.
async fn running() -> (Emulator, Function) {
    let aws = account_with("session_id").await;
    let function = Function::of(
        "object-processor",
        &aws,
        &[("SESSIONS_TABLE", TABLE), ("EXPIRY_DAYS", "30"), ("AWS_REGION", "us-east-1")],
    );
    (aws, function)
}

/// Puts an object, and returns the record of S3 about it.
async fn put(aws: &Emulator, key: &str, encoded: &str) -> Value {
    let etag = put_object(aws, key, b"abc").await;
    let s3 = json!({ "bucket": { "name": BUCKET }, "object": { "key": encoded, "size": 3, "eTag": etag } });
    json!({ "eventName": "ObjectCreated:Put", "eventTime": "2026-11-27T07:00:00.000Z", "s3": s3 })
}

fn get(path: &str) -> String {
    request_2("GET", path, "").to_string()
}

async fn sessions(aws: &Emulator) -> Vec<String> {
    items(aws).await.iter().map(|item| item["session_id"].as_s().unwrap().clone()).collect()
}

/// T-04: an object has one session however often its event is delivered, and the API returns it.
#[tokio::test(flavor = "multi_thread")]
async fn t04_an_object_becomes_one_session_that_the_api_returns() {
    let (aws, function) = running().await;
    let event = json!({ "Records": [put(&aws, "a b/ü.txt", "a+b/%C3%BC.txt").await] }).to_string();
    for _ in 0..2 {
        assert_eq!(function.invoke(&event, LEFT), ("response".to_owned(), json!({})));
    }
    let stored = sessions(&aws).await;
    assert_eq!(stored.len(), 1, "{stored:?}");
    let id = &stored[0];
    let (_, answer) = function.invoke(&get(&format!("/sessions/{id}")), LEFT);
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&answer["statusCode"], &body["key"], &body["size"]), (&json!(200), &json!("a b/ü.txt"), &json!(3)));
    assert_eq!((&body["bucket"], &body["region"]), (&json!(BUCKET), &json!("us-east-1")));
    assert_eq!(function.invoke(&get("/health"), LEFT).1["statusCode"], 200);
}

/// T-04: while the table fails, the event fails, and Lambda delivers it again.
#[tokio::test(flavor = "multi_thread")]
async fn t04_an_event_fails_until_its_objects_are_processed() {
    let (aws, function) = running().await;
    let event = json!({ "Records": [put(&aws, "a", "a").await, put(&aws, "b", "b").await] }).to_string();
    let matches = Match { nth: Some(1), ..Match::action("dynamodb", "PutItem") };
    aws.faults([Rule { matches, fault: Fault::Error { status: 403 } }]);
    let (path, error) = function.invoke(&event, LEFT);
    assert_eq!((&path[..], &error["errorMessage"]), ("error", &json!("1 of 2 objects were not processed")));
    assert_eq!(sessions(&aws).await.len(), 1);
    assert_eq!(function.invoke(&event, LEFT).0, "response");
    assert_eq!(sessions(&aws).await.len(), 2);
}
