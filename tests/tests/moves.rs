//! A workspace moves through all phases and back among random faults of networks and AWS, while clients send payments to the
//! real service. After every call, the checker looks whether each request ends at a healthy target and whether data is
//! replicated; after every move, each payment is looked for.
//!
//! `PAYINFRA_SEEDS=17..18 cargo test --workspace --test moves -- --ignored --nocapture many` runs one seed alone. Its row of
//! `results/moves.md` is replaced; the rows of other seeds stay.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it found")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use payinfra_localstack::Call;
use payinfra_tests::faults::mix;
use payinfra_tests::payments::{ACCESS_KEY, Payments, SCALE, Traffic, create_secret};
use payinfra_tests::{Bench, Inventory, example};

const LIVE: [&str; 2] = ["--workspace", "live"];
const MOVES: [&str; 4] = ["migration", "production", "migration", "legacy"];
/// The name of the service that clients send payments to.
const NAME: &str = "payment-api-live-demo1.payments.test";
/// AWS's latency in the undisturbed walk, so that tasks start, become healthy and drain one after the other.
const LATENCY: f64 = 1.0 / 120.0;
/// The statuses of responses that faults of AWS can cause, after which clients send a payment again.
const CAUSED_BY_FAULTS: [&str; 2] = ["500", "503"];
/// The number of seeds in the long test.
const MANY: u64 = 100;
/// A run that failed with an error is repeated: payinfra retries for a limited time.
const RUNS: usize = 3;
/// The command that writes the table.
const COMMAND: &str = "cargo test --workspace --test moves -- --ignored --nocapture many";

/// One walk through all phases.
struct Row {
    /// The seed of its faults; without one, it is undisturbed.
    seed: Option<u64>,
    /// The calls of the four moves.
    calls: usize,
    /// Those with a fault.
    faults: usize,
    /// The runs of the four commands.
    runs: usize,
    violations: Vec<String>,
    payments: Traffic,
    /// What is wrong with the payments.
    lost: Vec<String>,
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

impl Row {
    /// All that must not be.
    fn wrong(&self) -> impl Iterator<Item = &String> {
        self.violations.iter().chain(&self.lost).chain(&self.problems)
    }

    /// The row in the table.
    fn line(&self) -> String {
        let seed = self.seed.map_or("none".to_owned(), |seed| seed.to_string());
        let Self { calls, faults, runs, violations, problems, lost, seconds, .. } = self;
        let (violations, problems, lost) = (violations.len(), problems.len(), lost.len());
        let Traffic { sent, accepted, repeated, retried, refused, .. } = &self.payments;
        let (retried, refused) = (reasons(retried), reasons(refused));
        format!(
            "| {seed} | {calls} | {faults} | {runs} | {violations} | {problems} | {sent} | {accepted} | {repeated} | {retried} | \
             {refused} | {lost} | {seconds} s |"
        )
    }
}

/// All moves with the faults of a seed, or with none. `expected` has the resources in each phase on the way; the undisturbed
/// walk finds them.
async fn walk(
    bench: &Bench,
    payments: &Payments,
    seed: Option<u64>,
    expected: &mut Vec<BTreeMap<String, usize>>,
) -> Row {
    let begun = Instant::now();
    let mut row = Row {
        seed,
        calls: 0,
        faults: 0,
        runs: 0,
        violations: Vec::new(),
        payments: Traffic::default(),
        lost: Vec::new(),
        problems: Vec::new(),
        seconds: 0,
    };
    bench.follow(&[]).await;
    bench.aws.set_latency_scale(seed.is_none().then_some(LATENCY));
    for (number, to) in (0..).zip(MOVES) {
        bench.aws.clear_calls();
        if let Some(seed) = seed {
            bench.aws.faults(mix(seed * 4 + number));
        }
        match travel(bench, to) {
            Ok(runs) => row.runs += runs,
            Err(said) => row.problems.push(said),
        }
        bench.aws.faults([]);
        let calls = bench.aws.calls().into_iter().filter(|call| call.access_key != ACCESS_KEY);
        let calls: Vec<Call> = calls.collect();
        row.calls += calls.len();
        row.faults += calls.iter().filter(|call| call.fault.is_some()).count();
        let plan = bench.run(&[&["plan", "--exit-code"], &LIVE[..]].concat());
        if plan.code != Some(0) {
            row.problems.push(format!("in {to}, the plan has changes: {}{}", plan.stdout, plan.stderr));
        }
        let now = census(bench).await;
        match expected.get(usize::try_from(number).unwrap()) {
            None => expected.push(now),
            Some(expected) if now != *expected => {
                row.problems.push(format!("in {to}, there are {now:#?} instead of {expected:#?}"));
            }
            Some(_) => {}
        }
        let (traffic, lost) = payments.audit().await;
        row.lost.extend(lost.iter().map(|problem| format!("in {to}, {problem}")));
        row.payments.add(traffic);
    }
    let told = |reason: &String| seed.is_some() && CAUSED_BY_FAULTS.contains(&&**reason);
    let Traffic { retried, refused, .. } = &row.payments;
    row.lost.extend(refused.iter().map(|(reason, count)| format!("{count} payments were refused: {reason}")));
    let retried = retried.iter().filter(|(reason, _)| !told(reason));
    row.lost.extend(retried.map(|(reason, count)| format!("{count} requests failed: {reason}")));
    row.violations = bench.violations().await;
    row.seconds = begun.elapsed().as_secs();
    row
}

/// Reasons with their numbers: `3 × 500`.
fn reasons(counts: &BTreeMap<String, usize>) -> String {
    let all: Vec<_> = counts.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
    if all.is_empty() { "0".to_owned() } else { all.join(", ") }
}

/// The place of the row of a seed in the table; that of the undisturbed walk comes first.
fn place(seed: Option<u64>) -> u64 {
    seed.map_or(0, |seed| seed + 1)
}

/// The place of a line of the table.
fn place_of(line: &str) -> Option<u64> {
    let seed = line.strip_prefix("| ")?.split_once(' ')?.0;
    if seed == "none" { Some(place(None)) } else { Some(place(Some(seed.parse().ok()?))) }
}

/// The table with `rows`, and with those rows of `before` that have other seeds.
fn table(before: &str, rows: &[Row]) -> String {
    let lines = before.lines().filter_map(|line| Some((place_of(line)?, line.to_owned())));
    let mut lines: BTreeMap<u64, String> = lines.collect();
    lines.extend(rows.iter().map(|row| (place(row.seed), row.line())));
    let mut text = format!(
        "# Moves among faults, with payments\n\n`{COMMAND}`\n\nWith `PAYINFRA_SEEDS=20..30`, only the rows of these \
         seeds are written anew.\n\nThe workspace `live` moves from `legacy` to `migration`, \
         `production`, `migration` and `legacy` on the emulated AWS: first\nundisturbed, with AWS's latency divided by 120, \
         then with a random selection of faults for each move: errors, throttling,\nconnections that are reset before or \
         after a call took effect, delays, truncated and stale answers, hidden tags, new roles\nthat cannot be assumed. \
         *faults* are the calls of payinfra that had one. *runs* are those of the four commands: one that\nfails is \
         repeated. *violations* are what the invariant checker found after any call: a request that would end at \
         nothing,\nor data that would not be replicated. *differences* are moves after which the plan is not empty or the \
         account does not have\nthe resources of an undisturbed move.\n\nMeanwhile, four clients send payments. They take the path that the invariant checker \
         follows, with answers of Route 53 that are\nup to a TTL old, to processes of the payment service that have the \
         environment of the task definitions. AWS's times (TTL,\n`domain.drain_seconds`, deregistration delay) are divided \
         by {SCALE}. *sent* are different payments, *repeated* those that were sent\nagain after they had been accepted. \
         *retried* are requests with a response that tells clients to send them again, by status: the\nfaults hit the \
         calls of the service too. *refused* are payments without a 2xx response to any of five requests. *wrong* are\n\
         payments that were refused, and accepted ones that are not stored and audited exactly once in every region, after \
         any of the\nmoves.\n\n\
         | seed | calls | faults | runs | violations | differences | sent | accepted | repeated | retried | refused | wrong | time |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for line in lines.values() {
        writeln!(text, "{line}").unwrap();
    }
    text
}

/// The example, whose workspace `live` may lose its data, deployed in the phase `legacy`. Clients keep addresses for a while.
async fn deployed() -> Bench {
    let free = "[workspaces.live]\nprotect = false\nfinal_snapshot = false\n";
    let example = example().replace("[workspaces.live]\n", free);
    let example = example.replace("\ndrain_seconds = 0\n", &format!("\ndrain_seconds = {}\n", 60 / SCALE));
    let bench = Bench::with(&example).await;
    let secret = create_secret(&bench, &["us-east-1", "us-east-2"]).await;
    bench.configure(&example.replace("\nauth = \"none\"\n", &format!("\nauth = \"{secret}\"\n")));
    bench.run(&[&["apply", "--yes"], &LIVE[..]].concat()).ok();
    bench
}

/// The rows of an undisturbed walk and of `seeds`, each told to `done` with those before.
async fn run(bench: &Bench, payments: &Payments, seeds: std::ops::Range<u64>, done: impl Fn(&[Row])) {
    let mut expected = Vec::new();
    let mut rows = Vec::new();
    for seed in std::iter::once(None).chain(seeds.map(Some)) {
        let row = walk(bench, payments, seed, &mut expected).await;
        let name = seed.map_or("undisturbed".to_owned(), |seed| format!("seed {seed}"));
        let Row { calls, faults, runs, payments, seconds, .. } = &row;
        println!("{name}: {faults} faults in {calls} calls, {runs} runs, {seconds} s, {payments:?}");
        for problem in row.wrong() {
            println!("{name}: {problem}");
        }
        rows.push(row);
        done(&rows);
    }
    let failed = rows.iter().filter(|row| row.wrong().next().is_some());
    assert_eq!(failed.map(|row| row.seed).collect::<Vec<_>>(), Vec::<Option<u64>>::new(), "these seeds fail");
    assert!(rows.iter().any(|row| row.faults > 0), "no fault has happened");
    let count = |of: fn(&Traffic) -> usize| rows.iter().map(|row| of(&row.payments)).min().unwrap();
    assert!(count(|payments| payments.accepted) > 20, "hardly any payment was sent");
    assert!(count(|payments| payments.repeated) > 0, "no payment was repeated");
    assert!(count(|payments| payments.regions.len()) > 1, "one region served no payment");
}

/// M-03, M-30: payments are accepted during all moves, without faults and with those of one seed; none is lost, and none is
/// there twice. Then some are made to be, which the same audit finds.
#[tokio::test(flavor = "multi_thread")]
async fn m03_m30_payments_continue_through_all_phases_and_back() {
    let bench = deployed().await;
    let payments = Payments::start(&bench, NAME);
    run(&bench, &payments, 0..1, |_| ()).await;

    // No target is healthy.
    bench.aws.set_health("payment-blue-*", Some(false));
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.aws.set_health("payment-blue-*", None);
    let (traffic, lost) = payments.audit().await;
    assert_eq!(
        (traffic.retried.into_keys().collect::<Vec<_>>(), lost),
        (vec!["no healthy target".to_owned()], Vec::new())
    );

    // One payment is lost, and another one is audited twice.
    let (table, bucket) = ("payment-payments-live-demo1", "payment-audit-trail-live-demo1-us-east-1");
    let dynamodb = aws_sdk_dynamodb::Client::new(&bench.sdk("us-east-1"));
    let key = AttributeValue::S("order-1".to_owned());
    dynamodb.delete_item().table_name(table).key("payment_id", key).send().await.unwrap();
    let s3 = bench.s3("us-east-1");
    let buckets = s3.list_buckets().send().await.unwrap();
    let bucket =
        buckets.buckets().iter().filter_map(|found| found.name()).find(|name| name.starts_with(bucket)).unwrap();
    let again = "payments/2026/03/01/order-2-0000000000000000.json";
    s3.put_object().bucket(bucket).key(again).body(ByteStream::from_static(b"{}")).send().await.unwrap();
    let (_, lost) = payments.audit().await;
    let found = |problem: &str| lost.iter().any(|found| found == problem);
    assert!(found("order-1 was accepted, but is not stored in us-east-1"), "{lost:?}");
    assert!(found("order-2 was accepted, but has 2 audit records"), "{lost:?}");
    assert_eq!(payments.stop().await, Vec::<String>::new());
}

/// M-03, M-30: all seeds, or those of `PAYINFRA_SEEDS`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "more than three hours: 100 seeds"]
async fn m03_m30_payments_continue_through_all_phases_with_many_seeds() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/moves.md");
    let seeds = std::env::var("PAYINFRA_SEEDS").map_or(0..MANY, |range| {
        let (from, to) = range.split_once("..").unwrap();
        from.parse().unwrap()..to.parse().unwrap()
    });
    let write = |rows: &[Row]| {
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(&file, table(&before, rows)).unwrap();
    };
    let bench = deployed().await;
    let payments = Payments::start(&bench, NAME);
    run(&bench, &payments, seeds, write).await;
    assert_eq!(payments.stop().await, Vec::<String>::new());
}
