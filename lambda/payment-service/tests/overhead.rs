//! What the service itself takes of a payment's time, with a table and a bucket that answer at once.
//!
//! `cargo --config lambda/image.toml test --release -p payment-service --test overhead -- --ignored` measures the binary
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

const KEY: &str = "a key of the callers";
/// Other programs on the machine can only make it slower, so the quickest of the rounds counts.
const ROUNDS: usize = 5;
/// Payments in a round.
const PAYMENTS: usize = 2_000;
/// The first ones make connections.
const FIRST: usize = 100;
const STARTS: usize = 21;
/// What 99 of a hundred payments may take.
const MOST: Duration = Duration::from_millis(2);
/// What a start may take, from the process to its first answer.
const MOST_TO_START: Duration = Duration::from_millis(50);

/// AWS that says yes to everything at once, on a thread of its own.
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

/// How the service is run, and how a client connects.
#[derive(Clone, Copy)]
enum Doors {
    /// As in a stack: HTTPS and API keys.
    Closed,
    /// Neither.
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

/// How long it takes until the whole answer is there, which must be that all is well.
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

/// The most memory that a process had so far, in MiB.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

/// The value that `share` of a hundred are not above.
fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * share / 100).min(times.len() - 1)]
}

/// A line of the table, the time that 99 of 100 payments took at most, and that of half of the starts.
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

/// M-30: a payment takes less than two milliseconds beside what the table and the bucket take, and a task is there in
/// less than fifty.
#[tokio::test]
#[ignore = "measures the binary of the image; run by the command in the head of this file"]
async fn m30_a_payment_costs_little_beside_aws_and_a_start_too() {
    let release = !cfg!(debug_assertions);
    assert!(release, "only the release build counts");
    let aws = aws();
    let closed = measure(aws, Doors::Closed, "HTTPS and API keys").await;
    let open = measure(aws, Doors::Open, "`TLS=none` and `AUTH=none`").await;
    let text = format!(
        "# The payment service's own time\n\n\
         `cargo --config lambda/image.toml test --release -p payment-service --test overhead -- --ignored`\n\n\
         {PAYMENTS} payments one after the other on one connection, with a table and a bucket that answer at once. Each has\n\
         three calls through the AWS SDK, whose way to and from this AWS on the same machine counts. The quickest of\n\
         {ROUNDS} such rounds counts, because other programs on the machine can only make it slower. The memory is the most\n\
         that the process had. The start is the median of {STARTS}, from the process to its answer to `GET /health`.\n\n\
         | | p50 | p99 | memory | start |\n|---|---:|---:|---:|---:|\n{}{}",
        closed.0, open.0,
    );
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/results/overhead.md"), &text).unwrap();
    for (_, most, start) in [closed, open] {
        assert!(most < MOST && start < MOST_TO_START, "{text}");
    }
}
