//! `payinfra failover` on a global database in two regions: there and back, without the primary region, interrupted.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use payinfra_localstack::{Match, Silence, When};
use payinfra_tests::{Bench, Outcome, caught, runbook};
use serde_json::Value;

const WORKSPACE: [&str; 2] = ["--workspace", "migration"];
const DATABASE: &str = "us-east-1/rds.global-cluster/main";
const HOME: &str = "us-east-1";
const OTHER: &str = "us-east-2";
/// The most calls of a failover without the primary region, with those that wait for the roles.
const CALLS: usize = 200;

/// The two regions of the example, with a short lease, under the checker.
async fn applied() -> Bench {
    let bench = Bench::new().await.lease(Duration::from_secs(2));
    bench.run(&with(&["apply", "--yes"])).ok();
    bench.follow(&[]).await;
    bench.aws.clear_calls();
    bench
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &WORKSPACE].concat()
}

/// The event of this name.
fn event(outcome: &Outcome, name: &str) -> Value {
    let events = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.into_iter().find(|event| event["event"] == name).unwrap()
}

/// The writer's region, as the command says.
#[track_caller]
fn writer(bench: &Bench) -> String {
    let status = bench.run(&with(&["failover", "--json"])).ok();
    event(&status, "databases")["databases"][0]["writer"].as_str().unwrap().to_owned()
}

/// The traffic weights of both regions.
fn weights(bench: &Bench) -> Vec<u64> {
    let status = bench.run(&with(&["traffic", "--json"])).ok();
    let regions = event(&status, "traffic")["regions"].clone();
    regions.as_array().unwrap().iter().map(|region| region["weight"].as_u64().unwrap()).collect()
}

/// Nothing is planned, nothing is in progress.
#[track_caller]
fn settled(bench: &Bench) -> Outcome {
    assert_eq!(bench.state("migration").get("operations"), None);
    bench.run(&with(&["plan", "--exit-code"])).ok()
}

/// M-11, M-03: a planned failover and the way back lose nothing, leave nothing to plan, and a destroy while the writer is
/// away ends.
#[tokio::test(flavor = "multi_thread")]
async fn m11_m03_a_planned_failover_there_and_back() {
    let bench = applied().await;
    assert_eq!(writer(&bench), HOME);
    let there = bench.run(&with(&["failover", "--to", OTHER, "--yes"])).ok();
    for told in ["us-east-1 → us-east-2", "us-east-1 90, us-east-2 10 → us-east-1 0, us-east-2 100", "ReplicationLag"]
    {
        assert!(there.stdout.contains(told), "`{told}` is not in:\n{}", there.stdout);
    }
    assert_eq!((writer(&bench).as_str(), weights(&bench)), (OTHER, vec![0, 100]));
    let plan = settled(&bench);
    let told = format!("{DATABASE} has its writer in us-east-2; the configuration has it in us-east-1.");
    assert!(plan.stdout.contains(&told), "{}", plan.stdout);
    bench.run(&with(&["drift"])).ok();
    let again = bench.run(&with(&["failover", "--to", OTHER, "--yes"])).ok();
    assert!(again.stderr.contains("Nothing to do"), "{again:?}");

    let back = bench.run(&with(&["failover", "--back", "--yes", "--json"])).ok();
    assert_eq!(event(&back, "failover-ended")["writer"], HOME);
    assert_eq!((writer(&bench).as_str(), weights(&bench)), (HOME, vec![90, 10]));
    assert!(!settled(&bench).stdout.contains("has its writer"));
    assert_eq!(bench.violations().await, Vec::<String>::new());

    bench.run(&with(&["failover", "--to", OTHER, "--keep-traffic", "--yes"])).ok();
    assert_eq!((writer(&bench).as_str(), weights(&bench)), (OTHER, vec![90, 10]));
    // AWS does not delete the writer of a secondary: the writer moves home first.
    bench.run(&with(&["destroy", "--yes", "--accept-loss"])).ok();
}

/// M-03: the runbook's commands of a failover do what it says.
#[tokio::test(flavor = "multi_thread")]
async fn m03_the_runbook_fails_over_and_back() {
    let bench = applied().await;
    let commands = runbook(&["failover"]);
    let to: Vec<_> = commands.iter().map(|line| if line.contains(&"--back") { HOME } else { OTHER }).collect();
    assert_eq!(to, [OTHER, HOME, OTHER]);
    for (mut line, to) in commands.into_iter().zip(to) {
        let workspace = line.iter_mut().find(|word| **word == "live").unwrap();
        *workspace = WORKSPACE[1];
        bench.run(&bench.consenting(&line)).ok();
        assert_eq!(writer(&bench), to);
        settled(&bench);
    }
    assert_eq!(bench.violations().await, Vec::<String>::new());
}

/// M-03: a region that has the writer and all traffic leaves only after both have moved home.
#[tokio::test(flavor = "multi_thread")]
async fn m03_the_writer_and_the_traffic_move_home_before_their_region_leaves() {
    let bench = applied().await;
    bench.run(&with(&["failover", "--to", OTHER, "--yes"])).ok();
    // The phase decides about the weights; the example's are those of its default.
    bench.configure(&bench.configuration().replace("weights = { us-east-1 = 90, us-east-2 = 10 }\n", ""));
    let refused = bench.run(&with(&["phase", "--to", "legacy", "--yes"])).expect(1);
    assert!(refused.stderr.contains("--accept-loss"), "{}", refused.stderr);
    assert_eq!(writer(&bench), OTHER, "what is refused moves nothing");
    bench.aws.clear_calls();
    bench.run(&with(&["phase", "--to", "legacy", "--yes", "--accept-loss"])).ok();
    let calls = bench.aws.calls();
    let first = |action: &str| calls.iter().position(|call| call.action == action && call.status == Some(200)).unwrap();
    assert!(first("SwitchoverGlobalCluster") < first("ChangeResourceRecordSets"));
    assert!(first("ChangeResourceRecordSets") < first("DeleteDBInstance"));
    assert_eq!(writer(&bench), HOME);
    settled(&bench);
    assert_eq!(bench.violations().await, Vec::<String>::new());
}

/// M-11: when the primary region answers nothing, neither the sign-in nor the state there holds up the failover.
#[tokio::test(flavor = "multi_thread")]
async fn m11_an_unplanned_failover_without_the_primary_region() {
    let bench = applied().await;
    bench.aws.set_outage(HOME, Some(Silence::Hang));
    let planned = bench.start(&with(&["failover", "--to", OTHER, "--yes"]));
    let begun = Instant::now();
    let outcome = bench.run(&with(&["failover", "--to", OTHER, "--unplanned", "--yes"])).ok();
    assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", begun.elapsed());
    for told in ["Data loss", "without the state and its lock", "The traffic weights are unchanged"] {
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
    }
    let calls = bench.aws.calls();
    assert!(calls.len() < CALLS, "{} calls", calls.len());
    assert!(calls.iter().any(|call| (&*call.action, &*call.region) == ("FailoverGlobalCluster", OTHER)));
    // A planned one needs the region, and fails.
    Outcome::from(planned.wait_with_output().unwrap()).expect(1);

    bench.aws.set_outage(HOME, None);
    assert_eq!(writer(&bench), OTHER);
    settled(&bench);
    bench.run(&with(&["failover", "--back", "--yes"])).ok();
    assert_eq!(writer(&bench), HOME);
    settled(&bench);
}

/// M-11: a failover that is killed before, during and after the change of the roles is resumed or undone.
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_killed_failover_is_resumed_or_aborted() {
    let bench = applied().await;
    for (action, when, way, expected) in [
        ("SwitchoverGlobalCluster", When::Before, "--resume", OTHER),
        ("SwitchoverGlobalCluster", When::After, "--abort", OTHER),
        ("ChangeResourceRecordSets", When::Before, "--resume", HOME),
        ("ChangeResourceRecordSets", When::After, "--abort", HOME),
    ] {
        let to: &[&str] = if writer(&bench) == HOME { &["--to", OTHER] } else { &["--back"] };
        let mut hold = bench.aws.hold(Match::action("*", action), when);
        let mut running = bench.start(&with(&[&["failover", "--yes"], to].concat()));
        let call = caught(&mut hold).await;
        running.kill().unwrap();
        running.wait().unwrap();
        call.release();
        drop(hold);
        let status = bench.run(&with(&["failover"])).ok();
        assert!(status.stdout.contains("has been in progress since"), "{}", status.stdout);
        let refused = bench.run(&with(&["traffic", "--weights", "us-east-1=50,us-east-2=50", "--yes"])).expect(1);
        assert!(refused.stderr.contains("failover --resume"), "{}", refused.stderr);
        bench.run(&with(&["failover", way, "--yes"])).ok();
        assert_eq!(writer(&bench), expected, "{action} {way}");
        settled(&bench);
    }
    assert_eq!(bench.violations().await, Vec::<String>::new());
}

/// M-11: mistakes are found before anything changes.
#[tokio::test(flavor = "multi_thread")]
async fn m11_an_impossible_failover_changes_nothing() {
    let bench = applied().await;
    for (arguments, told) in [
        (&["--to", "us-west-2"][..], &["no cluster in `us-west-2`", "us-east-1, us-east-2"][..]),
        (&["--to", OTHER, "--gate", "alarm:none@us-east-1"], &["there is no alarm `none`"]),
        (&["--resume"], &["no failover is in progress"]),
        (&["--to", OTHER, "--planned", "--unplanned"], &["cannot be used with"]),
    ] {
        let outcome = bench.run(&with(&[&["failover", "--yes"], arguments].concat()));
        assert_ne!(outcome.code, Some(0), "{arguments:?}");
        for told in told {
            assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
        }
    }
    let absent = bench.run(&["failover", "--to", OTHER, "--yes", "--workspace", "legacy"]).expect(1);
    assert!(absent.stderr.contains("has not been applied yet"), "{}", absent.stderr);
    assert_eq!(bench.mutations(), []);

    // Nobody could connect to a writer without instances.
    let rds = aws_sdk_rds::Client::new(&bench.sdk(OTHER));
    let clusters = rds.describe_db_clusters().send().await.unwrap();
    for member in clusters.db_clusters()[0].db_cluster_members() {
        rds.delete_db_instance().db_instance_identifier(member.db_instance_identifier().unwrap()).send().await.unwrap();
    }
    bench.aws.clear_calls();
    for way in ["--planned", "--unplanned"] {
        let outcome = bench.run(&with(&["failover", "--to", OTHER, way, "--yes"])).expect(1);
        assert!(outcome.stderr.contains("in us-east-2 has no instance"), "{}", outcome.stderr);
    }
    assert_eq!(bench.mutations(), []);
}
