//! Secrets never appear in output, logs, state, history, plans, rescue files or errors, in whatever form they are
//! declared.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use payinfra_aws::ec2::{InternetGateway, SecurityGroup, Subnet, Vpc};
use payinfra_aws::ecs::{Architecture, Container, HealthCheck as Check, TaskDefinition};
use payinfra_aws::elbv2::{
    Action, Condition, FixedResponse, HealthCheck as Probe, Listener, ListenerRule, LoadBalancer, Protocol, TargetGroup,
};
use payinfra_aws::eventbridge::{On, Rule, Target, Transform};
use payinfra_aws::iam::Role;
use payinfra_aws::route53::{DnsName, HealthCheck};
use payinfra_aws::sns::{Endpoint, Subscription, Topic};
use payinfra_aws::ssm::Parameter;
use payinfra_aws::{Access, Aws, Policy, Statement};
use payinfra_engine::plan::{Options, plan};
use payinfra_engine::{
    Cloud, Drift, Event, Graph, Holder, Journal, Lock, Node, Observer, Plan, Ref, Region, Report, Result, Run, Secret,
    Sensitive, State, Store, Tags, Text, apply,
};
use payinfra_localstack::{Emulator, Fault, Match, Rule as FaultRule, When};
use payinfra_state::{FileLock, FileStore};
use payinfra_tests::{Bench, Outcome, caught};
use serde_json::json;

/// The prefix of all planted secrets, which escaping does not change; the rest distinguishes them.
const MARK: &str = "hush0";

/// Visible texts, by place.
#[derive(Default)]
struct Visible(BTreeMap<String, String>);

impl Visible {
    fn add(&mut self, place: &str, text: &str) {
        self.0.entry(place.to_owned()).or_default().push_str(text);
    }

    /// Every file in `folder`, except the configuration.
    fn add_folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add_folder(&path);
            } else if path.file_name().is_some_and(|name| name != "payinfra.toml") {
                self.add(&path.display().to_string(), &String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
            }
        }
    }

    /// The places that contain a secret, with the surrounding text.
    fn leaks(&self) -> Vec<String> {
        // The prefix and, for logs with bodies, its base64 form at each of the three offsets.
        let encoded = ["aHVzaD", "h1c2gw", "odXNoM"];
        let mut leaks = Vec::new();
        for (place, text) in &self.0 {
            let marks = [MARK].into_iter().chain(encoded);
            for at in marks.filter_map(|mark| text.find(mark)) {
                let around: String = text[..at].chars().rev().take(80).collect();
                let around: String = around.chars().rev().chain(text[at..].chars().take(60)).collect();
                leaks.push(format!("{place}: …{around}…"));
            }
        }
        leaks
    }

    #[track_caller]
    fn assert_no_secret(&self) {
        let leaks = self.leaks();
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    }
}

#[test]
fn a_leak_is_found() {
    let mut visible = Visible::default();
    visible.add("here", "a token=hush0xyz&b");
    // `printf '"hush0xyz"' | base64`, and with one and two more letters before it.
    for text in ["Imh1c2gweHl6Ig==", "LSJodXNoMHh5eiI=", "LS0iaHVzaDB4eXoi"] {
        visible.add(text, text);
    }
    visible.add("there", "(secret)");
    assert_eq!(visible.leaks().len(), 4, "{:?}", visible.leaks());
}

// Secrets of kinds, without the command line.

/// Records events as they would be shown.
#[derive(Default)]
struct Told(Mutex<String>);

impl Observer for Told {
    fn notice(&self, event: &Event) {
        writeln!(self.0.lock().unwrap(), "{event:?} {}", json!(event)).unwrap();
    }
}

fn region() -> Region {
    Region::new("us-east-1")
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A secret in every field of every kind that accepts one; `round` changes all of them.
fn planted(round: &str) -> Result<Graph> {
    let mut graph = Graph::new("secrets", "test", Tags::new());
    let value = |name: &str| format!("{MARK}{name}{round}");
    let topic = topic(&mut graph)?;
    for (name, endpoint) in [
        ("path", format!("https://example.com/{}", value("path"))),
        ("query", format!("https://example.com/in?token={}&a=b", value("query"))),
        ("user", format!("https://alarms:{}@example.com/", value("user"))),
    ] {
        let (topic, protocol) = (topic.id.clone(), "https".to_owned());
        let endpoint = Endpoint::new(&protocol, endpoint);
        graph.add(&region(), name, Subscription { topic, protocol, endpoint, raw: false })?;
    }
    for (name, text) in [
        ("plain", Text::from(value("plain"))),
        ("json", Text::from(json!({ "password": value("json"), "quote": "\"" }).to_string())),
        ("lines", Text::from(format!("-----BEGIN KEY-----\n{}\n-----END KEY-----\n", value("lines")))),
        ("letters", Text::from(format!("pä{}ß", value("letters")))),
        ("markup", Text::from(format!("<a b='{}'>&amp;", value("markup")))),
        ("digits", Text::from(format!("{}+/=", value("digits")))),
        // Known only after the topic exists.
        ("pending", Text::from(value("pending")).and("@").and(&topic.outputs.arn)),
    ] {
        let description = "holds a secret".to_owned();
        let parameter =
            Parameter { name: format!("/secrets/{name}"), description, value: Secret::new(text), tags: Tags::new() };
        graph.add(&region(), name, parameter)?;
    }
    task(&mut graph, &topic, &value)?;
    balancer(&mut graph, &value)?;
    let on = On::Schedule("rate(1 hour)".to_owned());
    let (name, description) = ("secrets".to_owned(), "an example".to_owned());
    let rule = graph.add(&region(), "rule", Rule { name, description, on, enabled: true, tags: Tags::new() })?;
    let template = Secret::new(format!("\"{} <id>\"", value("template")));
    let paths = BTreeMap::from([("id".to_owned(), "$.id".to_owned())]);
    let transform = Some(Transform { paths, template });
    let target = Target { rule: rule.id, name: "topic".to_owned(), arn: topic.outputs.arn.clone(), transform };
    graph.add(&region(), "target", target)?;
    graph.add(
        &Region::global(),
        "check",
        HealthCheck {
            fully_qualified_domain_name: Ref::Known(DnsName::new("secrets.example")),
            port: 443,
            resource_path: secret(&format!("/health?key={}", value("check"))),
            request_interval: 30,
            failure_threshold: 3,
            enable_sni: true,
            tags: Tags::new(),
        },
    )?;
    graph.output("known", value("known"));
    graph.conceal_output("known");
    graph.output("made", Text::from(value("made")).and("@").and(&topic.outputs.arn));
    graph.conceal_output("made");
    Ok(graph)
}

fn topic(graph: &mut Graph) -> Result<Node<Topic>> {
    let policy = Policy::new([Statement::allow("", ["sns:Publish"])
        .principal("Service", "cloudwatch.amazonaws.com")
        .on("arn:aws:sns:us-east-1:123456789012:secrets")]);
    graph.add(&region(), "topic", Topic { name: "secrets".to_owned(), kms_key: None, policy, tags: Tags::new() })
}

fn task(graph: &mut Graph, topic: &Node<Topic>, value: &dyn Fn(&str) -> String) -> Result<()> {
    let role = Role {
        name: "secrets".to_owned(),
        description: "an example".to_owned(),
        trust: Policy::new([Statement::allow("", ["sts:AssumeRole"]).principal("Service", "ecs-tasks.amazonaws.com")]),
        inline: BTreeMap::new(),
        managed: BTreeSet::new(),
        max_session: 3_600,
        path: "/".to_owned(),
        tags: Tags::new(),
    };
    let role = graph.add(&Region::global(), "role", role)?;
    let command = vec!["CMD".to_owned(), "/check".to_owned(), value("command")];
    let container = Container {
        image: Sensitive::Secret(secret(&format!("registry.example/{}:1", value("image")))),
        ports: BTreeSet::new(),
        environment: BTreeMap::from([
            ("TOKEN".to_owned(), Secret::new(Text::from(value("environment")))),
            ("URL".to_owned(), Secret::new(Text::from(value("url")).and("@").and(&topic.outputs.arn))),
        ]),
        secrets: BTreeMap::new(),
        log: None,
        health_check: Some(Check {
            command: Secret::new(command),
            interval: 15,
            timeout: 3,
            retries: 2,
            start_period: 10,
        }),
        read_only: true,
        user: String::new(),
        essential: true,
    };
    let definition = TaskDefinition {
        family: "secrets".to_owned(),
        cpu: 256,
        memory: 512,
        architecture: Architecture::Arm64,
        execution_role: role.outputs.arn.clone(),
        task_role: role.outputs.arn,
        containers: BTreeMap::from([("app".to_owned(), container)]),
        tags: Tags::new(),
    };
    graph.add(&region(), "task", definition).map(drop)
}

fn balancer(graph: &mut Graph, value: &dyn Fn(&str) -> String) -> Result<()> {
    let cidr = |text: &str| text.parse().unwrap();
    let vpc = Vpc { cidr: cidr("10.0.0.0/16"), dns_support: true, dns_hostnames: false, tags: Tags::new() };
    let vpc = graph.add(&region(), "vpc", vpc)?;
    let gateway = graph.add(&region(), "gateway", InternetGateway { vpc: vpc.id.clone(), tags: Tags::new() })?;
    let mut subnets = BTreeSet::new();
    for (block, zone) in [("10.0.0.0/24", "us-east-1a"), ("10.0.1.0/24", "us-east-1b")] {
        let (vpc, tags) = (vpc.id.clone(), Tags::new());
        let subnet = Subnet { vpc, cidr: cidr(block), zone: Ref::from(zone), public: false, tags };
        subnets.insert(graph.add(&region(), zone, subnet)?.id);
    }
    let group = SecurityGroup {
        vpc: vpc.id.clone(),
        name: "balancer".to_owned(),
        description: "an example".to_owned(),
        ingress: BTreeSet::new(),
        egress: BTreeSet::new(),
        tags: Tags::new(),
    };
    let group = graph.add(&region(), "group", group)?;
    let balancer = LoadBalancer {
        name: "secrets".to_owned(),
        internal: false,
        subnets,
        security_groups: BTreeSet::from([group.id]),
        access_logs: None,
        idle_timeout: None,
        drop_invalid_header_fields: None,
        deletion_protection: false,
        tags: Tags::new(),
    };
    let balancer = graph.add(&region(), "balancer", balancer)?;
    graph.order(&gateway.address, &balancer.address);
    let targets = TargetGroup {
        name: "secrets".to_owned(),
        vpc: vpc.id,
        protocol: Protocol::Http,
        port: 8080,
        health_check: Probe {
            protocol: Protocol::Http,
            port: "traffic-port".to_owned(),
            path: secret(&format!("/health/{}", value("probe"))),
            codes: "200".to_owned(),
            interval: 15,
            timeout: 5,
            healthy: 2,
            unhealthy: 3,
        },
        deregistration_delay: Some(30),
        slow_start: None,
        tags: Tags::new(),
    };
    graph.add(&region(), "targets", targets)?;
    let answer = |status: &str| {
        Action::FixedResponse(FixedResponse { status: status.to_owned(), content_type: None, body: None })
    };
    let listener = Listener {
        load_balancer: balancer.id,
        port: 80,
        protocol: Protocol::Http,
        certificate: None,
        ssl_policy: None,
        default_action: answer("404"),
        tags: Tags::new(),
    };
    let listener = graph.add(&region(), "listener", listener)?;
    let headers = BTreeSet::from([secret(&value("header")), secret(&value("header-of-old"))]);
    let rule = ListenerRule {
        listener: listener.id,
        priority: 10,
        conditions: BTreeSet::from([Condition::Header("X-From-Proxy".to_owned(), headers)]),
        action: answer("403"),
        tags: Tags::new(),
    };
    graph.add(&region(), "rule-of-listener", rule).map(drop)
}

/// Plans and applies `graph` with the state in `folder`.
async fn run(access: &Access, folder: &Path, graph: &Graph, visible: &mut Visible) -> (Plan, Report) {
    let cloud: Arc<dyn Cloud> = Arc::new(Aws::new(access.clone()));
    let store = FileStore::new(folder, "secrets", "test");
    let holder = Holder {
        who: "tester@here".to_owned(),
        pid: 1,
        command: "apply".to_owned(),
        since: "2026-01-01T00:00:00Z".to_owned(),
        nonce: "nonce".to_owned(),
    };
    let lease = FileLock::new(folder, "secrets", "test").acquire(&holder, 0).await.unwrap();
    let (state, version) = match store.load().await.unwrap() {
        Some(stored) => (State::parse(&stored.bytes).unwrap(), Some(stored.version)),
        None => (State::new("secrets", "test", access.account()), None),
    };
    let planned = plan(&cloud, graph.clone(), &state, &Options::default()).await.unwrap();
    visible.add("the saved plan", &json!(planned.sealed().unwrap()).to_string());
    visible.add("drift", &format!("{:?}", planned.drift));
    visible.add("outputs", &json!(planned.outputs(&state)).to_string());
    let (journal, writer) = Journal::open(state, Arc::new(store), version, lease.guard());
    let told = Told::default();
    let (_cancel, cancelled) = tokio::sync::watch::channel(false);
    let run = Run {
        cloud,
        journal: &journal,
        lease: &*lease,
        observer: &told,
        cancel: cancelled,
        uncertain: false,
        width: None,
    };
    let work = async {
        let report = apply(&planned, &run).await;
        journal.close();
        report.unwrap()
    };
    let (report, written) = tokio::join!(work, writer);
    written.unwrap();
    lease.release().await.unwrap();
    visible.add("events", &told.0.lock().unwrap());
    visible.add("failures", &format!("{:?}", report.failed));
    visible.add_folder(folder);
    (planned, report)
}

/// The parameter's value in AWS, which proves that the secrets arrive.
async fn parameter(access: &Access, name: &str) -> String {
    let found = access.cx(&region()).ssm().get_parameter().name(name).send().await.unwrap();
    found.parameter.unwrap().value.unwrap()
}

/// 21 secrets in all kinds that accept them: created, compared, changed manually, changed in the declaration, and
/// removed.
#[tokio::test(flavor = "multi_thread")]
async fn no_kind_shows_a_secret() {
    let emulator = Emulator::builder().start().await.unwrap();
    let access = Access::emulated(&emulator.endpoint()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut visible = Visible::default();
    let first = planted("-a").unwrap();
    let values = json!(first).to_string().matches(MARK).count();
    assert_eq!(values, 21, "the number of planted secrets");

    let (_, report) = run(&access, folder.path(), &first, &mut visible).await;
    assert!(report.is_complete(), "{:?}", report.failed);
    assert_eq!(parameter(&access, "/secrets/plain").await, format!("{MARK}plain-a"));
    let (again, _) = run(&access, folder.path(), &first, &mut visible).await;
    assert!(again.is_empty() && again.drift.is_empty(), "{:?} {:?}", again.summary(), again.drift);

    // A manual change leaves another secret.
    let other = Access::emulated(&emulator.endpoint()).await.unwrap().cx(&region());
    let call = other.ssm().put_parameter().name("/secrets/plain").value(format!("{MARK}by-hand")).overwrite(true);
    call.send().await.unwrap();
    let (mended, _) = run(&access, folder.path(), &first, &mut visible).await;
    assert!(mended.drift.values().any(|drift| matches!(drift, Drift::Changed(_))), "{:?}", mended.drift);
    assert_eq!(parameter(&access, "/secrets/plain").await, format!("{MARK}plain-a"));

    // AWS rejects the changes.
    let refused = Match::action("ssm", "PutParameter").times(1);
    emulator.faults([FaultRule { matches: refused, fault: Fault::Error { status: 403 } }]);
    let second = planted("-b").unwrap();
    let (_, failed) = run(&access, folder.path(), &second, &mut visible).await;
    assert!(!failed.failed.is_empty());
    emulator.clear_faults();
    let (_, report) = run(&access, folder.path(), &second, &mut visible).await;
    assert!(report.is_complete(), "{:?}", report.failed);
    assert_eq!(parameter(&access, "/secrets/plain").await, format!("{MARK}plain-b"));

    let nothing = Graph::new("secrets", "test", Tags::new());
    let (_, report) = run(&access, folder.path(), &nothing, &mut visible).await;
    assert!(report.is_complete(), "{:?}", report.failed);
    visible.add("the recorder", &json!(emulator.calls()).to_string());
    visible.assert_no_secret();
}

// Variables that the user marks sensitive, with the command line.

const RESCUE: &str = ".payinfra-rescue-migration-legacy.json";

/// The configuration with secrets for all protocols, all of them sensitive.
fn marked(configuration: &str, round: &str) -> String {
    let endpoints = [
        ("https", format!("https://example.com/{MARK}path{round}")),
        ("https", format!("https://example.com/in?token={MARK}query{round}&a=b")),
        ("https", format!("https://alarms:{MARK}user{round}@example.com/")),
        ("https", format!("https://example.com/a%20{MARK}escaped{round}")),
        ("email", format!("{MARK}email{round}@example.com")),
        ("email-json", format!("{MARK}json{round}@example.com")),
        ("sqs", format!("arn:aws:sqs:us-east-1:123456789012:{MARK}queue{round}")),
    ];
    let subscriptions: Vec<_> = endpoints
        .iter()
        .map(|(protocol, endpoint)| format!("{{ protocol = \"{protocol}\", endpoint = \"{endpoint}\" }}"))
        .collect();
    let sensitive = "sensitive = [\"alarms.subscriptions.endpoint\", \"service.image\"]";
    let replaced = configuration
        .replacen("[defaults]\n", &format!("[defaults]\n{sensitive}\n"), 1)
        .replacen(
            "[defaults.alarms]\n",
            &format!("[defaults.alarms]\nsubscriptions = [{}]\n", subscriptions.join(", ")),
            1,
        )
        .replacen("[defaults.service]\n", &format!("[defaults.service]\nimage = \"{MARK}image{round}/app:1\"\n"), 1);
    assert_eq!(replaced.matches(MARK).count(), 8, "the example has all these sections");
    replaced
}

/// Runs a command with the highest verbosity, and records its output.
fn say(bench: &Bench, visible: &mut Visible, args: &[&str]) -> Outcome {
    let mut command = bench.command(args);
    command.env("PAYINFRA_LOG", "trace");
    let outcome = Outcome::from(command.output().unwrap());
    visible.add(&format!("payinfra {}", args.join(" ")), &format!("{}{}", outcome.stdout, outcome.stderr));
    outcome
}

/// Every version of every object, and every item of the lock table.
async fn add_stored(bench: &Bench, visible: &mut Visible) {
    let s3 = bench.s3("us-east-1");
    let bucket = "payinfra-state-123456789012";
    let listed = s3.list_object_versions().bucket(bucket).send().await.unwrap();
    assert!(listed.versions().len() >= 2, "the state and its history");
    for version in listed.versions() {
        let (key, id) = (version.key().unwrap(), version.version_id().unwrap());
        let object = s3.get_object().bucket(bucket).key(key).version_id(id).send().await.unwrap();
        let bytes = object.body.collect().await.unwrap().to_vec();
        visible.add(&format!("{key} ({id})"), &String::from_utf8_lossy(&bytes));
    }
    let dynamodb = aws_sdk_dynamodb::Client::new(&bench.sdk("us-east-1"));
    let items = dynamodb.scan().table_name("payinfra-locks").send().await.unwrap();
    visible.add("the lock", &format!("{:?}", items.items()));
}

/// The number of subscriptions of a round in AWS, which proves that the secrets arrive. Unconfirmed ones of earlier
/// rounds expire after some days.
async fn endpoints(bench: &Bench, round: &str) -> usize {
    let sns = aws_sdk_sns::Client::new(&bench.sdk("us-east-1"));
    let found = sns.list_subscriptions().send().await.unwrap();
    let is_ours = |endpoint: &str| endpoint.contains(MARK) && endpoint.contains(round);
    found.subscriptions().iter().filter(|it| it.endpoint().is_some_and(is_ours)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_shows_what_the_user_marks() {
    let bench = Bench::new().await;
    let example = bench.configuration();
    let mut visible = Visible::default();
    bench.configure(&marked(&example, "-a"));
    for args in [&["validate"][..], &["workspace", "show", "-w", "legacy"]] {
        say(&bench, &mut visible, args).ok();
    }
    for args in [&["-v"][..], &["-vv"], &["--json"], &["--out", "saved.json"]] {
        say(&bench, &mut visible, &[&["plan", "-w", "legacy"], args].concat()).ok();
    }

    // A run that cannot write its state leaves a rescue file, which contains subscriptions.
    let mut hold = bench.aws.hold(Match::action("sns", "Subscribe").nth(4), When::Before);
    let mut command = bench.command(&["apply", "-w", "legacy", "--yes", "-vv"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    // Both pipes are read while the process is held, so that its output never blocks it.
    let running = tokio::task::spawn_blocking(move || Outcome::from(command.output().unwrap()));
    let stopped = caught(&mut hold).await;
    bench.aws.faults([FaultRule { matches: Match::action("s3", "PutObject"), fault: Fault::Error { status: 503 } }]);
    stopped.release();
    drop(hold);
    let failed = running.await.unwrap().expect(1);
    visible.add("a failed apply", &format!("{}{}", failed.stdout, failed.stderr));
    let rescue = std::fs::read_to_string(bench.file(RESCUE)).unwrap();
    assert!(rescue.contains("sns.subscription"), "the rescue file contains subscriptions");
    visible.add("the rescue file", &rescue);
    bench.aws.clear_faults();

    say(&bench, &mut visible, &["apply", "-w", "legacy", "--yes", "--json"]).ok();
    assert_eq!(endpoints(&bench, "-a").await, 7);
    for args in [
        // Compared by their digests, they have not changed.
        &["plan", "-w", "legacy", "--exit-code"][..],
        &["drift", "-w", "legacy", "-vv"],
        &["output", "-w", "legacy"],
        &["output", "-w", "legacy", "--json", "-vv"],
        &["state", "list", "-w", "legacy"],
        &["state", "pull", "-w", "legacy", "-vv"],
        &["state", "history", "-w", "legacy"],
        &["history", "-w", "legacy", "-vv"],
        &["history", "show", "2", "-w", "legacy", "-v"],
        &["history", "show", "2", "-w", "legacy", "--json"],
        &["sweep", "-w", "legacy"],
    ] {
        say(&bench, &mut visible, args).ok();
    }

    // Other values for all of them; the first call with one is rejected.
    bench.configure(&marked(&example, "-b"));
    say(&bench, &mut visible, &["plan", "-w", "legacy", "-v", "--out", "saved.json"]).ok();
    let refused = Match::action("sns", "Subscribe").times(1);
    bench.aws.faults([FaultRule { matches: refused, fault: Fault::Error { status: 403 } }]);
    say(&bench, &mut visible, &["apply", "-w", "legacy", "--yes", "-vv"]).expect(1);
    bench.aws.clear_faults();
    say(&bench, &mut visible, &["apply", "-w", "legacy", "--yes"]).ok();
    assert_eq!(endpoints(&bench, "-b").await, 7);
    say(&bench, &mut visible, &["history", "diff", "2", "4", "-w", "legacy", "-v"]).ok();
    let refused = say(&bench, &mut visible, &["rollback", "--to", "2", "--plan", "-w", "legacy", "-v"]).expect(1);
    assert!(refused.stderr.contains("secrets are needed"), "{}", refused.stderr);

    add_stored(&bench, &mut visible).await;
    mistakes(&bench, &marked(&example, "-b"), &mut visible);
    say(&bench, &mut visible, &["destroy", "-w", "legacy", "--yes", "--accept-loss", "-v"]).ok();
    add_stored(&bench, &mut visible).await;
    visible.add("the recorder", &json!(bench.aws.calls()).to_string());
    visible.add_folder(bench.file("payinfra.toml").parent().unwrap());
    visible.assert_no_secret();
}

/// Invalid configurations, whose errors show the surrounding text.
fn mistakes(bench: &Bench, good: &str, visible: &mut Visible) {
    for (wrong, told) in [
        // In the line with the secrets.
        (good.replacen("protocol = \"sqs\"", "protocol = \"pigeon\"", 1), "pigeon"),
        (good.replacen("protocol = \"email-json\"", "protocoll = \"email-json\"", 1), "protocoll"),
        // Invalid TOML.
        (good.replacen("image = ", "image == ", 1), "payinfra.toml"),
        (good.replacen("alarms.subscriptions.endpoint", "alarms.subscriptions.endpoints", 1), "unknown variable"),
        // AWS shows these values, so they cannot be sensitive.
        (
            good.replacen(
                "[\"alarms.subscriptions.endpoint\"",
                "[\"tags.Token\", \"alarms.subscriptions.endpoint\"",
                1,
            )
            .replacen(
                "[defaults.database]",
                &format!("[defaults.tags]\nToken = \"{MARK}tag\"\n[defaults.database]"),
                1,
            ),
            "cannot be sensitive",
        ),
    ] {
        assert_ne!(wrong, good);
        bench.configure(&wrong);
        let refused = say(bench, visible, &["plan", "-w", "legacy", "-vv"]).expect(1);
        assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
    }
    bench.configure(good);
}
