//! A lost state is not a first apply: there is always a way to recover it, without orphans and without a second
//! deployment.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use payinfra_localstack::{Match, When};
use payinfra_tests::{Bench, Inventory, Outcome, caught};

const BUCKET: &str = "payinfra-state-123456789012";
const KEY: &str = "migration/legacy/state.json";
const RESCUE: &str = ".payinfra-rescue-migration-legacy.json";
const VPC: &str = "us-east-1/ec2.vpc/main";
const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];
const DESTROY: [&str; 5] = ["destroy", "--workspace", "legacy", "--yes", "--accept-loss"];
const PLAN: [&str; 4] = ["plan", "--workspace", "legacy", "--exit-code"];
const DRIFT: [&str; 3] = ["drift", "--workspace", "legacy"];

async fn delete_state(bench: &Bench) {
    bench.s3("us-east-1").delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
}

/// Runs the first command in backquotes in the error that starts with `begin`.
fn way_back(bench: &Bench, refused: &Outcome, begin: &str) -> Outcome {
    let command = refused.stderr.split('`').find(|part| part.starts_with(begin));
    let command = command.unwrap_or_else(|| panic!("no `{begin}` in {}", refused.stderr));
    let args: Vec<_> = command.split(' ').skip(1).chain(["--workspace", "legacy", "--yes"]).collect();
    bench.run(&args)
}

/// Every command fails and shows the ways to recover; each of them leads back to the same resources.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_state_comes_back_by_version_by_history_and_by_lineage() {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    bench.run(&APPLY).ok();
    let (account, sound) = (bench.inventory().await, bench.state("legacy"));
    for begin in ["payinfra state restore --version", "payinfra state restore --history", "payinfra adopt --lineage"] {
        delete_state(&bench).await;
        bench.aws.clear_calls();
        let mut refused = None;
        for args in [&PLAN[..], &APPLY, &DESTROY, &DRIFT] {
            refused = Some(bench.run(args).expect(1));
        }
        assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
        way_back(&bench, &refused.unwrap(), begin).ok();
        let restored = bench.state("legacy");
        assert_eq!(restored["lineage"], sound["lineage"], "{begin}");
        for (address, record) in sound["resources"].as_object().unwrap() {
            assert_eq!(restored["resources"][address]["id"], record["id"], "{begin}: {address}");
        }
        bench.run(&APPLY).ok();
        assert_eq!(bench.inventory().await, account, "{begin}: no duplicates");
    }
    bench.run(&DESTROY).ok();
    assert_eq!(bench.inventory().await, empty);
    assert!(bench.run(&DRIFT).expect(1).stderr.contains("has been destroyed"));
}

/// A state from before a run is completed from the history, and nothing is created twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_rolled_back_takes_up_what_the_history_knows() {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    assert!(bench.run(&DRIFT).expect(1).stderr.contains("has not been applied"));
    bench.configure(&bench.configuration().replace("nat = \"per-zone\"", "nat = \"single\""));
    bench.run(&APPLY).ok();
    let before = bench.state("legacy");
    bench.configure(&bench.configuration().replace("nat = \"single\"", "nat = \"per-zone\""));
    bench.run(&APPLY).ok();
    let account = bench.inventory().await;
    let s3 = bench.s3("us-east-1");
    s3.put_object().bucket(BUCKET).key(KEY).body(before.to_string().into_bytes().into()).send().await.unwrap();
    let told = bench.run(&APPLY).ok();
    assert!(told.stderr.contains("older than the history"), "{}", told.stderr);
    assert_eq!(bench.inventory().await, account);
    bench.run(&DESTROY).ok();
    assert_eq!(bench.inventory().await, empty);
}

/// The run stops and saves its results beside the configuration; the next one continues from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_deleted_during_a_run_leaves_no_orphan() {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    let failed = deleted_meanwhile(&bench).await;
    assert!(failed.stderr.contains(RESCUE), "{}", failed.stderr);
    bench.run(&APPLY).ok();
    is_whole(&bench, &empty).await;
}

/// As before, but the rescue file is lost as well: a version from the middle of the run records less than exists.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_from_the_middle_of_a_run_leaves_no_orphan() {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    deleted_meanwhile(&bench).await;
    std::fs::remove_file(bench.file(RESCUE)).unwrap();
    let refused = bench.run(&APPLY).expect(1);
    let listed = bench.run(&["state", "history", "--workspace", "legacy"]).ok();
    let version = refused.stderr.split("--version ").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    assert!(listed.stdout.contains(version), "{version}: {}", listed.stdout);
    way_back(&bench, &refused, "payinfra state restore --version").ok();
    bench.run(&APPLY).ok();
    is_whole(&bench, &empty).await;
}

/// A separate deployment beside the lost one is created only on request, and does not touch it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_deployment_beside_a_lost_one_leaves_it_alone() {
    let bench = Bench::new().await;
    bench.run(&APPLY).ok();
    let lost = bench.inventory().await;
    delete_state(&bench).await;
    bench.configure(&bench.configuration().replace("suffix = \"demo1\"", "suffix = \"demo2\""));
    let refused = bench.run(&["import", VPC, "vpc-1", "--workspace", "legacy"]).expect(1);
    assert!(refused.stderr.contains("has no state"), "{}", refused.stderr);
    bench.run(&APPLY).expect(1);
    bench.run(&[&APPLY[..], &["--new-deployment"]].concat()).ok();
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    let swept = bench.run(&["sweep", "--workspace", "legacy", "--delete", "--yes", "--accept-loss"]).ok();
    assert!(swept.stderr.contains("belong to another deployment"), "{}", swept.stderr);
    bench.run(&DESTROY).ok();
    assert_eq!(bench.inventory().await, lost);
}

/// An apply whose state is deleted while it creates subnets.
async fn deleted_meanwhile(bench: &Bench) -> Outcome {
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateSubnet"), When::Before);
    let run = bench.start(&APPLY);
    let stopped = caught(&mut hold).await;
    delete_state(bench).await;
    stopped.release();
    drop(hold);
    Outcome::from(run.wait_with_output().unwrap()).expect(1)
}

/// Checks that everything exists once, and that destroy leaves nothing.
async fn is_whole(bench: &Bench, empty: &Inventory) {
    bench.run(&PLAN).ok();
    bench.run(&["sweep", "--workspace", "legacy"]).ok();
    bench.run(&DESTROY).ok();
    assert_eq!(bench.inventory().await, *empty);
}
