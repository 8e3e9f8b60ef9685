//! Attacks from web pages in a real browser against the gateway, none of which may succeed.
//!
//! `tests/browser/page.html` sends all kinds of requests that a page can send. The browser is headless Chromium from
//! PyPI
//! ([`payinfra_localstack::browser`]). If the system lacks shared libraries that it needs, the test prints that and is
//! skipped.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

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

/// The addresses of the attackers' names. All other names are rejected, except those of this machine.
const NAMES: &str = "evil.example=127.0.0.1,other.example=127.0.0.1,rebound.example=127.0.0.2";
/// The attacks for which the browser sends a CORS preflight to other origins.
const ASKED: [&str; 5] = ["control-faults", "control-forget", "json", "put", "signed"];
/// The number of attacks in `page.html`.
const WAYS: usize = 31;

/// The result of each attack from the page's point of view: its name and the address, and the status or a text.
type Results = BTreeMap<String, Value>;

/// Opens the pages in the browser, and returns the results of each; `None` if the browser cannot run here.
async fn browse(urls: &[String]) -> Option<Vec<Results>> {
    let python = tokio::task::spawn_blocking(browser).await.unwrap().unwrap();
    let mut command = Command::new(python);
    command.arg("-s").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/open.py")).arg(NAMES).args(urls);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        // Written directly to stderr, because the test harness hides the output of passed tests.
        let skipped = format!("skipped: the browser cannot run here: {}\n", complaint.trim());
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return None;
    }
    assert!(output.status.success(), "{}: {complaint}", output.status);
    let results: Vec<Results> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), urls.len(), "{said}{complaint}");
    Some(results)
}

/// The URL of a page that attacks these addresses, or its own origin.
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

/// The attackers' server. It serves the page and redirects. With a gateway, it forwards everything else unchanged, to
/// simulate DNS that changes after the page has loaded (DNS rebinding).
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

/// The requests that arrived: the attack and the `Host`, and the methods.
type Came = Arc<Mutex<BTreeMap<(String, String), BTreeSet<String>>>>;

/// A server in place of the gateway that records the browser's requests.
async fn witness(listener: TcpListener, came: Came) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let came = Arc::clone(&came);
        tokio::spawn(async move {
            let note = async |request: Request<Incoming>| {
                let query = request.uri().query().unwrap_or_default();
                if let Some(attack) = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Attack=")) {
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

/// The hosts for a port of this machine, including one that is not loopback.
fn bases(port: u16) -> Vec<String> {
    ["127.0.0.1", "localhost", "aws.localhost", "other.example"].map(|host| format!("http://{host}:{port}")).to_vec()
}

/// An emulated AWS with something to lose: a bucket, and a fault rule.
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

/// Checks that nothing was called, created, read, cleared or stopped.
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

/// A page of another origin cannot make the gateway do anything: neither a page with its own domain, nor a page of this
/// machine, nor a page whose domain resolves to the gateway after it was loaded. The witness verifies that the browser
/// sends the requests, and a gateway that allows the page verifies that they would have worked.
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

    // The browser sends all requests.
    let Some(results) = browse(&[page(&evil, &watched)]).await else { return };
    assert_eq!(results[0].len(), WAYS * watched.len(), "{results:?}");
    for name in results[0].keys() {
        let (attack, base) = name.split_once(' ').unwrap();
        let came = came.lock().unwrap();
        let methods = came.get(&(attack.to_owned(), base.trim_start_matches("http://").to_owned()));
        let methods = methods.unwrap_or_else(|| panic!("{name} was not received: {results:?}"));
        assert_eq!(ASKED.contains(&attack), methods.contains("OPTIONS"), "{name}: {methods:?}");
    }

    // To the gateway, from another domain and from another port.
    for origin in [&evil, &local] {
        let results = browse(&[page(origin, &bases(port))]).await.unwrap();
        assert_eq!(results[0].len(), WAYS * 4, "{results:?}");
        assert!(results[0].values().all(|result| *result != 200), "{origin}: {results:?}");
        assert_untouched(&emulator, &aws).await;
    }

    // And from an origin that the browser takes for the gateway's own. The page can only read that it is rejected.
    let results = browse(&[page(&rebound, &[])]).await.unwrap();
    let statuses: BTreeSet<_> = results[0].values().filter_map(Value::as_u64).collect();
    assert_eq!(statuses, BTreeSet::from([403]), "{results:?}");
    assert_untouched(&emulator, &aws).await;

    // An allowed page can use AWS, but not the control API.
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
