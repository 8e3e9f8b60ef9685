//! The service's own share of a payment's latency, with a table and a bucket that respond immediately.
//!
//! `cargo --config lambda/image.toml test --release -p payment-service --test overhead -- --ignored` measures the
//! binary
//! of the image and writes `tests/results/overhead.md`.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use support::{ALL, Service, hashes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

const KEY: &str = "a key of the caller";
/// Other programs on the machine can only slow it down, so the fastest round counts.
const ROUNDS: usize = 5;
/// Payments per round.
const PAYMENTS: usize = 2_000;
/// Warm-up payments, which open connections.
const FIRST: usize = 100;
const STARTS: usize = 21;
/// The maximum p99 latency.
const MOST: Duration = Duration::from_millis(2);
/// The maximum startup time, from the start of the process to the first response.
const MOST_TO_START: Duration = Duration::from_millis(50);

/// A simulated AWS on its own thread that accepts every request.
fn aws() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let answer = async |request: Request<Incoming>| {
                    request.into_body().collect().await.unwrap();
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("{}"))))
                };
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(answer)));
            }
        });
    });
    address
}

/// The configuration of the service and of the client's connection.
#[derive(Clone, Copy)]
enum Doors {
    /// As in a stack: HTTPS and API keys.
    Closed,
    /// Without TLS and API keys.
    Open,
}

impl Doors {
    fn start(self, aws: SocketAddr) -> Service {
        let (aws, keys) = (format!("http://{aws}"), hashes(&[KEY, "another key"]));
        match self {
            Self::Closed => Service::start(&[("AWS_ENDPOINT_URL", &aws), ("API_KEYS", &keys)]),
            Self::Open => Service::start(&[("AWS_ENDPOINT_URL", &aws), ("AUTH", "none"), ("TLS", "none")]),
        }
    }

    async fn client(self, service: &Service) -> SendRequest<Full<Bytes>> {
        match self {
            Self::Closed => {
                let stream = service.connect_tls(ALL).await;
                stream.get_ref().0.set_nodelay(true).unwrap();
                client(stream).await
            }
            Self::Open => {
                let stream = service.connect().await;
                stream.set_nodelay(true).unwrap();
                client(stream).await
            }
        }
    }
}

async fn client<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> SendRequest<Full<Bytes>> {
    let (client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The time until the complete response arrives; the response must be successful.
async fn send(client: &mut SendRequest<Full<Bytes>>, method: &str, path: &str, body: String) -> Duration {
    let request = Request::builder().method(method).uri(path).header("host", "p").header("x-api-key", KEY);
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let begun = Instant::now();
    client.ready().await.unwrap();
    let answer = client.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let time = begun.elapsed();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    time
}

/// The peak memory of a process so far, in MiB.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

/// The percentile `share` of the values.
fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * share / 100).min(times.len() - 1)]
}

/// A row of the table, with the p99 latency and the median startup time.
async fn measure(aws: SocketAddr, doors: Doors, name: &str) -> (String, Duration, Duration) {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let service = doors.start(aws);
        send(&mut doors.client(&service).await, "GET", "/health", String::new()).await;
        starts.push(begun.elapsed());
    }
    let service = doors.start(aws);
    let mut client = doors.client(&service).await;
    let mut pay = async |number| {
        let body = format!(r#"{{"transactionId":"t-{number}","customerId":"c","amount":12.5}}"#);
        send(&mut client, "POST", "/payments", body).await
    };
    for number in 0..FIRST {
        pay(number).await;
    }
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut times = Vec::new();
        for number in 0..PAYMENTS {
            times.push(pay(FIRST + round * PAYMENTS + number).await);
        }
        rounds.push((percentile(&mut times, 99), percentile(&mut times, 50)));
    }
    let (most, half) = rounds.into_iter().min().unwrap();
    let start = percentile(&mut starts, 50);
    let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1_000.0);
    let memory = memory(service.id());
    let line = format!("| {name} | {} | {} | {memory} MiB | {} |\n", millis(half), millis(most), millis(start));
    (line, most, start)
}

/// M-30: the service adds less than two milliseconds to a payment, and starts in less than fifty.
#[tokio::test]
#[ignore = "measures the binary of the image; see the command at the top of this file"]
async fn m30_a_payment_costs_little_beside_aws_and_a_start_too() {
    let release = !cfg!(debug_assertions);
    assert!(release, "this requires a release build");
    let aws = aws();
    let closed = measure(aws, Doors::Closed, "HTTPS and API keys").await;
    let open = measure(aws, Doors::Open, "`TLS=none` and `AUTH=none`").await;
    let text = format!(
        "# Overhead of the payment service\n\n\
         `cargo --config lambda/image.toml test --release -p payment-service --test overhead -- --ignored`\n\n\
         {PAYMENTS} sequential payments on one connection, with a table and a bucket that respond immediately. Each payment\n\
         makes three calls through the AWS SDK, whose local round trips are included. The fastest of {ROUNDS} rounds counts,\n\
         because other programs on the machine can only slow it down. The memory is the peak of the process. The start is\n\
         the median of {STARTS} starts, from the start of the process to its response to `GET /health`.\n\n\
         | | p50 | p99 | memory | start |\n|---|---:|---:|---:|---:|\n{}{}",
        closed.0, open.0,
    );
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/results/overhead.md"), &text).unwrap();
    for (_, most, start) in [closed, open] {
        assert!(most < MOST && start < MOST_TO_START, "{text}");
    }
}
