//! A state that can no longer be written stops the apply, and all results are kept.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_localstack::{Fault, Match, Rule, When};
use payinfra_tests::{Bench, Outcome, caught};

const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];

/// The state bucket rejects every write from the middle of an apply on; the next run still finds all resources.
#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_kept_beside_the_configuration_and_taken_up() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "CreateVpc"), When::Before);
    let first = bench.start(&APPLY);
    let stopped = caught(&mut hold).await;
    bench.aws.faults([Rule { matches: Match::action("s3", "PutObject"), fault: Fault::Error { status: 503 } }]);
    stopped.release();
    drop(hold);
    let failed = Outcome::from(first.wait_with_output().unwrap()).expect(1);
    assert!(failed.stderr.contains(".payinfra-rescue-migration-legacy.json"), "{}", failed.stderr);
    let kept = std::fs::read_to_string(bench.file(".payinfra-rescue-migration-legacy.json")).unwrap();
    assert!(kept.contains("\"vpc-"), "the VPC's id came after the last write: {kept}");

    bench.aws.clear_faults();
    bench.run(&APPLY).expect(0);
    assert!(!bench.file(".payinfra-rescue-migration-legacy.json").exists());
    let after = bench.inventory().await;
    assert_eq!(after.count("us-east-1 ec2.vpc "), before.count("us-east-1 ec2.vpc ") + 1, "no duplicate");
    bench.run(&["sweep", "--workspace", "legacy"]).expect(0);
    bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).expect(0);
    assert_eq!(bench.inventory().await, before);
}
