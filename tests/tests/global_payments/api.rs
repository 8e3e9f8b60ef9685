//! G-12: payments over HTTP, through API Gateway and the running function, into tables and buckets. The tests only know the
//! file of flat outputs.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_cloudwatch::types::{Datapoint, Dimension, Statistic};
use aws_sdk_dynamodb::types::AttributeValue;
use payinfra_localstack::{ACCOUNT_ID, Fault, Match, Rule, When};
use payinfra_tests::load::{Counts, Ledger};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::{EXAMPLE, REGIONS, Running, running};

fn payment(id: &str) -> String {
    json!({ "transactionId": id, "customerId": "c-1", "amount": "12.50" }).to_string()
}

/// G-04, G-05, G-12: a payment is in the tables and the audit buckets of both regions, whichever region it was sent to, and
/// both regions return it.
#[tokio::test(flavor = "multi_thread")]
async fn g04_g05_g12_a_payment_is_stored_and_audited_in_both_regions() {
    let running = running().await;
    for api in &running.apis {
        let id = format!("order-from-{}", api.region);
        let answer = api.pay(&payment(&id));
        assert_eq!(answer.status, 200, "{answer:?}");
        let accepted_at = answer.body["acceptedAt"].as_str().unwrap();
        for (api, (region, (table, bucket))) in running.apis.iter().zip(running.places()) {
            let stored = api.get(&id);
            assert_eq!((stored.status, &stored.body["acceptedAt"]), (200, &json!(accepted_at)), "{stored:?}");

            let dynamodb = aws_sdk_dynamodb::Client::new(&running.bench.sdk(&region));
            let call = dynamodb.query().table_name(table).key_condition_expression("payment_id = :id");
            let items = call
                .expression_attribute_values(":id", AttributeValue::S(id.clone()))
                .send()
                .await
                .unwrap()
                .items
                .unwrap();
            let found: Vec<_> = items.iter().filter(|item| item.contains_key("status")).collect();
            assert_eq!(found.len(), 1, "{items:?}");
            assert_eq!(found[0]["amount"], AttributeValue::S("12.50".to_owned()));
            assert_eq!(found[0]["accepted_at"], AttributeValue::S(accepted_at.to_owned()));

            let s3 = running.bench.s3(&region);
            let end = Instant::now() + Duration::from_secs(30);
            let key = loop {
                let prefix = format!("payments/{}/{id}-", accepted_at[..10].replace('-', "/"));
                let listed = s3.list_objects_v2().bucket(&bucket).prefix(prefix).send().await.unwrap();
                if let [object] = listed.contents() {
                    break object.key().unwrap().to_owned();
                }
                assert!(Instant::now() < end, "no audit record of {id} in {region}");
                sleep(Duration::from_millis(200)).await;
            };
            let object = s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
            let encryption = object.server_side_encryption().map(|method| method.as_str().to_owned());
            let key = object.ssekms_key_id().unwrap_or_default().to_owned();
            let record: Value = serde_json::from_slice(&object.body.collect().await.unwrap().into_bytes()).unwrap();
            assert_eq!(record["transactionId"], *id);
            assert_eq!(record["amount"], "12.50");
            // G-08
            assert_eq!(encryption.as_deref(), Some("aws:kms"), "{region}");
            assert_eq!(key, running.output("storage_key_arn", &region));
        }
    }
}

/// G-01, G-12: each kind of bad request has its documented response, and is stored nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn g01_g12_requests_without_key_or_with_bad_bodies_are_refused() {
    let running = running().await;
    for api in &running.apis {
        let good = payment("order-refused");
        for headers in [&[("Content-Type", "application/json")][..], &[("x-api-key", "wrong")]] {
            let answer = api.send("POST", "/payments", headers, &good);
            assert_eq!(answer.status, 403, "{answer:?}");
            let answer = api.send("GET", "/payments/order-refused", headers, "");
            assert_eq!(answer.status, 403, "{answer:?}");
        }
        for body in [
            "",
            "[]",
            "{",
            "null",
            "{}",
            "NaN",
            r#"{"transactionId":"order-refused","customerId":"c-1"}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":-1}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":0}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":1.005}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":1e400}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":NaN}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":true}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":1,"amount":2}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":1,"currency":"XXQ"}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":1,"description":"4111 1111 1111 1111"}"#,
            r#"{"transactionId":"order-refused\u202e","customerId":"c-1","amount":1}"#,
            r#"{"transactionId":7,"customerId":"c-1","amount":1}"#,
            r#"{"transactionId":"order-refused","customerId":"c-1","amount":1,"more":1}"#,
        ] {
            let answer = api.pay(body);
            assert_eq!(answer.status, 400, "{body}: {answer:?}");
        }
        let stored = api.get("order-refused");
        assert_eq!(stored.status, 404, "{stored:?}");
        assert_eq!(api.get("no%20id").status, 404);
        let health = api.send("GET", "/health", &[], "");
        assert_eq!((health.status, &health.body["status"]), (200, &json!("ok")), "{health:?}");
    }
}

/// G-06, G-12: a payment is in the log of the function and in the metrics: those of the function itself, those of its
/// log, and those of the metric filters.
#[tokio::test(flavor = "multi_thread")]
async fn g03_g06_g12_payments_are_in_logs_and_metrics() {
    let running = running().await;
    for api in &running.apis {
        let id = format!("order-logged-{}", api.region);
        assert_eq!(api.pay(&payment(&id)).status, 200);
        let declined = r#"{"transactionId":"order-declined","customerId":"c-1","amount":1,"currency":"XXQ"}"#;
        assert_eq!(api.pay(declined).status, 400);

        let sdk = running.bench.sdk(&api.region);
        let logs = aws_sdk_cloudwatchlogs::Client::new(&sdk);
        let group = running.output("processor_log_group_name", &api.region);
        let found = logs.filter_log_events().log_group_name(group).send().await.unwrap();
        let lines = found.events().iter().filter_map(|event| serde_json::from_str::<Value>(event.message()?).ok());
        let line = lines.into_iter().find(|line| line["transaction_id"] == *id).unwrap();
        assert_eq!((&line["outcome"], &line["currency"]), (&json!("accepted"), &json!("USD")), "{line}");

        let metrics = aws_sdk_cloudwatch::Client::new(&sdk);
        let function = Dimension::builder().name("FunctionName").value("payment-demo1-processor").build();
        let place =
            [("Region", &api.region[..]), ("Phase", if api.region == REGIONS[0] { "primary" } else { "secondary" })];
        let place: Vec<_> = place.map(|(name, value)| Dimension::builder().name(name).value(value).build()).into();
        for (namespace, name, dimensions, least) in [
            ("AWS/Lambda", "Invocations", vec![function.clone()], 2.0),
            ("payment-demo1-payments", "Accepted", place, 1.0),
            ("payment-demo1-payments", "Approved", Vec::new(), 1.0),
            ("payment-demo1-payments", "ApprovedAmount", Vec::new(), 12.5),
            ("payment-demo1-payments", "Declined", Vec::new(), 1.0),
        ] {
            let now = SystemTime::now();
            let call = metrics.get_metric_statistics().namespace(namespace).metric_name(name).period(3600);
            let call = call.statistics(Statistic::Sum).set_dimensions(Some(dimensions));
            let call =
                call.start_time((now - Duration::from_hours(1)).into()).end_time((now + Duration::from_mins(1)).into());
            let end = Instant::now() + Duration::from_secs(20);
            loop {
                let found = call.clone().send().await.unwrap();
                let sum: f64 = found.datapoints().iter().filter_map(Datapoint::sum).sum();
                if sum >= least {
                    break;
                }
                assert!(Instant::now() < end, "{namespace} {name} in {}: {sum}", api.region);
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// G-12: a repeat has the same response, and another payment with the same id is refused, in the other region as well.
#[tokio::test(flavor = "multi_thread")]
async fn g12_a_repeat_is_taken_once_and_another_payment_with_its_id_is_refused() {
    let apis = &running().await.apis;
    let first = apis[0].pay(&payment("order-repeated"));
    assert_eq!(first.status, 200, "{first:?}");
    let other = json!({ "transactionId": "order-repeated", "customerId": "c-1", "amount": "12.51" }).to_string();
    for api in apis {
        let again = api.pay(&payment("order-repeated"));
        assert_eq!((again.status, &again.body["acceptedAt"]), (200, &first.body["acceptedAt"]));
        assert_eq!(api.pay(&other).status, 409);
    }
}

/// One in a hundred calls of the functions fails: before it takes effect, or with its response lost.
fn one_percent() -> Vec<Rule> {
    let every = |every, fault| {
        let matches = Match { access_key: Some(ACCOUNT_ID.to_owned()), ..Match::any() }.every(every);
        Rule { matches, fault }
    };
    vec![
        every(250, Fault::Error { status: 500 }),
        every(350, Fault::Reset { when: When::After }),
        every(400, Fault::Throttle),
    ]
}

/// Sends payments while calls of the functions fail, and audits them.
async fn load(clients: u64, count: u64) -> Counts {
    let running = Running::start(EXAMPLE).await;
    running.bench.aws.faults(one_percent());
    let ledger = Ledger::default();
    let counts = block_in_place(|| ledger.send(&running.apis, clients, count));
    running.bench.aws.clear_faults();
    let problems = ledger.audit(&running.bench, &running.places()).await;
    assert!(problems.is_empty(), "{problems:#?}");
    counts
}

/// G-03, G-12: with one percent of the calls behind the functions failing, every accepted payment is stored and audited
/// exactly once, and every refused one nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn g03_g12_no_payment_is_lost_or_doubled_while_calls_fail() {
    let counts = load(8, 50).await;
    assert!(counts.accepted > 250 && counts.repeated > 0 && counts.refused > 0, "{counts:?}");
}

/// The same with 10,000 payments of 32 clients; writes the results.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some minutes; writes tests/results/function-load.md"]
async fn g03_g12_ten_thousand_payments_while_calls_fail() {
    let begun = Instant::now();
    let counts = load(32, 380).await;
    assert!(counts.accepted >= 10_000, "{counts:?}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/results/function-load.md");
    let Counts { accepted, repeated, refused, retried, failed } = counts;
    let retried: usize = retried.into_values().sum();
    let seconds = begun.elapsed().as_secs();
    let row = format!("| {accepted} | {repeated} | {refused} | {retried} | {failed} | 0 | {seconds} s |");
    fs::write(path, format!("{RESULTS}{row}\n")).unwrap();
}

const RESULTS: &str = "# Payments through the function while calls fail

`cargo test --workspace --test global_payments -- --ignored ten_thousand`

32 concurrent clients send requests to the APIs of both regions of the example of `global-payments` on the emulated AWS: API
Gateway, the function, the global table, the audit buckets. One in twenty is a payment that is sent to both regions at the same
time, one in ten a repeat, one in twenty has another amount than the payment with its id, and one in twenty is invalid. One in a
hundred calls of the functions fails: half of these before they take effect, a third with a lost response, the others by
throttling. *accepted* are responses with status 200 to new payments, *repeated* to repeats. *refused* are responses with status
400 and 409. *retried* are requests that clients had to send again. *wrong* are accepted payments that are not in the table and
in the audit bucket of each region exactly once, and refused ones that are in any of them. The time includes the apply.

| accepted | repeated | refused | retried | failed | wrong | time |
|---:|---:|---:|---:|---:|---:|---:|
";
