//! `payinfra deploy --function` (M-17, G-03) on the payment API: good and bad versions under payments, gates, interruptions.
//!
//! `cargo test --workspace --test deploy_function -- --ignored --nocapture every` kills a deployment at each of its changes,
//! before and after it takes effect.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_cloudwatch::types::StateValue;
use payinfra_localstack::{Match, When};
use payinfra_tests::api::Api;
use payinfra_tests::crash::Point;
use payinfra_tests::load::Ledger;
use payinfra_tests::{Bench, Outcome, built, caught};
use payment_image::archive;
use serde_json::{Value, json};
use tokio::task::block_in_place;

const EXAMPLE: &str = include_str!("../../crates/stacks/src/global_payments/payinfra.toml");
const FUNCTION: &str = "payment-demo1-processor";
const PRIMARY: &str = "us-east-1";
const STANDBY: &str = "us-west-2";
/// Of the changes of a deployment, every how many the short test kills it at.
const EVERY: usize = 11;

/// The payments function, as a package that differs by `name`. A bad one ends before it answers.
fn package(bench: &Bench, name: &str) {
    let (served, program) = (bench.file(&format!("served-{name}")), built("payment-processor"));
    let run = if name.starts_with("bad") { "exit 1".to_owned() } else { format!("exec '{}'", program.display()) };
    let script = format!("#!/bin/sh\n: >'{}'-$AWS_REGION\n{run}\n", served.display());
    fs::write(bench.file("payment-processor.zip"), archive(script.as_bytes()).unwrap()).unwrap();
}

/// Whether an execution environment of this package has started in `region`.
fn has_served(bench: &Bench, name: &str, region: &str) -> bool {
    bench.file(&format!("served-{name}-{region}")).exists()
}

/// The example with the package `old`, with a short lease.
async fn configured() -> Bench {
    let bench = Bench::new().await.lease(Duration::from_secs(5));
    bench.configure(EXAMPLE);
    package(&bench, "old");
    bench
}

async fn applied() -> Bench {
    let bench = configured().await;
    bench.run(&["apply", "--yes"]).ok();
    bench.aws.clear_calls();
    bench
}

/// A command line that deploys the function and waits for nothing.
fn quick<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["deploy", "--function", "processor", "--every", "0s", "--bake", "0s", "--yes"], arguments].concat()
}

/// What the alias of a region invokes, and the versions that exist.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    active: String,
    /// The other version, and its share in percent.
    additional: Option<(String, u32)>,
    versions: Vec<String>,
}

fn only(version: &str) -> Found {
    Found { active: version.to_owned(), additional: None, versions: vec![version.to_owned()] }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 100")]
async fn found(bench: &Bench, region: &str) -> Found {
    let lambda = aws_sdk_lambda::Client::new(&bench.sdk(region));
    let alias = lambda.get_alias().function_name(FUNCTION).name("live").send().await.unwrap();
    let weights = alias.routing_config().and_then(|routing| routing.additional_version_weights());
    let weight = |(version, weight): (&String, &f64)| (version.clone(), (weight * 100.0).round() as u32);
    let versions = lambda.list_versions_by_function().function_name(FUNCTION).send().await.unwrap();
    let versions = versions.versions().iter().map(|it| it.version().unwrap().to_owned());
    Found {
        active: alias.function_version().unwrap().to_owned(),
        additional: weights.into_iter().flatten().map(weight).next(),
        versions: versions.filter(|version| version != "$LATEST").collect(),
    }
}

/// The events of this name.
fn events(outcome: &Outcome, name: &str) -> Vec<Value> {
    let all = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == name).collect()
}

fn operation(bench: &Bench) -> Option<Value> {
    bench.state("dev").pointer("/operations/deploy").cloned()
}

/// Nothing is planned, nothing has drifted, and nothing is in progress.
fn settled(bench: &Bench) {
    assert_eq!(operation(bench), None);
    bench.run(&["plan", "--exit-code"]).ok();
    bench.run(&["drift"]).ok();
    bench.run(&["drift", "--between-regions"]).ok();
}

/// Sets the alarm for errors of the API in the standby region.
async fn set_alarm(bench: &Bench, state: StateValue) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk(STANDBY));
    let alarms = cloudwatch.describe_alarms().send().await.unwrap();
    let mut names = alarms.metric_alarms().iter().map(|alarm| alarm.alarm_name().unwrap());
    let name = names.find(|name| name.contains("api-5xx")).unwrap();
    let call = cloudwatch.set_alarm_state().alarm_name(name).state_value(state);
    call.state_reason("seven errors in a minute").send().await.unwrap();
}

/// The APIs, and the tables and audit buckets by region.
async fn payments(bench: &Bench) -> (Vec<Api>, BTreeMap<String, (String, String)>) {
    let outputs = fs::read_to_string(bench.file("cfn-outputs/flat-outputs.json")).unwrap();
    let outputs: Value = serde_json::from_str(&outputs).unwrap();
    let (mut apis, mut places) = (Vec::new(), BTreeMap::new());
    for region in [PRIMARY, STANDBY] {
        apis.push(Api::of(bench, &outputs, region).await);
        let output = |name: &str| {
            let own = outputs.get(format!("{name}_{}", region.replace('-', "_")));
            own.or_else(|| outputs.get(name)).unwrap().as_str().unwrap().to_owned()
        };
        places.insert(region.to_owned(), (output("payments_table_name"), output("audit_bucket_name")));
    }
    (apis, places)
}

/// M-17, G-03: a good version gets all invocations in steps, the standby region first, while payments go on: none is refused,
/// lost or doubled. Afterwards only the new version exists, and nothing is planned.
#[tokio::test(flavor = "multi_thread")]
async fn m17_g03_a_good_version_gets_all_payments_in_steps() {
    let bench = applied().await;
    let (apis, places) = payments(&bench).await;
    let ledger = Ledger::default();
    assert!(block_in_place(|| ledger.send(&apis, 2, 4)).accepted > 4);
    for region in [PRIMARY, STANDBY] {
        assert_eq!(found(&bench, region).await, only("1"));
    }
    package(&bench, "new");
    let mut steps = bench.aws.hold(Match::action("lambda", "UpdateAlias"), When::After);
    let running = bench.start(&quick(&["--step", "50", "--json"]));
    let half = || Found {
        active: "1".to_owned(),
        additional: Some(("2".to_owned(), 50)),
        versions: vec!["1".to_owned(), "2".to_owned()],
    };
    for region in [STANDBY, PRIMARY] {
        let first = caught(&mut steps).await;
        assert_eq!(found(&bench, region).await, half());
        assert!(!has_served(&bench, "new", region));
        let sent = block_in_place(|| ledger.send(&apis, 4, 6));
        assert!(sent.accepted > 8 && sent.failed == 0 && sent.retried.is_empty(), "{sent:?}");
        assert!(has_served(&bench, "new", region), "the emulated AWS splits the payments in {region}");
        first.release();
        caught(&mut steps).await.release();
    }
    drop(steps);
    // Payments that are sent until the deployment ends.
    let ended = AtomicBool::new(false);
    let outcome = block_in_place(|| {
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let sent = ledger.send(&apis, 2, 2);
                    assert!(sent.failed == 0 && sent.retried.is_empty(), "{sent:?}");
                }
            });
            let outcome = Outcome::from(running.wait_with_output().unwrap());
            ended.store(true, Ordering::Relaxed);
            sending.join().unwrap();
            outcome
        })
    })
    .ok();
    let begun = &events(&outcome, "function-deploy")[0];
    assert_eq!((&begun["function"], &begun["regions"]), (&json!("processor"), &json!([STANDBY, PRIMARY])));
    assert!(begun["gates"].to_string().contains("alarm:"), "{begun}");
    let made = events(&outcome, "function-share");
    let made: Vec<_> = made.iter().map(|event| (event["region"].clone(), event["percent"].clone())).collect();
    let expected = [(STANDBY, 50), (STANDBY, 100), (PRIMARY, 50), (PRIMARY, 100)];
    assert_eq!(made, expected.map(|(region, percent)| (json!(region), json!(percent))));
    assert_eq!(events(&outcome, "function-deploy-ended")[0]["outcome"], "complete");
    for region in [PRIMARY, STANDBY] {
        assert_eq!(found(&bench, region).await, only("2"));
    }
    settled(&bench);
    let problems = ledger.audit(&bench, &places).await;
    assert!(problems.is_empty(), "{problems:#?}");

    let status = bench.run(&["deploy", "--json"]).ok();
    let versions = json!([{ "version": "2", "weight": 100 }]);
    assert_eq!(events(&status, "functions")[0]["functions"][0]["versions"], versions);
    let again = bench.run(&quick(&[])).ok();
    assert!(again.stderr.contains("Nothing to deploy"), "{again:?}");
    bench.aws.clear_calls();
    bench.run(&["apply", "--yes"]).ok();
    assert_eq!(bench.mutations(), []);

    // Configuration is deployed in the same way, and an apply replaces a version at once.
    bench.configure(&EXAMPLE.replace("[defaults.api]", "[defaults.function]\nmemory = 1024\n[defaults.api]"));
    bench.run(&quick(&["--step", "100"])).ok();
    assert_eq!(found(&bench, PRIMARY).await, only("3"));
    settled(&bench);
    package(&bench, "newer");
    bench.run(&["apply", "--yes"]).ok();
    assert_eq!(found(&bench, STANDBY).await, only("4"));
    bench.run(&["destroy", "--yes", "--accept-loss"]).ok();
}

/// M-17, G-03: a bad version fails payments in the standby region, whose alarm returns it, exit 1, and it says why. The primary
/// region has none of its invocations, and no payment is lost.
#[tokio::test(flavor = "multi_thread")]
async fn m17_g03_an_alarm_returns_a_bad_version() {
    let bench = applied().await;
    let (apis, places) = payments(&bench).await;
    let ledger = Ledger::default();
    package(&bench, "bad");
    let mut steps = bench.aws.hold(Match::action("lambda", "UpdateAlias"), When::After);
    let running = bench.start(&quick(&["--step", "50", "--json"]));
    let first = caught(&mut steps).await;
    let sent = block_in_place(|| ledger.send(&apis, 4, 4));
    assert!(sent.retried.keys().any(|status| *status >= 500), "{sent:?}");
    // What CloudWatch does with these errors.
    set_alarm(&bench, StateValue::Alarm).await;
    first.release();
    drop(steps);
    let outcome = Outcome::from(running.wait_with_output().unwrap()).expect(1);
    let ended = &events(&outcome, "function-deploy-ended")[0];
    assert_eq!(ended["outcome"], "returned");
    assert!(ended["reason"].as_str().unwrap().contains("api-5xx"), "{ended}");
    assert!(!has_served(&bench, "bad", PRIMARY));
    for region in [PRIMARY, STANDBY] {
        assert_eq!(found(&bench, region).await, only("1"));
    }
    assert_eq!(operation(&bench), None);
    let sent = block_in_place(|| ledger.send(&apis, 2, 3));
    assert!(sent.failed == 0 && sent.retried.is_empty(), "{sent:?}");
    let problems = ledger.audit(&bench, &places).await;
    assert!(problems.is_empty(), "{problems:#?}");

    let refused = bench.run(&quick(&[])).expect(1);
    assert!(refused.stderr.contains("nothing was changed"), "{}", refused.stderr);
    set_alarm(&bench, StateValue::Ok).await;
    // The package is declared; with the one from before, the version is what is declared.
    bench.run(&["plan", "--exit-code"]).expect(2);
    package(&bench, "old");
    bench.run(&["apply", "--yes"]).ok();
    for region in [PRIMARY, STANDBY] {
        assert_eq!(found(&bench, region).await, only("1"));
    }
    settled(&bench);
}

/// M-17: Ctrl-C stops a deployment where it is. Until it is continued or aborted, no other operation starts, and plan and apply
/// change nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn m17_ctrl_c_stops_a_deployment_of_a_function() {
    let bench = applied().await;
    package(&bench, "new");
    let line = ["deploy", "--function", "processor", "--step", "40", "--every", "1h", "--yes", "--json"];
    let mut running = bench.start(&line);
    let lines = BufReader::new(running.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("\"event\":\"function-share\"")));
    Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    let mut stderr = String::new();
    running.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("`payinfra deploy --resume` continues it"), "{stderr}");
    let both = || vec!["1".to_owned(), "2".to_owned()];
    let expected = || Found { active: "1".to_owned(), additional: Some(("2".to_owned(), 40)), versions: both() };
    assert_eq!(found(&bench, STANDBY).await, expected());
    assert_eq!(found(&bench, PRIMARY).await, Found { additional: None, ..expected() });
    let status = bench.run(&["deploy"]).ok().stdout;
    assert!(status.contains("version 1 60 %, version 2 40 %"), "{status}");
    assert!(status.contains("has been in progress since"), "{status}");
    let refused = bench.run(&quick(&[])).expect(1);
    assert!(refused.stderr.contains("a deploy operation of"), "{}", refused.stderr);
    let refused = bench.run(&["rollback", "--yes"]).expect(1);
    assert!(refused.stderr.contains("a deploy operation of"), "{}", refused.stderr);
    bench.run(&["plan", "--exit-code"]).ok();
    bench.run(&["drift"]).ok();
    let applied = bench.run(&["apply", "--yes"]).ok();
    assert!(applied.stderr.contains("a deploy operation of"), "{}", applied.stderr);
    assert_eq!(found(&bench, STANDBY).await, expected());
    // Weights that others change are drift, which an apply repairs.
    let lambda = aws_sdk_lambda::Client::new(&bench.sdk(STANDBY));
    let routing = aws_sdk_lambda::types::AliasRoutingConfiguration::builder().additional_version_weights("2", 0.9);
    let call = lambda.update_alias().function_name(FUNCTION).name("live").routing_config(routing.build());
    call.send().await.unwrap();
    let drift = bench.run(&["drift"]).expect(2);
    assert!(drift.stdout.contains("us-west-2/lambda.alias/processor-live"), "{}", drift.stdout);
    bench.run(&["apply", "--yes"]).ok();
    assert_eq!(found(&bench, STANDBY).await, expected());

    bench.run(&["deploy", "--abort", "--yes"]).ok();
    for region in [PRIMARY, STANDBY] {
        assert_eq!(found(&bench, region).await, only("1"));
    }
    assert_eq!(operation(&bench), None);
    package(&bench, "old");
    bench.run(&["apply", "--yes"]).ok();
    settled(&bench);
}

/// M-17: mistakes are found before anything changes.
#[tokio::test(flavor = "multi_thread")]
async fn m17_mistakes_in_a_deployment_of_a_function_change_nothing() {
    let bench = configured().await;
    let refused = |line: &[&str], told: &str| {
        let outcome = bench.run(line).expect(1);
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
    };
    refused(&quick(&[]), "has not been applied yet");
    bench.run(&["apply", "--yes"]).ok();
    package(&bench, "new");
    bench.aws.clear_calls();
    refused(&["deploy", "--function", "shop", "--yes"], "the functions are processor");
    refused(&["deploy", "--image", "payments:1", "--yes"], "has no service with two colours");
    refused(&["deploy", "--image", "payments:1", "--function", "processor"], "cannot be used with");
    refused(&quick(&["--timeout", "1m"]), "'--function <NAME>' cannot be used with '--timeout <DURATION>'");
    refused(&quick(&["--gate", "alarm:nothing@us-east-1"]), "there is no alarm `nothing` in us-east-1");
    for way in ["--resume", "--abort"] {
        refused(&["deploy", way, "--yes"], "no deployment is in progress");
    }
    bench.configure(&EXAMPLE.replace("suffix = \"demo1\"", "suffix = \"demo2\""));
    refused(&quick(&[]), "the targets exclude dependents of a resource to be replaced");
    assert_eq!(bench.mutations(), []);
}

/// The changes of a deployment, each before and after it takes effect.
fn points(bench: &Bench, name: &str) -> Vec<Point> {
    package(bench, name);
    bench.aws.clear_calls();
    bench.run(&quick(&["--step", "50"])).ok();
    Point::of(&bench.aws.calls(), false)
}

/// Kills a deployment of the package `name` at `point`. An apply in the meantime keeps what it has reached; then it is resumed
/// or, every second time, aborted. It ends in either of the two versions, in both regions.
async fn killed(bench: &Bench, point: &Point, name: &str, aborted: bool) {
    let before = found(bench, PRIMARY).await;
    let package_before = fs::read(bench.file("payment-processor.zip")).unwrap();
    package(bench, name);
    let mut hold = point.hold(bench);
    let mut running = bench.start(&quick(&["--step", "50"]));
    // Writes of state and lock depend on the time that the calls take, so the last ones may not happen again.
    let reached = loop {
        tokio::select! {
            reached = hold.next() => break reached,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                if running.try_wait().unwrap().is_some() {
                    break None;
                }
            }
        }
    };
    running.kill().unwrap();
    running.wait().unwrap();
    if let Some(held) = reached {
        held.reset();
    }
    drop(hold);
    let mut is_new = true;
    if operation(bench).is_some() {
        bench.run(&["apply", "--yes"]).ok();
        bench.run(&["plan", "--exit-code"]).ok();
        let ended = bench.run(&["deploy", if aborted { "--abort" } else { "--resume" }, "--yes"]);
        let too_late = ended.stderr.contains("the deployment has succeeded");
        assert!(ended.code == Some(0) || aborted && too_late, "{point}: {ended:?}");
        if too_late {
            bench.run(&["deploy", "--resume", "--yes"]).ok();
        }
        is_new = !aborted || too_late;
    } else {
        is_new &= found(bench, PRIMARY).await.active != before.active;
    }
    if !is_new {
        fs::write(bench.file("payment-processor.zip"), package_before).unwrap();
        bench.run(&["apply", "--yes"]).ok();
    }
    let [primary, standby] = [found(bench, PRIMARY).await, found(bench, STANDBY).await];
    for now in [&primary, &standby] {
        assert_eq!((&now.additional, &now.versions), (&None, &vec![now.active.clone()]), "{point}: {now:?}");
    }
    assert_eq!(primary.active != before.active, is_new, "{point}: {before:?} became {primary:?}");
    settled(bench);
}

/// M-17: killed at some of its changes, a deployment of a function is resumed or aborted.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_killed_deployment_of_a_function_is_resumed() {
    let bench = applied().await;
    let points = points(&bench, "first");
    assert!(points.len() > 2 * EVERY, "{}", points.len());
    for (number, point) in points.iter().step_by(EVERY).enumerate() {
        killed(&bench, point, &format!("number-{number}"), number % 2 == 1).await;
    }
}

/// M-17: the same at all of its changes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour"]
async fn m17_a_deployment_of_a_function_is_killed_at_every_change() {
    let bench = applied().await;
    let points = points(&bench, "first");
    for (number, point) in points.iter().enumerate() {
        for aborted in [false, true] {
            println!("{number} of {}: {point}", points.len());
            killed(&bench, point, &format!("number-{number}-{aborted}"), aborted).await;
        }
    }
}
