//! Rejected signatures: a clock that is off, and expired credentials.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use payinfra_localstack::{Fault, Match, Rule, When};
use payinfra_tests::{Bench, Outcome, caught};

const APPLY: &[&str] = &["apply", "--workspace", "legacy", "--yes"];

/// An hour ahead or behind: the first response corrects the clock, and the run succeeds.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_off_is_corrected() {
    for ahead in [3600, -3600] {
        let bench = Bench::new().await;
        bench.aws.set_clock(ahead);
        bench.run(APPLY).ok();
        bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
        let refused = bench.aws.calls().into_iter().filter(|call| {
            let codes =
                ["SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"];
            call.error.as_deref().is_some_and(|error| codes.contains(&error))
        });
        assert!(refused.count() > 0, "the emulated AWS rejected no request");
        // Corrected in between, as NTP does.
        bench.aws.set_clock(0);
        bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    }
}

/// New credentials within seconds let a run continue; without them it ends within seconds with a hint, and the next run
/// continues.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_in_the_middle_end_nothing_for_good() {
    let bench = Bench::new().await;
    let expired = |matches| Rule { matches, fault: Fault::Expired };
    // Rejects one request per service, as if the next one had new credentials.
    let once = ["ec2", "s3", "kms", "iam", "rds", "dynamodb"].map(|service| {
        let changes = Match { service: Some(service.to_owned()), mutating: Some(true), ..Match::any() };
        expired(changes.nth(2))
    });
    bench.aws.faults(once);
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    bench.aws.clear_faults();

    // No new credentials.
    let bench = Bench::new().await;
    let mut hold =
        bench.aws.hold(Match { mutating: Some(true), ..Match::action("ec2", "Create*").nth(5) }, When::Before);
    let running = bench.start(APPLY);
    let waiting = caught(&mut hold).await;
    bench.aws.faults([expired(Match::any())]);
    let since = Instant::now();
    waiting.release();
    let ended = Outcome::from(running.wait_with_output().unwrap()).expect(1);
    assert!(since.elapsed() < Duration::from_mins(1), "it was retried for {:?}", since.elapsed());
    assert!(ended.stderr.contains("sign in again"), "{}", ended.stderr);
    drop(hold);
    bench.aws.clear_faults();
    bench.run(APPLY).ok();
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
}
