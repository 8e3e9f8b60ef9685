//! Random faults of networks and AWS during whole applies and destroys on the emulated AWS.
//!
//! `PAYINFRA_SEED=17 cargo test --workspace --test random -- --ignored --nocapture many` runs one seed alone,
//! `PAYINFRA_SEEDS=1000` more of them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it found")]

use std::time::Instant;

use payinfra_tests::Bench;
use payinfra_tests::content::Snapshot;
use payinfra_tests::faults::mix;

/// The number of seeds in CI.
const FEW: u64 = 2;
/// The number of seeds in the long test.
const MANY: u64 = 100;
/// A run that failed with an error is repeated once.
const RUNS: usize = 2;

/// Runs a command until it succeeds; returns the number of runs.
fn until_done(bench: &Bench, command: &str) -> Result<usize, String> {
    let mut said = String::new();
    for run in 1..=RUNS {
        let outcome = bench.run(&[command, "--workspace", "legacy", "--yes", "--accept-loss"]);
        if outcome.code == Some(0) {
            return Ok(run);
        }
        said = format!("{said}\n--- {command}, run {run}, {:?}\n{}", outcome.code, outcome.stderr);
    }
    Err(said)
}

/// One seed: a whole apply and a whole destroy, each compared with an undisturbed run, in every field.
async fn live(bench: &Bench, seed: u64, [applied, destroyed]: &[Snapshot; 2]) -> Result<usize, String> {
    bench.aws.clear_faults();
    bench.aws.reset().await.unwrap();
    bench.run(&["bootstrap"]).ok();
    bench.aws.faults(mix(seed));
    let mut runs = until_done(bench, "apply")?;
    bench.aws.clear_faults();
    same("apply", applied, bench).await?;
    let plan = bench.run(&["plan", "--workspace", "legacy", "--exit-code"]);
    if plan.code != Some(0) {
        return Err(format!("after apply, the plan has changes: {}{}", plan.stdout, plan.stderr));
    }
    bench.aws.faults(mix(!seed));
    runs += until_done(bench, "destroy")?;
    bench.aws.clear_faults();
    same("destroy", destroyed, bench).await?;
    let violations = bench.violations().await;
    if violations.is_empty() { Ok(runs) } else { Err(violations.join("\n")) }
}

/// Checks the account, the state and the outputs.
async fn same(command: &str, should: &Snapshot, bench: &Bench) -> Result<(), String> {
    let comparison = should.compare(&Snapshot::take(bench, "legacy").await);
    if comparison.is_equal() {
        return Ok(());
    }
    Err(format!("after {command}, these differ from an undisturbed run:\n{}", comparison.lines().join("\n")))
}

async fn run(seeds: std::ops::Range<u64>) {
    let bench = Bench::new().await;
    bench.follow(&[]).await;
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let applied = Snapshot::take(&bench, "legacy").await;
    bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    let undisturbed = [applied, Snapshot::take(&bench, "legacy").await];
    let mut failed = Vec::new();
    for seed in seeds {
        let begun = Instant::now();
        match live(&bench, seed, &undisturbed).await {
            Ok(runs) => println!("seed {seed}: {runs} runs, {:.1?}", begun.elapsed()),
            Err(error) => {
                println!("PAYINFRA_SEED={seed}: {error}\n{:#?}\n{:#?}", mix(seed), mix(!seed));
                failed.push(seed);
            }
        }
    }
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
}

/// A few seeds.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_seeds_converge() {
    run(0..FEW).await;
}

/// Many seeds, or only `PAYINFRA_SEED`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "many minutes: 100 seeds"]
async fn many_seeds_converge() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    run(match given("PAYINFRA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..given("PAYINFRA_SEEDS").unwrap_or(MANY),
    })
    .await;
}

/// An account that AWS throttles to `scale` of its limits: it is slow, but there are no errors.
async fn throttled(scale: f64) {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    bench.aws.set_throttling(Some(scale));
    for command in ["apply", "destroy"] {
        let begun = Instant::now();
        bench.aws.clear_calls();
        let outcome = bench.run(&[command, "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
        let calls = bench.aws.calls();
        let throttled = calls.iter().filter(|call| call.fault.as_deref() == Some("throttle")).count();
        println!("{command} at {scale}: {throttled} of {} calls throttled, {:.0?}", calls.len(), begun.elapsed());
        let said = format!("{}{}", outcome.stdout, outcome.stderr).to_lowercase();
        for word in ["throttl", "requestlimitexceeded", "slowdown", "error"] {
            assert!(!said.contains(word), "{command} shows `{word}`: {said}");
        }
    }
    bench.aws.set_throttling(None);
    assert_eq!(bench.inventory().await, empty);
}

/// At half of AWS's limits.
#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_account_converges_without_an_error() {
    throttled(0.5).await;
}

/// At a tenth of AWS's limits.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "many minutes: a tenth of AWS's limits"]
async fn an_account_throttled_to_a_tenth_converges_without_an_error() {
    throttled(0.1).await;
}
