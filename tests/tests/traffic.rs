//! `payinfra traffic` on two regions: shifts, gates, automatic return, interruptions.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::Duration;

use aws_sdk_cloudwatch::types::StateValue;
use payinfra_localstack::{Hold, Match, When};
use payinfra_tests::{Bench, Outcome, caught};
use serde_json::{Value, json};

const ZONE: &str = "shop.example.com";
const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];
const CONFIGURATION: &str = r#"
stack = "graph"

[defaults]
project = "traffic"
suffix = "t1"
file = "graph.json"
regions = [
    { name = "us-east-1", cidr = "10.0.0.0/16" },
    { name = "us-east-2", cidr = "10.1.0.0/16" },
    { name = "us-west-2", cidr = "10.2.0.0/16" },
]

[workspaces.demo]
environment = "demo"
protect = false
"#;

/// The name of the alarm of a region.
fn alarm(region: &str) -> String {
    format!("errors-{region}-demo-t1")
}

/// The graph: a zone with a weighted record for each of the first regions, with a health check and an alarm.
fn graph(weights: &[u8]) -> Value {
    let tags = json!({ "Environment": "demo", "ManagedBy": "payinfra", "Project": "traffic", "Name": "shop-demo-t1" });
    let zone = json!({ "name": ZONE, "comment": "Names of the shop", "tags": tags });
    let mut nodes = json!({ "global/route53.hosted-zone/main": { "args": zone } });
    for (region, weight) in REGIONS.into_iter().zip(weights) {
        let metric = json!({
            "namespace": "Shop", "name": "Errors", "dimensions": {}, "statistic": "Sum", "period": 60,
        });
        nodes[format!("{region}/cloudwatch.alarm/errors")] = json!({ "args": {
            "name": alarm(region), "description": "Too many errors", "watch": { "metric": metric },
            "comparison": "GreaterThanThreshold", "threshold": 5.0, "periods": 1, "datapoints": 1,
            "missing": "not-breaching", "alarm_actions": [], "ok_actions": [], "tags": tags,
        }});
        let check = format!("global/route53.health-check/{region}");
        nodes[&check] = json!({ "args": {
            "fully_qualified_domain_name": format!("{region}.{ZONE}"), "port": 443,
            "resource_path": { "$secret": "/health" }, "request_interval": 10, "failure_threshold": 3, "enable_sni": true,
            "tags": tags,
        }});
        nodes[format!("global/route53.record-set/shop-{region}")] = json!({
            "args": {
                "zone": { "$ref": "global/route53.hosted-zone/main#id" }, "name": format!("www.{ZONE}"),
                "record_type": "A", "set_identifier": region, "routing": { "weighted": weight },
                "answer": { "values": { "ttl": 60, "values": ["192.0.2.1"] } },
                "health_check": { "$ref": format!("{check}#id") },
            },
            "operational": { "/routing/weighted": weight },
        });
    }
    json!({ "format": 1, "stack": "graph", "workspace": "demo", "tags": tags, "nodes": nodes, "outputs": {} })
}

/// An account in which the graph is applied, with these weights.
async fn applied(weights: &[u8]) -> Bench {
    let bench = Bench::new().await.lease(Duration::from_secs(2));
    bench.configure(CONFIGURATION);
    declare(&bench, weights);
    bench.run(&["apply", "--yes"]).ok();
    assert_eq!(live(&bench).await, weights);
    bench.aws.clear_calls();
    bench
}

fn declare(bench: &Bench, weights: &[u8]) {
    std::fs::write(bench.file("graph.json"), graph(weights).to_string()).unwrap();
}

/// The weights of the regions in Route 53.
async fn live(bench: &Bench) -> Vec<u8> {
    let route53 = aws_sdk_route53::Client::new(&bench.sdk("us-east-1"));
    let zones = route53.list_hosted_zones().send().await.unwrap();
    let zone = zones.hosted_zones().iter().find(|zone| zone.name() == format!("{ZONE}.")).unwrap();
    let records = route53.list_resource_record_sets().hosted_zone_id(zone.id()).send().await.unwrap();
    let weights = records
        .resource_record_sets()
        .iter()
        .filter_map(|record| Some((record.set_identifier()?.to_owned(), u8::try_from(record.weight()?).unwrap())));
    let weights: BTreeMap<_, _> = weights.collect();
    weights.into_values().collect()
}

async fn set_alarm(bench: &Bench, region: &str, state: StateValue) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk(region));
    let call = cloudwatch.set_alarm_state().alarm_name(alarm(region)).state_value(state);
    call.state_reason("seven errors in a minute").send().await.unwrap();
}

/// A command line of `traffic` that waits for nothing.
fn quick<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["traffic", "--every", "0s", "--yes"], arguments].concat()
}

/// Holds all changes of records.
fn changes(bench: &Bench) -> Hold {
    bench.aws.hold(Match::action("route53", "ChangeResourceRecordSets"), When::Before)
}

/// The events of this name.
fn events(outcome: &Outcome, name: &str) -> Vec<Value> {
    let all = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == name).collect()
}

fn operation(bench: &Bench) -> Option<Value> {
    bench.state("demo").pointer("/operations/traffic").cloned()
}

/// Nothing is planned, nothing is in progress, and Route 53 has these weights.
#[track_caller]
fn settled(bench: &Bench) -> Outcome {
    assert_eq!(operation(bench), None);
    bench.run(&["plan", "--exit-code"]).ok()
}

/// M-26: a shift 100/0 → 50/50 in five steps, with an alarm set off at step 3, returns to the weights before and says why.
#[tokio::test(flavor = "multi_thread")]
async fn m26_an_alarm_at_step_three_returns_to_the_weights_before() {
    let bench = applied(&[100, 0]).await;
    let mut hold = changes(&bench);
    let running = bench.start(&quick(&["--weights", "us-east-1=50,us-east-2=50", "--step", "10", "--json"]));
    // Each step changes two records.
    for change in 1..=5 {
        let call = caught(&mut hold).await;
        if change == 5 {
            set_alarm(&bench, "us-east-2", StateValue::Alarm).await;
        }
        call.release();
    }
    drop(hold);
    let outcome = Outcome::from(running.wait_with_output().unwrap()).expect(1);
    for told in ["alarm:errors-us-east-2-demo-t1@us-east-2", "ALARM: seven errors in a minute"] {
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
    }
    let shift = &events(&outcome, "shift")[0];
    assert_eq!(shift["steps"].as_array().unwrap().len(), 5);
    let made: Vec<_> = events(&outcome, "weights").iter().map(|it| it["weights"]["us-east-2"].clone()).collect();
    assert_eq!(made, [10, 20, 30]);
    let ended = &events(&outcome, "shift-ended")[0];
    assert_eq!(ended["outcome"], "returned");
    assert!(ended["reason"].as_str().unwrap().contains("errors-us-east-2"), "{ended}");
    assert_eq!(live(&bench).await, [100, 0]);
    settled(&bench);
}

/// M-26: after a shift, plans are empty and say that the weights differ from the configuration, until it is changed.
#[tokio::test(flavor = "multi_thread")]
async fn m26_a_shift_stays_until_the_configuration_changes() {
    let bench = applied(&[100, 0]).await;
    let before = bench.run(&["traffic"]).ok();
    assert!(before.stdout.contains("us-east-1  100"), "{}", before.stdout);
    let outcome = bench.run(&quick(&["--weights", "us-east-1=75,us-east-2=25", "--step", "10"])).ok();
    assert!(outcome.stdout.contains("in 3 steps"), "{}", outcome.stdout);
    for gate in
        ["alarm:errors-us-east-1-demo-t1@us-east-1", "alarm:errors-us-east-2-demo-t1@us-east-2", "health-check:"]
    {
        assert!(outcome.stdout.contains(gate), "`{gate}` is not in:\n{}", outcome.stdout);
    }
    assert_eq!(live(&bench).await, [75, 25]);
    let plan = settled(&bench);
    let told = "global/route53.record-set/shop-us-east-2 keeps routing.weighted = 25, set by a command; the \
                configuration has 0";
    assert!(plan.stdout.contains(told), "{}", plan.stdout);
    let again = bench.run(&quick(&["--weights", "us-east-1=75,us-east-2=25"])).ok();
    assert!(again.stderr.contains("Nothing to shift") && again.stdout.is_empty(), "{again:?}");
    let status = bench.run(&["traffic", "--status", "--json"]).ok();
    let regions = &events(&status, "traffic")[0]["regions"];
    assert_eq!(regions[1], json!({ "region": "us-east-2", "weight": 25, "initial": 0 }));
    declare(&bench, &[60, 40]);
    bench.run(&["apply", "--yes"]).ok();
    assert_eq!(live(&bench).await, [60, 40]);
}

/// Starts a shift 100/0 → 40/60 in three steps, and kills it in the middle of the second one.
async fn killed(bench: &Bench) {
    let mut hold = changes(bench);
    let mut running = bench.start(&quick(&["--weights", "us-east-1=40,us-east-2=60", "--step", "20"]));
    for _ in 1..=2 {
        caught(&mut hold).await.release();
    }
    let third = caught(&mut hold).await;
    running.kill().unwrap();
    running.wait().unwrap();
    // The call of the killed process is lost.
    third.reset();
    drop(hold);
    assert!(operation(bench).is_some());
}

/// M-26: a shift that was killed is resumed. Until then nobody starts another one, and an apply says so.
#[tokio::test(flavor = "multi_thread")]
async fn m26_a_killed_shift_is_resumed() {
    let bench = applied(&[100, 0]).await;
    killed(&bench).await;
    let mutating = bench.mutations().len();
    let refused = bench.run(&quick(&["--weights", "us-east-1=0,us-east-2=100"])).expect(1);
    for told in ["has been in progress since", "`payinfra traffic --resume`", "`payinfra traffic --abort`"] {
        assert!(refused.stderr.contains(told), "`{told}` is not in:\n{}", refused.stderr);
    }
    assert_eq!(bench.mutations().len(), mutating);
    let status = bench.run(&["traffic"]).ok();
    assert!(
        status.stdout.contains("from us-east-1 100, us-east-2 0 to us-east-1 40, us-east-2 60"),
        "{}",
        status.stdout
    );
    bench.run(&["traffic", "--resume", "--yes"]).ok();
    assert_eq!(live(&bench).await, [40, 60]);
    settled(&bench);
    let nothing = bench.run(&["traffic", "--resume", "--yes"]).expect(1);
    assert!(nothing.stderr.contains("no shift of traffic is in progress"), "{}", nothing.stderr);
}

/// M-26: a shift that was killed is aborted. An apply in between says that it is in progress; a destroy ends it.
#[tokio::test(flavor = "multi_thread")]
async fn m26_a_killed_shift_is_aborted() {
    let bench = applied(&[100, 0]).await;
    killed(&bench).await;
    let apply = bench.run(&["apply", "--yes"]).ok();
    assert!(apply.stderr.contains("a traffic operation of"), "{}", apply.stderr);
    bench.run(&["traffic", "--abort", "--yes"]).ok();
    assert_eq!(live(&bench).await, [100, 0]);
    settled(&bench);
    killed(&bench).await;
    bench.run(&bench.consenting(&["destroy"])).ok();
    assert_eq!((operation(&bench), &bench.state("demo")["resources"]), (None, &json!({})));
}

/// Waits for a line that contains `text`.
fn wait_for(running: &mut Child, text: &str) {
    let lines = BufReader::new(running.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains(text)), "the command ends before `{text}`");
}

/// M-26: Ctrl-C stops a shift where it is, and says how to go on.
#[tokio::test(flavor = "multi_thread")]
async fn m26_ctrl_c_stops_a_shift_where_it_is() {
    let bench = applied(&[100, 0]).await;
    let arguments =
        ["traffic", "--weights", "us-east-1=0,us-east-2=100", "--step", "50", "--every", "1h", "--yes", "--json"];
    let mut running = bench.start(&arguments);
    wait_for(&mut running, "\"event\":\"weights\"");
    Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    let mut stderr = String::new();
    running.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("Stopped at us-east-1 50, us-east-2 50"), "{stderr}");
    assert!(stderr.contains("`payinfra traffic --resume` continues it"), "{stderr}");
    assert_eq!(live(&bench).await, [50, 50]);
    bench.run(&["traffic", "--abort", "--yes"]).ok();
    assert_eq!(live(&bench).await, [100, 0]);
    settled(&bench);
}

/// M-26: a gate command that begins to hang is killed, and traffic returns.
#[tokio::test(flavor = "multi_thread")]
async fn m26_a_gate_command_that_hangs_is_killed() {
    let bench = applied(&[100, 0]).await;
    let script = "if [ -e hang ]; then echo $$ > pid; sleep 600; fi; echo fine";
    std::fs::write(bench.file("gate.sh"), script).unwrap();
    let gate = ["--gate", "command:sh gate.sh", "--gate-timeout", "1s"];
    let mut hold = changes(&bench);
    let running = bench.start(&quick(&[&["--weights", "us-east-1=50,us-east-2=50"], &gate[..]].concat()));
    let first = caught(&mut hold).await;
    std::fs::write(bench.file("hang"), "").unwrap();
    first.release();
    drop(hold);
    let outcome = Outcome::from(running.wait_with_output().unwrap()).expect(1);
    assert!(outcome.stdout.contains("exit status: 0: fine"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("did not end within 1 s and was killed"), "{}", outcome.stderr);
    let pid = std::fs::read_to_string(bench.file("pid")).unwrap();
    let alive = Command::new("kill").args(["-0", pid.trim()]).output().unwrap();
    assert!(!alive.status.success(), "{pid} is alive");
    assert_eq!(live(&bench).await, [100, 0]);
    settled(&bench);
}

/// M-26: with more than two regions, those that gain traffic are first; otherwise one of them would get all of it.
#[tokio::test(flavor = "multi_thread")]
async fn m26_regions_gain_traffic_before_another_loses_it() {
    let bench = applied(&[100, 0, 0]).await;
    let mut hold = changes(&bench);
    let running = bench.start(&quick(&["--weights", "us-east-1=0,us-east-2=50,us-west-2=50"]));
    for _ in 1..=2 {
        caught(&mut hold).await.release();
    }
    let last = caught(&mut hold).await;
    assert_eq!(live(&bench).await, [100, 50, 50]);
    last.release();
    drop(hold);
    Outcome::from(running.wait_with_output().unwrap()).ok();
    assert_eq!(live(&bench).await, [0, 50, 50]);
    settled(&bench);
}

/// A resumed shift runs only the programs that the command line names, not those that the state names.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_in_the_state_is_not_run() {
    let bench = applied(&[100, 0]).await;
    let gate = ["--gate", "command:touch ran"];
    let shift = ["traffic", "--weights", "us-east-1=0,us-east-2=100", "--every", "1h", "--yes", "--json"];
    let mut running = bench.start(&[&shift[..], &gate].concat());
    wait_for(&mut running, "\"event\":\"weights\"");
    running.kill().unwrap();
    running.wait().unwrap();
    std::fs::remove_file(bench.file("ran")).unwrap();
    let refused = bench.run(&["traffic", "--resume", "--yes"]).expect(1);
    assert!(refused.stderr.contains("add --gate \"command:touch ran\""), "{}", refused.stderr);
    let other = bench.run(&["traffic", "--resume", "--yes", "--gate", "command:touch other"]).expect(1);
    assert!(other.stderr.contains("command:touch other is not a gate of the shift"), "{}", other.stderr);
    assert!(!bench.file("ran").exists() && !bench.file("other").exists());
    bench.run(&["traffic", "--abort", "--yes"]).ok();
    assert_eq!(live(&bench).await, [100, 0]);
}

/// M-26: wrong weights, gates that do not exist or do not hold, and pending changes are refused before any change.
#[tokio::test(flavor = "multi_thread")]
async fn m26_what_cannot_be_is_refused_before_anything_is_changed() {
    let bench = applied(&[100, 0]).await;
    let half = "us-east-1=50,us-east-2=50";
    set_alarm(&bench, "us-east-1", StateValue::Alarm).await;
    for (arguments, told) in [
        (&["--weights", "us-east-1=50,us-west-2=50"][..], &["no record routes traffic to `us-west-2`"][..]),
        (&["--weights", "us-east-1=50,us-east-2=60"], &["the weights add up to 110"]),
        (&["--weights", "us-east-1=100"], &["us-east-2 has no weight", "us-east-1, us-east-2"]),
        (&["--weights", half, "--gate", "alarm:nobody@us-east-2"], &["there is no alarm `nobody` in us-east-2"]),
        (&["--weights", half, "--gate", "health-check:00000000-0000-0000-0000-000000000000"], &["no health check"]),
        (&["--weights", half, "--gate", "command:/nowhere/check"], &["`/nowhere/check` cannot be started"]),
        (&["--weights", half, "--gate", "http:http://127.0.0.1:1/"], &["no response"]),
        (&["--weights", half, "--ignore-alarm", "nobody"], &["no gate watches the alarm `nobody`"]),
        (&["--weights", half], &["alarm:errors-us-east-1-demo-t1@us-east-1", "seven errors", "--ignore-alarm"]),
        (&["--weights", half, "--step", "0"], &["--step"]),
        (&["--weights", half, "--gate", "alarm:nobody"], &["alarm:NAME@REGION"]),
    ] {
        bench.aws.clear_calls();
        let outcome = bench.run(&quick(arguments)).expect(1);
        for told in told {
            assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
        }
        let changed: Vec<_> = bench.aws.calls().into_iter().filter(|call| call.mutating).collect();
        assert!(changed.is_empty(), "{arguments:?}: {changed:#?}");
    }
    let unconfirmed =
        bench.run(&["traffic", "--weights", half, "--ignore-alarm", "errors-us-east-1-demo-t1"]).expect(1);
    assert!(unconfirmed.stderr.contains("pass --yes"), "{}", unconfirmed.stderr);
    assert_eq!(live(&bench).await, [100, 0]);
    // An alarm that is known is no reason to keep traffic where it is.
    bench.run(&quick(&["--weights", half, "--ignore-alarm", "errors-us-east-1-demo-t1"])).ok();
    assert_eq!(live(&bench).await, [50, 50]);
}

/// The URL of a server that answers its first requests with `status`.
fn serve(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(20) {
            let mut stream = stream.unwrap();
            // A request of a client without a body fits into one segment.
            let _ = stream.read(&mut [0; 4096]).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    format!("http://{address}/health")
}

/// M-26: an HTTP gate and a metric gate decide by what they find.
#[tokio::test(flavor = "multi_thread")]
async fn m26_web_endpoints_and_metrics_are_gates() {
    let bench = applied(&[100, 0]).await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk("us-east-2"));
    let datum = aws_sdk_cloudwatch::types::MetricDatum::builder().metric_name("Errors").value(7.0).build();
    cloudwatch.put_metric_data().namespace("Shop").metric_data(datum).send().await.unwrap();
    let line = |gate: &str| {
        let outcome = bench.run(&quick(&["--weights", "us-east-1=90,us-east-2=10", "--gate", gate]));
        (outcome.code, outcome.stdout + &outcome.stderr)
    };
    let (code, told) = line("metric:Shop/Errors{}:Sum@us-east-2<5");
    assert!(code == Some(1) && told.contains("7 is not < 5"), "{told}");
    let (code, told) = line("metric:Shop/Errors{}:Sum@us-east-2<=7");
    assert!(code == Some(0) && told.contains("7 is <= 7"), "{told}");
    let fine = format!("http:{}", serve("200 OK"));
    bench.run(&quick(&["--weights", "us-east-1=100,us-east-2=0", "--gate", &fine])).ok();
    let (code, told) = line(&format!("http:{}", serve("503 Service Unavailable")));
    assert!(code == Some(1) && told.contains("HTTP 503"), "{told}");
    let (code, told) = line("metric:Shop/Nothing@us-east-2<5");
    assert!(code == Some(0) && told.contains("no data"), "{told}");
}

/// A change of the record itself is applied first: a shift changes weights only.
#[tokio::test(flavor = "multi_thread")]
async fn a_shift_does_not_make_other_changes() {
    let bench = applied(&[100, 0]).await;
    let mut other = graph(&[100, 0]);
    other["nodes"]["us-east-1/cloudwatch.alarm/errors"]["args"]["threshold"] = json!(9.0);
    std::fs::write(bench.file("graph.json"), other.to_string()).unwrap();
    bench.run(&quick(&["--weights", "us-east-1=50,us-east-2=50"])).ok();
    let called: Vec<_> = bench.mutations().into_iter().map(|call| call.action).collect();
    assert_eq!(called, ["ChangeResourceRecordSets"; 2]);
    other["nodes"]["global/route53.record-set/shop-us-east-1"]["args"]["answer"]["values"]["ttl"] = json!(30);
    std::fs::write(bench.file("graph.json"), other.to_string()).unwrap();
    let refused = bench.run(&quick(&["--weights", "us-east-1=0,us-east-2=100"])).expect(1);
    assert!(refused.stderr.contains("other changes of global/route53.record-set/shop-us-east-1"), "{}", refused.stderr);
    assert_eq!(live(&bench).await, [50, 50]);
}
