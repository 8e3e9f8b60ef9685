//! The payments service as the ECS tasks run it, against the emulated AWS: what it answers when AWS fails, what it
//! refuses, what it logs, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::Write;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use payinfra_localstack::{Emulator, Fault, Match, Rule, When};
use payinfra_tests::service::{Answer, Service};
use serde_json::{Value, json};

const TABLE: &str = "payments";
const BUCKET: &str = "audit-of-payments";
const CARD: &str = "4111 1111 1111 1111";

fn sdk(aws: &Emulator) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "static");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(aws.endpoint())
        .region(Region::from_static("us-east-1"))
        .build()
}

/// An emulated AWS with a table and a bucket, and the service over them.
async fn running() -> (Emulator, Service) {
    let aws = Emulator::start().await.unwrap();
    let sdk = sdk(&aws);
    let id = "payment_id";
    let attribute = AttributeDefinition::builder().attribute_name(id).attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name(id).key_type(KeyType::Hash);
    let call = aws_sdk_dynamodb::Client::new(&sdk).create_table().table_name(TABLE);
    let call = call.attribute_definitions(attribute.build().unwrap()).key_schema(key.build().unwrap());
    call.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
    let s3 = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(s3).create_bucket().bucket(BUCKET).send().await.unwrap();
    let variables = [("PAYMENTS_TABLE", TABLE), ("AUDIT_BUCKET", BUCKET), ("PHASE", "legacy")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let service = Service::start(&aws, &variables);
    (aws, service)
}

fn payment(id: &str) -> String {
    json!({ "transactionId": id, "customerId": "c-1", "amount": 12.5 }).to_string()
}

fn writes(aws: &Emulator, action: &str) -> usize {
    aws.calls().iter().filter(|call| call.action == action).count()
}

/// M-30, P-09: each way in which AWS can fail for a moment is overcome within one request, with one payment and one
/// audit record; a failure that stays is a 500 that tells nothing.
#[tokio::test(flavor = "multi_thread")]
async fn m30_p09_failures_that_pass_are_overcome_and_others_tell_nothing() {
    let (aws, service) = running().await;
    let faults = [
        Fault::Throttle,
        Fault::Error { status: 500 },
        Fault::Error { status: 503 },
        Fault::Reset { when: When::Before },
        Fault::Reset { when: When::After },
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        for (service_name, action) in [("dynamodb", "PutItem"), ("s3", "PutObject")] {
            aws.faults([Rule { matches: Match::action(service_name, action).times(2), fault: fault.clone() }]);
            let id = format!("t-{number}-{service_name}");
            let answer = service.pay(&payment(&id));
            assert_eq!(answer.status, 200, "{fault:?} of {action}: {answer:?}");
            assert_eq!(service.get(&format!("/payments/{id}")).body, answer.body, "{fault:?} of {action}");
            aws.clear_faults();
        }
    }
    aws.faults([Rule { matches: Match::action("dynamodb", "PutItem"), fault: Fault::Error { status: 500 } }]);
    aws.clear_calls();
    let answer = service.pay(&payment("t-lost"));
    assert_eq!((answer.status, &answer.body), (500, &json!({ "error": "internal error" })));
    assert_eq!((writes(&aws, "PutItem"), writes(&aws, "PutObject")), (5, 0));
    assert_eq!(service.get("/health").status, 200, "the table's failure does not take the task out of service");
    aws.faults([Rule { matches: Match::action("dynamodb", "GetItem"), fault: Fault::Error { status: 500 } }]);
    assert_eq!(service.get("/health?deep").status, 503);
    aws.clear_faults();
    assert_eq!(service.get("/health?deep").body["status"], "ok");
}

/// P-09: what is refused is refused with its reason, and AWS is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn p09_wrong_requests_have_an_answer_and_cost_no_call() {
    let (aws, service) = running().await;
    aws.clear_calls();
    let long = format!(r#"{{"transactionId":"{}"}}"#, "x".repeat(20_000));
    for (method, path, body, status, error) in [
        ("POST", "/payments", "{", 400, "the body is not JSON: see line 1, column 1"),
        ("POST", "/payments", "{}", 400, "transactionId is missing"),
        ("POST", "/payments", &long[..], 413, "the body is longer than 16384 bytes"),
        ("GET", "/payments", "", 405, "this path does not take this method"),
        ("DELETE", "/payments/t-1", "", 405, "this path does not take this method"),
        ("POST", "/health", "", 405, "this path does not take this method"),
        ("GET", "/payments/a%2Fb", "", 404, "there is no such payment"),
        ("GET", "/", "", 404, "there is nothing here"),
        ("GET", "/payments/t-1/more", "", 404, "there is nothing here"),
    ] {
        let answer = service.send(method, path, &[], body);
        assert_eq!((answer.status, &answer.body["error"]), (status, &json!(error)), "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    assert_eq!(aws.calls().len(), 0);
}

/// P-09, G-03: each transaction is one line of JSON with its correlation id, which the answer carries too; no line has
/// a card number, wherever the client put it.
#[tokio::test(flavor = "multi_thread")]
async fn p09_g03_every_transaction_is_logged_and_no_card_is() {
    let (_aws, service) = running().await;
    let named = service.send("POST", "/payments", &[("X-Correlation-Id", "call-7")], &payment("t-1"));
    assert_eq!(named.header("x-correlation-id"), Some("call-7"));
    let card = service.send("POST", "/payments", &[("X-Correlation-Id", CARD)], &payment(CARD));
    assert_eq!((card.status, card.body["error"].as_str().unwrap().contains("card number")), (400, true));
    assert_eq!(card.header("x-correlation-id").map(str::len), Some(36));
    let path = format!("/payments/{}", CARD.replace(' ', ""));
    assert_eq!(service.get(&path).status, 404);
    service.terminate();
    let (code, lines) = service.ended();
    assert_eq!(code, Some(0));
    let of = |outcome: &str| -> Vec<&Value> { lines.iter().filter(|line| line["outcome"] == outcome).collect() };
    assert_eq!(of("accepted").len(), 1, "{lines:#?}");
    let accepted = of("accepted")[0];
    for (key, value) in [
        ("level", "INFO"),
        ("transaction_id", "t-1"),
        ("amount", "12.50"),
        ("currency", "USD"),
        ("correlation_id", "call-7"),
    ] {
        assert_eq!(accepted[key], value, "{accepted}");
    }
    assert_eq!(of("refused").len(), 1);
    let text = lines.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("4111") && text.contains("[number hidden]"), "{text}");
    assert!(!text.contains("c-1"), "customers are not in the log");
}

/// M-30: a task that is told to end finishes what it has begun, takes nothing new, and says that all is well.
#[tokio::test(flavor = "multi_thread")]
async fn m30_a_stopped_service_finishes_what_it_has_begun() {
    let (aws, service) = running().await;
    let mut puts = aws.hold(Match::action("dynamodb", "PutItem"), When::Before);
    let body = payment("t-1");
    let mut stream = service.connect();
    let request = format!("POST /payments HTTP/1.1\r\nHost: payments\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    let held = puts.next().await.unwrap();
    // A connection without a request ends at once.
    let idle = service.connect();
    service.terminate();
    for _ in 0..200 {
        if std::net::TcpStream::connect(service.address).is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(std::net::TcpStream::connect(service.address).is_err(), "nothing new is taken");
    held.release();
    let answer = Answer::read(stream);
    assert_eq!((answer.status, &answer.body["transactionId"]), (200, &json!("t-1")));
    assert_eq!(answer.header("connection"), Some("close"));
    drop(idle);
    assert_eq!(service.ended().0, Some(0));
}
