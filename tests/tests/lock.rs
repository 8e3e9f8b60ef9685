//! Two concurrent runs: one makes changes, the other names the holder; a dead holder blocks others only for its lease.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::{Command, Stdio};

use payinfra_localstack::{Match, When};
use payinfra_tests::{Bench, Outcome, caught};

const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];

/// The second apply fails with the holder and the time; the first one is not affected.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_applies_one_works_and_the_other_names_it() {
    let bench = Bench::new().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateVpc"), When::Before);
    let first = bench.start(&APPLY);
    let stopped = caught(&mut hold).await;
    let second = bench.run(&APPLY).expect(1);
    assert!(second.stderr.contains(&format!("{}", first.id())), "names the holder's process: {}", second.stderr);
    assert!(second.stderr.contains("since"), "shows the time: {}", second.stderr);
    stopped.release();
    drop(hold);
    Outcome::from(first.wait_with_output().unwrap()).expect(0);
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).expect(0);
}

/// The lease of a killed holder expires, and the next apply takes the lock over and completes the work.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holder_is_replaced_when_its_lease_ends() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateSubnet"), When::After);
    let mut first = bench.start(&APPLY);
    let stopped = caught(&mut hold).await;
    first.kill().unwrap();
    first.wait().unwrap();
    drop(stopped);
    drop(hold);
    bench.run(&APPLY).expect(0);
    let after = bench.inventory().await;
    assert_eq!(after.count("us-east-1 ec2.vpc ") - before.count("us-east-1 ec2.vpc "), 1);
    let subnets =
        bench.state("legacy")["resources"].as_object().unwrap().keys().filter(|it| it.contains("/ec2.subnet/")).count();
    assert_eq!(
        after.count("us-east-1 ec2.subnet ") - before.count("us-east-1 ec2.subnet "),
        subnets,
        "no orphans, no duplicates"
    );
    bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).expect(0);
    assert_eq!(bench.inventory().await, before);
}

/// The lease for tests is a number of milliseconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_no_number_of_milliseconds_is_refused() {
    let bench = Bench::new().await;
    for wrong in ["soon", "-1", "99"] {
        let refused = bench.command(&APPLY).env("PAYINFRA_LEASE_MILLIS", wrong).output().unwrap();
        let refused = Outcome::from(refused).expect(1);
        assert!(
            refused.stderr.contains(&format!("invalid value `{wrong}` of PAYINFRA_LEASE_MILLIS")),
            "{}",
            refused.stderr
        );
    }
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
}

/// `unlock` shows the holder and releases the lock.
#[tokio::test(flavor = "multi_thread")]
async fn unlock_shows_who_held_the_lock_and_frees_it() {
    let bench = Bench::new().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateVpc"), When::Before);
    let mut first = bench.start(&APPLY);
    let stopped = caught(&mut hold).await;
    first.kill().unwrap();
    let pid = first.id().to_string();
    first.wait().unwrap();
    drop(stopped);
    drop(hold);
    let unlocked = bench.run(&["unlock", "--workspace", "legacy", "--yes"]).expect(0);
    assert!(format!("{}{}", unlocked.stdout, unlocked.stderr).contains(&pid), "{unlocked:?}");
    bench.run(&APPLY).expect(0);
}

/// An apply by a process whose wall clock is off by `skew` seconds.
fn skewed(bench: &Bench, clock: &Path, skew: i32) -> Command {
    let mut command = bench.command(&APPLY);
    command.env("LD_PRELOAD", clock).env("CLOCK_SKEW", skew.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A holder and a second run whose clocks are off by `holder` and `other` seconds: the lock of a living holder is
/// respected, and that of a dead one taken over, as with correct clocks.
async fn clocks_do_not_matter(holder: i32, other: i32) {
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("skew/clock.rs");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut compile = Command::new(compiler);
    compile.args(["--edition", "2024", "--crate-type", "cdylib", "-C", "panic=abort", "-o"]).arg(&clock).arg(source);
    assert!(compile.status().unwrap().success());
    let bench = Bench::new().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateSubnet"), When::Before);
    let mut first = skewed(&bench, &clock, holder).spawn().unwrap();
    let stopped = caught(&mut hold).await;
    let second = Outcome::from(skewed(&bench, &clock, other).output().unwrap()).expect(1);
    let since = second.stderr.split("since ").nth(1).and_then(|since| since.get(..20)).unwrap();
    let wrong = jiff::Timestamp::now().duration_since(since.parse().unwrap());
    assert!(wrong.abs().as_secs() > 500, "the holder's clock is wrong: {wrong:?}");
    first.kill().unwrap();
    first.wait().unwrap();
    stopped.reset();
    drop(hold);
    Outcome::from(skewed(&bench, &clock, other).output().unwrap()).expect(0);
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).expect(0);
}

/// Ten minutes ahead of the second run, and of AWS.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_clock_is_fast_keeps_the_lock_as_long_as_it_lives() {
    clocks_do_not_matter(600, -600).await;
}

/// Ten minutes behind: its lease does not seem to have expired.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_clock_is_slow_keeps_the_lock_as_long_as_it_lives() {
    clocks_do_not_matter(-600, 600).await;
}
