//! `payinfra deploy` (M-17) under the checker: good and bad images, gates, interruptions.
//!
//! `cargo test --workspace --test deploy -- --ignored --nocapture every` kills a deployment at each of its changes, before
//! and after it takes effect.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::time::Duration;

use aws_sdk_cloudwatch::types::StateValue;
use payinfra_localstack::{Match, When};
use payinfra_tests::crash::Point;
use payinfra_tests::{Bench, Outcome, caught, runbook};
use serde_json::{Value, json};

const OLD: &str = "public.ecr.aws/payinfra/payment-service:1.0.0";
const GOOD: &str = "public.ecr.aws/payinfra/payment-service:1.1.0";
const BAD: &str = "public.ecr.aws/payinfra/payment-service:bad";
const LEGACY: &str = "legacy";
const REGION: &str = "us-east-1";
/// Of the changes of a deployment, every how many the short test kills it at.
const EVERY: usize = 19;

/// The example's `workspace`, with a short lease, under the checker.
async fn applied(workspace: &str) -> Bench {
    let bench = Bench::new().await.lease(Duration::from_secs(2));
    bench.run(&["apply", "--yes", "--workspace", workspace]).ok();
    bench.follow(&[]).await;
    bench.aws.clear_calls();
    bench
}

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--workspace", LEGACY]].concat()
}

/// A command line of `deploy` that waits for nothing.
fn quick<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    with(&[&["deploy", "--every", "0s", "--bake", "0s", "--yes"], arguments].concat())
}

/// A colour, as AWS has it.
#[derive(Debug, PartialEq, Eq)]
struct Colour {
    weight: i32,
    /// Desired and running.
    tasks: (i32, i32),
    image: String,
    /// The revisions of its task definition.
    revisions: usize,
    /// The bounds of auto scaling.
    bounds: (i32, i32),
}

fn active(image: &str) -> Colour {
    Colour { weight: 100, tasks: (2, 2), image: image.to_owned(), revisions: 1, bounds: (2, 4) }
}

fn idle(image: &str) -> Colour {
    Colour { weight: 0, tasks: (0, 0), image: image.to_owned(), revisions: 1, bounds: (0, 0) }
}

/// Blue and green.
async fn colours(bench: &Bench, workspace: &str, region: &str) -> [Colour; 2] {
    let sdk = bench.sdk(region);
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&sdk);
    let balancers = elb.describe_load_balancers().send().await.unwrap();
    let balancer = balancers.load_balancers()[0].load_balancer_arn().unwrap();
    let listeners = elb.describe_listeners().load_balancer_arn(balancer).send().await.unwrap();
    let https = listeners.listeners().iter().find(|listener| listener.port() == Some(443)).unwrap();
    let groups = https.default_actions()[0].forward_config().unwrap().target_groups();
    let ecs = aws_sdk_ecs::Client::new(&sdk);
    let scaling = aws_sdk_applicationautoscaling::Client::new(&sdk);
    let cluster = format!("payment-cluster-{workspace}-demo1");
    let mut found = Vec::new();
    for colour in ["blue", "green"] {
        let group = groups.iter().find(|group| group.target_group_arn().unwrap().contains(colour)).unwrap();
        let name = format!("payment-service-{colour}-{workspace}-demo1");
        let services = ecs.describe_services().cluster(&cluster).services(&name).send().await.unwrap();
        let service = &services.services()[0];
        let definition = ecs.describe_task_definition().task_definition(service.task_definition().unwrap());
        let definition = definition.send().await.unwrap().task_definition.unwrap();
        let revisions = ecs.list_task_definitions().family_prefix(&name).send().await.unwrap();
        let resource = format!("service/{cluster}/{name}");
        let call = scaling.describe_scalable_targets().resource_ids(resource);
        let targets = call.service_namespace("ecs".into()).send().await.unwrap();
        let bounds = &targets.scalable_targets()[0];
        found.push(Colour {
            weight: group.weight().unwrap(),
            tasks: (service.desired_count(), service.running_count()),
            image: definition.container_definitions()[0].image().unwrap().to_owned(),
            revisions: revisions.task_definition_arns().len(),
            bounds: (bounds.min_capacity(), bounds.max_capacity()),
        });
    }
    found.try_into().unwrap()
}

/// The events of this name.
fn events(outcome: &Outcome, name: &str) -> Vec<Value> {
    let all = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == name).collect()
}

fn operation(bench: &Bench) -> Option<Value> {
    bench.state(LEGACY).pointer("/operations/deploy").cloned()
}

/// Nothing is planned, nothing is in progress, and no request had no target.
async fn settled(bench: &Bench) -> Outcome {
    assert_eq!(operation(bench), None);
    assert_eq!(bench.violations().await, Vec::<String>::new());
    bench.run(&with(&["plan", "--exit-code"])).ok()
}

async fn set_alarm(bench: &Bench, state: StateValue) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk(REGION));
    let call = cloudwatch.set_alarm_state().alarm_name("payment-alarm-target-5xx-legacy-demo1").state_value(state);
    call.state_reason("seven errors in a minute").send().await.unwrap();
}

/// M-17: a good image ends with all requests, and the old one without tasks. The plan is empty, and the next deployment goes
/// the other way.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_good_image_gets_all_requests_in_steps() {
    let bench = applied(LEGACY).await;
    assert_eq!(colours(&bench, LEGACY, REGION).await, [active(OLD), idle(OLD)]);
    let outcome = bench.run(&quick(&["--image", GOOD, "--step", "50", "--json"])).ok();
    let begun = &events(&outcome, "deploy")[0];
    assert_eq!((&begun["service"], &begun["steps"]), (&json!("service"), &json!([50, 100])));
    let region = json!({ "region": REGION, "from": "blue", "to": "green", "tasks": 2 });
    assert_eq!(begun["regions"], json!([region]));
    let shares: Vec<_> = events(&outcome, "share").iter().map(|event| event["percent"].clone()).collect();
    assert_eq!(shares, [50, 100]);
    let gates = events(&outcome, "gates").last().unwrap()["gates"].clone();
    for gate in ["alarm:payment-alarm-region-legacy-demo1@us-east-1", "targets:arn:aws:elasticloadbalancing:us-east-1:"]
    {
        assert!(gates.to_string().contains(gate), "{gates}");
    }
    assert_eq!(events(&outcome, "deploy-ended")[0]["outcome"], "complete");
    assert_eq!(colours(&bench, LEGACY, REGION).await, [idle(OLD), active(GOOD)]);
    let plan = settled(&bench).await.stdout;
    for told in [
        "us-east-1/ecs.service/service-blue and us-east-1/ecs.service/service-green have exchanged their roles",
        "keeps containers.service.image = public.ecr.aws/payinfra/payment-service:1.1.0, set by a command",
        "keeps default_action.forward.0.weight = 0 and default_action.forward.1.weight = 100, set by a command; the \
         configuration has 100 and 0.",
    ] {
        assert!(plan.contains(told), "`{told}` is not in:\n{plan}");
    }
    let status = bench.run(&with(&["deploy", "--status", "--json"])).ok();
    let green = json!({ "name": "green", "weight": 100, "image": GOOD, "idle": false });
    assert_eq!(events(&status, "services")[0]["services"][0]["colours"][1], green);
    let again = bench.run(&quick(&["--image", GOOD])).ok();
    assert!(again.stderr.contains("Nothing to deploy"), "{again:?}");

    // Other bounds and another image in the configuration are for the colour that is active now.
    let configured = format!("[defaults.service]\nimage = \"{GOOD}\"\nmin_tasks = 3\nmax_tasks = 5");
    bench.configure(&bench.configuration().replace("[defaults.service]", &configured));
    let refused = bench.run(&quick(&["--image", OLD])).expect(1);
    assert!(refused.stderr.contains("the configuration has other changes of"), "{}", refused.stderr);
    bench.run(&with(&["apply", "--yes"])).ok();
    let larger = |colour: Colour| Colour { tasks: (3, 3), bounds: (3, 5), ..colour };
    assert_eq!(colours(&bench, LEGACY, REGION).await, [idle(GOOD), larger(active(GOOD))]);
    assert!(!settled(&bench).await.stdout.contains("image"));

    let back = bench.run(&quick(&["--image", OLD])).ok();
    assert!(back.stdout.contains("green → blue, 3 tasks"), "{}", back.stdout);
    assert_eq!(colours(&bench, LEGACY, REGION).await, [larger(active(OLD)), idle(GOOD)]);
    settled(&bench).await;
}

/// M-17: a bad image returns by itself, exit 1; the old colour has all requests, and nothing is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_bad_image_returns_and_leaves_nothing() {
    let bench = applied(LEGACY).await;
    let outcome = bench.run(&quick(&["--image", BAD, "--json"])).expect(1);
    for told in ["the tasks of the new image could not be started", "deployment failed: tasks failed to start"] {
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
    }
    let ended = &events(&outcome, "deploy-ended")[0];
    assert_eq!((&ended["outcome"], &ended["image"]), (&json!("returned"), &json!(BAD)));
    assert!(ended["reason"].as_str().unwrap().contains("tasks failed to start"), "{ended}");
    assert_eq!(events(&outcome, "share"), Vec::<Value>::new(), "no request goes to it");
    assert_eq!(colours(&bench, LEGACY, REGION).await, [active(OLD), idle(OLD)]);
    let plan = settled(&bench).await;
    assert!(!plan.stdout.contains("roles"), "{}", plan.stdout);
}

/// M-17: tasks that become unhealthy and alarms that fire during the steps return it, and it says why.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_gate_returns_it() {
    let bench = applied(LEGACY).await;
    for (sick, told) in [
        (true, "targets:arn:aws:elasticloadbalancing"),
        (false, "payment-alarm-region-legacy-demo1@us-east-1 does not hold: ALARM"),
    ] {
        let mut steps = bench.aws.hold(Match::action("elasticloadbalancing", "ModifyListener"), When::After);
        let running = bench.start(&quick(&["--image", GOOD, "--json"]));
        caught(&mut steps).await.release();
        let second = caught(&mut steps).await;
        if sick {
            // The checker would find them as well.
            bench.aws.stop_checking().await.unwrap();
            bench.aws.set_health(GOOD, Some(false));
        } else {
            set_alarm(&bench, StateValue::Alarm).await;
        }
        second.release();
        drop(steps);
        let outcome = Outcome::from(running.wait_with_output().unwrap()).expect(1);
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
        assert_eq!(events(&outcome, "share").len(), 2);
        bench.aws.set_health(GOOD, None);
        bench.follow(&[]).await;
        set_alarm(&bench, StateValue::Ok).await;
        assert_eq!(colours(&bench, LEGACY, REGION).await, [active(OLD), idle(OLD)]);
        settled(&bench).await;
    }
}

/// M-17: mistakes are found before anything changes.
#[tokio::test(flavor = "multi_thread")]
async fn m17_mistakes_change_nothing() {
    let bench = Bench::new().await.lease(Duration::from_secs(2));
    let refused = |arguments: &[&str], told: &[&str]| {
        let outcome = bench.run(&quick(arguments)).expect(1);
        for told in told {
            assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
        }
    };
    refused(&["--image", GOOD], &["has not been applied yet", "`payinfra apply`"]);
    bench.run(&with(&["apply", "--yes"])).ok();
    bench.aws.clear_calls();
    refused(&["--image", "pay ments:1"], &["`pay ments:1` is not a container image"]);
    refused(&["--image", ""], &["is not a container image"]);
    refused(&["--image", GOOD, "--service", "shop"], &["there is no service `shop`", "the services are service"]);
    refused(&["--image", GOOD, "--gate", "alarm:nothing@us-east-1"], &["there is no alarm `nothing` in us-east-1"]);
    refused(&["--image", GOOD, "--ignore-alarm", "nothing"], &["no gate watches the alarm `nothing`"]);
    for way in ["--resume", "--abort"] {
        let outcome = bench.run(&with(&["deploy", way, "--yes"])).expect(1);
        assert!(outcome.stderr.contains("no deployment is in progress"), "{}", outcome.stderr);
    }
    set_alarm(&bench, StateValue::Alarm).await;
    refused(&["--image", GOOD], &["nothing was changed", "does not hold: ALARM", "--ignore-alarm"]);
    set_alarm(&bench, StateValue::Ok).await;
    bench.aws.clear_calls();
    let shown = bench.configuration();
    let sensitive = shown.replace("[defaults]", "[defaults]\nsensitive = [\"service.image\"]");
    bench.configure(&sensitive.replace("[defaults.service]", &format!("[defaults.service]\nimage = \"{OLD}\"")));
    refused(&["--image", GOOD], &["has no service with two colours", "has not exactly one operational image"]);
    bench.configure(&shown);
    assert_eq!(bench.mutations(), []);
}

/// Waits for a line that contains `text`.
fn wait_for(running: &mut Child, text: &str) {
    let lines = BufReader::new(running.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains(text)), "the command ends before `{text}`");
}

/// M-17: Ctrl-C stops a deployment where it is. Until it is continued or aborted, no other operation starts, and an apply
/// changes nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn m17_ctrl_c_stops_it_where_it_is() {
    let bench = applied(LEGACY).await;
    let line = with(&["deploy", "--image", GOOD, "--step", "40", "--every", "1h", "--yes", "--json"]);
    let mut running = bench.start(&line);
    wait_for(&mut running, "\"event\":\"share\"");
    Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    let mut stderr = String::new();
    running.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("`payinfra deploy --resume` continues it"), "{stderr}");
    let half = |weights: [i32; 2], [blue, green]: [Colour; 2]| {
        [Colour { weight: weights[0], ..blue }, Colour { weight: weights[1], ..green }]
    };
    let expected = || half([60, 40], [active(OLD), active(GOOD)]);
    assert_eq!(colours(&bench, LEGACY, REGION).await, expected());
    let status = bench.run(&with(&["deploy"])).ok().stdout;
    assert!(status.contains("green   40 %") && status.contains("has been in progress since"), "{status}");
    let other = [
        quick(&["--image", OLD]),
        with(&["traffic", "--weights", "us-east-1=100", "--yes"]),
        with(&["phase", "--to", "migration", "--yes"]),
    ];
    bench.aws.clear_calls();
    for line in &other {
        let refused = bench.run(line).expect(1);
        assert!(refused.stderr.contains("a deploy operation of"), "{line:?}: {}", refused.stderr);
    }
    assert_eq!(bench.mutations(), []);
    let applied = bench.run(&with(&["apply", "--yes"])).ok();
    assert!(applied.stderr.contains("a deploy operation of"), "{}", applied.stderr);
    assert_eq!(colours(&bench, LEGACY, REGION).await, expected());
    bench.run(&with(&["deploy", "--abort", "--yes"])).ok();
    assert_eq!(colours(&bench, LEGACY, REGION).await, [active(OLD), idle(OLD)]);
    settled(&bench).await;
}

/// M-17, M-02: all regions are deployed together, and the new colour gets as many tasks as the old one has.
#[tokio::test(flavor = "multi_thread")]
async fn m17_m02_all_regions_are_deployed_with_as_many_tasks_as_before() {
    const MIGRATION: &str = "migration";
    let bench = applied(MIGRATION).await;
    let ecs = aws_sdk_ecs::Client::new(&bench.sdk("us-east-2"));
    let call = ecs.update_service().cluster("payment-cluster-migration-demo1").desired_count(4);
    call.service("payment-service-blue-migration-demo1").send().await.unwrap();
    let mut steps =
        bench.aws.hold(Match::action("elasticloadbalancing", "ModifyListener").region("us-east-2"), When::Before);
    let line = ["deploy", "--image", GOOD, "--every", "0s", "--bake", "0s", "--step", "100", "--yes", "-w", MIGRATION];
    let running = bench.start(&line);
    let first = caught(&mut steps).await;
    let [_, green] = colours(&bench, MIGRATION, "us-east-2").await;
    // Auto scaling may not stop them before they have their requests.
    assert_eq!((green.tasks, green.bounds), ((4, 4), (4, 4)));
    first.release();
    drop(steps);
    Outcome::from(running.wait_with_output().unwrap()).ok();
    assert_eq!(colours(&bench, MIGRATION, "us-east-1").await, [idle(OLD), active(GOOD)]);
    let [blue, green] = colours(&bench, MIGRATION, "us-east-2").await;
    assert_eq!((blue, green), (idle(OLD), Colour { tasks: (4, 4), ..active(GOOD) }));
    assert_eq!(bench.violations().await, Vec::<String>::new());
    bench.run(&["plan", "--exit-code", "-w", MIGRATION]).ok();
}

/// M-17: the runbook's commands of a deployment do what it says.
#[tokio::test(flavor = "multi_thread")]
async fn m17_the_runbook_deploys() {
    let bench = applied(LEGACY).await;
    let commands = runbook(&["deploy"]);
    assert!(commands.len() >= 2, "{commands:?}");
    for mut line in commands {
        let workspace = line.iter_mut().find(|word| **word == "live").unwrap();
        *workspace = LEGACY;
        let waits = ["--every", "0s", "--bake", "0s"];
        let image = line.iter().position(|word| *word == "--image").map(|index| line[index + 1]);
        let line = bench.consenting(&if image.is_some() { [&line[..], &waits].concat() } else { line });
        let outcome = bench.run(&line).ok();
        if let Some(image) = image {
            assert!(outcome.stdout.contains(&format!("{image} is active")), "{}", outcome.stdout);
        }
        settled(&bench).await;
    }
}

/// The changes of a deployment of `image`, each before and after it takes effect.
fn points(bench: &Bench, image: &str) -> Vec<Point> {
    bench.aws.clear_calls();
    let _ = bench.run(&quick(&["--image", image, "--step", "50"]));
    Point::of(&bench.aws.calls(), false)
}

/// Kills a deployment of `image` at `point`, and resumes it. It ends in either of the two images.
async fn killed(bench: &Bench, point: &Point, image: &str) {
    let before = colours(bench, LEGACY, REGION).await;
    let mut hold = point.hold(bench);
    let mut running = bench.start(&quick(&["--image", image, "--step", "50"]));
    let caught = caught(&mut hold).await;
    running.kill().unwrap();
    running.wait().unwrap();
    caught.reset();
    drop(hold);
    if operation(bench).is_some() {
        let resumed = bench.run(&with(&["deploy", "--resume", "--yes"]));
        let expected = i32::from(image.contains("bad"));
        assert_eq!(resumed.code, Some(expected), "{point}: {resumed:?}");
    }
    let now = colours(bench, LEGACY, REGION).await;
    let was = |index: usize| before[index].weight == 100;
    let old = before[usize::from(was(1))].image.clone();
    let sound = |active: &Colour, idle: &Colour| {
        (active.weight, active.tasks, active.bounds, active.revisions) == (100, (2, 2), (2, 4), 1)
            && (idle.weight, idle.tasks, idle.bounds, idle.revisions) == (0, (0, 0), (0, 0), 1)
            && [old.as_str(), image].contains(&active.image.as_str())
    };
    let [blue, green] = &now;
    assert!(sound(blue, green) || sound(green, blue), "{point}: {before:#?} became {now:#?}");
    settled(bench).await;
}

/// M-17: killed at some of its changes, a deployment is resumed, and ends in either of the two images. Among them is the one at
/// which the state has the task definition without an id.
#[tokio::test(flavor = "multi_thread")]
async fn m17_a_killed_deployment_is_resumed() {
    let bench = applied(LEGACY).await;
    let points = points(&bench, GOOD);
    assert!(points.len() > 2 * EVERY, "{}", points.len());
    let registered = points.iter().filter(|point| point.action == "RegisterTaskDefinition");
    assert!(registered.clone().count() > 1);
    for (number, point) in points.iter().step_by(EVERY).chain(registered).enumerate() {
        killed(&bench, point, &format!("public.ecr.aws/payinfra/payment-service:2.{number}")).await;
    }
}

/// M-17: the same at all of its changes, and with a bad image.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour"]
async fn m17_a_deployment_is_killed_at_every_change() {
    let bench = applied(LEGACY).await;
    for (name, every) in [("3.", 1), ("bad-", 7)] {
        let points = points(&bench, &format!("public.ecr.aws/payinfra/payment-service:{name}first"));
        for (number, point) in points.iter().enumerate().step_by(every) {
            println!("{number} of {}: {point}", points.len());
            killed(&bench, point, &format!("public.ecr.aws/payinfra/payment-service:{name}{number}")).await;
        }
    }
}
