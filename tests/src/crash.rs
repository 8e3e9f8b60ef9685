//! Kills the real binary at chosen calls, runs it again until it ends, and compares the result with an undisturbed run.
//!
//! Calls are concurrent, so their order differs between runs: a kill point is the n-th call of an operation in a
//! region,
//! not the n-th of all calls.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use payinfra_localstack::{Call, Fault, Held, Hold, Match, Rule, When};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::api::write_package;
use crate::content::{Comparison, Snapshot};
use crate::{Bench, Outcome, caught};

/// The time limit for one command.
const PATIENCE: Duration = Duration::from_mins(4);
/// The time limit for the calls of a killed process.
const IN_FLIGHT: Duration = Duration::from_secs(20);
/// How long other calls may take to reach their kill points, if there are several.
const TOGETHER: Duration = Duration::from_millis(400);
/// The maximum number of bytes of a failed command's output that are shown.
const EXCERPT: usize = 2_000;
/// The lease of the lock in DynamoDB: 30 s, scaled down by 15.
const LEASE: Duration = Duration::from_secs(2);

/// A command with its configuration.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its arguments, without the workspace and the options that confirm prompts.
    pub args: Vec<String>,
    /// The workspace.
    pub workspace: &'static str,
    /// The text of `payinfra.toml`.
    pub configuration: String,
    /// Whether it may fail if the killed run had completed everything: `import` and `state mv` fail the second time.
    pub once: bool,
}

/// Prepares the account for the killed command.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A command.
    Run(Step),
    /// A log group and a topic that were created manually, with the configured names.
    ByHand,
    /// Removes all resources of these kinds from the state.
    Forget(Step, &'static [&'static str]),
    /// An apply that cannot write the state after its first VPC, and leaves a rescue file.
    Unwritable(Step),
    /// A command that fails because AWS denies every delete in this region.
    Refused(Step, &'static str),
}

/// An undisturbed preparation, and the killed steps.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name in the table.
    pub name: &'static str,
    /// Prepares the account for the steps.
    pub before: Vec<Deed>,
    /// The killed steps, in order.
    pub killed: Vec<Step>,
    /// The command after each kill; by default, the same command again.
    pub instead: Option<Step>,
    /// A final undisturbed command before the comparison.
    pub settle: Option<Step>,
    /// Whether the steps interrupt requests, killed or not.
    pub interrupts: bool,
    /// Whether the state bucket and the lock table exist at the start.
    pub bootstrapped: bool,
}

impl Step {
    /// The arguments of the command line.
    fn line(&self) -> Vec<&str> {
        self.args.iter().map(String::as_str).chain(["--workspace", self.workspace]).collect()
    }
}

/// The behavior of the account while commands are killed.
#[expect(clippy::struct_excessive_bools, reason = "the flags are independent")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Whether the state is in S3 and the lock in DynamoDB, instead of a folder.
    pub remote: bool,
    /// Whether one call in twenty fails with 500, is throttled, or loses its response.
    pub faults: bool,
    /// Whether the run after a killed one is killed as well, at one of its first changes.
    pub twice: bool,
    /// Whether the call at which a process was killed arrives after the process is dead: half a lease later with S3,
    /// and just before the next run starts with a folder.
    pub late: bool,
}

/// A kill point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The signing name: `ec2`.
    pub service: String,
    /// The operation: `CreateVpc`.
    pub action: String,
    /// The region.
    pub region: String,
    /// The number of the call, from 1.
    pub nth: u64,
    /// Before it is forwarded, or after it took effect.
    pub after: bool,
}

/// An undisturbed run.
#[derive(Debug)]
pub struct Undisturbed {
    /// Its calls.
    pub calls: Vec<Call>,
    /// Its result.
    pub snapshot: Snapshot,
}

/// The result of kills.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The points at which a process was killed.
    pub met: Vec<Point>,
    /// The number of killed processes, including those that were killed twice in a row.
    pub killed: usize,
    /// The number of runs that failed with an error and were repeated.
    pub repeated: usize,
    /// The differences in the account and the state.
    pub comparison: Comparison,
}

/// The emulated AWS, and the commands that are killed.
pub struct Harness {
    bench: Bench,
    manner: Manner,
}

impl Point {
    /// The points of a run with these calls: before and after every mutating call and, with `reads`, before every other
    /// call. A read-only call has no effect, so after it is the same as before the next call.
    #[must_use]
    pub fn of(calls: &[Call], reads: bool) -> Vec<Self> {
        let mut seen: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        let mut points = Vec::new();
        for call in calls {
            let nth = seen.entry((&call.service, &call.action, &call.region)).or_default();
            *nth += 1;
            let point = |after| Self {
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

    /// Holds the call at this point.
    #[must_use]
    pub fn hold(&self, bench: &Bench) -> Hold {
        let matches = Match::action(&self.service, &self.action).region(&self.region).nth(self.nth);
        bench.aws.hold(matches, when(self.after))
    }
}

/// Before a call is forwarded, or after it took effect.
fn when(after: bool) -> When {
    if after { When::After } else { When::Before }
}

impl Undisturbed {
    /// Its kill points.
    #[must_use]
    pub fn points(&self, reads: bool) -> Vec<Point> {
        Point::of(&self.calls, reads)
    }

    /// The first of these points for each mutating operation: each kind once, in any region.
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
    /// Whether the result equals that of an undisturbed run.
    #[must_use]
    pub fn converged(&self) -> bool {
        self.comparison.is_equal()
    }

    fn wrong(&mut self, what: String) {
        self.comparison.others.push(what);
    }
}

impl Harness {
    /// An emulated AWS with this behavior.
    pub async fn new(manner: Manner) -> Self {
        let bench = Bench::new().await.lease(LEASE);
        for function in ["payment-processor", "object-processor"] {
            write_package(&bench, function);
        }
        bench.follow(&[]).await;
        Self { bench, manner }
    }

    /// Runs a scenario undisturbed.
    pub async fn learn(&self, scenario: &Scenario) -> Undisturbed {
        self.prepare(scenario).await;
        self.bench.aws.clear_calls();
        for step in &scenario.killed {
            self.run(step).ok();
        }
        let calls = self.bench.aws.calls();
        for step in scenario.instead.iter().chain(&scenario.settle) {
            self.run(step).ok();
        }
        Undisturbed { calls, snapshot: self.snapshot(scenario).await }
    }

    /// Runs a scenario, killed at each of `points` that it reaches, until it ends.
    pub async fn kill(&self, scenario: &Scenario, undisturbed: &Undisturbed, points: &[Point]) -> Verdict {
        self.prepare(scenario).await;
        let mut verdict = Verdict::default();
        self.disturb();
        match &scenario.instead {
            None => self.again(scenario, points, &mut verdict).await,
            Some(instead) => self.otherwise(scenario, instead, points, &mut verdict).await,
        }
        self.bench.aws.clear_faults();
        if let Some(settle) = &scenario.settle {
            let outcome = self.run(settle);
            if outcome.code != Some(0) {
                verdict.wrong(said("the final command", &outcome));
            }
        }
        if !scenario.interrupts {
            verdict.comparison.others.extend(self.bench.violations().await);
        }
        let is = self.snapshot(scenario).await;
        verdict.comparison.extend(undisturbed.snapshot.compare(&is));
        if let Some(last) = scenario.last().filter(|step| step.args == ["apply"]).filter(|_| verdict.converged()) {
            self.configure(last);
            let plan = self.bench.run(&["plan", "--workspace", last.workspace, "--exit-code"]);
            if plan.code != Some(0) {
                verdict.wrong(said("the plan afterwards", &plan));
            }
        }
        if scenario.last().is_some_and(|step| step.args == ["bootstrap"]) {
            let again = self.bench.run(&["bootstrap"]);
            if again.code != Some(0) || again.stdout.matches("unchanged").count() != 3 {
                verdict.wrong(said("another bootstrap", &again));
            }
        }
        verdict
    }

    /// After each kill, runs the same command until it ends.
    async fn again(&self, scenario: &Scenario, points: &[Point], verdict: &mut Verdict) {
        let mut traps = Traps::set(&self.bench, points);
        for step in &scenario.killed {
            self.until_done(step, &mut traps, points, verdict).await;
        }
    }

    /// After each kill, runs another command undisturbed; then starts over with the next point.
    async fn otherwise(&self, scenario: &Scenario, instead: &Step, points: &[Point], verdict: &mut Verdict) {
        for point in points {
            let mut traps = Traps::set(&self.bench, std::slice::from_ref(point));
            for step in &scenario.killed {
                let run = self.run_into(step, &mut traps).await;
                match run {
                    Err(met) => {
                        verdict.killed += 1;
                        verdict.met.extend(met.contains(&0).then(|| point.clone()));
                        break;
                    }
                    Ok(outcome) if outcome.code == Some(0) => {}
                    Ok(outcome) => verdict.wrong(said("a run that was not killed", &outcome)),
                }
            }
            if self.manner.twice {
                traps.spring(&self.bench, verdict.killed);
            }
            self.until_done(instead, &mut traps, &[], verdict).await;
        }
    }

    /// Runs a step until it ends.
    async fn until_done(&self, step: &Step, traps: &mut Traps, points: &[Point], verdict: &mut Verdict) {
        let (mut was_killed, mut is_second, mut may_fail) = (false, false, self.may_fail());
        // Each point kills once, and is followed by at most one more kill.
        for _ in 0..=3 * (points.len() + 1) {
            match self.run_into(step, traps).await {
                Ok(outcome) if outcome.code == Some(0) => return,
                Ok(outcome) if step.once && was_killed && outcome.code == Some(1) => return,
                Ok(_) if may_fail => {
                    verdict.repeated += 1;
                    may_fail = false;
                }
                Ok(outcome) => return verdict.wrong(said("the last run", &outcome)),
                Err(met) => {
                    verdict.killed += 1;
                    verdict.met.extend(met.iter().filter_map(|index| points.get(*index).cloned()));
                    was_killed = true;
                    may_fail = self.may_fail();
                    // The second kill in a row is not followed by a third.
                    if self.manner.twice && !is_second {
                        traps.spring(&self.bench, verdict.killed);
                    }
                    is_second = self.manner.twice && !is_second;
                }
            }
        }
        verdict.wrong(format!("{:?} was killed in every run", step.args));
    }

    /// Whether a run may fail with an error and be repeated once: if there are faults besides the kill.
    fn may_fail(&self) -> bool {
        self.manner.faults || self.manner.late
    }

    fn disturb(&self) {
        if !self.manner.faults {
            return;
        }
        let rule = |every, fault| Rule { matches: Match::any().every(every), fault };
        self.bench.aws.faults([
            rule(59, Fault::Error { status: 500 }),
            rule(61, Fault::Throttle),
            rule(67, Fault::Reset { when: When::After }),
        ]);
    }

    /// An empty account, prepared for the scenario.
    async fn prepare(&self, scenario: &Scenario) {
        self.bench.aws.clear_faults();
        self.bench.aws.reset().await.unwrap();
        for entry in fs::read_dir(self.bench.file(".")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".payinfra")) {
                let _folder = fs::remove_dir_all(&path);
                let _file = fs::remove_file(&path);
            }
        }
        if self.manner.remote && scenario.bootstrapped {
            self.bench.run(&["bootstrap"]).ok();
        }
        for deed in &scenario.before {
            match deed {
                Deed::Run(step) => drop(self.run(step).ok()),
                Deed::ByHand => by_hand(&self.bench).await,
                Deed::Forget(step, kinds) => self.forget(step, kinds),
                Deed::Unwritable(step) => self.unwritable(step).await,
                Deed::Refused(step, region) => self.refused(step, region),
            }
        }
    }

    fn forget(&self, step: &Step, kinds: &[&str]) {
        self.configure(step);
        let listed = self.bench.run(&["state", "list", "--workspace", step.workspace]).ok().stdout;
        let of_kind = |address: &&str| address.split('/').nth(1).is_some_and(|kind| kinds.contains(&kind));
        let addresses = listed.lines().filter(of_kind).map(str::to_owned);
        let args: Vec<_> = ["state", "rm"].map(str::to_owned).into_iter().chain(addresses).collect();
        assert!(args.len() > 2, "no resources of {kinds:?} in {listed}");
        self.run(&Step { args, ..step.clone() }).ok();
    }

    fn refused(&self, step: &Step, region: &str) {
        let matches = Match::action("*", "Delete*").region(region);
        self.bench.aws.faults([Rule { matches, fault: Fault::Error { status: 403 } }]);
        self.run(step).expect(1);
        self.bench.aws.clear_faults();
    }

    async fn unwritable(&self, step: &Step) {
        self.configure(step);
        let mut hold = self.bench.aws.hold(Match::action("ec2", "CreateVpc"), When::Before);
        let first = self.bench.start(&self.bench.consenting(&step.line()));
        let stopped = caught(&mut hold).await;
        self.bench
            .aws
            .faults([Rule { matches: Match::action("s3", "PutObject"), fault: Fault::Error { status: 503 } }]);
        stopped.release();
        drop(hold);
        Outcome::from(first.wait_with_output().unwrap()).expect(1);
        self.bench.aws.clear_faults();
        assert!(self.bench.file(&format!(".payinfra-rescue-{}-{}.json", self.bench.stack(), step.workspace)).exists());
    }

    fn run(&self, step: &Step) -> Outcome {
        self.configure(step);
        self.bench.run(&self.bench.consenting(&step.line()))
    }

    fn configure(&self, step: &Step) {
        if self.manner.remote {
            self.bench.configure(&step.configuration);
            return;
        }
        let local = step.configuration.replace("[state]\n", "[state]\npath = \".payinfra\"\n");
        assert_ne!(local, step.configuration, "the configuration has no section for the state");
        self.bench.configure(&local);
    }

    /// Runs a step until it ends or reaches kill points; then returns those, and the process is dead.
    async fn run_into(&self, step: &Step, traps: &mut Traps) -> Result<Outcome, Vec<usize>> {
        self.configure(step);
        let (stdout, stderr) = (self.bench.file("stdout"), self.bench.file("stderr"));
        let mut command = self.bench.command(&self.bench.consenting(&step.line()));
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
                return Err(self.bury(traps, met).await);
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

    /// Waits until the calls of a dead process end, each as configured; returns the kill points that it had reached.
    async fn bury(&self, traps: &mut Traps, mut met: Vec<(usize, Held)>) -> Vec<usize> {
        let (mut indices, mut late) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        loop {
            for (index, held) in met.drain(..) {
                indices.push(index);
                if self.manner.late {
                    late.push(held);
                } else {
                    held.reset();
                }
            }
            match tokio::time::timeout(Duration::from_millis(20), traps.met.recv()).await {
                Ok(Some(more)) => met.push(more),
                _ if self.going() <= late.len() => break,
                _ => assert!(begun.elapsed() < IN_FLIGHT, "calls of a dead process continue"),
            }
        }
        if self.manner.remote {
            tokio::spawn(async move {
                tokio::time::sleep(LEASE / 2).await;
                late.into_iter().for_each(Held::release);
            });
        } else {
            late.into_iter().for_each(Held::release);
            while self.going() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                assert!(begun.elapsed() < IN_FLIGHT, "calls of a dead process continue");
            }
        }
        indices
    }

    /// The number of calls that have not ended.
    fn going(&self) -> usize {
        self.bench.aws.calls().iter().filter(|call| call.milliseconds.is_none()).count()
    }

    async fn snapshot(&self, scenario: &Scenario) -> Snapshot {
        let workspace = scenario.killed.first().unwrap().workspace;
        Snapshot::take(&self.bench, workspace).await
    }
}

impl Scenario {
    /// The final checks.
    fn last(&self) -> Option<&Step> {
        self.settle.as_ref().or(self.instead.as_ref()).or(self.killed.last())
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, action, region, nth, .. } = self;
        write!(f, "{} {region} {service}:{action} #{nth}", if self.after { "after" } else { "before" })
    }
}

/// Calls that are held at their kill points.
struct Traps {
    met: mpsc::UnboundedReceiver<(usize, Held)>,
    sender: mpsc::UnboundedSender<(usize, Held)>,
    watching: Vec<JoinHandle<()>>,
}

impl Traps {
    fn set(bench: &Bench, points: &[Point]) -> Self {
        let (sender, met) = mpsc::unbounded_channel();
        let mut traps = Self { met, sender, watching: Vec::new() };
        for (index, point) in points.iter().enumerate() {
            traps.watch(index, point.hold(bench));
        }
        traps
    }

    /// Another kill point for the next run: at one of its first changes, a different one each time.
    fn spring(&mut self, bench: &Bench, kills: usize) {
        let nth = [1, 2, 3, 5, 8, 13][kills % 6];
        let matches = Match { mutating: Some(true), ..Match::any().nth(nth) };
        self.watch(usize::MAX, bench.aws.hold(matches, when(kills.is_multiple_of(2))));
    }

    fn watch(&mut self, index: usize, mut hold: Hold) {
        let sender = self.sender.clone();
        self.watching.push(tokio::spawn(async move {
            while let Some(held) = hold.next().await {
                if sender.send((index, held)).is_err() {
                    return;
                }
            }
        }));
    }
}

impl Drop for Traps {
    fn drop(&mut self) {
        self.watching.iter().for_each(JoinHandle::abort);
    }
}

/// A log group and a topic with the names that `legacy` uses.
async fn by_hand(bench: &Bench) {
    let sdk = bench.sdk("us-east-1");
    let logs = aws_sdk_cloudwatchlogs::Client::new(&sdk);
    let group = logs.create_log_group().log_group_name("payment-flow-logs-legacy-demo1");
    group.tags("team", "network").send().await.unwrap();
    aws_sdk_sns::Client::new(&sdk).create_topic().name("payment-alarms-legacy-demo1").send().await.unwrap();
}

fn die(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn said(what: &str, outcome: &Outcome) -> String {
    let Outcome { code, stdout, stderr } = outcome;
    format!("{what} ended with {code:?}: {}{}", end(stdout), end(stderr))
}

/// The end of a command's output.
fn end(text: &str) -> &str {
    let from = text.len().saturating_sub(EXCERPT);
    let from = (from..text.len()).find(|index| text.is_char_boundary(*index)).unwrap_or(text.len());
    &text[from..]
}
