//! What the engine costs: CPU time, memory and bytes of state grow with the number of resources, and no faster.
//!
//! `cargo test -p payinfra-engine --test cost -- --ignored --nocapture` prints the table of
//! `tests/results/engine.md`. The simulated cloud is included in all of it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::fs;
use std::time::Duration;

use payinfra_engine::{Graph, Result};
use payinfra_testkit::{Bench, Climate, End, Shape};

/// The CPU time of this process so far.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    // Fields 14 and 15 of proc(5), in hundredths of a second.
    let ticks: u64 = fields[11..=12].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory of this process so far, in MiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// What one command costs.
#[derive(Debug)]
struct Cost {
    plan: Duration,
    apply: Duration,
    /// The bytes of state that were written.
    written: usize,
}

async fn cost(bench: &Bench, graph: &Graph) -> Result<Cost> {
    let (begun, before) = (cpu(), bench.store.written());
    let plan = bench.plan(graph).await?;
    let planned = cpu();
    if !plan.is_empty() {
        match bench.perform(&plan).await {
            End::Done(_, report) if report.is_complete() => {}
            end => panic!("{end:?}"),
        }
    }
    let (plan, apply) = (planned.saturating_sub(begun), cpu().saturating_sub(planned));
    Ok(Cost { plan, apply, written: bench.store.written() - before })
}

fn ratio(one: usize, other: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).expect("less than 4 GB"));
    number(one) / number(other)
}

/// Creates, plans again, and destroys; returns the three costs and the size of the state.
fn costs(shape: &Shape) -> Result<(Cost, Cost, Cost, usize)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (bench, graph) = (Bench::in_climate(Climate { seed: 7 }), shape.graph()?);
        let create = cost(&bench, &graph).await?;
        let state = bench.store.state()?.expect("a state").bytes()?.len();
        let nothing = cost(&bench, &graph).await?;
        let destroy = cost(&bench, &Bench::nothing()).await?;
        Ok((create, nothing, destroy, state))
    })
}

/// State that is written costs what changes: with ten times the resources, hardly more than ten times the bytes.
#[test]
fn what_is_written_grows_with_what_changes() -> Result<()> {
    for form in [Shape::wide, |count| Shape::random(1, count)] {
        let (small, large) = (costs(&form(100))?, costs(&form(1_000))?);
        for (create, nothing, destroy, state) in [&small, &large] {
            assert!(create.written <= 10 * state, "{create:?} for a state of {state}");
            assert_eq!(nothing.written, 0);
            assert!(destroy.written <= 10 * state, "{destroy:?} for a state of {state}");
        }
        assert!(large.0.written <= 15 * small.0.written, "{:?} {:?}", small.0, large.0);
    }
    Ok(())
}

/// The name of a shape, and the shape of a number of resources.
type Form = (&'static str, fn(usize) -> Shape);

#[test]
#[ignore = "measures CPU time and memory"]
#[expect(clippy::print_stdout, reason = "the results")]
fn ten_thousand_resources() -> Result<()> {
    println!("| shape | resources | plan | create | plan without changes | destroy | memory | state | written |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let forms: [Form; 2] = [("wide", Shape::wide), ("random", |count| Shape::random(1, count))];
    for (name, form) in forms {
        for count in [100, 1_000, 10_000] {
            let (create, nothing, destroy, state) = costs(&form(count))?;
            let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
            let times =
                [create.plan, create.apply, nothing.plan, destroy.plan + destroy.apply].map(seconds).join(" | ");
            let (kilobytes, written) = (state / 1_000, ratio(create.written, state));
            println!("| {name} | {count} | {times} | {} MiB | {kilobytes} kB | {written:.1} × |", memory());
        }
    }
    Ok(())
}
