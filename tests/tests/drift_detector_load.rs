//! How long the drift detector takes to start and to read a large deployment at AWS's rates and with AWS's latency, and how much
//! memory that takes.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use payinfra_localstack::ACCOUNT_ID;
use payinfra_tests::Bench;
use payinfra_tests::api::write_package;
use payinfra_tests::function::Function;

const EXAMPLE: &str = include_str!("../../crates/stacks/src/trading/payinfra.toml");
const REGIONS: [&str; 6] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2"];
/// The goals: the number of resources at least, the start, a run and its memory, and the share of throttled calls in percent.
const RESOURCES: usize = 500;
const MOST_TO_START: Duration = Duration::from_secs(1);
const MOST_TO_RUN: Duration = Duration::from_mins(2);
const MOST_MEMORY: u64 = 256;
const MOST_THROTTLED: usize = 1;
/// To each topic.
const SUBSCRIPTIONS: usize = 13;
const STARTS: usize = 7;

/// `trading` in six regions, with the networks of its production, most instances, and many subscriptions.
fn configuration() -> String {
    let (before, rest) = EXAMPLE.split_once("regions = [\n").unwrap();
    let (_, after) = rest.split_once("]\n").unwrap();
    let lines = REGIONS.iter().fold(String::new(), |mut lines, region| {
        writeln!(lines, "    {{ name = \"{region}\" }},").unwrap();
        lines
    });
    let after = after.replacen("suffix = \"trdev\"\n", "suffix = \"trdev\"\nnat = \"per-zone\"\n", 1);
    let after = after.replacen("instances = 1,", "instances = 3,", 1);
    let queue = |number: usize| {
        let endpoint = format!("arn:aws:sqs:us-east-1:{ACCOUNT_ID}:alarms-{number}");
        format!("\n[[defaults.alarms.subscriptions]]\nprotocol = \"sqs\"\nendpoint = \"{endpoint}\"\n")
    };
    let subscriptions: Vec<_> = (0..SUBSCRIPTIONS).map(queue).collect();
    format!("{before}regions = [\n{lines}]\n{after}{}", subscriptions.concat())
}

/// The peak memory of a process so far, in MiB.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

fn start(bench: &Bench) -> Function {
    let bucket = format!("payinfra-state-{ACCOUNT_ID}");
    let variables = [
        ("STACK", "trading"),
        ("WORKSPACE", "dev"),
        ("STATE_BUCKET", &bucket),
        ("STATE_REGION", "us-east-1"),
        ("LOCK_TABLE", "payinfra-locks"),
        ("PAYINFRA_RATE_LIMITS", "1"),
    ];
    Function::of("drift-detector", &bench.aws, &variables)
}

/// T-08: a deployment of 500 resources is read within the limits of the function and of AWS.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures the drift detector; writes tests/results/drift-detector.md"]
async fn t08_five_hundred_resources_are_read_within_all_limits() {
    let bench = Bench::new().await;
    bench.configure(&configuration());
    write_package(&bench, "object-processor");
    bench.run(&["apply", "--workspace", "dev", "--yes", "--parallelism", "50"]).ok();
    let resources = bench.addresses("dev").len();
    assert!(resources >= RESOURCES, "{resources}");
    let mut starts: Vec<_> = (0..STARTS)
        .map(|_| {
            let begun = Instant::now();
            // Without time for a run, it responds at once.
            let (path, answer) = start(&bench).invoke("{}", Duration::ZERO);
            assert_eq!(path, "error", "{answer}");
            begun.elapsed()
        })
        .collect();
    starts.sort_unstable();
    let first = starts[STARTS / 2];
    bench.aws.set_throttling(Some(1.0));
    bench.aws.set_latency_scale(Some(1.0));
    bench.aws.clear_calls();
    let function = start(&bench);
    let begun = Instant::now();
    let (path, answer) = tokio::task::block_in_place(|| function.invoke("{}", Duration::from_mins(15)));
    let run = begun.elapsed();
    assert_eq!((path.as_str(), &answer["compared"]), ("response", &resources.into()), "{answer}");
    let calls = bench.aws.calls();
    let throttled = calls.iter().filter(|call| call.fault.as_deref() == Some("throttle")).count();
    let writes: Vec<_> = calls.iter().filter(|call| call.mutating).map(|call| call.action.as_str()).collect();
    assert_eq!(writes, ["PutObject", "PutMetricData", "PutMetricData"]);
    let memory = memory(function.id());
    let text = format!(
        "# Drift detector\n\n\
         `cargo build --workspace && cargo test --workspace --test drift_detector_load -- --ignored`\n\n\
         `trading` in six regions, read by the function with the limiter at AWS's rates, while the emulated AWS throttles at AWS's\n\
         limits and responds with AWS's median latency. The binary is the development build; the package is optimized. The start is\n\
         the median of {STARTS}, from the start of the process to its response to its first event. The memory is the peak of the\n\
         process.\n\n\
         | resources | calls | throttled | start | run | memory |\n|---:|---:|---:|---:|---:|---:|\n\
         | {resources} | {} | {throttled} | {:.0} ms | {:.1} s | {memory} MiB |\n\n\
         Lambda allows 10 s for the start and 900 s for a run; the variable `memory` is 512 MB by default.\n",
        calls.len(),
        first.as_secs_f64() * 1_000.0,
        run.as_secs_f64(),
    );
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/results/drift-detector.md"), &text).unwrap();
    let few = throttled * 100 <= calls.len() * MOST_THROTTLED;
    assert!(few && first < MOST_TO_START && run < MOST_TO_RUN && memory < MOST_MEMORY, "{text}");
}
