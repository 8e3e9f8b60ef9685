//! Random faults of networks and AWS during whole applies and destroys on the emulated AWS.
//!
//! `PAYINFRA_SEED=17 cargo test --workspace --test random -- --ignored --nocapture many` runs one seed alone,
//! `PAYINFRA_SEEDS=1000` more of them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it found")]

use std::time::Instant;

use payinfra_localstack::{Fault, Match, Rule, When};
use payinfra_tests::Bench;
use payinfra_tests::content::Snapshot;

/// The number of seeds in CI.
const FEW: u64 = 2;
/// The number of seeds in the long test.
const MANY: u64 = 100;
/// A run that failed with an error is repeated once.
const RUNS: usize = 2;

/// `SplitMix64`: the same numbers for the same seed, on every platform.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// One of `from..to`.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % (to - from)
    }

    /// A number of seconds.
    fn seconds(&mut self, from: u64, to: u64) -> f64 {
        f64::from(u32::try_from(self.between(from * 10, to * 10)).unwrap()) / 10.0
    }

    fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.roll() % all.len() as u64).unwrap()]
    }
}

/// A selection of all faults. Each of them occurs occasionally, as in AWS: the promise is to converge in the end, not
/// while AWS is down.
fn mix(seed: u64) -> Vec<Rule> {
    let mut dice = Dice(seed);
    let services = [
        "ec2",
        "ec2",
        "kms",
        "s3",
        "iam",
        "logs",
        "rds",
        "ecs",
        "elasticloadbalancing",
        "route53",
        "dynamodb",
        "*",
        "*",
    ];
    let mut rules = Vec::new();
    for _ in 0..dice.between(4, 9) {
        let fault = match dice.between(0, 10) {
            0 => Fault::Error { status: dice.one(&[500, 503]) },
            1 => Fault::Throttle,
            2 => Fault::Reset { when: When::Before },
            3 => Fault::Reset { when: When::After },
            4 => Fault::Delay { seconds: dice.seconds(0, 2) },
            5 => Fault::Truncate,
            6 => Fault::Stale { seconds: dice.seconds(1, 3) },
            7 => Fault::NotFound { seconds: dice.seconds(1, 3), writes: dice.roll().is_multiple_of(2) },
            8 => Fault::HiddenTags { seconds: dice.seconds(1, 4) },
            _ => Fault::RoleNotAssumable { seconds: dice.seconds(1, 4) },
        };
        let action = match fault {
            Fault::NotFound { .. } | Fault::HiddenTags { .. } => Match::action(dice.one(&services), "Create*"),
            Fault::RoleNotAssumable { .. } => Match::action("iam", "CreateRole"),
            // Only for writes: a read makes nothing stale.
            Fault::Stale { .. } => Match { mutating: Some(true), ..Match::action(dice.one(&services), "*") },
            _ => Match::action(dice.one(&services), "*"),
        };
        let often = if action.service.as_deref() == Some("*") { 40 } else { 12 };
        rules.push(Rule { matches: action.every(dice.between(2, often)).times(dice.between(3, 12)), fault });
    }
    rules
}

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
