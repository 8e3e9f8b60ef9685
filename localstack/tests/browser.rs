//! What pages of other origins can make a real browser do to the emulated AWS of a developer: nothing.
//!
//! `tests/browser/page.html` attacks a gateway in every way that a page has. The browser is Chromium without a window,
//! from PyPI ([`payinfra_localstack::browser`]). Where libraries of the system are missing that it needs, this says so
//! and is skipped.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all that the tests share is used here")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use payinfra_localstack::{Builder, Emulator, Fault, Match, Rule, browser};
use serde_json::Value;
use support::Aws;
use tokio::net::{TcpListener, TcpStream};

/// What the names of the attackers lead to. Nothing but this machine is asked.
const NAMES: &str = "evil.example=127.0.0.1,other.example=127.0.0.1,rebound.example=127.0.0.2";
/// What the browser asks about before it sends it to another origin.
const ASKED: [&str; 5] = ["control-faults", "control-forget", "json", "put", "signed"];
/// How many ways to attack `page.html` has.
const WAYS: usize = 31;

/// What became of each attack, as the page sees it: its name and the address, and the status or words.
type Results = BTreeMap<String, Value>;

/// Shows the pages in the browser, and returns what each found; none if the browser cannot run here.
async fn browse(urls: &[String]) -> Option<Vec<Results>> {
    let python = tokio::task::spawn_blocking(browser).await.unwrap().unwrap();
    let mut command = Command::new(python);
    command.arg("-s").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/open.py")).arg(NAMES).args(urls);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        // Past the test harness, which keeps what tests that pass say.
        let skipped = format!("skipped: the browser cannot run here: {}\n", complaint.trim());
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return None;
    }
    assert!(output.status.success(), "{}: {complaint}", output.status);
    let results: Vec<Results> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), urls.len(), "{said}{complaint}");
    Some(results)
}

/// A page at an address, that attacks these others, or its own.
fn page(origin: &str, bases: &[String]) -> String {
    let bases: Vec<_> = bases.iter().map(|base| format!("base={base}")).collect();
    format!("{origin}/page?{}", bases.join("&"))
}

fn answer(status: StatusCode, headers: &[(&str, &str)], body: &'static str) -> Response<Full<Bytes>> {
    let response = headers
        .iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    response.body(Full::new(Bytes::from(body))).unwrap()
}

/// The attackers' server. It has the page, and sends requests on to other addresses. With a gateway, all else goes there
/// as it came: what a browser does whose name server has changed its mind in between (DNS rebinding).
async fn attacker(listener: TcpListener, gateway: Option<SocketAddr>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut head = [0; 512];
            let mut count = stream.peek(&mut head).await.unwrap_or_default();
            while count > 0 && !head[..count].contains(&b'\n') && count < head.len() {
                tokio::task::yield_now().await;
                count = stream.peek(&mut head).await.unwrap_or_default();
            }
            let head = String::from_utf8_lossy(&head[..count]).into_owned();
            let own =
                ["/page", "/redirect"].iter().any(|path| head.split(' ').nth(1).unwrap_or_default().starts_with(path));
            if let Some(gateway) = gateway.filter(|_| !own) {
                let mut gateway = TcpStream::connect(gateway).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut gateway).await;
                return;
            }
            let serve = async |request: Request<Incoming>| {
                let query = request.uri().query().unwrap_or_default();
                Ok::<_, Infallible>(match request.uri().path() {
                    "/page" => {
                        answer(StatusCode::OK, &[("content-type", "text/html")], include_str!("browser/page.html"))
                    }
                    "/redirect" => answer(StatusCode::TEMPORARY_REDIRECT, &[("location", query)], ""),
                    _ => answer(StatusCode::NOT_FOUND, &[], ""),
                })
            };
            let mut server = http1::Builder::new();
            let _ = server.keep_alive(false).serve_connection(TokioIo::new(stream), service_fn(serve)).await;
        });
    }
}

/// What came: the attack and the `Host`, and the methods.
type Came = Arc<Mutex<BTreeMap<(String, String), BTreeSet<String>>>>;

/// A server that stands where the gateway could, and notes what the browser sends.
async fn witness(listener: TcpListener, came: Came) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let came = Arc::clone(&came);
        tokio::spawn(async move {
            let note = async |request: Request<Incoming>| {
                let query = request.uri().query().unwrap_or_default();
                if let Some(attack) = query.split('&').find_map(|pair| pair.strip_prefix("attack=")) {
                    let host = request.headers()["host"].to_str().unwrap().to_owned();
                    let mut came = came.lock().unwrap();
                    came.entry((attack.to_owned(), host)).or_default().insert(request.method().to_string());
                }
                Ok::<_, Infallible>(answer(StatusCode::OK, &[], ""))
            };
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(note)).await;
        });
    }
}

/// The names that lead to a port of this machine, among them one that is not its own.
fn bases(port: u16) -> Vec<String> {
    ["127.0.0.1", "localhost", "aws.localhost", "other.example"].map(|host| format!("http://{host}:{port}")).to_vec()
}

/// An emulated AWS with something to lose: a bucket, and a rule that makes calls fail.
async fn prepared(origin: Option<&str>) -> (Emulator, Aws, u16) {
    let emulator = origin.into_iter().fold(Emulator::builder(), Builder::allow_origin);
    let emulator = emulator.start().await.unwrap();
    let aws = Aws::of(&emulator);
    assert_eq!(aws.s3("PUT", "/open", &[], "").await.status, StatusCode::OK);
    emulator.faults([Rule { matches: Match::action("sns", "CreateTopic"), fault: Fault::Throttle }]);
    emulator.clear_calls();
    let port = emulator.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
    (emulator, aws, port)
}

/// Nothing was called, made, read, forgotten or stopped.
async fn assert_untouched(emulator: &Emulator, aws: &Aws) {
    assert_eq!(emulator.calls().len(), 0, "{:?}", emulator.calls());
    assert_eq!(emulator.status().await.unwrap().rules, 1);
    assert_eq!(aws.vpcs("10.66.0.0/16").await, 0);
    let functions = aws.send("lambda", "us-east-1", "GET", "/2015-03-31/functions", &[], "").await.unwrap();
    assert!(functions.status == StatusCode::OK && !functions.body.contains("evil"), "{functions:?}");
    assert!(!aws.json("kms", "TrentService.ListKeys", "{}").await.body.contains("KeyArn"));
    let buckets = aws.s3("GET", "/", &[], "").await.body;
    assert!(buckets.contains("<Name>open</Name>") && !buckets.contains("evil"), "{buckets}");
    assert!(!aws.s3("GET", "/open", &[], "").await.body.contains("<Key>"));
    emulator.clear_calls();
}

/// A page of another origin in a browser makes the gateway do nothing: one with a name of its own, one of this machine,
/// and one whose name leads to the gateway after it was loaded. The witness shows that the browser sends what the page
/// says, and the gateway that answers this page shows that it would have worked.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_browser_can_do_nothing() {
    let pages = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (evil, local) = {
        let port = pages.local_addr().unwrap().port();
        (format!("http://evil.example:{port}"), format!("http://localhost:{port}"))
    };
    tokio::spawn(attacker(pages, None));
    let (listener, came) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Came::default());
    let watched = bases(listener.local_addr().unwrap().port());
    tokio::spawn(witness(listener, Arc::clone(&came)));
    let (emulator, aws, port) = prepared(None).await;
    let rebound = format!("http://rebound.example:{port}");
    let changed = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    tokio::spawn(attacker(changed, Some(SocketAddr::from(([127, 0, 0, 1], port)))));

    // The browser sends it all.
    let Some(results) = browse(&[page(&evil, &watched)]).await else { return };
    assert_eq!(results[0].len(), WAYS * watched.len(), "{results:?}");
    for name in results[0].keys() {
        let (attack, base) = name.split_once(' ').unwrap();
        let came = came.lock().unwrap();
        let methods = came.get(&(attack.to_owned(), base.trim_start_matches("http://").to_owned()));
        let methods = methods.unwrap_or_else(|| panic!("{name} did not come: {results:?}"));
        assert_eq!(ASKED.contains(&attack), methods.contains("OPTIONS"), "{name}: {methods:?}");
    }

    // To the gateway, from elsewhere and from another port.
    for origin in [&evil, &local] {
        let results = browse(&[page(origin, &bases(port))]).await.unwrap();
        assert_eq!(results[0].len(), WAYS * 4, "{results:?}");
        assert!(results[0].values().all(|result| *result != 200), "{origin}: {results:?}");
        assert_untouched(&emulator, &aws).await;
    }

    // And from what it takes for the gateway's own origin. All that the page can read is that it is refused.
    let results = browse(&[page(&rebound, &[])]).await.unwrap();
    let statuses: BTreeSet<_> = results[0].values().filter_map(Value::as_u64).collect();
    assert_eq!(statuses, BTreeSet::from([403]), "{results:?}");
    assert_untouched(&emulator, &aws).await;

    // A page that the owner allows can use AWS, but not the gateway's own interface.
    let (emulator, aws, port) = prepared(Some(&local)).await;
    let base = format!("http://127.0.0.1:{port}");
    let results = browse(&[page(&local, std::slice::from_ref(&base))]).await.unwrap();
    for attack in ["fetch", "fetch-form", "put", "signed"] {
        assert_eq!(results[0][&format!("{attack} {base}")], 200, "{results:?}");
    }
    let called = emulator.calls();
    for action in ["CreateVpc", "CreateFunction", "CreateKey", "CreateBucket"] {
        let done = |call: &payinfra_localstack::Call| call.action == action && call.status.is_some_and(|it| it < 300);
        assert!(called.iter().any(done), "{action}: {called:?}");
    }
    let functions = aws.send("lambda", "us-east-1", "GET", "/2015-03-31/functions", &[], "").await.unwrap();
    assert!(functions.body.contains("evil"), "{functions:?}");
    assert_eq!(emulator.status().await.unwrap().rules, 1);
}
