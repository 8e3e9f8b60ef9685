//! `payinfra deploy` (M-17): a good image, a bad one, gates, interruptions.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use payinfra_tests::{Bench, Outcome};
use serde_json::Value;

const WORKSPACE: [&str; 2] = ["--workspace", "legacy"];
const GOOD: &str = "public.ecr.aws/payinfra/payment-service:1.1.0";
const BAD: &str = "public.ecr.aws/payinfra/payment-service:bad";

/// The example in one region, with a short lease, under the checker.
async fn applied() -> Bench {
    let bench = Bench::new().await.lease(Duration::from_secs(2));
    bench.run(&with(&["apply", "--yes"])).ok();
    bench.follow(&[]).await;
    bench.aws.clear_calls();
    bench
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &WORKSPACE].concat()
}

/// A command line of `deploy` that waits for nothing.
fn quick<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    with(&[&["deploy", "--every", "0s", "--bake", "0s", "--yes"], arguments].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn m17_first() {
    let bench = applied().await;
    let first = bench.run(&with(&["deploy"])).ok();
    println!("{}{}", first.stdout, first.stderr);
    let good = bench.run(&quick(&["--image", GOOD]));
    println!("{}{}", good.stdout, good.stderr);
    let plan = bench.run(&with(&["plan"]));
    println!("{}{}", plan.stdout, plan.stderr);
    let begun = std::time::Instant::now();
    let bad = bench.run(&quick(&["--image", BAD]));
    println!("{}{}", bad.stdout, bad.stderr);
    println!("{:?}", begun.elapsed());
    let plan = bench.run(&with(&["plan"]));
    println!("{}{}", plan.stdout, plan.stderr);
    println!("{:?}", bench.violations().await);
}
