//! Events of API Gateway in both formats, with valid and invalid requests: each has its documented response, and none
//! breaks the function (P-09, G-03).
//!
//! `cargo test --workspace --test events -- --ignored > /dev/null` tests a million, and writes `tests/results/events.md`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use payment_core::{
    Audit, Clock, Entry, Fault, Inserted, LONGEST_BODY, Payment, Processor, Record, Store, Written, card, is_id,
};
use payment_processor::{Function, Settings, document};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The time that an invocation has.
const LEFT: Duration = Duration::from_secs(10);
/// The number of events on command.
const MANY: u32 = 1_000_000;

/// A table, a bucket and a clock in memory.
#[derive(Clone, Default)]
struct World(Arc<Mutex<BTreeMap<String, Record>>>);

impl Store for World {
    async fn insert(&self, record: &Record) -> Result<Inserted, Fault> {
        let mut payments = self.0.lock().unwrap();
        let id = &record.payment.transaction_id;
        if let Some(stored) = payments.get(id) {
            return Ok(Inserted::Exists(Box::new(stored.clone())));
        }
        payments.insert(id.clone(), record.clone());
        Ok(Inserted::New)
    }

    async fn get(&self, _: &str, id: &str) -> Result<Option<Record>, Fault> {
        Ok(self.0.lock().unwrap().get(id).cloned())
    }

    async fn complete(&self, _: &str, _: &Record) -> Result<(), Fault> {
        Ok(())
    }

    async fn audited(&self, _: &str, record: &Record) -> Result<(), Fault> {
        if let Some(stored) = self.0.lock().unwrap().get_mut(&record.payment.transaction_id) {
            stored.audited = true;
        }
        Ok(())
    }
}

impl Audit for World {
    async fn write(&self, _: &str, _: &Entry) -> Result<Written, Fault> {
        Ok(Written::New)
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, _: Duration) {}
}

/// The function with an empty table.
struct Subject {
    runtime: Runtime,
    function: Function<World, World, World>,
    world: World,
    document: Value,
}

/// A request.
#[derive(Clone, Debug)]
struct Request {
    /// Whether it is an event of an HTTP API, in format 2.0.
    second: bool,
    method: String,
    path: String,
    /// The value of `headers`.
    headers: Value,
    body: Vec<u8>,
    encoded: bool,
}

impl Subject {
    fn new() -> Self {
        let settings = [
            ("AUDIT_BUCKET", "bucket"),
            ("AWS_REGION", "us-east-1"),
            ("PAYMENTS_TABLE", "table"),
            ("PHASE", "primary"),
        ];
        let value =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings::read(value).unwrap();
        let world = World::default();
        let processor = Processor::new(world.clone(), world.clone(), world.clone(), settings.place.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { runtime, function: Function::new(processor, &settings), world, document: document() }
    }

    /// The response to an event of API Gateway.
    fn answer(&self, event: &Value) -> (u16, Value) {
        let answer = self.runtime.block_on(self.function.handle(event.to_string().as_bytes(), LEFT)).unwrap();
        let headers = answer["headers"].as_object().unwrap();
        assert!(headers["x-correlation-id"].as_str().is_some_and(is_id), "{answer}");
        assert_eq!((&headers["content-type"], &answer["isBase64Encoded"]), (&json!("application/json"), &json!(false)));
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap(), body)
    }

    /// Sends a request, and checks that its response is the documented one. Returns the status.
    fn check(&self, request: &Request) -> u16 {
        let expected = self.expected(request);
        let (status, body) = self.answer(&request.event());
        assert!(expected.contains(&status), "{status} instead of {expected:?}: {body}");
        assert!(self.is_documented(request, status, &body), "{status} is not documented: {body}");
        if status != 200 {
            // No part of the request is shown.
            assert_eq!(card::redact(&body.to_string()), body.to_string().as_str());
        }
        status
    }

    /// The possible statuses of a request, by what is documented for its parts.
    fn expected(&self, request: &Request) -> Vec<u16> {
        let parts: Vec<_> = request.path.split('/').skip(1).collect();
        match (request.method.as_str(), &parts[..]) {
            ("POST", [.., "payments" | "payment"]) => match Payment::parse(&request.body) {
                _ if request.body.len() > LONGEST_BODY => vec![413],
                Err(_) => vec![400],
                Ok(payment) => match self.world.0.lock().unwrap().get(&payment.transaction_id) {
                    Some(stored) if stored.payment != payment => vec![409],
                    _ => vec![200],
                },
            },
            ("GET", [.., "payments" | "payment", id]) => {
                vec![if self.world.0.lock().unwrap().contains_key(*id) { 200 } else { 404 }]
            }
            ("GET", [.., "health"]) => vec![200],
            (_, [.., "payments" | "payment" | "health"] | [.., "payments" | "payment", _]) => vec![405],
            _ => vec![404],
        }
    }

    /// Whether the API description has this status with the members of this body, for the operation if there is one.
    fn is_documented(&self, request: &Request, status: u16, body: &Value) -> bool {
        let parts: Vec<_> = request.path.split('/').skip(1).collect();
        let path = match &parts[..] {
            [.., "payments" | "payment"] => "/payments",
            [.., "payments" | "payment", _] => "/payments/{payment_id}",
            [.., "health"] => "/health",
            // The description has no other paths.
            _ => return status == 404 && *body == json!({ "error": "not found" }),
        };
        let operations = self.document["paths"][path].as_object().unwrap();
        let method = request.method.to_lowercase();
        let operation = operations.get(&method).or_else(|| operations.values().next()).unwrap();
        let schema = &operation["responses"][status.to_string()]["content"]["application/json"]["schema"]["$ref"];
        let Some(schema) = schema.as_str().and_then(|name| self.document.pointer(&name[1..])) else { return false };
        let members = body.as_object().unwrap();
        let known = members.keys().all(|name| schema["properties"].get(name).is_some());
        known && schema["required"].as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
    }
}

impl Request {
    fn new(second: bool, method: &str, path: &str, body: &[u8]) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { second, method, path, headers: json!({}), body: body.to_vec(), encoded: false }
    }

    fn event(&self) -> Value {
        let text = std::str::from_utf8(&self.body).ok().filter(|_| !self.encoded);
        let body = match text {
            Some("") => Value::Null,
            Some(text) => text.into(),
            None => STANDARD.encode(&self.body).into(),
        };
        let Self { second, method, path, headers, .. } = self;
        let mut event = if *second {
            let http = json!({ "method": method, "path": path });
            json!({ "version": "2.0", "rawPath": path, "requestContext": { "http": http } })
        } else {
            json!({ "resource": "/{proxy+}", "httpMethod": method, "path": path })
        };
        event["headers"] = headers.clone();
        event["body"] = body;
        event["isBase64Encoded"] = text.is_none().into();
        event
    }
}

/// A whole body, which is changed.
const WHOLE: &str = r#"{"transactionId":"t-1","customerId":"c-1","amount":"12.50","currency":"USD","description":"a"}"#;

/// P-09: each bad body has its documented status and field, in both formats; so has a repeat, and other content.
#[test]
fn p09_g03_each_bad_body_has_its_documented_response() {
    let subject = Subject::new();
    let large = [WHOLE.as_bytes(), &vec![b' '; 6_000_000]].concat();
    let replace = |from: &str, to: &str| WHOLE.replace(from, to).into_bytes();
    let cases: Vec<(Vec<u8>, u16, Option<&str>)> = vec![
        (Vec::new(), 400, None),
        (large, 413, None),
        (b"payment".to_vec(), 400, None),
        (b"[1]".to_vec(), 400, None),
        (vec![0xff, 0xfe, b'{'], 400, None),
        (replace("\"12.50\"", "NaN"), 400, None),
        (replace("\"12.50\"", "\"NaN\""), 400, Some("amount")),
        (replace("\"12.50\"", "true"), 400, Some("amount")),
        (replace("\"12.50\"", "-12.50"), 400, Some("amount")),
        (replace("\"12.50\"", "12.505"), 400, Some("amount")),
        (replace("\"12.50\"", "0"), 400, Some("amount")),
        (replace("\"t-1\"", "1"), 400, Some("transactionId")),
        (replace("\"t-1\"", "\"t\u{2d}\u{200b}1\""), 400, Some("transactionId")),
        (replace("\"c-1\"", "\"\u{441}-1\""), 400, Some("customerId")),
        (replace("USD", "US$"), 400, Some("currency")),
        (replace("USD", "XXQ"), 400, Some("currency")),
        (replace("\"a\"", "\"a\\n\""), 400, Some("description")),
        (replace("\"a\"", "\"\u{664}111 1111 1111 1111\""), 400, Some("description")),
        (replace("{", "{\"amount\":1,"), 400, None),
        (replace("{", "{\"note\":1,"), 400, None),
        (WHOLE.into(), 200, None),
        (replace(",", " , "), 200, None),
        (replace("12.50", "12.51"), 409, None),
    ];
    for (body, status, field) in &cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        for (second, encoded) in [(false, false), (false, true), (true, false), (true, true)] {
            let request = Request { encoded, ..Request::new(second, "POST", "/v1/payments", body) };
            let (found, answer) = subject.answer(&request.event());
            assert_eq!((found, answer.get("field").and_then(Value::as_str)), (*status, *field), "{shown}: {answer}");
            subject.check(&request);
        }
    }
    let mut unreadable = Request::new(false, "POST", "/payments", b"").event();
    (unreadable["body"], unreadable["isBase64Encoded"]) = ("not base64".into(), true.into());
    assert_eq!(subject.answer(&unreadable), (400, json!({ "error": "the body cannot be read" })));
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        "\"",
        "{",
        "}",
        "[",
        ",",
        ":",
        "\\u0000",
        "\\",
        "null",
        "-",
        "0",
        "1e9",
        "NaN",
        "4111",
        "1111",
        "\u{663}",
        "\u{200b}",
        "\u{0}",
        "\"amount\":1",
        "XAU",
        "t-2",
        ".505",
    ]);
    let change = (any::<Index>(), any::<Index>(), piece);
    let changed = prop::collection::vec(change, 0..5).prop_map(|changes| {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (start, length, piece) in changes {
            let start = start.index(bytes.len() + 1);
            let end = bytes.len().min(start + length.index(4));
            bytes.splice(start..end, piece.bytes());
        }
        bytes
    });
    let valid = ("t-[1-9]{1,3}", "c-[1-9]", 1..=9_999_u32).prop_map(|(id, customer, cents)| {
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        json!({ "transactionId": id, "customerId": customer, "amount": amount }).to_string().into_bytes()
    });
    let long = (LONGEST_BODY - 2..LONGEST_BODY + 3).prop_map(|length| {
        let mut bytes = WHOLE.as_bytes().to_vec();
        bytes.resize(length, b' ');
        bytes
    });
    prop_oneof![
        30 => changed,
        20 => valid,
        20 => prop::collection::vec(any::<u8>(), 0..200),
        2 => long,
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    let target = |method: &str, paths: &[&'static str]| {
        (Just(method.to_owned()), select(paths.to_vec()).prop_map(str::to_owned))
    };
    let method = prop_oneof![3 => select(vec!["POST", "GET", "OPTIONS"]).prop_map(str::to_owned), 1 => any::<String>()];
    let path = prop_oneof![
        select(vec!["/payments", "/payments/t-1", "/health", "/"]).prop_map(str::to_owned),
        "/payments/[t.%/0-9\u{663}-]{0,8}",
        any::<String>(),
    ];
    let target = prop_oneof![
        12 => target("POST", &["/payments", "/v1/payments", "/payment"]),
        3 => target("GET", &["/payments/t-1", "/v1/payments/t-2", "/payments/t-404", "/health"]),
        3 => (method, path),
    ];
    let value = prop_oneof!["[a-z0-9-]{0,70}", Just("4111111111111111".to_owned()), any::<String>()];
    let header = prop_oneof![Just("X-Correlation-Id".to_owned()), any::<String>()];
    let headers = prop_oneof![
        Just(Value::Null),
        prop::collection::btree_map(header, value, 0..3).prop_map(|headers| json!(headers)),
    ];
    (any::<bool>(), target, headers, bodies(), any::<bool>()).prop_map(
        |(second, (method, path), headers, body, encoded)| Request { second, method, path, headers, body, encoded },
    )
}

/// Runs this number of requests, and returns the number of responses by status. After each, an event is changed at one
/// place: whatever it is then, it is handled or refused.
fn run(cases: u32) -> BTreeMap<u16, u32> {
    let subject = Subject::new();
    let counts = Mutex::new(BTreeMap::new());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let strategy = (requests(), any::<Index>(), any::<u8>());
    let outcome = TestRunner::new(config).run(&strategy, |(request, at, byte)| {
        *counts.lock().unwrap().entry(subject.check(&request)).or_default() += 1;
        let mut event = request.event().to_string().into_bytes();
        let at = at.index(event.len());
        event[at] = byte;
        // An event that is none of the function's is an error, which Lambda reports.
        let _ = subject.runtime.block_on(subject.function.handle(&event, LEFT));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    counts.into_inner().unwrap()
}

#[test]
fn p09_g03_no_event_breaks_the_function() {
    let counts = run(2_000);
    for status in [200, 400, 404, 405, 409, 413] {
        assert!(counts.contains_key(&status), "no response has status {status}: {counts:?}");
    }
}

#[test]
#[ignore = "takes minutes; see the command at the top of this file"]
fn p09_g03_no_event_of_a_million_breaks_the_function() {
    let begun = Instant::now();
    let counts = run(MANY);
    assert_eq!(counts.values().sum::<u32>(), MANY);
    let (names, numbers): (String, String) =
        counts.iter().map(|(status, count)| (format!(" {status} |"), format!(" {count} |"))).unzip();
    let text = format!(
        "# Events of API Gateway with valid and invalid requests\n\n\
         `cargo test --workspace --test events -- --ignored > /dev/null`\n\n\
         Half of the requests are in the format of REST APIs, half in that of HTTP APIs. Each response has the documented \
         status\nand body. After each, an event with one changed byte is handled or refused as well.\n\n\
         | requests |{names} time |\n|---:|{}---:|\n| {MANY} |{numbers} {} s |\n",
        "---:|".repeat(counts.len()),
        begun.elapsed().as_secs(),
    );
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/results/events.md");
    std::fs::write(file, text).unwrap();
}
