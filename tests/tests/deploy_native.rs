//! Deployments that ECS makes itself (M-17), under the checker: good and bad images, gates, interruptions.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Duration;

use aws_sdk_cloudwatch::types::StateValue;
use payinfra_localstack::{Hold, Match, When};
use payinfra_tests::{Bench, Outcome, caught, example};
use serde_json::{Value, json};

const OLD: &str = "public.ecr.aws/payinfra/payment-service:1.0.0";
const GOOD: &str = "public.ecr.aws/payinfra/payment-service:1.1.0";
const BAD: &str = "public.ecr.aws/payinfra/payment-service:bad";
const LEGACY: &str = "legacy";
const REGION: &str = "us-east-1";
/// Minutes; long enough that the test ends the bake time, not the clock.
const BAKE: u32 = 240;
/// Of AWS's latency.
const SCALE: f64 = 0.02;

/// The example with these variables of the service.
fn configuration(variables: &str) -> String {
    example().replace("[defaults.service]", &format!("[defaults.service]\n{variables}"))
}

/// The example's workspace with ECS's own deployments, under the checker.
async fn applied(bake_minutes: u32) -> Bench {
    let variables = format!("strategy = \"native\"\nbake_minutes = {bake_minutes}");
    let bench = Bench::with(&configuration(&variables)).await.lease(Duration::from_secs(5));
    bench.run(&with(&["apply", "--yes"])).ok();
    bench.follow(&[]).await;
    bench.aws.clear_calls();
    bench
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--workspace", LEGACY]].concat()
}

fn deploy<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    with(&[&["deploy", "--yes"], arguments].concat())
}

/// What AWS has of the service.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// The weights of blue and green.
    weights: [i32; 2],
    /// Their targets.
    targets: [usize; 2],
    image: String,
    /// The revisions of the task definition.
    revisions: usize,
}

fn on_blue(image: &str) -> Found {
    Found { weights: [100, 0], targets: [2, 0], image: image.to_owned(), revisions: 1 }
}

fn on_green(image: &str) -> Found {
    Found { weights: [0, 100], targets: [0, 2], image: image.to_owned(), revisions: 1 }
}

async fn found(bench: &Bench) -> Found {
    let sdk = bench.sdk(REGION);
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&sdk);
    let balancers = elb.describe_load_balancers().send().await.unwrap();
    let balancer = balancers.load_balancers()[0].load_balancer_arn().unwrap();
    let listeners = elb.describe_listeners().load_balancer_arn(balancer).send().await.unwrap();
    let https = listeners.listeners().iter().find(|listener| listener.port() == Some(443)).unwrap();
    let groups = https.default_actions()[0].forward_config().unwrap().target_groups();
    let (mut weights, mut targets) = ([0; 2], [0; 2]);
    for (index, colour) in ["blue", "green"].into_iter().enumerate() {
        let group = groups.iter().find(|group| group.target_group_arn().unwrap().contains(colour)).unwrap();
        weights[index] = group.weight().unwrap();
        let health = elb.describe_target_health().target_group_arn(group.target_group_arn().unwrap());
        let health = health.send().await.unwrap().target_health_descriptions.unwrap();
        let state = |state: &str| {
            let is = |target: &&aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription| {
                target.target_health().and_then(|health| health.state()).is_some_and(|it| it.as_str() == state)
            };
            health.iter().filter(is).count()
        };
        targets[index] = state("healthy") + state("initial") + state("unhealthy");
    }
    let ecs = aws_sdk_ecs::Client::new(&sdk);
    let (cluster, name) = (format!("payment-cluster-{LEGACY}-demo1"), format!("payment-service-{LEGACY}-demo1"));
    let services = ecs.describe_services().cluster(&cluster).services(&name).send().await.unwrap();
    let definition = services.services()[0].task_definition().unwrap();
    let definition = ecs.describe_task_definition().task_definition(definition).send().await.unwrap();
    let definition = definition.task_definition.unwrap();
    let revisions = ecs.list_task_definitions().family_prefix(&name).send().await.unwrap();
    let image = definition.container_definitions()[0].image().unwrap().to_owned();
    Found { weights, targets, image, revisions: revisions.task_definition_arns().len() }
}

/// The events of this name.
fn events(outcome: &Outcome, name: &str) -> Vec<Value> {
    let all = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == name).collect()
}

fn operation(bench: &Bench) -> Option<Value> {
    bench.state(LEGACY).pointer("/operations/deploy").cloned()
}

/// Nothing is planned, nothing is in progress, no request had no target, and only ECS has changed the listener.
async fn settled(bench: &Bench) {
    assert_eq!(operation(bench), None);
    assert_eq!(bench.violations().await, Vec::<String>::new());
    let changes: Vec<_> = bench.mutations().into_iter().filter(|call| call.action == "ModifyListener").collect();
    assert_eq!(changes, []);
    bench.run(&with(&["plan", "--exit-code"])).ok();
}

async fn set_alarm(bench: &Bench, state: StateValue) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk(REGION));
    let call = cloudwatch.set_alarm_state().alarm_name("payment-alarm-target-5xx-legacy-demo1").state_value(state);
    call.state_reason("seven errors in a minute").send().await.unwrap();
}

/// Starts a deployment and waits until ECS has shifted the requests and watches the new tasks.
fn baking(bench: &Bench) -> Child {
    bench.aws.set_latency_scale(Some(SCALE));
    let mut running = bench.start(&deploy(&["--image", GOOD, "--json"]));
    let lines = BufReader::new(running.stdout.as_mut().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains("\"stage\":\"BAKE_TIME\"")), "the command ends before the bake time");
    running
}

/// The call that stops a deployment.
fn stop(bench: &Bench) -> Hold {
    bench.aws.hold(Match::action("ecs", "StopServiceDeployment"), When::After)
}

/// Lets the call that stops the deployment through, and everything after it happen without latency.
async fn rolled_back(bench: &Bench, mut stop: Hold, running: Child) -> Outcome {
    let held = caught(&mut stop).await;
    bench.aws.set_latency_scale(None);
    held.release();
    drop(stop);
    Outcome::from(running.wait_with_output().unwrap())
}

/// M-17: a good image ends with all requests, and the old tasks are gone. ECS has reversed the weights, and the plan is empty;
/// so it is after other changes of the tasks.
#[tokio::test(flavor = "multi_thread")]
async fn m17_ecs_gives_a_good_image_all_requests() {
    let bench = applied(0).await;
    assert_eq!(found(&bench).await, on_blue(OLD));
    let outcome = bench.run(&deploy(&["--image", GOOD, "--json"])).ok();
    let begun = &events(&outcome, "native-deploy")[0];
    assert_eq!((&begun["service"], &begun["regions"]), (&json!("service"), &json!([REGION])));
    assert_eq!(events(&outcome, "deploy-ended")[0]["outcome"], "complete");
    assert_eq!(found(&bench).await, on_green(GOOD));
    settled(&bench).await;
    let status = bench.run(&with(&["deploy", "--status", "--json"])).ok();
    let service = &events(&status, "native-services")[0]["services"][0];
    assert_eq!((&service["image"], &service["in_progress"]), (&json!(GOOD), &json!(false)));
    let again = bench.run(&deploy(&["--image", GOOD])).ok();
    assert!(again.stderr.contains("Nothing to deploy"), "{again:?}");

    bench.aws.clear_calls();
    bench.run(&with(&["apply", "--yes"])).ok();
    assert_eq!(bench.mutations(), []);
    assert_eq!(found(&bench).await, on_green(GOOD));

    let larger = bench.configuration().replace("strategy = \"native\"", "strategy = \"native\"\nmemory = 2048");
    bench.configure(&larger);
    let refused = bench.run(&deploy(&["--image", OLD])).expect(1);
    assert!(refused.stderr.contains("the configuration has other changes of"), "{}", refused.stderr);
    bench.run(&with(&["apply", "--yes"])).ok();
    assert_eq!(found(&bench).await, on_blue(GOOD));
    settled(&bench).await;
    bench.run(&deploy(&["--image", OLD])).ok();
    assert_eq!(found(&bench).await, on_green(OLD));
    settled(&bench).await;
}

/// M-17: ECS rolls back a bad image; the command says why, ends with 1, and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn m17_ecs_returns_from_a_bad_image() {
    let bench = applied(0).await;
    let outcome = bench.run(&deploy(&["--image", BAD, "--json"])).expect(1);
    let ended = &events(&outcome, "deploy-ended")[0];
    assert_eq!((&ended["outcome"], &ended["image"]), (&json!("returned"), &json!(BAD)));
    let reason = ended["reason"].as_str().unwrap();
    assert!(reason.contains("ECS could not deploy the image") && reason.contains("circuit breaker"), "{reason}");
    let Found { image, revisions, targets, .. } = found(&bench).await;
    assert_eq!((&*image, revisions, targets.iter().sum::<usize>()), (OLD, 1, 2));
    settled(&bench).await;
}

/// M-17: an apply that changes the tasks fails with ECS's reason if ECS rolls it back.
#[tokio::test(flavor = "multi_thread")]
async fn m17_an_apply_says_why_ecs_returned() {
    let bench = applied(0).await;
    bench.configure(&configuration(&format!("strategy = \"native\"\nbake_minutes = 0\nimage = \"{BAD}\"")));
    let failed = bench.run(&with(&["apply", "--yes"])).expect(1);
    assert!(failed.stderr.contains("AWS has reverted the change of"), "{}", failed.stderr);
    assert!(failed.stderr.contains("circuit breaker threshold was exceeded"), "{}", failed.stderr);
    assert_eq!(bench.violations().await, Vec::<String>::new());
    bench.configure(&configuration("strategy = \"native\"\nbake_minutes = 0"));
    bench.run(&with(&["apply", "--yes"])).ok();
    settled(&bench).await;
}

/// M-17: a gate that fails during the bake time has ECS roll back.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_gate_has_ecs_return() {
    let bench = applied(BAKE).await;
    let running = baking(&bench);
    let shifted = found(&bench).await;
    assert_eq!((shifted.weights, shifted.targets), ([0, 100], [2, 2]));
    let stop = stop(&bench);
    set_alarm(&bench, StateValue::Alarm).await;
    let outcome = rolled_back(&bench, stop, running).await.expect(1);
    let reason = events(&outcome, "deploy-ended")[0]["reason"].to_string();
    assert!(reason.contains("payment-alarm-region-legacy-demo1@us-east-1 does not hold: ALARM"), "{reason}");
    set_alarm(&bench, StateValue::Ok).await;
    let Found { image, revisions, targets, .. } = found(&bench).await;
    assert_eq!((&*image, revisions, targets.iter().sum::<usize>()), (OLD, 1, 2));
    settled(&bench).await;
}

/// M-17: a killed deployment continues in ECS. An apply in the meantime changes nothing of it, and `--resume` ends it.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_killed_deployment_of_ecs_is_resumed() {
    let bench = applied(BAKE).await;
    let mut running = baking(&bench);
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(operation(&bench).is_some());
    let status = bench.run(&with(&["deploy"])).ok().stdout;
    assert!(status.contains("BAKE_TIME") && status.contains("has been in progress since"), "{status}");
    let refused = bench.run(&deploy(&["--image", OLD])).expect(1);
    assert!(refused.stderr.contains("a deploy operation of"), "{}", refused.stderr);
    let apply = bench.start(&with(&["apply", "--yes"]));
    let weights = found(&bench).await.weights;
    assert_eq!(weights, [0, 100]);
    bench.aws.set_latency_scale(None);
    Outcome::from(apply.wait_with_output().unwrap()).ok();
    let resumed = bench.run(&deploy(&["--resume"])).ok();
    assert!(resumed.stdout.contains(&format!("{GOOD} is active")), "{}", resumed.stdout);
    assert_eq!(found(&bench).await, on_green(GOOD));
    settled(&bench).await;
}

/// M-17: `--abort` has ECS roll back.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_killed_deployment_of_ecs_is_aborted() {
    let bench = applied(BAKE).await;
    let mut running = baking(&bench);
    running.kill().unwrap();
    running.wait().unwrap();
    let stop = stop(&bench);
    let aborting = bench.start(&deploy(&["--abort"]));
    rolled_back(&bench, stop, aborting).await.ok();
    let Found { image, revisions, targets, .. } = found(&bench).await;
    assert_eq!((&*image, revisions, targets.iter().sum::<usize>()), (OLD, 1, 2));
    settled(&bench).await;
}

/// M-17: killed at any of its changes, a deployment is resumed.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_deployment_of_ecs_is_killed_at_its_changes() {
    let bench = applied(0).await;
    for (number, action) in
        ["RegisterTaskDefinition", "UpdateService", "DeregisterTaskDefinition", "DeleteTaskDefinitions"]
            .into_iter()
            .enumerate()
    {
        for when in [When::Before, When::After] {
            let image = format!("public.ecr.aws/payinfra/payment-service:2.{number}-{when:?}");
            let mut hold = bench.aws.hold(Match::action("ecs", action), when);
            let mut running = bench.start(&deploy(&["--image", &image]));
            let call = caught(&mut hold).await;
            running.kill().unwrap();
            running.wait().unwrap();
            call.reset();
            drop(hold);
            bench.run(&deploy(&["--resume"])).ok();
            let Found { image: now, revisions, targets, .. } = found(&bench).await;
            assert_eq!((now, revisions, targets.iter().sum::<usize>()), (image, 1, 2), "{action} {when:?}");
            settled(&bench).await;
        }
    }
}

/// M-17: options and variables that do not fit are refused before anything changes.
#[tokio::test(flavor = "multi_thread")]
async fn m17_mistakes_with_the_strategy_change_nothing() {
    let bench = applied(0).await;
    for (option, value) in [("--step", "10"), ("--every", "1m"), ("--bake", "1m"), ("--timeout", "1m")] {
        let refused = bench.run(&deploy(&["--image", GOOD, option, value])).expect(1);
        assert!(refused.stderr.contains(&format!("{option} cannot be used: ECS deploys")), "{}", refused.stderr);
        assert!(refused.stderr.contains("service.bake_minutes"), "{}", refused.stderr);
    }
    for way in ["--resume", "--abort"] {
        let refused = bench.run(&deploy(&[way])).expect(1);
        assert!(refused.stderr.contains("no deployment is in progress"), "{}", refused.stderr);
    }
    for (variables, told) in [
        ("strategy = \"rolling\"", "native"),
        ("strategy = \"native\"\nbake_minutes = 1441", "invalid value 1441 of `bake_minutes`"),
        ("bake_minutes = 5", "`bake_minutes` has no effect with the strategy `stepwise`"),
    ] {
        bench.configure(&configuration(variables));
        let refused = bench.run(&with(&["apply", "--yes"])).expect(1);
        assert!(refused.stderr.contains(told), "`{told}` is not in:\n{}", refused.stderr);
    }
    assert_eq!(bench.mutations(), []);
}

/// M-17: a workspace that changes to ECS's own deployments serves all the time.
#[tokio::test(flavor = "multi_thread")]
async fn m17_the_strategy_of_a_workspace_changes_while_it_serves() {
    let bench = Bench::with(&configuration("strategy = \"stepwise\"")).await.lease(Duration::from_secs(5));
    bench.run(&with(&["apply", "--yes"])).ok();
    bench.follow(&[]).await;
    bench.configure(&configuration("strategy = \"native\""));
    bench.run(&with(&["apply", "--yes"])).ok();
    assert_eq!(found(&bench).await, on_blue(OLD));
    assert_eq!(bench.violations().await, Vec::<String>::new());
    bench.run(&with(&["plan", "--exit-code"])).ok();
}
