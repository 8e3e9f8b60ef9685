//! An apply is hardly slower than AWS's own longest chain of calls and waits and its busiest rate limit, whatever the shape
//! of the graph.
//!
//! `cargo test -p payinfra-engine --test simulated -- --ignored` simulates all shapes, and writes `tests/results/engine.md`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::fmt::Write;
use std::time::Duration;

use payinfra_engine::{Graph, Result};
use payinfra_testkit::{Bench, Bound, Climate, Direction, End, Shape, bound, ten_workers};

/// One apply, in virtual time.
struct Run {
    shape: String,
    count: usize,
    direction: Direction,
    bound: Bound,
    took: Duration,
    workers: Duration,
}

impl Run {
    fn ratio(&self) -> f64 {
        self.took.as_secs_f64() / self.bound.least().as_secs_f64()
    }
}

/// How long the engine takes for `graph`, without the plan.
async fn timed(bench: &Bench, graph: &Graph) -> Result<Duration> {
    let plan = bench.plan(graph).await?;
    let begun = bench.world.elapsed();
    match bench.perform(&plan).await {
        End::Done(_, report) if report.is_complete() => {}
        end => panic!("{end:?}"),
    }
    Ok(bench.world.elapsed().saturating_sub(begun))
}

/// Creates and destroys `shape`.
fn simulated(name: &str, shape: &Shape, seed: u64) -> Result<Vec<Run>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let climate = Climate { seed };
        let bench = Bench::in_climate(climate);
        let mut runs = Vec::new();
        for (direction, graph) in [(Direction::Create, shape.graph()?), (Direction::Destroy, Bench::nothing())] {
            let took = timed(&bench, &graph).await?;
            let (bound, workers) = (bound(shape, climate, direction)?, ten_workers(shape, climate, direction)?);
            // Full buckets, for the next run.
            tokio::time::sleep(Duration::from_hours(1)).await;
            runs.push(Run { shape: name.to_owned(), count: shape.count(), direction, bound, took, workers });
        }
        assert_eq!(bench.world.violations(), Vec::<String>::new());
        assert_eq!(bench.world.ids().len(), 0);
        Ok(runs)
    })
}

fn row(run: &Run) -> String {
    let Run { shape, count, direction, bound, took, workers } = run;
    let what = if *direction == Direction::Create { "create" } else { "destroy" };
    let seconds = |time: &Duration| format!("{:.1}", time.as_secs_f64());
    let ten = workers.as_secs_f64() / bound.least().as_secs_f64();
    let (chain, drain) = (seconds(&bound.chain), seconds(&bound.drain));
    let least = if bound.chain >= bound.drain { "chain" } else { &bound.bucket };
    format!(
        "| {shape} | {count} | {what} | {chain} | {drain} | {} | {:.3} | {ten:.2} | {least} |",
        seconds(took),
        run.ratio()
    )
}

/// The middle and the largest ratio.
fn summary(runs: &[Run]) -> (f64, f64) {
    let mut ratios: Vec<f64> = runs.iter().map(Run::ratio).collect();
    ratios.sort_by(f64::total_cmp);
    (ratios[ratios.len() / 2], ratios[ratios.len() - 1])
}

/// The shapes that are simulated in every run of the tests.
fn shapes() -> Vec<(&'static str, Shape)> {
    vec![
        ("wide", Shape::wide(48)),
        ("wide", Shape::wide(1_000)),
        ("deep", Shape::deep(30, 1)),
        ("deep and wide", Shape::deep(30, 10)),
        ("deep, ready within seconds", Shape::deep_quick(50)),
        ("stack in one region", Shape::stack(1)),
        ("stack in two regions", Shape::stack(2)),
        ("stack in three regions", Shape::stack(3)),
    ]
}

#[test]
fn an_apply_takes_hardly_longer_than_the_bound() -> Result<()> {
    let random = [50, 200, 500].map(|count| ("random", Shape::random(count as u64, count)));
    let mut runs = Vec::new();
    for (name, shape) in shapes().into_iter().chain(random) {
        runs.extend(simulated(name, &shape, 7)?);
    }
    let table: String = runs.iter().map(|run| row(run) + "\n").collect();
    for run in &runs {
        assert!(run.took >= run.bound.least(), "faster than possible:\n{table}");
        assert!(run.workers >= run.bound.chain.mul_f64(0.8), "the workers are faster than possible:\n{table}");
    }
    let (middle, most) = summary(&runs);
    assert!(middle <= 1.05 && most <= 1.15, "{middle:.3} {most:.3}\n{table}");
    Ok(())
}

#[test]
#[ignore = "simulates all shapes, and writes tests/results/engine.md"]
fn all_shapes() -> Result<()> {
    let mut runs = Vec::new();
    for (name, shape) in shapes().into_iter().chain([("wide", Shape::wide(10_000))]) {
        runs.extend(simulated(name, &shape, 7)?);
    }
    let mut text = String::from(HEAD);
    for run in &runs {
        writeln!(text, "{}", row(run)).expect("a string");
    }
    let mut random = Vec::new();
    for seed in 0..100 {
        let count = 50 + usize::try_from(seed * 1_950 / 99).expect("a number");
        random.extend(simulated("random", &Shape::random(seed, count), seed)?);
    }
    // Every tenth of the random ones.
    random.iter().step_by(20).for_each(|run| writeln!(text, "{}", row(run)).expect("a string"));
    let (one, all) = (summary(&random), summary(&random.into_iter().chain(runs).collect::<Vec<_>>()));
    writeln!(text, "\n| | median | worst |\n|---|---:|---:|").expect("a string");
    writeln!(text, "| 100 random graphs, created and destroyed | {:.3} | {:.3} |", one.0, one.1).expect("a string");
    writeln!(text, "| all | {:.3} | {:.3} |", all.0, all.1).expect("a string");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/results/engine.md");
    let before = std::fs::read_to_string(file).unwrap_or_default();
    let cost = before.find(COST).map_or("", |at| &before[at..]);
    std::fs::write(file, format!("{text}\n{cost}")).expect("a file");
    Ok(())
}

/// What follows in the results, which `tests/cost.rs` prints.
const COST: &str = "## Cost";

const HEAD: &str = "\
# The engine, simulated

`cargo test -p payinfra-engine --test simulated -- --ignored`

The real engine applies and destroys graphs in the simulated cloud of `crates/testkit`, in virtual time. Calls take as long as
AWS's, wait for token buckets of AWS's rates for each service and region, and have effects after AWS's usual times, which vary
around the usual one as a log-normal distribution whose 95th percentile is twice the median. New resources of EC2 and IAM are
invisible for up to two seconds, and other services do not know a new role for eight seconds.

*chain* is the longest chain of waits and calls: of each resource, the write of its intent, the call, the write of its id, AWS's
time, and one read at exactly the right moment. *bucket* is the busiest token bucket: the first of its calls that matter, the
time to drain, and what has to follow the last of them; 0 if the burst suffices. The bound is the larger of both, and knows how
long everything will take. *engine* is the duration of the apply in seconds, *ratio* that divided by the bound. *ten workers* is
the ratio of ten workers, each of which works on one resource until it is ready, as Terraform's do; they write no state, and
know when it is ready. *bound by* is the chain, or the name of the bucket.

| shape | resources | | chain | bucket | engine | ratio | ten workers | bound by |
|---|---:|---|---:|---:|---:|---:|---:|---|
";
