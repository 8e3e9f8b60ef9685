//! What AWS does not take a request's signature for: a clock that is off, credentials that have expired.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use payinfra_localstack::{Fault, Match, Rule, When};
use payinfra_tests::{Bench, Outcome, caught};

const APPLY: &[&str] = &["apply", "--workspace", "legacy", "--yes"];

/// An hour on either side: the first request of a command is refused, and its answer tells all clients the time.
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
        assert!(refused.count() > 0, "the emulated AWS looked at no clock");
        // A clock that is set right between two commands.
        bench.aws.set_clock(0);
        bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    }
}

/// Fresh credentials that come within seconds are enough for a run to go on; without them it ends within seconds, says
/// what to do, and the next one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_in_the_middle_end_nothing_for_good() {
    let bench = Bench::new().await;
    let expired = |matches| Rule { matches, fault: Fault::Expired };
    // One request of each of these services, as if the next had fresh credentials.
    let once = ["ec2", "s3", "kms", "iam", "rds", "dynamodb"].map(|service| {
        let changes = Match { service: Some(service.to_owned()), mutating: Some(true), ..Match::any() };
        expired(changes.nth(2))
    });
    bench.aws.faults(once);
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    bench.aws.clear_faults();

    // None are provided.
    let bench = Bench::new().await;
    let mut hold =
        bench.aws.hold(Match { mutating: Some(true), ..Match::action("ec2", "Create*").nth(5) }, When::Before);
    let running = bench.start(APPLY);
    let waiting = caught(&mut hold).await;
    bench.aws.faults([expired(Match::any())]);
    let since = Instant::now();
    waiting.release();
    let ended = Outcome::from(running.wait_with_output().unwrap()).expect(1);
    assert!(since.elapsed() < Duration::from_mins(1), "it was tried for {:?}", since.elapsed());
    assert!(ended.stderr.contains("sign in again"), "{}", ended.stderr);
    drop(hold);
    bench.aws.clear_faults();
    bench.run(APPLY).ok();
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
}
