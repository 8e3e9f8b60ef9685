//! Killed anywhere and run again, it ends as if nobody had killed it: nothing lost, nothing twice.
//!
//! `full_matrix` kills at every single call; it takes long, and writes `results/crash-matrix.md`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it found")]

use std::time::Instant;

use payinfra_tests::crash::{Harness, Point, Scenario, Step, Verdict};

/// How the table is made, for whoever wants to make it again.
const COMMAND: &str = "cargo test --workspace --test crash -- --ignored --nocapture full_matrix";

/// The configuration at the root, edited.
fn configuration(edit: impl FnOnce(&mut toml::Table)) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../payinfra.toml");
    let mut file: toml::Table = std::fs::read_to_string(root).unwrap().parse().unwrap();
    edit(&mut file);
    file.to_string()
}

/// A table in a table.
fn inner<'a>(file: &'a mut toml::Table, name: &str) -> &'a mut toml::Table {
    file[name].as_table_mut().unwrap()
}

/// One NAT gateway for each region: fewer of the same.
fn single(file: &mut toml::Table) {
    inner(file, "defaults").insert("nat".to_owned(), "single".into());
}

fn step(command: &'static str, workspace: &'static str, configuration: String) -> Step {
    Step { command, workspace, configuration }
}

/// Creates everything.
fn apply(workspace: &'static str, edit: fn(&mut toml::Table)) -> Scenario {
    Scenario { name: "apply", before: Vec::new(), step: step("apply", workspace, configuration(edit)) }
}

/// Removes everything.
fn destroy(workspace: &'static str, edit: fn(&mut toml::Table)) -> Scenario {
    let before = vec![step("apply", workspace, configuration(edit))];
    Scenario { name: "destroy", before, step: step("destroy", workspace, configuration(edit)) }
}

/// Changes every kind in place: its tags, and what else can be changed.
fn update(workspace: &'static str, edit: fn(&mut toml::Table)) -> Scenario {
    let before = vec![step("apply", workspace, configuration(edit))];
    let changed = configuration(|file| {
        edit(file);
        let defaults = inner(file, "defaults");
        defaults.insert("flow_log_retention_days".to_owned(), 30.into());
        defaults.insert("project".to_owned(), "another".into());
        let tags = toml::Table::from_iter([("CostCenter".to_owned(), "4711".into())]);
        defaults.insert("tags".to_owned(), tags.into());
        let network = toml::Table::from_iter([("cidrs".to_owned(), vec!["192.168.0.0/16"].into())]);
        inner(inner(file, "workspaces"), workspace).insert("legacy_network".to_owned(), network.into());
    });
    Scenario { name: "update", before, step: step("apply", workspace, changed) }
}

/// Replaces a region's network and all that is in it.
fn replace(workspace: &'static str, edit: fn(&mut toml::Table)) -> Scenario {
    let before = vec![step("apply", workspace, configuration(edit))];
    let changed = configuration(|file| {
        edit(file);
        let regions = inner(file, "defaults")["regions"].as_array_mut().unwrap();
        regions[0].as_table_mut().unwrap().insert("cidr".to_owned(), "10.9.0.0/16".into());
    });
    Scenario { name: "replace", before, step: step("apply", workspace, changed) }
}

fn report(name: &str, points: &[Point], verdict: &Verdict) {
    let Verdict { met, orphans, duplicates, differences } = verdict;
    for (what, lines) in [("orphan", orphans), ("duplicate", duplicates), ("difference", differences)] {
        for line in lines {
            println!("{name}: {what}: {line}");
        }
    }
    for point in points.iter().filter(|point| !met.contains(point)) {
        println!("{name}: never came to {point}");
    }
}

/// One life: killed once at each operation that changes something, run after run, until a run comes to its end.
async fn dies_at_every_operation(remote: bool, scenario: Scenario) {
    let harness = Harness::new(remote).await;
    let begun = Instant::now();
    let undisturbed = harness.learn(&scenario).await;
    for after in [false, true] {
        let points = undisturbed.operations(after);
        let verdict = harness.kill(&scenario, &undisturbed, &points).await;
        let when = if after { "after" } else { "before" };
        let name = format!("{} {when}", scenario.name);
        report(&name, &points, &verdict);
        let met = verdict.met.len();
        println!("{name}: killed at {met} of {} points, {:.0?} so far", points.len(), begun.elapsed());
        assert!(verdict.converged(), "{name}: see above; killed at {:#?}", verdict.met);
        assert!(met * 10 >= points.len() * 9, "{name}: it came to {met} of {} points only", points.len());
    }
}

/// Every kind's create, with the peering and the replication of two regions.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_apply_goes_on() {
    dies_at_every_operation(false, apply("migration", single)).await;
}

/// Every kind's update; the kinds that join two regions have nothing but tags to change.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_update_goes_on() {
    dies_at_every_operation(false, update("legacy", single)).await;
}

/// A replacement: both a create and a delete, in the order that names and dependents allow.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replacement_goes_on() {
    dies_at_every_operation(false, replace("legacy", single)).await;
}

/// Every kind's delete.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_destroy_goes_on() {
    dies_at_every_operation(false, destroy("migration", single)).await;
}

/// The calls of the lock and of the state are points like any other.
#[tokio::test(flavor = "multi_thread")]
async fn killed_around_the_lock_and_the_state_it_goes_on() {
    let harness = Harness::new(true).await;
    let scenario = apply("legacy", single);
    let undisturbed = harness.learn(&scenario).await;
    let mut points = undisturbed.points(false);
    points.retain(|point| point.service == "dynamodb" || point.action == "PutObject");
    // The first writes, one in the middle, and the last: beside creating, deleting the lock is the last call of all.
    let all = points.len();
    let (first, middle, last) = (0..8, all / 2..all / 2 + 2, all.saturating_sub(6)..all);
    let mut index = 0..;
    points.retain(|_| index.next().is_some_and(|at| first.contains(&at) || middle.contains(&at) || last.contains(&at)));
    // A process that is killed before a call never comes to be after it: two lives.
    for after in [false, true] {
        let points: Vec<_> = points.iter().filter(|point| point.after == after).cloned().collect();
        let verdict = harness.kill(&scenario, &undisturbed, &points).await;
        report("apply", &points, &verdict);
        println!("killed at {} of {} points", verdict.met.len(), points.len());
        assert!(verdict.converged(), "see above; killed at {:#?}", verdict.met);
        assert!(verdict.met.len() * 3 > points.len() * 2, "it came to {:#?} only", verdict.met);
    }
}

/// How many points share a life: far apart in the run, so that one death does not hide the next. What a life does not come
/// to, because the deaths before it changed the calls, shares the next one with fewer, and at last with none.
const SHARED: [usize; 3] = [12, 4, 1];

/// What came of the kill points of one scenario.
#[derive(Default)]
struct Tally {
    met: usize,
    lives: usize,
    converged: usize,
    orphans: usize,
    duplicates: usize,
    other: usize,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.met += verdict.met.len();
        self.lives += 1;
        self.converged += usize::from(verdict.converged());
        self.orphans += verdict.orphans.len();
        self.duplicates += verdict.duplicates.len();
        self.other += verdict.differences.len();
    }
}

/// Every call of the apply and of the destroy of the migration stack, before and after it took effect.
///
/// Points share lives: a process that dies at one of them is run again, dies at the next, and in the end the account is
/// as if nobody had died.
///
/// `PAYINFRA_CRASH` names scenarios (`apply,update,replace,destroy`); `PAYINFRA_CRASH_EVERY=5` takes every fifth point;
/// `PAYINFRA_CRASH_ALONE=1` gives each point a life of its own; `PAYINFRA_CRASH_READS=1` adds the calls that change
/// nothing; `PAYINFRA_CRASH_REMOTE=1` keeps state and lock in AWS.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour: every call of every scenario"]
async fn full_matrix() {
    let given = |name: &str| std::env::var(name).ok();
    let wanted = given("PAYINFRA_CRASH").unwrap_or_else(|| "apply,destroy".to_owned());
    let every: usize = given("PAYINFRA_CRASH_EVERY").map_or(1, |text| text.parse().unwrap());
    let lives = if given("PAYINFRA_CRASH_ALONE").is_some() { &[1][..] } else { &SHARED };
    let reads = given("PAYINFRA_CRASH_READS").is_some();
    let harness = Harness::new(given("PAYINFRA_CRASH_REMOTE").is_some()).await;
    let mut failed = Vec::new();
    let nothing: fn(&mut toml::Table) = |_| {};
    let scenarios = [apply, update, replace, destroy].map(|scenario| scenario("migration", nothing));
    for scenario in scenarios.iter().filter(|scenario| wanted.split(',').any(|name| name == scenario.name)) {
        let begun = Instant::now();
        let undisturbed = harness.learn(scenario).await;
        let points: Vec<_> = undisturbed.points(reads).into_iter().step_by(every).collect();
        let (mut tally, mut rest) = (Tally::default(), points.clone());
        for shared in lives {
            let groups = rest.len().div_ceil(*shared);
            let mut again = Vec::new();
            for first in 0..groups {
                let life: Vec<_> = rest.iter().skip(first).step_by(groups).cloned().collect();
                let verdict = harness.kill(scenario, &undisturbed, &life).await;
                let name = format!("{} in {shared}s, {}/{groups}", scenario.name, first + 1);
                let (met, converged) = (verdict.met.len(), verdict.converged());
                println!("{name}: killed at {met} of {}, converged: {converged}", life.len());
                report(&name, &[], &verdict);
                if !converged {
                    failed.push(format!("{name}: {:?}", life.iter().map(ToString::to_string).collect::<Vec<_>>()));
                }
                // Of a life that did not end well, each point has to show whether it was that one.
                again.extend(life.into_iter().filter(|point| !converged || !verdict.met.contains(point)));
                tally.count(&verdict);
            }
            rest = again;
        }
        let (name, calls, seconds) = (scenario.name, undisturbed.calls.len(), begun.elapsed().as_secs());
        let Tally { met, lives, converged, orphans, duplicates, other } = tally;
        let count = points.len();
        let part = if every == 1 { String::new() } else { format!("PAYINFRA_CRASH_EVERY={every} ") };
        tabulate(
            &part,
            name,
            &format!(
                "| {name} | {calls} | {count} | {met} | {lives} | {converged} | {orphans} | {duplicates} | {other} | {seconds} s |"
            ),
        );
    }
    assert!(failed.is_empty(), "these do not converge: {failed:#?}");
}

/// Writes `row` of the scenario `name` into the table; rows of other scenarios stay if the same command made them.
fn tabulate(part: &str, name: &str, row: &str) {
    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/crash-matrix.md");
    const HEAD: &str =
        "| scenario | calls | kill points | killed | lives | converged | orphans | duplicates | other | time |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";
    let title = format!("# The crash matrix of the migration stack\n\n`{part}{COMMAND}`\n\n{HEAD}");
    let before = std::fs::read_to_string(PATH).unwrap_or_default();
    let kept = before.strip_prefix(&title).unwrap_or_default().lines();
    let mut rows: Vec<_> = kept.filter(|kept| !kept.starts_with(&format!("| {name} |"))).collect();
    rows.push(row);
    rows.sort_unstable();
    std::fs::write(PATH, format!("{title}{}\n", rows.join("\n"))).unwrap();
    println!("{row}");
}
