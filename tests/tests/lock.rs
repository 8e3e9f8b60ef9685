//! Two at once: one works, the other says who does; a dead one is not waited for longer than its lease.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_localstack::{Match, When};
use payinfra_tests::{Bench, Outcome};

const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];

/// The second apply ends with who holds the lock and since when; the first is not disturbed.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_applies_one_works_and_the_other_names_it() {
    let bench = Bench::new().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateVpc"), When::Before);
    let first = bench.start(&APPLY);
    let stopped = hold.next().await.unwrap();
    let second = bench.run(&APPLY).expect(1);
    assert!(second.stderr.contains(&format!("{}", first.id())), "names the holder's process: {}", second.stderr);
    assert!(second.stderr.contains("since"), "says since when: {}", second.stderr);
    stopped.release();
    drop(hold);
    Outcome::from(first.wait_with_output().unwrap()).expect(0);
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).expect(0);
}

/// A killed holder's lease runs out, and the next apply takes over by itself and finishes the work.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holder_is_replaced_when_its_lease_ends() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateSubnet"), When::After);
    let mut first = bench.start(&APPLY);
    let stopped = hold.next().await.unwrap();
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
        "no orphan, no duplicate"
    );
    bench.run(&["destroy", "--workspace", "legacy", "--yes"]).expect(0);
    assert_eq!(bench.inventory().await, before);
}

/// `unlock` shows the holder and frees the lock.
#[tokio::test(flavor = "multi_thread")]
async fn unlock_shows_who_held_the_lock_and_frees_it() {
    let bench = Bench::new().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateVpc"), When::Before);
    let mut first = bench.start(&APPLY);
    let stopped = hold.next().await.unwrap();
    first.kill().unwrap();
    let pid = first.id().to_string();
    first.wait().unwrap();
    drop(stopped);
    drop(hold);
    let unlocked = bench.run(&["unlock", "--workspace", "legacy", "--yes"]).expect(0);
    assert!(format!("{}{}", unlocked.stdout, unlocked.stderr).contains(&pid), "{unlocked:?}");
    bench.run(&APPLY).expect(0);
}
