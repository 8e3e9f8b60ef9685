//! The function's own share of a payment's latency, with an AWS that responds immediately, its start, and its package.
//!
//! The function is the one in the package for this machine's architecture, which `cargo function` builds.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use payinfra_tests::function::{Function, request};
use payment_image::package;
use serde_json::json;

/// Other programs on the machine can only slow it down, so the fastest round counts.
const ROUNDS: usize = 5;
/// Payments per round.
const PAYMENTS: usize = 1_000;
/// Warm-up payments, which open connections.
const FIRST: usize = 100;
const STARTS: usize = 21;
/// The time that the function may use for an event.
const LEFT: Duration = Duration::from_secs(10);
/// The goals: the 99th percentile of the overhead, the start, and the size of the package.
const MOST: Duration = Duration::from_millis(2);
const MOST_TO_START: Duration = Duration::from_millis(50);
const LARGEST: usize = 5 << 20;

/// An AWS that accepts every request.
fn aws() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || accept_all(stream));
        }
    });
    address
}

/// Responds to the requests of one connection, until it ends.
fn accept_all(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut length, mut lines) = (0, 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or_default() == 0 {
                return;
            }
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            lines += 1;
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        assert!(lines > 0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").is_err() {
            return;
        }
    }
}

/// The binary of the last build of the package for this machine.
fn program() -> PathBuf {
    let test = env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let path = target.join(format!("{}-unknown-linux-gnu/release/payment-processor", env::consts::ARCH));
    let path = env::var_os("PAYMENT_FUNCTION").map_or(path, PathBuf::from);
    assert!(path.exists(), "{} does not exist: run `cargo function` first", path.display());
    path
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

/// The time in which the function handles payment `number`, which has to succeed.
fn pay(function: &Function, number: usize) -> Duration {
    let body = json!({ "transactionId": format!("t-{number}"), "customerId": "c", "amount": 12.5 }).to_string();
    let event = request("POST", "/payments", &body).to_string();
    let begun = Instant::now();
    let (path, answer) = function.invoke(&event, LEFT);
    let time = begun.elapsed();
    assert_eq!((path.as_str(), &answer["statusCode"]), ("response", &json!(200)), "{answer}");
    time
}

/// G-03: the function adds less than two milliseconds to a payment, starts in less than fifty, and is less than 5 MiB.
#[test]
#[ignore = "measures the function in the package; writes tests/results/function-overhead.md"]
fn g03_a_payment_costs_little_beside_aws_and_a_start_too() {
    let (program, endpoint) = (program(), format!("http://{}", aws()));
    let size = package(&fs::read(&program).unwrap()).unwrap().len();
    let start = || Function::launch(&program, &endpoint, &[("PAYMENTS_KEY", "payment_id,timestamp")]);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let function = start();
        pay(&function, 0);
        starts.push(begun.elapsed());
    }
    let function = start();
    for number in 0..FIRST {
        pay(&function, number);
    }
    let round = |round: usize| {
        let first = FIRST + round * PAYMENTS;
        let mut times: Vec<_> = (first..first + PAYMENTS).map(|number| pay(&function, number)).collect();
        (percentile(&mut times, 99), percentile(&mut times, 50))
    };
    let (most, half) = (0..ROUNDS).map(round).min().unwrap();
    let first = percentile(&mut starts, 50);
    let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1_000.0);
    let memory = memory(function.id());
    let text = format!(
        "# Overhead of the payments function\n\n\
         `cargo function --architecture {arch}`, then\n\
         `cargo test --workspace --test function_overhead -- --ignored`\n\n\
         {PAYMENTS} sequential payments through Lambda's runtime API, with a table and a bucket that respond immediately. Each\n\
         payment makes four calls through the AWS SDK, whose local round trips are included. The fastest of {ROUNDS} rounds\n\
         counts, because other programs on the machine can only slow it down. The start is the median of {STARTS} starts, from\n\
         the start of the process to its response to its first payment. The memory is the peak of the process.\n\n\
         | p50 | p99 | start | memory | package |\n|---:|---:|---:|---:|---:|\n\
         | {} | {} | {} | {memory} MiB | {} KiB |\n",
        millis(half),
        millis(most),
        millis(first),
        size >> 10,
        arch = env::consts::ARCH,
    );
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/results/function-overhead.md"), &text).unwrap();
    assert!(most < MOST && first < MOST_TO_START && size < LARGEST, "{text}");
}
