//! The payments function as Lambda runs it, with the emulated AWS and tables with both kinds of keys: its responses when
//! AWS fails, near its deadline, and to invalid requests.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use payinfra_localstack::{Emulator, Fault, Match, Rule, When};
use payinfra_tests::function::{Function, inserted, request, request_2};
use payinfra_tests::service::{
    BUCKET, account, account_with, audited, items, make_bucket, make_table_with, payment, put, with_status,
};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";
/// The keys of the tables of the stacks, in the form of `PAYMENTS_KEY`.
const KEYS: [&str; 3] = ["payment_id", "payment_id,timestamp", "transactionId,timestamp"];
/// The key with claims.
const CLAIMS: &str = KEYS[1];

/// An emulated AWS whose table has this key, and the function with it.
async fn running(key: &str) -> (Emulator, Function) {
    let aws = account_with(key).await;
    let function = Function::start(&aws, &[("PAYMENTS_KEY", key)]);
    (aws, function)
}

fn id_of(key: &str) -> &str {
    key.split(',').next().unwrap()
}

fn pay(id: &str) -> Value {
    request("POST", "/payments", &payment(id))
}

fn get(id: &str) -> Value {
    request("GET", &format!("/payments/{id}"), "")
}

fn calls(aws: &Emulator, action: &str) -> usize {
    aws.calls().iter().filter(|call| call.action == action).count()
}

/// The numbers of payments, without claims, and of objects in the audit bucket.
async fn stored(aws: &Emulator) -> (usize, usize) {
    let payments = items(aws).await.iter().filter(|item| !item.contains_key("claim")).count();
    (payments, audited(aws).await.len())
}

/// A fault of the n-th call of an operation.
fn nth(service: &str, action: &str, nth: u64, fault: Fault) -> Rule {
    Rule { matches: Match { nth: Some(nth), ..Match::action(service, action) }, fault }
}

/// G-03, G-04, P-09: a payment is stored with its audit record; an exact repeat gets the same response, and other content
/// is a conflict.
#[tokio::test(flavor = "multi_thread")]
async fn g03_g04_p09_a_payment_is_stored_once_and_other_content_is_a_conflict() {
    for key in KEYS {
        let (aws, function) = running(key).await;
        let first = function.request(&pay("t-1"));
        assert_eq!((first.0, &first.2["status"], &first.2["amount"]), (200, &json!("accepted"), &json!("12.50")));
        assert_eq!(first.1["x-correlation-id"], "call-7");
        assert_eq!(function.request(&pay("t-1")), first, "{key}");
        assert_eq!(function.request(&get("t-1")).2, first.2, "{key}");
        let other = json!({ "transactionId": "t-1", "customerId": "c-1", "amount": "12.51" }).to_string();
        let conflict = function.request(&request("POST", "/payments", &other));
        let error = json!({ "error": "a different payment with this transactionId exists", "transactionId": "t-1" });
        assert_eq!((conflict.0, conflict.2), (409, error), "{key}");
        assert_eq!(function.request(&get("t-2")).0, 404, "{key}");
        assert_eq!(stored(&aws).await, (1, 1), "{key}");
    }
}

/// G-02: the health check fails while the table does, and needs no payment.
#[tokio::test(flavor = "multi_thread")]
async fn g02_the_health_check_fails_with_the_table() {
    let (aws, function) = running(CLAIMS).await;
    let check = || function.request(&request("GET", "/v1/health", ""));
    let healthy = check();
    assert_eq!((healthy.0, &healthy.2["status"]), (200, &json!("ok")));
    aws.faults([Rule { matches: Match::action("dynamodb", "*"), fault: Fault::Error { status: 500 } }]);
    let failing = check();
    assert_eq!((failing.0, &failing.2["status"]), (503, &json!("the table does not respond")));
    aws.clear_faults();
    assert_eq!(check().0, 200);
    assert_eq!(stored(&aws).await, (0, 0));
}

/// G-01: web pages of the allowed origin can read every response; without one, no page can.
#[tokio::test(flavor = "multi_thread")]
async fn g01_web_pages_of_the_allowed_origin_can_read_every_response() {
    let aws = account_with(CLAIMS).await;
    let origin = "https://pay.example.com";
    let open = Function::start(&aws, &[("PAYMENTS_KEY", CLAIMS), ("ALLOWED_ORIGIN", origin)]);
    let closed = Function::start(&aws, &[("PAYMENTS_KEY", CLAIMS)]);
    for (event, status) in [
        (pay("t-1"), 200),
        (get("t-1"), 200),
        (get("t-2"), 404),
        (request("POST", "/payments", "{"), 400),
        (request("DELETE", "/payments", ""), 405),
        (request("GET", "/health", ""), 200),
    ] {
        let (answer, other) = (open.request(&event), closed.request(&event));
        assert_eq!((answer.0, answer.1["access-control-allow-origin"].as_str()), (status, Some(origin)), "{event}");
        assert_eq!((other.0, other.1.get("access-control-allow-origin")), (status, None), "{event}");
    }
}

/// G-04, P-04: a table with a sort key has one claim at time 0 and one record at the time of the payment, and its index by
/// status has the record only.
#[tokio::test(flavor = "multi_thread")]
async fn g04_p04_a_payment_has_a_claim_and_a_record_at_its_time() {
    let (aws, function) = running(CLAIMS).await;
    let accepted = function.request(&pay("t-1")).2;
    let time: jiff::Timestamp = accepted["acceptedAt"].as_str().unwrap().parse().unwrap();
    let items = items(&aws).await;
    let times: BTreeSet<_> =
        items.iter().map(|item| item["timestamp"].as_n().unwrap().parse::<i64>().unwrap()).collect();
    assert_eq!(times, BTreeSet::from([0, time.as_millisecond()]));
    assert!(items.iter().all(|item| item["payment_id"] == AttributeValue::S("t-1".to_owned())));
    let claim = items.iter().find(|item| item.contains_key("claim")).unwrap();
    let names: BTreeSet<_> = claim.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["claim", "payment_id", "timestamp"]));
    assert_eq!(claim["claim"].as_m().unwrap()["content_hash"].as_s().unwrap().len(), 64);
    let indexed = with_status(&aws, "accepted").await;
    assert_eq!(indexed.len(), 1);
    assert_eq!(indexed[0]["timestamp"], AttributeValue::N(time.as_millisecond().to_string()));
    assert_eq!(with_status(&aws, "pending").await.len(), 0);
}

/// G-04: whatever is left by a function that ends between its calls, a repeat or the stream completes it, at the time of
/// the claim.
#[tokio::test(flavor = "multi_thread")]
async fn g04_a_repeat_or_the_stream_completes_what_a_crash_left() {
    let (aws, function) = running(CLAIMS).await;
    // The claim, the record, the audit record and the mark; each is the last call that takes effect.
    let ends = [("PutItem", 2), ("PutObject", 1), ("PutItem", 3)];
    for (number, (action, call)) in ends.into_iter().enumerate() {
        for by in ["repeat", "stream"] {
            let id = format!("t-{number}-{by}");
            let service = if action == "PutItem" { "dynamodb" } else { "s3" };
            aws.faults([nth(service, action, call, Fault::Error { status: 403 })]);
            let left = function.request(&pay(&id));
            aws.clear_faults();
            assert_eq!(left.0, if call == 2 { 500 } else { 200 }, "{id}: {left:?}");
            let pending = function.request(&get(&id)).2;
            assert_eq!(pending["status"], "pending", "{id}");
            match by {
                "repeat" => assert_eq!(function.request(&pay(&id)).0, 200, "{id}"),
                _ => assert_eq!(function.stream(&[inserted("payment_id", &id, "1")]), [""; 0], "{id}"),
            }
            let complete = function.request(&get(&id)).2;
            assert_eq!((&complete["status"], &complete["acceptedAt"]), (&json!("accepted"), &pending["acceptedAt"]));
        }
    }
    assert_eq!(stored(&aws).await, (6, 6));
    assert_eq!(with_status(&aws, "accepted").await.len(), 6);
}

/// G-03: transient failures are overcome within one request; a permanent one is a 500 without details.
#[tokio::test(flavor = "multi_thread")]
async fn g03_failures_that_pass_are_overcome() {
    for key in &KEYS[..2] {
        let (aws, function) = running(key).await;
        let faults = [
            Fault::Throttle,
            Fault::Error { status: 503 },
            Fault::Reset { when: When::Before },
            Fault::Reset { when: When::After },
        ];
        let steps = if *key == CLAIMS {
            [("PutItem", 1), ("PutItem", 2), ("PutItem", 3), ("PutObject", 1)]
        } else {
            [("PutItem", 1), ("PutItem", 2), ("UpdateItem", 1), ("PutObject", 1)]
        };
        for (number, fault) in faults.into_iter().enumerate() {
            for (action, call) in steps {
                let service = if action == "PutObject" { "s3" } else { "dynamodb" };
                aws.faults([nth(service, action, call, fault.clone())]);
                let answer = function.request(&pay(&format!("t-{number}-{action}-{call}")));
                aws.clear_faults();
                assert_eq!((answer.0, &answer.2["status"]), (200, &json!("accepted")), "{key}: {fault:?} of {action}");
            }
        }
        assert_eq!(stored(&aws).await, (16, 16), "{key}");
        aws.faults([Rule { matches: Match::action("dynamodb", "PutItem"), fault: Fault::Throttle }]);
        aws.clear_calls();
        let answer = function.request(&pay("t-throttled"));
        assert_eq!((answer.0, answer.2), (500, json!({ "error": "internal error" })), "{key}");
        assert_eq!((calls(&aws, "PutItem"), calls(&aws, "PutObject")), (5, 0), "{key}");
    }
}

/// G-03: while the bucket fails, payments are accepted as pending, and the table's stream writes each audit record once,
/// however often Lambda delivers it.
#[tokio::test(flavor = "multi_thread")]
async fn g03_an_audit_record_follows_by_the_stream() {
    for key in KEYS {
        let (aws, function) = running(key).await;
        let inserted = |id: &str, sequence: &str| inserted(id_of(key), id, sequence);
        for (number, fault) in [Fault::Error { status: 503 }, Fault::Error { status: 403 }].into_iter().enumerate() {
            aws.faults([Rule { matches: Match::action("s3", "PutObject"), fault: fault.clone() }]);
            let id = format!("t-{number}");
            let answer = function.request(&pay(&id));
            assert_eq!((answer.0, &answer.2["status"]), (200, &json!("pending")), "{key}: {fault:?}");
            // The claim and the record of one payment are two items.
            let batch = [inserted("unknown", "1"), inserted(&id, "2"), inserted(&id, "3")];
            assert_eq!(function.stream(&batch), ["2", "3"], "{key}: {fault:?}");
            assert_eq!(stored(&aws).await, (number + 1, number), "{key}: {fault:?}");
            aws.clear_faults();
            for _ in 0..2 {
                assert_eq!(function.stream(&batch), [""; 0], "{key}: {fault:?}");
            }
            assert_eq!(stored(&aws).await, (number + 1, number + 1), "{key}: {fault:?}");
            assert_eq!(function.request(&pay(&id)).2["status"], "accepted", "{key}: {fault:?}");
        }
        let modified = json!({ "eventName": "MODIFY", "dynamodb": { "Keys": {}, "SequenceNumber": "9" } });
        let unknown = json!({ "eventName": "INSERT", "dynamodb": { "Keys": {}, "SequenceNumber": "10" } });
        assert_eq!(function.stream(&[modified, unknown]), ["10"], "{key}");
    }
}

/// G-03: an item that is not a payment delays no payment behind it in the stream, and is logged; so is an id that two
/// regions have accepted.
#[tokio::test(flavor = "multi_thread")]
async fn g03_a_malformed_item_does_not_block_the_stream() {
    let (aws, function) = running(CLAIMS).await;
    let at = |id: &str, time: i64| {
        [("payment_id", AttributeValue::S(id.to_owned())), ("timestamp", AttributeValue::N(time.to_string()))]
    };
    put(&aws, at("odd", 0)).await;
    aws.faults([Rule { matches: Match::action("s3", "PutObject"), fault: Fault::Error { status: 403 } }]);
    assert_eq!(function.request(&pay("t-1")).0, 200);
    aws.clear_faults();
    put(&aws, at("t-1", 7)).await;
    let batch = [inserted("payment_id", "odd", "1"), inserted("payment_id", "t-1", "2")];
    assert_eq!(function.stream(&batch), [""; 0]);
    assert_eq!(function.request(&get("t-1")).2["status"], "accepted");
    let lines = function.kill();
    let said = |id: &str, message: &str| {
        lines.iter().any(|line| line["level"] == "ERROR" && line["transaction_id"] == id && line["message"] == message)
    };
    assert!(said("odd", "not settled"), "{lines:#?}");
    assert!(said("t-1", "two regions have accepted payments with this id"), "{lines:#?}");
}

/// G-03: near the deadline, the function responds in time: before the payment is stored with an error, after it with the
/// pending payment.
#[tokio::test(flavor = "multi_thread")]
async fn g03_a_response_comes_before_the_deadline() {
    let aws = account().await;
    let function = Function::start(&aws, &[]);
    assert_eq!(function.request(&pay("t-0")).0, 200);
    aws.clear_calls();
    let late = json!({ "error": "the request timed out; retry it" });
    let answer = function.request_within(&pay("t-late"), Duration::from_secs(1));
    assert_eq!((answer.0, &answer.1["retry-after"], answer.2), (503, &json!("1"), late.clone()));
    assert_eq!(aws.calls().len(), 0);
    let left = Duration::from_secs(6);
    for (service, action, status) in [("s3", "PutObject", 200), ("dynamodb", "PutItem", 503)] {
        aws.faults([Rule { matches: Match::action(service, action), fault: Fault::Delay { seconds: 8.0 } }]);
        let begun = Instant::now();
        let answer = function.request_within(&pay(&format!("t-{service}")), left);
        assert!(begun.elapsed() < left, "{action}: {:?}", begun.elapsed());
        assert_eq!(answer.0, status, "{action}: {}", answer.2);
        assert_eq!(status == 503, answer.2 == late, "{action}");
        aws.clear_faults();
    }
    for id in ["t-s3", "t-dynamodb"] {
        assert_eq!(function.request(&pay(id)).0, 200, "{id}");
    }
    assert_eq!(stored(&aws).await, (3, 3));
}

/// G-03, G-04, P-09: of 32 concurrent requests with one id, all get the response of the one payment, which has one audit
/// record, while the table's stream settles it.
#[tokio::test(flavor = "multi_thread")]
async fn g03_g04_p09_of_a_race_one_payment_comes() {
    for key in &KEYS[..2] {
        let aws = account_with(key).await;
        let mut functions: Vec<_> = (0..32).map(|_| Function::start(&aws, &[("PAYMENTS_KEY", key)])).collect();
        let mut answers: Vec<_> = thread::scope(|scope| {
            let racing: Vec<_> =
                functions.iter_mut().map(|function| scope.spawn(move || function.request(&pay("t-1")))).collect();
            racing.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(functions[0].stream(&[inserted("payment_id", "t-1", "1")]), [""; 0]);
        let times = |answer: &(u64, Value, Value)| (answer.0, answer.2["acceptedAt"].clone());
        let first = times(&answers[0]);
        assert_eq!(first.0, 200, "{key}: {:?}", answers[0]);
        answers.retain(|answer| times(answer) != first);
        assert!(answers.is_empty(), "{key}: {answers:?}");
        assert_eq!(stored(&aws).await, (1, 1), "{key}");
    }
}

/// G-02, G-04: with eventual consistency, each id is written in its region only, whichever function gets the request, and
/// while that region is unreachable, the other one refuses it. With strong consistency, each function writes in its own.
#[tokio::test(flavor = "multi_thread")]
async fn g02_g04_the_consistency_decides_where_a_payment_is_written() {
    for consistency in ["eventual", "strong"] {
        let aws = account_with(CLAIMS).await;
        let second = "audit-of-payments-2";
        make_bucket(&aws, "us-west-2", second).await;
        make_table_with(&aws, "us-west-2", CLAIMS).await;
        let regions = format!("us-east-1={BUCKET},us-west-2={second}");
        let functions = [("us-east-1", BUCKET), ("us-west-2", second)].map(|(region, bucket)| {
            let place = [("AWS_REGION", region), ("AUDIT_BUCKET", bucket), ("REGIONS", &regions)];
            Function::start(&aws, &[&place[..], &[("PAYMENTS_KEY", CLAIMS), ("CONSISTENCY", consistency)]].concat())
        });
        let mut written = Vec::new();
        for number in 0..10 {
            for function in &functions {
                aws.clear_calls();
                assert_eq!(function.request(&pay(&format!("t-{number}"))).0, 200);
                let regions: BTreeSet<_> = aws
                    .calls()
                    .iter()
                    .filter(|call| call.action == "PutItem")
                    .map(|call| call.region.clone())
                    .collect();
                assert_eq!(regions.len(), 1, "{consistency}");
                written.extend(regions);
            }
        }
        let same = written.chunks(2).filter(|pair| pair[0] == pair[1]).count();
        let own = written.chunks(2).filter(|pair| *pair == ["us-east-1", "us-west-2"]).count();
        let expected = if consistency == "eventual" { (10, 0) } else { (0, 10) };
        assert_eq!((same, own), expected, "{consistency}: {written:?}");
        if consistency == "strong" {
            continue;
        }
        assert!(
            written.iter().any(|region| region == "us-east-1") && written.iter().any(|region| region == "us-west-2")
        );
        let cut = Match { region: Some("us-west-2".to_owned()), ..Match::action("dynamodb", "*") };
        aws.faults([Rule { matches: cut, fault: Fault::Error { status: 503 } }]);
        let answers: Vec<_> = (100..110).map(|number| functions[0].request(&pay(&format!("t-{number}")))).collect();
        assert!(answers.iter().any(|answer| answer.0 == 200));
        let error = json!({ "error": "the region of this transactionId is unreachable; retry the request" });
        let refused: Vec<_> = answers.iter().filter(|answer| answer.0 != 200).collect();
        assert!(!refused.is_empty());
        assert!(refused.iter().all(|answer| (answer.0, &answer.2) == (503, &error)), "{refused:?}");
    }
}

/// P-07, P-09, G-02: HTTP APIs with both payload formats, paths with a stage, and paths of a domain with a base path.
#[tokio::test(flavor = "multi_thread")]
async fn p07_p09_g02_requests_of_all_apis_are_the_same() {
    let (aws, function) = running(KEYS[0]).await;
    let paths = ["/payments", "/payment", "/prod/payment", "/pay/v1/payments"];
    for (number, path) in paths.into_iter().enumerate() {
        for (form, event) in [request, request_2].into_iter().enumerate() {
            let id = format!("t-{number}-{form}");
            let made = function.request(&event("POST", path, &payment(&id)));
            assert_eq!((made.0, &made.2["transactionId"]), (200, &json!(id)), "{path}");
            assert_eq!(function.request(&event("GET", &format!("{path}/{id}"), "")).2, made.2, "{path}");
            assert_eq!(made.1["x-correlation-id"], "call-7");
        }
    }
    assert_eq!(stored(&aws).await, (8, 8));
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
        ("POST", "/payments/t-1/more", 404, "not found"),
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
