//! A workspace moves through all phases and back among random faults of networks and AWS. After every call, the checker looks
//! whether each request ends at a healthy target and whether data is replicated.
//!
//! `PAYINFRA_SEED=17 cargo test --workspace --test moves -- --ignored --nocapture many` runs one seed alone. All seeds write
//! `results/moves.md`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it found")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use payinfra_tests::faults::mix;
use payinfra_tests::{Bench, Inventory, example};

const LIVE: [&str; 2] = ["--workspace", "live"];
const MOVES: [&str; 4] = ["migration", "production", "migration", "legacy"];
/// The number of seeds in the long test.
const MANY: u64 = 100;
/// A run that failed with an error is repeated: payinfra retries for a limited time.
const RUNS: usize = 3;
/// The command that writes the table.
const COMMAND: &str = "cargo test --workspace --test moves -- --ignored --nocapture many";

/// One seed.
struct Row {
    seed: u64,
    /// The calls of the four moves.
    calls: usize,
    /// Those with a fault.
    faults: usize,
    /// The runs of the four commands.
    runs: usize,
    violations: Vec<String>,
    /// What failed or differs.
    problems: Vec<String>,
    seconds: u64,
}

/// The number of resources per region and kind. Revisions of task definitions and keys that are scheduled for deletion stay
/// for a while, so they are not counted.
async fn census(bench: &Bench) -> BTreeMap<String, usize> {
    let inventory = bench.inventory().await;
    let nothing = Inventory::default();
    let kind = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let kinds = inventory.beyond(&nothing).into_iter().map(kind);
    let mut census = BTreeMap::new();
    for kind in kinds.filter(|kind| !["ecs.task-definition", "kms.key"].iter().any(|left| kind.ends_with(left))) {
        *census.entry(kind).or_default() += 1;
    }
    census
}

/// Moves to a phase, again if a run fails; returns the number of runs.
fn travel(bench: &Bench, to: &str) -> Result<usize, String> {
    let mut said = String::new();
    for run in 1..=RUNS {
        let outcome = bench.run(&[&["phase", "--to", to, "--yes", "--accept-loss"], &LIVE[..]].concat());
        if outcome.code == Some(0) {
            return Ok(run);
        }
        write!(said, "\n--- to {to}, run {run}, {:?}\n{}", outcome.code, outcome.stderr).unwrap();
    }
    Err(said)
}

/// All moves with the faults of one seed. `expected` has the resources in each phase on the way without faults.
async fn walk(bench: &Bench, seed: u64, expected: &[BTreeMap<String, usize>]) -> Row {
    let begun = Instant::now();
    let mut row = Row { seed, calls: 0, faults: 0, runs: 0, violations: Vec::new(), problems: Vec::new(), seconds: 0 };
    bench.follow(&[]).await;
    for (number, (to, expected)) in (0..).zip(MOVES.into_iter().zip(expected)) {
        bench.aws.clear_calls();
        bench.aws.faults(mix(seed * 4 + number));
        match travel(bench, to) {
            Ok(runs) => row.runs += runs,
            Err(said) => row.problems.push(said),
        }
        bench.aws.clear_faults();
        let calls = bench.aws.calls();
        row.calls += calls.len();
        row.faults += calls.iter().filter(|call| call.fault.is_some()).count();
        let plan = bench.run(&[&["plan", "--exit-code"], &LIVE[..]].concat());
        if plan.code != Some(0) {
            row.problems.push(format!("in {to}, the plan has changes: {}{}", plan.stdout, plan.stderr));
        }
        let now = census(bench).await;
        if now != *expected {
            row.problems.push(format!("in {to}, there are {now:#?} instead of {expected:#?}"));
        }
    }
    row.violations = bench.violations().await;
    row.seconds = begun.elapsed().as_secs();
    row
}

/// The table of all rows.
fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "# Moves among faults\n\n`{COMMAND}`\n\nThe workspace `live` moves from `legacy` to `migration`, `production`, \
         `migration` and `legacy` on the emulated AWS, with a\nrandom selection of faults for each move: errors, throttling, \
         connections that are reset before or after a call took effect,\ndelays, truncated and stale answers, hidden tags, new \
         roles that cannot be assumed. *faults* are the calls that had one. *runs*\nare those of the four commands: one that \
         fails is repeated. *violations* are what the invariant checker found after any call: a\nrequest that would end at \
         nothing, or data that would not be replicated. *differences* are moves after which the plan is not\nempty or the \
         account does not have the resources of an undisturbed move.\n\n\
         | seed | calls | faults | runs | violations | differences | time |\n|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for Row { seed, calls, faults, runs, violations, problems, seconds } in rows {
        let (violations, problems) = (violations.len(), problems.len());
        writeln!(text, "| {seed} | {calls} | {faults} | {runs} | {violations} | {problems} | {seconds} s |").unwrap();
    }
    text
}

/// The rows of `seeds`, each told to `done` with those before.
async fn run(seeds: std::ops::Range<u64>, done: impl Fn(&[Row])) {
    let free = "[workspaces.live]\nprotect = false\nfinal_snapshot = false\n";
    let bench = Bench::with(&example().replace("[workspaces.live]\n", free)).await;
    bench.run(&[&["apply", "--yes"], &LIVE[..]].concat()).ok();
    let mut expected = Vec::new();
    for to in MOVES {
        travel(&bench, to).unwrap();
        expected.push(census(&bench).await);
    }
    let mut rows = Vec::new();
    for seed in seeds {
        let row = walk(&bench, seed, &expected).await;
        println!("seed {seed}: {} faults in {} calls, {} runs, {} s", row.faults, row.calls, row.runs, row.seconds);
        for problem in row.violations.iter().chain(&row.problems) {
            println!("PAYINFRA_SEED={seed}: {problem}");
        }
        rows.push(row);
        done(&rows);
    }
    let failed = rows.iter().filter(|row| !row.violations.is_empty() || !row.problems.is_empty());
    assert_eq!(failed.map(|row| row.seed).collect::<Vec<_>>(), Vec::<u64>::new(), "these seeds fail");
    assert!(rows.iter().any(|row| row.faults > 0), "no fault has happened");
}

/// M-03: one seed.
#[tokio::test(flavor = "multi_thread")]
async fn m03_one_seed_moves_there_and_back() {
    run(0..1, |_| ()).await;
}

/// M-03: all seeds, or only `PAYINFRA_SEED`; `PAYINFRA_SEEDS` is another number of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "about an hour: 100 seeds"]
async fn m03_many_seeds_move_there_and_back() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = given("PAYINFRA_SEED") {
        return run(seed..seed + 1, |_| ()).await;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/moves.md");
    run(0..given("PAYINFRA_SEEDS").unwrap_or(MANY), |rows| std::fs::write(&file, table(rows)).unwrap()).await;
}
