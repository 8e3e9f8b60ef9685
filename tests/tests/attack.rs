//! Races for the lock, suspended holders, and one or two Ctrl-C: nothing is lost.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use payinfra_localstack::{Call, Match, When};
use payinfra_tests::{Bench, Outcome, caught};

const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];
const PLAN: [&str; 4] = ["plan", "--workspace", "legacy", "--exit-code"];
const DESTROY: [&str; 5] = ["destroy", "--workspace", "legacy", "--yes", "--accept-loss"];
const SWEEP: [&str; 3] = ["sweep", "--workspace", "legacy"];
const UNLOCK: [&str; 4] = ["unlock", "--workspace", "legacy", "--yes"];

/// Starts an apply with the access key `key`.
fn start(bench: &Bench, key: &str) -> Child {
    let mut command = bench.command(&APPLY);
    command.env("AWS_ACCESS_KEY_ID", key).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn end(child: Child) -> Outcome {
    child.wait_with_output().unwrap().into()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// The mutating calls, by client, in order of arrival; without those for the lock.
fn mutating(bench: &Bench) -> Vec<Call> {
    let mut calls: Vec<_> =
        bench.aws.calls().into_iter().filter(|call| call.mutating && call.service != "dynamodb").collect();
    calls.sort_by_key(|call| call.sequence);
    calls
}

/// The first call of `action` that arrives.
fn one(service: &str, action: &str) -> Match {
    Match { times: Some(1), ..Match::action(service, action) }
}

/// Waits until no further calls arrive.
async fn is_quiet(bench: &Bench) {
    let begun = Instant::now();
    let mut before = usize::MAX;
    while before != bench.aws.calls().len() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it continues although its dependency is held");
        before = bench.aws.calls().len();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Checks that the resources exist exactly once, and that destroy leaves nothing.
async fn is_whole(bench: &Bench, before: &payinfra_tests::Inventory) {
    bench.run(&PLAN).expect(0);
    bench.run(&SWEEP).expect(0);
    let state = bench.state("legacy");
    let now = bench.inventory().await;
    for kind in ["ec2.vpc", "ec2.subnet"] {
        let known = state["resources"].as_object().unwrap().keys();
        let known = known.filter(|address| address.starts_with(&format!("us-east-1/{kind}/"))).count();
        let part = format!("us-east-1 {kind} ");
        assert_eq!(now.count(&part) - before.count(&part), known, "{kind}: no orphan, no duplicate");
    }
    bench.run(&DESTROY).expect(0);
    assert_eq!(bench.inventory().await, *before);
}

/// A holder that is suspended beyond its lease: its calls in flight are reset, and it neither repeats them nor sends
/// others, nor writes the state.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_slept_past_its_lease_changes_nothing_more() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    let rule = Match { access_key: Some("SLEEPER".to_owned()), ..Match::action("ec2", "CreateSubnet") };
    let mut hold = bench.aws.hold(rule, When::Before);
    let sleeper = start(&bench, "SLEEPER");
    let stopped = caught(&mut hold).await;
    // Calls that a suspended process has already sent still arrive; here these are only the held ones.
    is_quiet(&bench).await;
    signal(&sleeper, "STOP");
    stopped.reset();
    drop(hold);
    let other = end(start(&bench, "OTHER")).expect(0);
    assert!(!other.stdout.is_empty());
    let (state, account) = (bench.state("legacy"), bench.inventory().await);
    bench.aws.clear_calls();
    signal(&sleeper, "CONT");
    let woken = end(sleeper).expect(1);
    // Whichever it detects first: the expired lease, or that another run has written the state.
    let told = ["lock", "since it was read"].iter().any(|reason| woken.stderr.contains(reason));
    assert!(told, "{}", woken.stderr);
    let refused = |call: &Call| call.action == "PutObject" && call.status == Some(412);
    let late: Vec<_> = mutating(&bench).into_iter().filter(|call| !refused(call)).collect();
    assert!(late.is_empty(), "{late:#?}\n{}", woken.stderr);
    assert_eq!(bench.state("legacy"), state);
    assert_eq!(bench.inventory().await, account);
    is_whole(&bench, &before).await;
}

/// Of several concurrent runs, one at a time makes changes, and the others report that the lock is held.
#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_applies_never_two_change_something_at_a_time() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    let children: Vec<_> = (0..20).map(|number| start(&bench, &format!("CLIENT{number:02}"))).collect();
    let ends: Vec<_> = children.into_iter().map(|child| thread::spawn(|| end(child))).collect();
    let outcomes: Vec<_> = ends.into_iter().map(|it| it.join().unwrap()).collect();
    for outcome in &outcomes {
        let locked = outcome.code == Some(1) && outcome.stderr.contains("lock");
        assert!(outcome.code == Some(0) || locked, "{outcome:#?}");
    }
    assert!(outcomes.iter().any(|outcome| outcome.code == Some(0)), "{outcomes:#?}");
    let mut turns: Vec<String> = mutating(&bench).into_iter().map(|call| call.access_key).collect();
    turns.dedup();
    let mut whose = turns.clone();
    whose.sort();
    whose.dedup();
    assert_eq!(turns.len(), whose.len(), "calls of several runs interleave: {turns:?}");
    assert!(!turns.is_empty());
    is_whole(&bench, &before).await;
}

/// The first Ctrl-C: calls in flight complete, the state is saved, the lock is released.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_once_ends_soon_and_frees_the_lock() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    let mut hold = bench.aws.hold(one("ec2", "CreateSubnet"), When::Before);
    let first = start(&bench, "FIRST");
    let stopped = caught(&mut hold).await;
    signal(&first, "INT");
    thread::sleep(Duration::from_millis(500));
    stopped.release();
    drop(hold);
    let asked = Instant::now();
    let ended = end(first);
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:#?}");
    assert!(asked.elapsed() < Duration::from_secs(20), "it took {:?}", asked.elapsed());
    assert!(ended.stderr.contains("Stopping"), "{}", ended.stderr);
    let unlock = bench.run(&UNLOCK).expect(0);
    assert!(unlock.stdout.contains("is not held"), "{}", unlock.stdout);
    bench.run(&SWEEP).expect(0);
    bench.run(&APPLY).expect(0);
    is_whole(&bench, &before).await;
}

/// The second Ctrl-C: it exits immediately, and the next run finds calls that took effect afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_twice_leaves_at_once_and_the_next_run_finds_everything() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    let mut hold = bench.aws.hold(one("ec2", "CreateSubnet"), When::After);
    let first = start(&bench, "FIRST");
    let stopped = caught(&mut hold).await;
    signal(&first, "INT");
    thread::sleep(Duration::from_secs(1));
    let asked = Instant::now();
    signal(&first, "INT");
    end(first).expect(130);
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    drop((stopped, hold));
    bench.run(&UNLOCK).expect(0);
    bench.run(&APPLY).expect(0);
    is_whole(&bench, &before).await;
}
