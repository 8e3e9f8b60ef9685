//! Eventual consistency: what was just created is not found for some seconds.

use payinfra_localstack::{Fault, Match, Rule};

use crate::{EXAMPLE, bench};

/// G-03, G-07, G-09: the function, its mapping, the API and its key are not found for seconds after their create, by
/// reads and by writes; the apply waits, creates nothing twice, and leaves nothing to plan.
#[tokio::test(flavor = "multi_thread")]
async fn g03_g07_g09_new_resources_that_are_not_found_are_waited_for() {
    let bench = bench(EXAMPLE).await;
    let hidden = [
        ("lambda", "CreateFunction"),
        ("lambda", "CreateEventSourceMapping"),
        ("apigateway", "CreateRestApi"),
        ("apigateway", "CreateApiKey"),
        ("apigateway", "CreateUsagePlan"),
        ("apigateway", "CreateDeployment"),
    ];
    let rule = |(service, action): (&str, &str)| Rule {
        matches: Match::action(service, action),
        fault: Fault::NotFound { seconds: 2.0, writes: true },
    };
    bench.aws.faults(hidden.map(rule));
    bench.run(&["apply", "--yes"]).ok();
    let calls = bench.aws.calls();
    for (service, action) in hidden {
        let of = |call: &&payinfra_localstack::Call| call.service == service && call.action == action;
        assert!(calls.iter().filter(of).any(|call| call.fault.is_some()), "{service}:{action} was not hidden");
    }
    bench.aws.clear_faults();
    bench.run(&["plan", "--exit-code"]).ok();
    let created = |action: &str| calls.iter().filter(|call| call.action == action).count();
    assert_eq!((created("CreateFunction"), created("CreateRestApi"), created("CreateApiKey")), (2, 2, 2));
    bench.run(&["destroy", "--yes", "--accept-loss"]).ok();
    let orphans = bench.run(&["sweep"]).ok();
    assert!(orphans.stdout.contains("No orphaned resources"), "{}", orphans.stdout);
}
