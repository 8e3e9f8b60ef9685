//! The payments service in the form of the ECS tasks, with the emulated AWS: its responses when AWS fails, rejected
//! requests, its logs, and its shutdown.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::io::Write;
use std::time::Duration;

use payinfra_localstack::{Emulator, Fault, Held, Match, Rule, When};
use payinfra_tests::service::{
    Answer, BUCKET, Service, audited, make_bucket, make_table, payment, raw, running, start,
};
use serde_json::{Value, json};

const CARD: &str = "4111 1111 1111 1111";

fn writes(aws: &Emulator, action: &str) -> usize {
    aws.calls().iter().filter(|call| call.action == action).count()
}

/// M-30, P-09: each transient failure of AWS is resolved within one request, with one payment and one audit record; a
/// permanent failure is a 500 without details.
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

/// The response to a request that is repeated until the response is `expected`.
async fn until(service: &Service, path: &str, expected: impl Fn(&Answer) -> bool) -> Answer {
    for _ in 0..200 {
        let answer = service.get(path);
        if expected(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} does not become the expected: {:?}", service.get(path));
}

/// M-30: a client that disconnects at any moment after its request has arrived leaves a complete payment; until its
/// audit record exists, the payment is pending.
#[tokio::test(flavor = "multi_thread")]
async fn m30_a_client_that_hangs_up_leaves_a_whole_payment() {
    let (aws, service) = running().await;
    for (number, (service_name, action)) in
        [("dynamodb", "PutItem"), ("s3", "PutObject"), ("dynamodb", "UpdateItem")].into_iter().enumerate()
    {
        let mut calls = aws.hold(Match::action(service_name, action), When::Before);
        let (id, mut stream) = (format!("t-{number}"), service.connect());
        let body = payment(&id);
        stream.write_all(&raw(&body)).unwrap();
        let held = calls.next().await.unwrap();
        drop(stream);
        let path = format!("/payments/{id}");
        if action == "PutItem" {
            assert_eq!(service.get(&path).status, 404);
        } else {
            assert_eq!(service.get(&path).body["status"], "pending", "{action}");
        }
        drop(calls);
        held.release();
        let answer = until(&service, &path, |answer| answer.body["status"] == "accepted").await;
        assert_eq!(answer.body["transactionId"], json!(id));
        assert_eq!(audited(&aws).await.iter().filter(|key| key.contains(&format!("/{id}-"))).count(), 1);
    }
}

/// M-30: the next process completes interrupted payments of a killed one at its start, once.
#[tokio::test(flavor = "multi_thread")]
async fn m30_a_new_process_repairs_what_a_killed_one_left() {
    let (aws, service) = running().await;
    let mut held = Vec::new();
    for (number, (service_name, action)) in [("s3", "PutObject"), ("dynamodb", "UpdateItem")].into_iter().enumerate() {
        let mut calls = aws.hold(Match::action(service_name, action), When::Before);
        let (body, mut stream) = (payment(&format!("t-{number}")), service.connect());
        stream.write_all(&raw(&body)).unwrap();
        held.push(calls.next().await.unwrap());
        drop(stream);
    }
    let down = |service: &str, action: &str| Rule {
        matches: Match::action(service, action),
        fault: Fault::Error { status: 503 },
    };
    aws.faults([down("s3", "PutObject"), down("dynamodb", "UpdateItem")]);
    assert_eq!(service.pay(&payment("t-2")).status, 500);
    assert_eq!(service.get("/payments/t-2").body["status"], "pending");
    drop(service);
    // The calls never arrive.
    held.into_iter().for_each(Held::reset);
    aws.clear_faults();
    let service = start(&aws, &[]);
    for number in 0..3 {
        until(&service, &format!("/payments/t-{number}"), |answer| answer.body["status"] == "accepted").await;
    }
    let keys = audited(&aws).await;
    assert_eq!(keys.len(), 3, "{keys:?}");
}

/// M-30: two services in two regions with one table; each id is written in one region, whichever service gets the
/// request, and while that region is unreachable the other one rejects it.
#[tokio::test(flavor = "multi_thread")]
async fn m30_an_id_is_written_in_its_region_only() {
    let (aws, _) = running().await;
    let second = "audit-of-payments-2";
    make_bucket(&aws, "us-east-2", second).await;
    make_table(&aws, "us-east-2").await;
    let regions = format!("us-east-1={BUCKET},us-east-2={second}");
    let services = [("us-east-1", BUCKET), ("us-east-2", second)].map(|(region, bucket)| {
        start(&aws, &[("AWS_REGION", region), ("AUDIT_BUCKET", bucket), ("REGIONS", &regions)])
    });
    aws.clear_calls();
    for number in 0..20 {
        for service in &services {
            assert_eq!(service.pay(&payment(&format!("t-{number}"))).status, 200);
        }
    }
    let calls = aws.calls();
    let puts = |region: &str| calls.iter().filter(|call| call.action == "PutItem" && call.region == region).count();
    assert_eq!(puts("us-east-1") + puts("us-east-2"), 40);
    assert!(puts("us-east-1") % 2 == 0 && puts("us-east-1") > 0 && puts("us-east-2") > 0, "{}", puts("us-east-1"));
    let mut cut = Match::action("dynamodb", "*");
    cut.region = Some("us-east-2".to_owned());
    aws.faults([Rule { matches: cut, fault: Fault::Error { status: 503 } }]);
    let answers: Vec<_> = (100..110).map(|number| services[0].pay(&payment(&format!("t-{number}")))).collect();
    assert!(answers.iter().any(|answer| answer.status == 200));
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty());
    for answer in refused {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    }
}

/// P-09: invalid requests are rejected with the reason, without calls to AWS.
#[tokio::test(flavor = "multi_thread")]
async fn p09_wrong_requests_have_an_answer_and_cost_no_call() {
    let (aws, service) = running().await;
    aws.clear_calls();
    let long = format!(r#"{{"transactionId":"{}"}}"#, "x".repeat(20_000));
    for (method, path, body, status, error) in [
        ("POST", "/payments", "{", 400, "the body is not JSON: see line 1, column 1"),
        ("POST", "/payments", "{}", 400, "transactionId is missing"),
        ("POST", "/payments", &long[..], 413, "the body is larger than 16384 bytes"),
        ("GET", "/payments", "", 405, "this path does not support this method"),
        ("DELETE", "/payments/t-1", "", 405, "this path does not support this method"),
        ("POST", "/health", "", 405, "this path does not support this method"),
        ("GET", "/payments/a%2Fb", "", 404, "payment not found"),
        ("GET", "/", "", 404, "not found"),
        ("GET", "/payments/t-1/more", "", 404, "not found"),
    ] {
        let answer = service.send(method, path, &[], body);
        assert_eq!((answer.status, &answer.body["error"]), (status, &json!(error)), "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    // Only the sweep at the start makes calls.
    assert!(aws.calls().iter().all(|call| call.action == "Scan"), "{:?}", aws.calls());
}

/// P-09, G-03: each transaction is one line of JSON with its correlation id, which the response has too; no line
/// contains a card number, wherever the client put it.
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

/// M-30: after SIGTERM, a task completes its requests, accepts no new ones, and exits with 0.
#[tokio::test(flavor = "multi_thread")]
async fn m30_a_stopped_service_finishes_what_it_has_begun() {
    let (aws, service) = running().await;
    let mut puts = aws.hold(Match::action("dynamodb", "PutItem"), When::Before);
    let body = payment("t-1");
    let mut stream = service.connect();
    stream.write_all(&raw(&body)).unwrap();
    let held = puts.next().await.unwrap();
    // A connection without a request ends immediately.
    let idle = service.connect();
    service.terminate();
    for _ in 0..200 {
        if std::net::TcpStream::connect(service.address).is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(std::net::TcpStream::connect(service.address).is_err(), "no new connections are accepted");
    held.release();
    let answer = Answer::read(stream);
    assert_eq!((answer.status, &answer.body["transactionId"]), (200, &json!("t-1")));
    assert_eq!(answer.header("connection"), Some("close"));
    drop(idle);
    assert_eq!(service.ended().0, Some(0));
}
