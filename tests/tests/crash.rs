//! A command that is killed at any point and run again ends as if it had not been killed: no losses, no duplicates, and
//! every field as declared.
//!
//! `full_matrix` kills at every call of every scenario; it takes long, and writes `results/crash-matrix.md`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it found")]

use std::fmt;
use std::time::Instant;

use payinfra_tests::crash::{Deed, Harness, Manner, Point, Scenario, Step, Undisturbed, Verdict};

/// The command that writes the table.
const COMMAND: &str = "cargo test --workspace --test crash -- --ignored --nocapture full_matrix";

/// The configuration at the root, edited.
fn configuration(edit: impl FnOnce(&mut toml::Table)) -> String {
    let mut file: toml::Table = payinfra_tests::example().parse().unwrap();
    edit(&mut file);
    file.to_string()
}

/// A nested table.
fn inner<'a>(file: &'a mut toml::Table, name: &str) -> &'a mut toml::Table {
    file[name].as_table_mut().unwrap()
}

/// One NAT gateway per region, which means fewer resources of the same kinds.
fn single(file: &mut toml::Table) {
    inner(file, "defaults").insert("nat".to_owned(), "single".into());
}

fn step(args: &[&str], workspace: &'static str, configuration: String) -> Step {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Step { args, workspace, configuration, once: false }
}

/// The usual configuration: one NAT gateway for each region.
fn usual(edit: impl FnOnce(&mut toml::Table)) -> String {
    configuration(|file| {
        single(file);
        edit(file);
    })
}

fn nothing(_: &mut toml::Table) {}

/// A configuration that updates every kind in place: its tags, and other fields.
fn changed(file: &mut toml::Table, workspace: &str) {
    let defaults = inner(file, "defaults");
    defaults.insert("flow_log_retention_days".to_owned(), 30.into());
    defaults.insert("project".to_owned(), "another".into());
    let tags = toml::Table::from_iter([("CostCenter".to_owned(), "4711".into())]);
    defaults.insert("tags".to_owned(), tags.into());
    let network = toml::Table::from_iter([("cidrs".to_owned(), vec!["192.168.0.0/16"].into())]);
    inner(inner(file, "workspaces"), workspace).insert("legacy_network".to_owned(), network.into());
}

/// A configuration that replaces a region's network and everything in it.
fn moved(file: &mut toml::Table) {
    let regions = inner(file, "defaults")["regions"].as_array_mut().unwrap();
    regions[0].as_table_mut().unwrap().insert("cidr".to_owned(), "10.9.0.0/16".into());
}

/// A configuration that extends the workspace `legacy` to two regions.
fn second_region(file: &mut toml::Table) {
    let workspace = inner(inner(file, "workspaces"), "legacy");
    workspace.insert("phase".to_owned(), "migration".into());
    workspace.remove("regions");
    workspace.remove("weights");
}

/// A scenario that starts with an applied workspace.
fn on_applied(name: &'static str, workspace: &'static str, killed: Vec<Step>) -> Scenario {
    let before = vec![Deed::Run(step(&["apply"], workspace, usual(nothing)))];
    Scenario { name, before, killed, instead: None, settle: None, interrupts: false, bootstrapped: true }
}

/// Creates everything.
fn apply(workspace: &'static str) -> Scenario {
    let killed = vec![step(&["apply"], workspace, usual(nothing))];
    Scenario { before: Vec::new(), ..on_applied("apply", workspace, killed) }
}

/// Deletes everything.
fn destroy(workspace: &'static str) -> Scenario {
    on_applied("destroy", workspace, vec![step(&["destroy"], workspace, usual(nothing))])
}

fn update(workspace: &'static str) -> Scenario {
    let to = usual(|file| changed(file, workspace));
    on_applied("update", workspace, vec![step(&["apply"], workspace, to)])
}

fn replace(workspace: &'static str) -> Scenario {
    let steps = vec![step(&["apply"], workspace, usual(moved))];
    Scenario { interrupts: true, ..on_applied("replace", workspace, steps) }
}

/// The examples of other stacks.
const PAYMENT_API: &str = include_str!("../../crates/stacks/src/global_payments/payinfra.toml");
const TRADING: &str = include_str!("../../crates/stacks/src/trading/payinfra.toml");
const PEERED: &str = include_str!("../../crates/stacks/src/peered_payments/payinfra.toml");

/// A configuration of `global-payments` or `trading` that updates most of its kinds, publishes a version of the function,
/// and deploys the API again.
fn updated(example: &str) -> String {
    let mut file: toml::Table = example.parse().unwrap();
    let defaults = inner(&mut file, "defaults");
    defaults.insert("project".to_owned(), "another".into());
    defaults.insert("log_retention_days".to_owned(), 30.into());
    if example == PAYMENT_API {
        let api = inner(defaults, "api");
        api.insert("origin".to_owned(), "https://shop.test-bank.com".into());
        api.insert("client_requests_per_second".to_owned(), 5.into());
    }
    let workspace = inner(inner(&mut file, "workspaces"), "dev");
    workspace.insert("function".to_owned(), toml::Table::from_iter([("memory".to_owned(), 1024.into())]).into());
    file.to_string()
}

/// A run of the workspace `dev` of another stack, which had been applied if there is an example of it.
fn of_stack(name: &'static str, applied: Option<&str>, command: &str, configuration: String) -> Scenario {
    let before = applied.map(|example| Deed::Run(step(&["apply"], "dev", example.to_owned())));
    let killed = vec![step(&[command], "dev", configuration)];
    Scenario { before: before.into_iter().collect(), ..on_applied(name, "dev", killed) }
}

/// The scenarios of the stacks other than `migration`.
fn of_stacks() -> Vec<Scenario> {
    let (api, trading, peered) = (PAYMENT_API, TRADING, PEERED);
    vec![
        of_stack("apply of global-payments", None, "apply", api.to_owned()),
        of_stack("update of global-payments", Some(api), "apply", updated(api)),
        of_stack("destroy of global-payments", Some(api), "destroy", api.to_owned()),
        of_stack("apply of trading", None, "apply", trading.to_owned()),
        of_stack("update of trading", Some(trading), "apply", updated(trading)),
        of_stack("destroy of trading", Some(trading), "destroy", trading.to_owned()),
        of_stack("apply of peered-payments", None, "apply", peered.to_owned()),
        of_stack("destroy of peered-payments", Some(peered), "destroy", peered.to_owned()),
    ]
}

/// The scenario of another stack with this name.
fn named(name: &str) -> Scenario {
    of_stacks().into_iter().find(|scenario| scenario.name == name).unwrap()
}

/// To two regions, and back to one.
fn phase_and_back() -> Scenario {
    let phases = [usual(second_region), usual(nothing)];
    let killed = phases.map(|configuration| step(&["apply"], "legacy", configuration));
    on_applied("phase change and back", "legacy", killed.to_vec())
}

/// The workspace that moves through the phases, which may lose data.
fn live(file: &mut toml::Table) {
    let workspace = inner(inner(file, "workspaces"), "live");
    workspace.insert("protect".to_owned(), false.into());
    workspace.insert("final_snapshot".to_owned(), false.into());
}

/// Through all phases and back, with the command that moves between them.
fn moves() -> Scenario {
    let move_to = |to| step(&["phase", "--to", to], "live", usual(live));
    let before = vec![Deed::Run(step(&["apply"], "live", usual(live)))];
    let killed = ["migration", "production", "migration", "legacy"].map(move_to).to_vec();
    Scenario { before, ..on_applied("phases there and back", "live", killed) }
}

/// Back to what the first run declared.
fn rollback() -> Scenario {
    let to = usual(|file| changed(file, "legacy"));
    let before =
        vec![Deed::Run(step(&["apply"], "legacy", usual(nothing))), Deed::Run(step(&["apply"], "legacy", to.clone()))];
    let killed = vec![step(&["rollback", "--to", "1"], "legacy", to)];
    Scenario { before, ..on_applied("rollback", "legacy", killed) }
}

/// A change that is started, killed, and reverted in the configuration.
fn revert(name: &'static str, edit: fn(&mut toml::Table)) -> Scenario {
    let instead = Some(step(&["apply"], "legacy", usual(nothing)));
    Scenario { instead, ..on_applied(name, "legacy", vec![step(&["apply"], "legacy", usual(edit))]) }
}

/// A delete that AWS rejected and that is reverted in the configuration: the record has a delete intent, but nothing
/// has to be deleted.
fn refused() -> Scenario {
    let two = step(&["apply"], "legacy", usual(second_region));
    let before = vec![Deed::Run(two.clone()), Deed::Refused(step(&["apply"], "legacy", usual(nothing)), "us-east-2")];
    Scenario { before, ..on_applied("revert of a refused removal", "legacy", vec![two]) }
}

/// A destroy that is started, killed, and reverted by an apply.
fn undestroy() -> Scenario {
    let instead = Some(step(&["apply"], "legacy", usual(nothing)));
    Scenario { name: "destroy, then apply", instead, interrupts: true, ..destroy("legacy") }
}

/// An apply that is killed, followed by a destroy.
fn partial() -> Scenario {
    let instead = Some(step(&["destroy"], "legacy", usual(nothing)));
    Scenario { name: "destroy after a partial apply", instead, ..apply("legacy") }
}

/// The backend is created.
fn bootstrap() -> Scenario {
    let killed = vec![step(&["bootstrap"], "legacy", usual(nothing))];
    Scenario { name: "bootstrap", killed, bootstrapped: false, ..apply("legacy") }
}

/// Manually created resources are imported; an apply shows whether both are in the state.
fn import() -> Scenario {
    let one = |address: &str, id: &str| Step { once: true, ..step(&["import", address, id], "legacy", usual(nothing)) };
    let topic = "arn:aws:sns:us-east-1:123456789012:payment-alarms-legacy-demo1";
    let killed = vec![
        one("us-east-1/logs.log-group/flow-logs", "payment-flow-logs-legacy-demo1"),
        one("us-east-1/sns.topic/alarms", topic),
    ];
    let settle = Some(step(&["apply"], "legacy", usual(nothing)));
    Scenario { name: "import", before: vec![Deed::ByHand], killed, settle, ..apply("legacy") }
}

/// The state is edited.
fn surgery() -> Scenario {
    let one = |args: &[&str]| Step { once: true, ..step(args, "legacy", usual(nothing)) };
    let (vpc, other) = ("us-east-1/ec2.vpc/main", "us-east-1/ec2.vpc/other");
    let killed = vec![
        one(&["state", "mv", vpc, other]),
        one(&["state", "rm", "us-east-1/sns.topic/alarms"]),
        one(&["state", "mv", other, vpc]),
    ];
    on_applied("state mv and rm", "legacy", killed)
}

/// Resources that are no longer in the state are deleted.
fn sweep() -> Scenario {
    let all = step(&["apply"], "legacy", usual(nothing));
    let kinds = &["ec2.vpc-endpoint", "ec2.flow-log", "cloudwatch.alarm", "cloudwatch.composite-alarm"];
    let before = vec![Deed::Run(all.clone()), Deed::Forget(all, kinds)];
    let killed = vec![step(&["sweep", "--delete"], "legacy", usual(nothing))];
    Scenario { name: "sweep --delete", before, ..on_applied("sweep", "legacy", killed) }
}

/// The rescue file of an apply is recovered.
fn rescue() -> Scenario {
    let before = vec![Deed::Unwritable(step(&["apply"], "legacy", usual(nothing)))];
    Scenario { name: "take-up of a rescue file", before, ..apply("legacy") }
}

fn report(name: &str, points: &[Point], verdict: &Verdict) {
    for line in verdict.comparison.lines() {
        println!("{name}: {line}");
    }
    for point in points.iter().filter(|point| !verdict.met.contains(point)) {
        println!("{name}: never reached {point}");
    }
}

const FOLDER: Manner = Manner { remote: false, faults: false, twice: false, late: false };
const S3: Manner = Manner { remote: true, ..FOLDER };

/// One life, killed at `points`.
async fn dies_at(harness: &Harness, scenario: &Scenario, undisturbed: &Undisturbed, points: &[Point]) {
    let begun = Instant::now();
    let verdict = harness.kill(scenario, undisturbed, points).await;
    let name = scenario.name;
    report(name, points, &verdict);
    let Verdict { met, killed, repeated, .. } = &verdict;
    let (met, count) = (met.len(), points.len());
    println!("{name}: reached {met} of {count} points, {killed} kills, {repeated} repeated, {:.0?}", begun.elapsed());
    assert!(verdict.converged(), "{name}: see above; killed at {:#?}", verdict.met);
    // Other points are not reached because an earlier kill changed the remaining work, or because a slow machine wrote the
    // state less often.
    assert!(met * 2 >= count && met > 0, "{name}: it reached only {met} of {count} points");
}

/// Two lives: killed once before and once after each mutating operation.
async fn dies_at_every_operation(manner: Manner, scenario: Scenario) {
    let harness = Harness::new(manner).await;
    let undisturbed = harness.learn(&scenario).await;
    for after in [false, true] {
        dies_at(&harness, &scenario, &undisturbed, &undisturbed.operations(after)).await;
    }
}

/// One life, killed at some of the points of `scenario`, spread out: every `every`th, or as `PAYINFRA_CRASH_EVERY`
/// says.
async fn dies_at_some(manner: Manner, scenario: Scenario, every: usize) {
    let every = std::env::var("PAYINFRA_CRASH_EVERY").map_or(every, |text| text.parse().unwrap());
    let harness = Harness::new(manner).await;
    let undisturbed = harness.learn(&scenario).await;
    let some: Vec<_> = undisturbed.points(false).into_iter().skip(3).step_by(every).collect();
    dies_at(&harness, &scenario, &undisturbed, &some).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_apply_goes_on() {
    dies_at_some(S3, apply("legacy"), 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_update_goes_on() {
    dies_at_some(FOLDER, update("legacy"), 30).await;
}

/// Both a create and a delete, in the order that names and dependents allow.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replacement_goes_on() {
    dies_at_some(FOLDER, replace("legacy"), 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_destroy_goes_on() {
    dies_at_some(S3, destroy("legacy"), 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_apply_of_a_payment_api_goes_on() {
    dies_at_some(FOLDER, named("apply of global-payments"), 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_update_of_a_payment_api_goes_on() {
    dies_at_some(FOLDER, named("update of global-payments"), 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_destroy_of_a_payment_api_goes_on() {
    dies_at_some(FOLDER, named("destroy of global-payments"), 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_apply_of_a_trading_platform_goes_on() {
    dies_at_some(FOLDER, named("apply of trading"), 80).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_destroy_of_a_trading_platform_goes_on() {
    dies_at_some(FOLDER, named("destroy of trading"), 80).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_apply_of_peered_payments_goes_on() {
    dies_at_some(FOLDER, named("apply of peered-payments"), 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_destroy_of_peered_payments_goes_on() {
    dies_at_some(FOLDER, named("destroy of peered-payments"), 40).await;
}

/// M-03: with healthy targets for all requests at every call.
#[tokio::test(flavor = "multi_thread")]
async fn m03_a_killed_phase_goes_on() {
    dies_at_some(FOLDER, moves(), 250).await;
}

/// M-04.
#[tokio::test(flavor = "multi_thread")]
async fn m04_a_killed_rollback_goes_on() {
    dies_at_some(FOLDER, rollback(), 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bootstrap_goes_on() {
    dies_at_every_operation(S3, bootstrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_import_can_be_repeated() {
    dies_at_some(S3, import(), 4).await;
}

/// It changes only the lock and the state.
#[tokio::test(flavor = "multi_thread")]
async fn killed_state_surgery_can_be_repeated() {
    dies_at_every_operation(S3, surgery()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sweep_goes_on() {
    dies_at_some(S3, sweep(), 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_take_up_of_a_rescue_file_is_taken_up_again() {
    dies_at_some(S3, rescue(), 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_refused_can_be_undone_and_killed_while_it_is() {
    dies_at_some(FOLDER, refused(), 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_and_killed_can_be_destroyed() {
    dies_at_some(S3, partial(), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twice_in_a_row_it_goes_on() {
    dies_at_some(Manner { twice: true, ..S3 }, apply("legacy"), 120).await;
}

/// The call at which it was killed takes effect while the next run waits for the lease to expire.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_arrive_after_their_process_has_died_are_known() {
    dies_at_some(Manner { late: true, ..S3 }, apply("legacy"), 100).await;
}

/// The number of points per life: spread out, so that one kill does not hide the next. Points that a life does not
/// reach, because earlier kills changed the calls, are tried again with fewer others, and finally alone.
const SHARED: [usize; 3] = [12, 4, 1];
/// The minimum number of points in a sample, if a scenario has that many.
const AT_LEAST: usize = 8;

/// The result of the kill points of one scenario.
#[derive(Default)]
struct Tally {
    calls: usize,
    points: usize,
    taken: usize,
    met: usize,
    killed: usize,
    repeated: usize,
    lives: usize,
    converged: usize,
    orphans: usize,
    duplicates: usize,
    contents: usize,
    others: usize,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.met += verdict.met.len();
        self.killed += verdict.killed;
        self.repeated += verdict.repeated;
        self.lives += 1;
        self.converged += usize::from(verdict.converged());
        self.orphans += verdict.comparison.orphans.len();
        self.duplicates += verdict.comparison.duplicates.len();
        self.contents += usize::from(verdict.comparison.contents.is_empty());
        self.others += verdict.comparison.others.len();
    }
}

/// A row of the table, without its ends.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            self.calls,
            self.points,
            self.taken,
            self.met,
            self.killed,
            self.repeated,
            self.lives,
            self.converged,
            self.orphans,
            self.duplicates,
            self.contents,
            self.others,
        ];
        counts.iter().try_for_each(|count| write!(f, " {count} |"))
    }
}

/// All scenarios, each with the behavior of the account, and its name in the table.
fn scenarios() -> Vec<(&'static str, Manner, Scenario)> {
    let mut all = Vec::new();
    for (backend, manner) in [("S3", S3), ("folder", FOLDER)] {
        let mut plain = vec![
            apply("migration"),
            update("migration"),
            replace("migration"),
            destroy("migration"),
            phase_and_back(),
            moves(),
            rollback(),
            revert("revert of an update", |file| changed(file, "legacy")),
            Scenario { interrupts: true, ..revert("revert of a replacement", moved) },
            revert("revert of a phase change", second_region),
            refused(),
            undestroy(),
            partial(),
            import(),
            surgery(),
            sweep(),
        ];
        plain.extend(of_stacks());
        if manner.remote {
            // A folder needs no bootstrap, and denies nothing.
            plain.extend([bootstrap(), rescue()]);
        }
        all.extend(plain.into_iter().map(|scenario| (backend, manner, scenario)));
        for (what, manner) in [
            ("among faults", Manner { faults: true, ..manner }),
            ("two kills in a row", Manner { twice: true, ..manner }),
            ("late calls", Manner { late: true, ..manner }),
        ] {
            let names = match what {
                "among faults" => ["apply among faults", "destroy among faults"],
                "late calls" => ["apply, late calls", "destroy, late calls"],
                _ => ["apply, two kills in a row", "destroy, two kills in a row"],
            };
            let both = [apply("legacy"), destroy("legacy")].into_iter().zip(names);
            all.extend(both.map(|(scenario, name)| (backend, manner, Scenario { name, ..scenario })));
        }
    }
    all
}

/// Every mutating call of every scenario, before and after it took effect.
///
/// Points share lives: a process that is killed at one of them is run again, killed at the next, and in the end the
/// account
/// equals that of an undisturbed run.
///
/// `PAYINFRA_CRASH` selects scenarios, separated by `;`; `PAYINFRA_CRASH_BACKEND=S3` or `folder` selects one backend;
/// `PAYINFRA_CRASH_EVERY=5` tests every fifth point, and more of a scenario that has few; `PAYINFRA_CRASH_ALONE=1`
/// gives
/// each point its own life; `PAYINFRA_CRASH_READS=1` adds read-only calls.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "many hours: every call of every scenario"]
async fn full_matrix() {
    let given = |name: &str| std::env::var(name).ok();
    let every: usize = given("PAYINFRA_CRASH_EVERY").map_or(1, |text| text.parse().unwrap());
    let lives = match given("PAYINFRA_CRASH_ALONE") {
        Some(_) => &[1][..],
        // A sample shows how many of its points were not tested.
        None if every > 1 => &SHARED[..2],
        None => &SHARED,
    };
    let reads = given("PAYINFRA_CRASH_READS").is_some();
    let (wanted, wanted_backend) = (given("PAYINFRA_CRASH"), given("PAYINFRA_CRASH_BACKEND"));
    let mut failed = Vec::new();
    for (backend, manner, scenario) in scenarios() {
        let is_wanted = wanted.as_ref().is_none_or(|wanted| wanted.split(';').any(|name| name == scenario.name))
            && wanted_backend.as_ref().is_none_or(|wanted| wanted == backend);
        if !is_wanted {
            continue;
        }
        let (name, workspace) = (scenario.name, scenario.killed[0].workspace);
        let begun = Instant::now();
        // A failure in one scenario does not end the others.
        let crossed = tokio::spawn(async move { cross(backend, manner, &scenario, every, lives, reads).await }).await;
        let rest = match crossed {
            Ok((tally, wrong)) => {
                failed.extend(wrong);
                tally.to_string()
            }
            Err(error) => {
                failed.push(format!("{name} ({backend}): {error}"));
                " did not run |".to_owned() + &" |".repeat(11)
            }
        };
        let seconds = begun.elapsed().as_secs();
        tabulate(every, &format!("| {name} | {backend} | {workspace} |"), &format!("{rest} {seconds} s |"));
    }
    assert!(failed.is_empty(), "these do not converge: {failed:#?}");
}

/// Kills one scenario at every `every`th of its points; returns the result, and the lives that did not converge.
async fn cross(
    backend: &str,
    manner: Manner,
    scenario: &Scenario,
    every: usize,
    lives: &[usize],
    reads: bool,
) -> (Tally, Vec<String>) {
    let harness = Harness::new(manner).await;
    let undisturbed = harness.learn(scenario).await;
    let mut points = undisturbed.points(reads);
    let all = points.len();
    points = points.into_iter().step_by(every.min(all / AT_LEAST).max(1)).collect();
    let mut tally = Tally { calls: undisturbed.calls.len(), points: all, taken: points.len(), ..Tally::default() };
    let (mut rest, mut failed) = (points, Vec::new());
    for shared in lives {
        let groups = rest.len().div_ceil(*shared);
        let mut again = Vec::new();
        for first in 0..groups {
            let life: Vec<_> = rest.iter().skip(first).step_by(groups).cloned().collect();
            let verdict = harness.kill(scenario, &undisturbed, &life).await;
            let name = format!("{} ({backend}) in {shared}s, {}/{groups}", scenario.name, first + 1);
            let (met, converged) = (verdict.met.len(), verdict.converged());
            println!("{name}: killed at {met} of {}, converged: {converged}", life.len());
            report(&name, &[], &verdict);
            if !converged {
                failed.push(format!("{name}: {:?}", life.iter().map(ToString::to_string).collect::<Vec<_>>()));
            }
            // After a life that failed, each of its points is tested alone to find the cause.
            again.extend(life.into_iter().filter(|point| !converged || !verdict.met.contains(point)));
            tally.count(&verdict);
        }
        rest = again;
    }
    (tally, failed)
}

/// The legend of the table's columns.
const LEGEND: &str = "State and lock are in S3 and DynamoDB, with a lease of 2 s that a dead holder's successor waits for, or in a folder. Each
*point* is the moment before or after one call that changes something, those of the state and the lock included; *taken*
are those at which this run was to kill. Points share *lives*: the process that is killed at one is run again and killed at
the next. *killed* counts processes, *met* the points at which one died; the others were not come to, because an earlier
death of their life had changed what was left to do. *repeated* runs gave up, said why, and were run once more; only faults
and late calls allow that. A life has *converged* if nothing differs from the account, the state and the outputs of an
undisturbed run, and the plan is empty. *content equal* counts lives after which every field of every resource, read from AWS, is as in the undisturbed run.
";

/// Writes a row of the table. Other rows stay if the same command wrote them on a machine of the same kind.
fn tabulate(every: usize, key: &str, rest: &str) {
    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/crash-matrix.md");
    const HEAD: &str = "\
| scenario | backend | workspace | calls | points | taken | met | killed | repeated | lives | converged | orphans | duplicates | content equal | other differences | time | date |
|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|
";
    let sample = if every == 1 { String::new() } else { format!("PAYINFRA_CRASH_EVERY={every} ") };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (date, system, machine) = (jiff::Zoned::now().date(), std::env::consts::OS, std::env::consts::ARCH);
    let title = format!(
        "# The crash matrix\n\n`{sample}{COMMAND}`\n\n{system} on {machine}, {cores} cores, on the emulated AWS. {LEGEND}\n{HEAD}"
    );
    let before = std::fs::read_to_string(PATH).unwrap_or_default();
    let kept = before.strip_prefix(&title).unwrap_or_default().lines();
    let mut rows: Vec<_> = kept.filter(|kept| !kept.starts_with(key)).map(str::to_owned).collect();
    rows.push(format!("{key}{rest} {date} |"));
    rows.sort_unstable();
    std::fs::write(PATH, format!("{title}{}\n", rows.join("\n"))).unwrap();
    println!("{key}{rest}");
}
