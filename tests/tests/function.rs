//! The payments function as Lambda runs it, with the emulated AWS: its responses when AWS fails, near its deadline, and to
//! invalid requests.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::thread;
use std::time::{Duration, Instant};

use payinfra_localstack::{Emulator, Fault, Match, Rule, When};
use payinfra_tests::function::{Function, inserted, request};
use payinfra_tests::service::{account, audited, items, payment};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

fn pay(id: &str) -> Value {
    request("POST", "/payments", &payment(id))
}

fn get(id: &str) -> Value {
    request("GET", &format!("/payments/{id}"), "")
}

fn calls(aws: &Emulator, action: &str) -> usize {
    aws.calls().iter().filter(|call| call.action == action).count()
}

/// G-03, P-09: a payment is stored with its audit record; an exact repeat gets the same response, and other content is a
/// conflict.
#[tokio::test(flavor = "multi_thread")]
async fn g03_p09_a_payment_is_stored_once_and_other_content_is_a_conflict() {
    let aws = account().await;
    let function = Function::start(&aws, &[]);
    let first = function.request(&pay("t-1"));
    assert_eq!((first.0, &first.2["status"], &first.2["amount"]), (200, &json!("accepted"), &json!("12.50")));
    assert_eq!(first.1["x-correlation-id"], "call-7");
    assert_eq!(function.request(&pay("t-1")), first);
    assert_eq!(function.request(&get("t-1")).2, first.2);
    let other = json!({ "transactionId": "t-1", "customerId": "c-1", "amount": "12.51" }).to_string();
    let conflict = function.request(&request("POST", "/payments", &other));
    let error = json!({ "error": "a different payment with this transactionId exists", "transactionId": "t-1" });
    assert_eq!((conflict.0, conflict.2), (409, error));
    assert_eq!((items(&aws).await.len(), audited(&aws).await.len()), (1, 1));
}

/// G-03: transient failures are overcome within one request; a permanent one is a 500 without details.
#[tokio::test(flavor = "multi_thread")]
async fn g03_failures_that_pass_are_overcome() {
    let aws = account().await;
    let function = Function::start(&aws, &[]);
    let faults = [
        Fault::Throttle,
        Fault::Error { status: 503 },
        Fault::Reset { when: When::Before },
        Fault::Reset { when: When::After },
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        for (service, action) in [("dynamodb", "PutItem"), ("s3", "PutObject"), ("dynamodb", "UpdateItem")] {
            aws.faults([Rule { matches: Match::action(service, action).times(2), fault: fault.clone() }]);
            let answer = function.request(&pay(&format!("t-{number}-{action}")));
            assert_eq!((answer.0, &answer.2["status"]), (200, &json!("accepted")), "{fault:?} of {action}");
            aws.clear_faults();
        }
    }
    assert_eq!((items(&aws).await.len(), audited(&aws).await.len()), (12, 12));
    aws.faults([Rule { matches: Match::action("dynamodb", "PutItem"), fault: Fault::Throttle }]);
    aws.clear_calls();
    let answer = function.request(&pay("t-throttled"));
    assert_eq!((answer.0, answer.2), (500, json!({ "error": "internal error" })));
    assert_eq!((calls(&aws, "PutItem"), calls(&aws, "PutObject")), (5, 0));
}

/// G-03: while the bucket fails, payments are accepted as pending, and the table's stream writes each audit record once,
/// however often Lambda delivers it.
#[tokio::test(flavor = "multi_thread")]
async fn g03_an_audit_record_follows_by_the_stream() {
    let aws = account().await;
    let function = Function::start(&aws, &[]);
    for fault in [Fault::Error { status: 503 }, Fault::Error { status: 403 }] {
        aws.faults([Rule { matches: Match::action("s3", "PutObject"), fault: fault.clone() }]);
        let id = format!("t-{}", items(&aws).await.len());
        let written = audited(&aws).await.len();
        let answer = function.request(&pay(&id));
        assert_eq!((answer.0, &answer.2["status"]), (200, &json!("pending")), "{fault:?}");
        let batch = [inserted("unknown", "1"), inserted(&id, "2")];
        assert_eq!(function.stream(&batch), ["2"], "{fault:?}");
        assert_eq!(audited(&aws).await.len(), written, "{fault:?}");
        aws.clear_faults();
        for _ in 0..2 {
            assert_eq!(function.stream(&batch), [""; 0], "{fault:?}");
        }
        assert_eq!(audited(&aws).await.len(), written + 1, "{fault:?}");
        assert_eq!(function.request(&pay(&id)).2["status"], "accepted", "{fault:?}");
    }
    let modified = json!({ "eventName": "MODIFY", "dynamodb": { "Keys": {}, "SequenceNumber": "9" } });
    let unknown = json!({ "eventName": "INSERT", "dynamodb": { "Keys": {}, "SequenceNumber": "10" } });
    assert_eq!(function.stream(&[modified, unknown]), ["10"]);
}

/// G-03: near the deadline, the function responds in time: before the payment is stored with an error, after it with the
/// pending payment.
#[tokio::test(flavor = "multi_thread")]
async fn g03_a_response_comes_before_the_deadline() {
    let aws = account().await;
    let function = Function::start(&aws, &[]);
    assert_eq!(function.request(&pay("t-0")).0, 200);
    aws.clear_calls();
    let answer = function.request_within(&pay("t-late"), Duration::from_secs(1));
    assert_eq!((answer.0, answer.2), (500, json!({ "error": "internal error" })));
    assert_eq!(aws.calls().len(), 0);
    let left = Duration::from_secs(6);
    for (service, action, status) in [("s3", "PutObject", 200), ("dynamodb", "PutItem", 500)] {
        aws.faults([Rule { matches: Match::action(service, action), fault: Fault::Delay { seconds: 8.0 } }]);
        let begun = Instant::now();
        let answer = function.request_within(&pay(&format!("t-{service}")), left);
        assert!(begun.elapsed() < left, "{action}: {:?}", begun.elapsed());
        assert_eq!(answer.0, status, "{action}: {}", answer.2);
        aws.clear_faults();
    }
    for id in ["t-s3", "t-dynamodb"] {
        assert_eq!(function.request(&pay(id)).0, 200, "{id}");
    }
    assert_eq!((items(&aws).await.len(), audited(&aws).await.len()), (3, 3));
}

/// G-03, P-09: of 32 concurrent requests with one id, all get the response of the one payment, which has one audit
/// record, while the table's stream settles it.
#[tokio::test(flavor = "multi_thread")]
async fn g03_p09_of_a_race_one_payment_comes() {
    let aws = account().await;
    let mut functions: Vec<_> = (0..32).map(|_| Function::start(&aws, &[])).collect();
    let mut answers: Vec<_> = thread::scope(|scope| {
        let racing: Vec<_> =
            functions.iter_mut().map(|function| scope.spawn(move || function.request(&pay("t-1")))).collect();
        racing.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(functions[0].stream(&[inserted("t-1", "1")]), [""; 0]);
    let times = |answer: &(u64, Value, Value)| (answer.0, answer.2["acceptedAt"].clone());
    let first = times(&answers[0]);
    assert_eq!(first.0, 200, "{:?}", answers[0]);
    answers.retain(|answer| times(answer) != first);
    assert!(answers.is_empty(), "{answers:?}");
    let keys = audited(&aws).await;
    assert_eq!((items(&aws).await.len(), keys.len()), (1, 1), "{keys:?}");
}

/// G-03, P-09: invalid requests have their documented response, and cost no calls to AWS.
#[tokio::test(flavor = "multi_thread")]
async fn g03_p09_wrong_requests_have_an_answer_and_cost_no_call() {
    let aws = account().await;
    let function = Function::start(&aws, &[]);
    aws.clear_calls();
    let with = |amount: &str| format!(r#"{{"transactionId":"t","customerId":"c","amount":{amount}}}"#);
    let id = |id: &str| json!({ "transactionId": id, "customerId": "c", "amount": 1 }).to_string();
    let ids = "transactionId must have 1 to 64 letters, digits, `.`, `_` and `-`, a letter or digit first";
    let currency = r#"{"transactionId":"t","customerId":"c","amount":1,"currency":"ABC"}"#.to_owned();
    let duplicate = r#"{"transactionId":"t","customerId":"c","amount":1,"amount":2}"#.to_owned();
    for (body, status, error) in [
        (String::new(), 400, "the body is not JSON: see line 1, column 0"),
        ("x".repeat(6 << 20), 413, "the body is larger than 16384 bytes"),
        ("{".to_owned(), 400, "the body is not JSON: see line 1, column 1"),
        ("[]".to_owned(), 400, "the body is not a JSON object"),
        ("{}".to_owned(), 400, "transactionId is missing"),
        (with("NaN"), 400, "the body is not JSON: see line 1, column 48"),
        (with("\"NaN\""), 400, "amount must be a decimal number such as 12.50, without exponent or sign"),
        (with("true"), 400, "amount must be a number or a string that contains one"),
        (with("-1"), 400, "amount must be greater than zero"),
        (with("1.005"), 400, "amount must have at most 2 decimals in USD"),
        (with("1e3"), 400, "amount must be a decimal number such as 12.50, without exponent or sign"),
        (with("\"\u{663}\""), 400, "amount must be a decimal number such as 12.50, without exponent or sign"),
        (currency, 400, "currency must be an ISO 4217 code such as USD"),
        (duplicate, 400, "amount is duplicated"),
        (id("t\u{200b}1"), 400, ids),
        (id("\u{442}-1"), 400, ids),
        (id(&"x".repeat(65)), 400, ids),
        (id(CARD), 400, "transactionId contains what looks like a card number; send a token instead"),
    ] {
        let answer = function.request(&request("POST", "/payments", &body));
        let shown = &body[..body.len().min(80)];
        assert_eq!((answer.0, &answer.2["error"]), (status, &json!(error)), "{shown}");
        assert_eq!(answer.1["content-type"], "application/json");
    }
    for (method, path, status, error) in [
        ("GET", "/payments", 405, "this path does not support this method"),
        ("DELETE", "/payments/t-1", 405, "this path does not support this method"),
        ("GET", "/payments/a%2Fb", 404, "payment not found"),
        ("GET", "/", 404, "not found"),
    ] {
        let answer = function.request(&request(method, path, ""));
        assert_eq!((answer.0, &answer.2["error"]), (status, &json!(error)), "{method} {path}");
    }
    let mut coded = request("POST", "/payments", "no Base64!");
    coded["isBase64Encoded"] = true.into();
    let answer = function.request(&coded);
    assert_eq!((answer.0, &answer.2["error"]), (400, &json!("the body cannot be read")));
    for event in ["{}", "null", r#"{"Records":[{"s3":{}}]}"#] {
        let (path, answer) = function.invoke(event, Duration::from_secs(10));
        assert_eq!((&path[..], &answer["errorType"]), ("error", &json!("Event")), "{event}");
    }
    assert_eq!(aws.calls().len(), 0, "{:?}", aws.calls());
    assert_eq!(function.request(&pay("t-1")).0, 200, "it still works");
}

/// G-03, G-06, P-09: each transaction has a structured line and its metrics, and no line has a card or a customer.
#[tokio::test(flavor = "multi_thread")]
async fn g03_g06_p09_transactions_and_metrics_are_logged_and_no_card_is() {
    let aws = account().await;
    let function = Function::start(&aws, &[]);
    assert_eq!(function.request(&pay("t-1")).0, 200);
    assert_eq!(function.request(&pay(CARD)).0, 400);
    let lines = function.kill();
    let one = |test: &dyn Fn(&Value) -> bool| {
        let found: Vec<_> = lines.iter().filter(|line| test(line)).collect();
        assert_eq!(found.len(), 1, "{lines:#?}");
        found[0].clone()
    };
    let accepted = one(&|line| line["outcome"] == "accepted");
    assert_eq!((&accepted["transaction_id"], &accepted["correlation_id"]), (&json!("t-1"), &json!("call-7")));
    assert_eq!(one(&|line| line["Accepted"] == 1)["Region"], "us-east-1");
    let amount = one(&|line| line["Amount"] == 12.5);
    assert_eq!(amount["Currency"], "USD");
    assert_eq!(amount["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Region", "Phase", "Currency"]]));
    assert_eq!(one(&|line| line["Refused"] == 1)["Reason"], "card");
    let text = lines.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("4111") && !text.contains("c-1"), "{text}");
}

/// G-03: with an invalid environment, the function reports which variable is missing.
#[tokio::test(flavor = "multi_thread")]
async fn g03_a_function_that_cannot_start_says_why() {
    let aws = account().await;
    let function = Function::start(&aws, &[("AUDIT_BUCKET", "")]);
    let error = "the environment variable AUDIT_BUCKET is not set";
    assert_eq!(function.answer(), ("error".to_owned(), json!({ "errorType": "Settings", "errorMessage": error })));
}
