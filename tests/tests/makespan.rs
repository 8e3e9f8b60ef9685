//! The duration of apply and destroy on an emulated AWS with AWS's latencies, compared with the critical path.
//!
//! `cargo build --release --workspace && cargo test --release --workspace --test makespan -- --ignored --nocapture`
//! prints it. The default scale is 60, at which a minute takes a second; `PAYINFRA_SCALE=20` is three times as slow.
//! The
//! computing time of the emulated AWS counts as well, so a slower scale is more accurate.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that prints what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use payinfra_tests::Bench;
use serde_json::Value;

/// The measured workspace.
const WORKSPACE: &str = "migration";

/// The times of one resource, in seconds since the start of the command.
#[derive(Debug, Default, Clone)]
struct Span {
    started: f64,
    exists: Option<f64>,
    done: f64,
    /// AWS's latency for it, at the scale.
    expected: f64,
}

/// The spans of all resources, and the critical path, in seconds.
fn spans(stdout: &str, scale: f64) -> (BTreeMap<String, Span>, f64, f64) {
    let (mut spans, mut chain, mut took) = (BTreeMap::<String, Span>::new(), 0.0, 0.0);
    let mut begun = None;
    for line in stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let at: f64 = seconds(line["at"].as_str().unwrap_or_default());
        let since = at - *begun.get_or_insert(at);
        let address = line["address"].as_str().unwrap_or_default().to_owned();
        match line["event"].as_str().unwrap_or_default() {
            "plan" => chain = line["expected"].as_f64().unwrap() * scale,
            "started" => {
                let expected = line["expected"].as_f64().unwrap() * scale;
                spans.insert(address, Span { started: since, expected, ..Span::default() });
            }
            "exists" => spans.entry(address).or_default().exists = Some(since),
            "done" => spans.entry(address).or_default().done = since,
            "summary" => took = line["seconds"].as_f64().unwrap(),
            _ => {}
        }
    }
    (spans, chain, took)
}

/// The seconds of an RFC 3339 time in UTC, within its day.
fn seconds(time: &str) -> f64 {
    let clock = time.split('T').nth(1).unwrap_or_default().trim_end_matches('Z');
    clock.split(':').filter_map(|part| part.parse::<f64>().ok()).fold(0.0, |sum, part| sum * 60.0 + part)
}

/// The dependencies.
fn depends(bench: &Bench) -> BTreeMap<String, BTreeSet<String>> {
    let graph = bench.run(&["graph", "--workspace", WORKSPACE]).ok().stdout;
    let mut depends = BTreeMap::<String, BTreeSet<String>>::new();
    for (later, earlier) in graph.lines().filter_map(|line| line.trim().trim_end_matches(';').split_once(" -> ")) {
        let name = |text: &str| text.trim_matches('"').to_owned();
        depends.entry(name(later)).or_default().insert(name(earlier));
    }
    depends
}

/// The critical path, from the resource that ended last back to the first.
fn path(spans: &BTreeMap<String, Span>, before: &dyn Fn(&str) -> BTreeSet<String>) -> Vec<String> {
    let last = |names: &mut dyn Iterator<Item = &String>| {
        let mut names: Vec<&String> = names.filter(|name| spans.contains_key(*name)).collect();
        names.sort_by(|one, other| spans[*one].done.total_cmp(&spans[*other].done));
        names.last().map(|name| (*name).clone())
    };
    let mut path = Vec::new();
    let mut next = last(&mut spans.keys());
    while let Some(name) = next {
        let begun = spans[&name].started;
        let earlier: BTreeSet<_> =
            before(&name).into_iter().filter(|it| spans.get(it).is_some_and(|it| it.done <= begun + 0.001)).collect();
        path.push(name);
        next = last(&mut earlier.iter());
    }
    path.reverse();
    path
}

fn measure(bench: &Bench, command: &str, scale: f64) {
    let depends = depends(bench);
    bench.aws.set_latency_scale(Some(scale));
    bench.aws.clear_calls();
    let begun = Instant::now();
    let outcome = bench.run(&[command, "--workspace", WORKSPACE, "--yes", "--accept-loss", "--json"]).ok();
    let whole = begun.elapsed().as_secs_f64();
    let calls = bench.aws.calls();
    let waits = bench.aws.waits();
    bench.aws.set_latency_scale(None);
    let (spans, chain, took) = spans(&outcome.stdout, scale);
    println!(
        "\n{command} of {WORKSPACE} at 1:{:.0}: {} resources, {} calls, {} waits",
        1.0 / scale,
        spans.len(),
        calls.len(),
        waits.len()
    );
    println!(
        "  makespan {took:.2} s (the command {whole:.2} s), critical path {chain:.2} s, ratio {:.3}",
        took / chain
    );
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("  load of this machine {}", load.trim());
    let before = |name: &str| match command {
        "destroy" => depends.iter().filter(|(_, on)| on.contains(name)).map(|(later, _)| later.clone()).collect(),
        _ => depends.get(name).cloned().unwrap_or_default(),
    };
    println!("  critical path:");
    println!("    {:>7} {:>7} {:>7} {:>7}  resource", "begun", "exists", "took", "AWS");
    for name in path(&spans, &before) {
        let Span { started, exists, done, expected } = &spans[&name];
        let exists = exists.map_or_else(String::new, |exists| format!("{:.2}", exists - started));
        println!("    {started:7.2} {exists:>7} {:7.2} {expected:7.2}  {name}", done - started);
    }
    println!("  longest times beyond AWS's latency:");
    let mut late: Vec<_> = spans.iter().map(|(name, span)| (span.done - span.started - span.expected, name)).collect();
    late.sort_by(|one, other| other.0.total_cmp(&one.0));
    for (late, name) in late.iter().take(10) {
        println!("    {late:7.2}  {name}");
    }
    let mut by_action = BTreeMap::<_, (usize, f64)>::new();
    for wait in &waits {
        let entry = by_action.entry((&wait.service, &wait.action)).or_default();
        *entry = (entry.0 + 1, entry.1.max(wait.seconds / scale));
    }
    println!("  AWS's waits:");
    for ((service, action), (count, seconds)) in by_action {
        println!("    {count:4} {service}:{action} {seconds:.0} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark"]
async fn the_migration_stack_takes_as_long_as_its_longest_chain() {
    let bench = Bench::new().await;
    let scale = std::env::var("PAYINFRA_SCALE").ok().and_then(|scale| scale.parse::<f64>().ok()).unwrap_or(60.0);
    for command in ["apply", "destroy"] {
        measure(&bench, command, 1.0 / scale);
    }
}
