//! Kills the real binary at chosen calls, runs it again to its end, and compares with a run that nobody disturbed.
//!
//! Calls run side by side, so their order is not the same twice: a kill point is the n-th call of an operation in a
//! region, not the n-th call of all.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use payinfra_localstack::{Call, Held, Match, When};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Bench, Outcome, REGIONS};

/// How long one command may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_mins(4);
/// How long the calls of a killed process may go on.
const IN_FLIGHT: Duration = Duration::from_secs(10);
/// How long others may take to come to their points as well, where several are set.
const TOGETHER: Duration = Duration::from_millis(400);
/// How many bytes of what a failed command said are worth repeating.
const EXCERPT: usize = 2_000;

/// A command with the configuration that it runs under.
#[derive(Clone, Debug)]
pub struct Step {
    /// `apply` or `destroy`.
    pub command: &'static str,
    /// The workspace.
    pub workspace: &'static str,
    /// The text of `payinfra.toml`.
    pub configuration: String,
}

/// What is done undisturbed, and then what is killed.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// For the table.
    pub name: &'static str,
    /// What makes the account what the last step finds.
    pub before: Vec<Step>,
    /// What is killed.
    pub step: Step,
}

/// Where a process is killed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The signing name: `ec2`.
    pub service: String,
    /// The operation: `CreateVpc`.
    pub action: String,
    /// The region.
    pub region: String,
    /// Which of these calls, from 1.
    pub nth: u64,
    /// Before it is sent on, or after it took effect.
    pub after: bool,
}

/// What a run makes of the account, the state and the outputs, without what is different each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What is in the account, by the services' own lists, and how often.
    pub account: BTreeMap<String, usize>,
    /// What the state says.
    pub state: BTreeMap<String, String>,
}

/// A run that nobody disturbed.
#[derive(Debug)]
pub struct Undisturbed {
    /// Its calls.
    pub calls: Vec<Call>,
    /// What it made.
    pub snapshot: Snapshot,
}

/// What came of killing.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The points at which a process was killed.
    pub met: Vec<Point>,
    /// What is in the account and should not be: things of a kind and name that the undisturbed run has none of.
    pub orphans: Vec<String>,
    /// What is in the account more often than it should be.
    pub duplicates: Vec<String>,
    /// Everything else that is not as it should be.
    pub differences: Vec<String>,
}

/// The emulated AWS, and the commands that are killed on it.
pub struct Harness {
    bench: Bench,
    /// Whether the state is in S3 and the lock in DynamoDB, and not in a folder.
    remote: bool,
}

impl Undisturbed {
    /// The kill points: before and after every call that changes something, and before every other if `reads`. A call
    /// that changes nothing leaves nothing behind, so after it is before the next.
    #[must_use]
    pub fn points(&self, reads: bool) -> Vec<Point> {
        let mut seen: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        let mut points = Vec::new();
        for call in &self.calls {
            let nth = seen.entry((&call.service, &call.action, &call.region)).or_default();
            *nth += 1;
            let point = |after| Point {
                service: call.service.clone(),
                action: call.action.clone(),
                region: call.region.clone(),
                nth: *nth,
                after,
            };
            if call.mutating || reads {
                points.push(point(false));
            }
            if call.mutating {
                points.push(point(true));
            }
        }
        points
    }

    /// Of those points, the first for each operation that changes something: each kind once, whatever the region.
    #[must_use]
    pub fn operations(&self, after: bool) -> Vec<Point> {
        let mut first: BTreeMap<(String, String), Point> = BTreeMap::new();
        for point in self.points(false).into_iter().filter(|point| point.after == after) {
            first.entry((point.service.clone(), point.action.clone())).or_insert(point);
        }
        first.into_values().collect()
    }
}

impl Verdict {
    /// Whether all is as if nobody had been killed.
    #[must_use]
    pub fn converged(&self) -> bool {
        self.orphans.is_empty() && self.duplicates.is_empty() && self.differences.is_empty()
    }

    fn compare(&mut self, should: &Snapshot, is: &Snapshot) {
        for (line, count) in &is.account {
            match should.account.get(line) {
                None => self.orphans.push(format!("{count} × {line}")),
                Some(right) if count > right => self.duplicates.push(format!("{count}, not {right} × {line}")),
                Some(_) => {}
            }
        }
        for (line, right) in &should.account {
            let count = is.account.get(line).copied().unwrap_or_default();
            if count < *right {
                self.differences.push(format!("{count}, not {right} × {line}"));
            }
        }
        for key in should.state.keys().chain(is.state.keys().filter(|key| !should.state.contains_key(*key))) {
            let (right, is) = (should.state.get(key), is.state.get(key));
            if right != is {
                self.differences.push(format!("state: {key} is {is:?}, not {right:?}"));
            }
        }
    }
}

impl Harness {
    /// With the state in a folder, whose lock frees itself when its holder dies, or as the configurations say.
    pub async fn new(remote: bool) -> Self {
        Self { bench: Bench::new().await, remote }
    }

    /// Runs a scenario undisturbed.
    pub async fn learn(&self, scenario: &Scenario) -> Undisturbed {
        self.prepare(scenario).await;
        self.bench.aws.clear_calls();
        self.run(&scenario.step).ok();
        let calls = self.bench.aws.calls();
        Undisturbed { calls, snapshot: self.snapshot(&scenario.step).await }
    }

    /// Runs a scenario, killed at each of `points` that it comes to, again and again until it ends.
    pub async fn kill(&self, scenario: &Scenario, undisturbed: &Undisturbed, points: &[Point]) -> Verdict {
        self.prepare(scenario).await;
        let mut verdict = Verdict::default();
        let mut traps = Traps::set(&self.bench, points);
        let mut ended = None;
        // Each point kills once, so this ends by itself.
        for _ in 0..=points.len() {
            match self.run_into(&scenario.step, &mut traps).await {
                Ok(outcome) => {
                    ended = Some(outcome);
                    break;
                }
                Err(met) => verdict.met.extend(met.into_iter().map(|index| points[index].clone())),
            }
            if self.remote {
                // Frees what the dead one held, or says that it held nothing.
                let _ = self.bench.run(&["unlock", "--workspace", scenario.step.workspace, "--yes"]);
            }
        }
        drop(traps);
        match ended {
            Some(outcome) if outcome.code == Some(0) => {}
            Some(outcome) => verdict.differences.push(format!(
                "the last run ended with {:?}: {}{}",
                outcome.code,
                end(&outcome.stdout),
                end(&outcome.stderr)
            )),
            None => verdict.differences.push("it was killed at every run".to_owned()),
        }
        let is = self.snapshot(&scenario.step).await;
        verdict.compare(&undisturbed.snapshot, &is);
        if scenario.step.command == "apply" && verdict.converged() {
            let plan = self.bench.run(&["plan", "--workspace", scenario.step.workspace, "--exit-code"]);
            if plan.code != Some(0) {
                verdict.differences.push(format!("it is not done: {}{}", end(&plan.stdout), end(&plan.stderr)));
            }
        }
        verdict
    }

    /// An empty account, and in it what comes before.
    async fn prepare(&self, scenario: &Scenario) {
        self.bench.aws.reset().await.unwrap();
        let _none = fs::remove_dir_all(self.bench.file(".payinfra"));
        if self.remote {
            self.bench.configure(&scenario.step.configuration);
            self.bench.run(&["bootstrap"]).ok();
        }
        for step in &scenario.before {
            self.run(step).ok();
        }
    }

    fn run(&self, step: &Step) -> Outcome {
        self.configure(step);
        self.bench.run(&step.args())
    }

    fn configure(&self, step: &Step) {
        if self.remote {
            self.bench.configure(&step.configuration);
            return;
        }
        let local = step.configuration.replace("[state]\n", "[state]\npath = \".payinfra\"\n");
        assert_ne!(local, step.configuration, "the configuration has no place for where the state is");
        self.bench.configure(&local);
    }

    /// Runs a step to its end, or until it meets traps: then these, and it is dead.
    async fn run_into(&self, step: &Step, traps: &mut Traps) -> Result<Outcome, Vec<usize>> {
        self.configure(step);
        let (stdout, stderr) = (self.bench.file("stdout"), self.bench.file("stderr"));
        let mut command = self.bench.command(&step.args());
        command.stdout(Stdio::from(File::create(&stdout).unwrap()));
        let mut child = command.stderr(Stdio::from(File::create(&stderr).unwrap())).spawn().unwrap();
        let begun = Instant::now();
        loop {
            if let Ok(Some(first)) = tokio::time::timeout(Duration::from_millis(5), traps.met.recv()).await {
                let mut met = vec![first];
                while traps.watching.len() > 1 {
                    let Ok(Some(next)) = tokio::time::timeout(TOGETHER, traps.met.recv()).await else { break };
                    met.push(next);
                }
                die(&mut child);
                let mut met = met.into_iter().map(|(index, held)| (index, held.reset()).0).collect();
                self.silence(traps, &mut met).await;
                return Err(met);
            }
            let status = child.try_wait().unwrap();
            let stuck = begun.elapsed() > PATIENCE;
            if stuck {
                die(&mut child);
            }
            if status.is_some() || stuck {
                let read = |path| fs::read_to_string(path).unwrap_or_default();
                let code = status.and_then(|status| status.code());
                return Ok(Outcome { code, stdout: read(stdout), stderr: read(stderr) });
            }
        }
    }

    /// Waits until the calls of a dead process have ended.
    async fn silence(&self, traps: &mut Traps, met: &mut Vec<usize>) {
        let begun = Instant::now();
        loop {
            let late = tokio::time::timeout(Duration::from_millis(20), traps.met.recv()).await;
            if let Ok(Some((index, held))) = late {
                held.reset();
                met.push(index);
            } else if self.bench.aws.calls().iter().all(|call| call.milliseconds.is_some()) {
                return;
            }
            assert!(begun.elapsed() < IN_FLIGHT, "calls of a dead process go on");
        }
    }

    async fn snapshot(&self, step: &Step) -> Snapshot {
        let pulled = self.bench.run(&["state", "pull", "--workspace", step.workspace]);
        let state = serde_json::from_str(&pulled.stdout).unwrap_or(Value::Null);
        let tags = self.tags().await;
        let mut account = BTreeMap::new();
        for line in self.bench.inventory().await.to_string().lines() {
            let named = line.split(' ').map(|word| tags.get(word).cloned().unwrap_or_else(|| anonymous(word)));
            *account.entry(named.collect::<Vec<_>>().join(" ")).or_default() += 1;
        }
        Snapshot { account, state: facts(&state) }
    }

    /// The tags of what has an id and no name.
    async fn tags(&self) -> BTreeMap<String, String> {
        let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for region in REGIONS {
            let mut pages = self.bench.ec2(region).describe_tags().into_paginator().items().send();
            while let Some(tag) = pages.next().await {
                let tag = tag.unwrap();
                let line = format!("{}={}", tag.key().unwrap_or_default(), tag.value().unwrap_or_default());
                tags.entry(tag.resource_id().unwrap_or_default().to_owned()).or_default().push(line);
            }
            let kms = aws_sdk_kms::Client::new(&self.bench.sdk(region));
            for key in kms.list_keys().send().await.unwrap().keys() {
                let id = key.key_id().unwrap_or_default();
                let of_key = kms.list_resource_tags().key_id(id).send().await;
                for tag in
                    of_key.iter().flat_map(aws_sdk_kms::operation::list_resource_tags::ListResourceTagsOutput::tags)
                {
                    tags.entry(id.to_owned()).or_default().push(format!("{}={}", tag.tag_key(), tag.tag_value()));
                }
            }
        }
        let joined = tags.into_iter().map(|(id, mut tags)| {
            // Every life is a deployment of its own.
            tags.retain(|tag| !tag.starts_with("payinfra:lineage="));
            tags.sort();
            (id, tags.join(","))
        });
        joined.collect()
    }
}

impl Step {
    fn args(&self) -> [&str; 5] {
        [self.command, "--workspace", self.workspace, "--yes", "--accept-loss"]
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, action, region, nth, .. } = self;
        write!(f, "{} {region} {service}:{action} #{nth}", if self.after { "after" } else { "before" })
    }
}

/// Calls that stop when they come to their point.
struct Traps {
    met: mpsc::UnboundedReceiver<(usize, Held)>,
    watching: Vec<JoinHandle<()>>,
}

impl Traps {
    fn set(bench: &Bench, points: &[Point]) -> Self {
        let (sender, met) = mpsc::unbounded_channel();
        let watch = |(index, point): (usize, &Point)| {
            let matches = Match::action(&point.service, &point.action).region(&point.region).nth(point.nth);
            let mut hold = bench.aws.hold(matches, if point.after { When::After } else { When::Before });
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Some(held) = hold.next().await {
                    if sender.send((index, held)).is_err() {
                        return;
                    }
                }
            })
        };
        let watching = points.iter().enumerate().map(watch).collect();
        Self { met, watching }
    }
}

impl Drop for Traps {
    fn drop(&mut self) {
        self.watching.iter().for_each(JoinHandle::abort);
    }
}

fn die(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The last of what a command said.
fn end(text: &str) -> &str {
    let from = text.len().saturating_sub(EXCERPT);
    let from = (from..text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(text.len());
    &text[from..]
}

/// A word of the account's list without what AWS chose.
fn anonymous(word: &str) -> String {
    if word.ends_with(".rds.amazonaws.com") {
        let kinds = ["cluster-ro", "cluster", "global"];
        let label =
            |label: &str| kinds.into_iter().find(|kind| label.starts_with(&format!("{kind}-"))).map(str::to_owned);
        return word.split('.').map(|it| label(it).unwrap_or_else(|| it.to_owned())).collect::<Vec<_>>().join(".");
    }
    word.split('/').map(chosen).collect::<Vec<_>>().join("/")
}

/// A part of a word, or what stands for it where AWS chose it.
fn chosen(part: &str) -> &str {
    let is_hex = |text: &str| text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_long = |text: &str| text.len() >= 20 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match part.split_once('-') {
        _ if is_hex(part) || is_long(part) => "(id)",
        Some((kind, rest)) if is_hex(rest.rsplit('-').next().unwrap_or(rest)) || is_long(rest) => kind,
        _ => part,
    }
}

/// The state's resources and outputs, without what is different each time.
fn facts(state: &Value) -> BTreeMap<String, String> {
    let none = serde_json::Map::new();
    let resources = state["resources"].as_object().unwrap_or(&none);
    let mut ids: Vec<(&str, &str)> = Vec::new();
    for (address, record) in resources {
        ids.extend(record["id"].as_str().filter(|id| !id.is_empty()).map(|id| (id, address.as_str())));
    }
    // Longer first: an id may be part of another.
    ids.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));
    let normal = |value: &Value| {
        let text = ids.iter().fold(value.to_string(), |text, (id, address)| text.replace(*id, address));
        let mut value = serde_json::from_str(&without_addresses(&text)).unwrap();
        sort(&mut value);
        value.to_string()
    };
    let mut facts = BTreeMap::new();
    for (address, record) in resources {
        for (field, value) in record.as_object().unwrap_or(&none) {
            // How often it took is not what came of it.
            if field != "generation" {
                facts.insert(format!("{address} {field}"), normal(value));
            }
        }
    }
    for (name, value) in state["outputs"].as_object().unwrap_or(&none) {
        facts.insert(format!("output {name}"), normal(value));
    }
    facts
}

/// Puts lists in order: sets of ids are in the ids' order, which is another each time. A table's stream is named by the
/// moment of its beginning.
fn sort(value: &mut Value) {
    if let Some(stream) = value.get_mut("stream_arn") {
        *stream = Value::Null;
    }
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            items.sort_by_key(Value::to_string);
        }
        Value::Object(fields) => fields.values_mut().for_each(sort),
        _ => {}
    }
}

/// A text whose Internet addresses and ids that nobody's address stands for are the same each time.
fn without_addresses(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let inner = |character: char| character.is_ascii_alphanumeric() || character == '.' || character == '-';
        let word = rest.find(|character| !inner(character)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(word);
        let public = head.parse::<std::net::Ipv4Addr>().is_ok_and(|address| !address.is_private());
        normal.push_str(&if public && !tail.starts_with('/') { "(address)".to_owned() } else { anonymous(head) });
        let mut characters = tail.chars();
        normal.extend(characters.next());
        rest = characters.as_str();
    }
    normal
}
