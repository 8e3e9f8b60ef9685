//! The invariant checker: after each mutating call, whether a client's request could end at nothing, and whether data
//! that clients write in one region reaches the others.
//!
//! It sees only the emulated account, from outside of the client under test. A request goes from a name over the records
//! that Route 53 answers with (`traffic.rs`) to a load balancer, its listeners and rules, and the target groups with a
//! weight (`python/mends/traffic.py`); each of those groups needs a registered healthy target. A name is followed from
//! the first time that a healthy record leads to healthy targets.

mod stores;
pub(crate) mod traffic;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use stores::{Database, Route, Stores};
use traffic::Record;

use crate::{action::Request, fault::matches, record::Call};

/// What the invariant checker follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checks {
    /// Patterns of the names to follow, such as `api.example.com`, in which `*` matches any text. Without any, all names
    /// with alias records or a routing policy.
    pub names: Vec<String>,
    /// Patterns of the DynamoDB tables, S3 buckets and Aurora global databases that clients write to: from each region
    /// that serves requests, they must be replicated to all others. All other stores must remain replicated once they
    /// were, between regions that serve.
    pub stores: Vec<String>,
}

/// A violation of an invariant, and the call after which it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The call's number, as in [`Call::sequence`](crate::Call::sequence).
    pub call: u64,
    /// The time in milliseconds since 1970.
    pub at: u64,
    /// The call's service.
    pub service: String,
    /// The call's region.
    pub region: String,
    /// The call's operation.
    pub action: String,
    /// What is violated.
    pub problem: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { call, service, region, action, problem, .. } = self;
        write!(formatter, "after call {call}, {service}:{action} in {region}: {problem}")
    }
}

/// Calls that only write data or run functions: they change no path. Functions make calls themselves, which must not
/// wait for the check of the call that runs them.
const DATA: &[(&str, &str)] = &[
    ("apigateway", "TestInvoke*"),
    ("dynamodb", "*Item*"),
    ("dynamodb", "Execute*"),
    ("dynamodb", "Transact*"),
    ("events", "PutEvents"),
    ("lambda", "Invoke*"),
    ("logs", "PutLogEvents"),
    ("monitoring", "PutMetricData"),
    ("s3", "*Object*"),
    ("s3", "*Upload*"),
    ("sns", "Publish*"),
    ("sqs", "*Message*"),
    ("states", "Start*"),
];

/// Whether a request can change a path.
pub(crate) fn can_change(request: &Request) -> bool {
    let is = |(service, action): &(&str, &str)| *service == request.scope.service && matches(action, &request.action);
    request.is_mutating() && !DATA.iter().any(is)
}

/// The account, as far as it is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// After each step since the last time; the last one is the current one.
    traffic: Vec<Traffic>,
    stores: Stores,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Traffic {
    records: Vec<Record>,
    databases: Vec<Database>,
}

impl Account {
    /// Reads the emulators' descriptions of traffic and of stores.
    ///
    /// # Errors
    /// If they are not in the expected format.
    pub(crate) fn read(traffic: &[u8], stores: &[u8]) -> serde_json::Result<Self> {
        Ok(Self { traffic: serde_json::from_slice(traffic)?, stores: serde_json::from_slice(stores)? })
    }
}

/// The invariant checker of one instance.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    state: Mutex<State>,
    /// Held during each checked call, so that a violation has one cause.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    checks: Option<Checks>,
    /// Whether the account must be read before the next call, because it was changed otherwise.
    is_stale: bool,
    memory: Memory,
    last: Option<Call>,
    violations: Vec<Violation>,
}

/// What is known from earlier checks.
#[derive(Debug, Default)]
struct Memory {
    /// The names and types that have served requests.
    serving: BTreeSet<(String, String)>,
    /// The names and types that lost all records, and the call that removed them.
    vanished: BTreeMap<(String, String), Option<Call>>,
    /// The records (name, type, id) that requests were routed to successfully, with the ports of their load balancers.
    routed: BTreeMap<(String, String, String), BTreeSet<u16>>,
    routes: BTreeSet<Route>,
    problems: BTreeSet<String>,
}

impl Checker {
    /// Starts checking, or stops; forgets everything before.
    pub(crate) fn set(&self, checks: Option<Checks>) {
        *self.lock() = State { checks, is_stale: true, ..State::default() };
    }

    /// Forgets everything, but continues to check.
    pub(crate) fn clear(&self) {
        let checks = self.lock().checks.clone();
        self.set(checks);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.lock().checks.is_some()
    }

    /// The account was changed by something other than a call.
    pub(crate) fn disturb(&self) {
        self.lock().is_stale = true;
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.lock().is_stale
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    /// Takes the account as it is, whatever its problems are.
    pub(crate) fn accept(&self, account: &Account) {
        let mut state = self.lock();
        state.is_stale = false;
        let State { checks: Some(checks), memory, .. } = &mut *state else { return };
        if let Some(now) = account.traffic.last() {
            memory.problems = memory.check(checks, now, &account.stores, None).0;
        }
    }

    /// Checks the account after a call; without one, after the last one.
    pub(crate) fn check(&self, account: &Account, call: Option<&Call>) {
        let mut state = self.lock();
        if let Some(call) = call {
            state.last = Some(call.clone());
        }
        let call = state.last.clone();
        let State { checks: Some(checks), memory, violations, .. } = &mut *state else { return };
        for traffic in &account.traffic {
            let (problems, recreated) = memory.check(checks, traffic, &account.stores, call.as_ref());
            // A problem is reported once, with the call that caused it.
            let new = problems.difference(&memory.problems);
            violations.extend(new.filter_map(|problem| violation(call.as_ref()?, problem)));
            violations
                .extend(recreated.into_iter().filter_map(|(cause, problem)| violation(cause.as_ref()?, &problem)));
            memory.problems = problems;
        }
    }

    /// Reports that the account could not be read.
    pub(crate) fn fail(&self, call: &Call, reason: &str) {
        let problem = format!("the account could not be read: {reason}");
        self.lock().violations.extend(violation(call, &problem));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn violation(call: &Call, problem: &str) -> Option<Violation> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Violation {
        call: call.sequence,
        at: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        service: call.service.clone(),
        region: call.region.clone(),
        action: call.action.clone(),
        problem: problem.to_owned(),
    })
}

impl Memory {
    /// The problems of the account after a call, and those that an earlier call caused.
    fn check(
        &mut self,
        checks: &Checks,
        traffic: &Traffic,
        stores: &Stores,
        call: Option<&Call>,
    ) -> (BTreeSet<String>, Vec<(Option<Call>, String)>) {
        let is_followed = |record: &&Record| {
            checks.names.is_empty() || checks.names.iter().any(|pattern| matches(pattern, &record.name))
        };
        let mut names = BTreeMap::<_, Vec<&Record>>::new();
        for record in traffic.records.iter().filter(is_followed) {
            names.entry((record.name.clone(), record.kind.clone())).or_default().push(record);
        }
        let recreated = self.recreated(&names, call);
        let (mut problems, mut serving, mut routed) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        for (name, records) in &names {
            let answers = traffic::answers(records);
            if answers.iter().any(|record| record.healthy && record.dead_end.is_none()) {
                self.serving.insert(name.clone());
            } else if !self.serving.contains(name) {
                continue;
            }
            for record in records {
                let key = (name.0.clone(), name.1.clone(), record.id.clone());
                let before = self.routed.get(&key).filter(|_| call.is_some());
                let is_answer = answers.contains(record);
                if is_answer && record.dead_end.is_none() {
                    serving.extend(record.region.clone());
                }
                let (found, ports) = follow(record, is_answer, before);
                problems.extend(found);
                routed.extend(ports.map(|ports| (key, ports)));
            }
        }
        self.routed = routed;
        let (found, missing) = stores::replication(stores, &traffic.databases, &serving, &checks.stores, &self.routes);
        self.routes.extend(found);
        problems.extend(missing);
        problems.extend(stores::writers(&traffic.databases, &serving));
        (problems, recreated)
    }

    /// Notes the names that lost all their records, and returns a problem for each that has some again.
    fn recreated(
        &mut self,
        names: &BTreeMap<(String, String), Vec<&Record>>,
        call: Option<&Call>,
    ) -> Vec<(Option<Call>, String)> {
        let gone: Vec<_> = self.serving.iter().filter(|name| !names.contains_key(name)).cloned().collect();
        for name in gone {
            self.serving.remove(&name);
            self.vanished.insert(name, call.cloned());
        }
        let back: Vec<_> = self.vanished.keys().filter(|name| names.contains_key(name)).cloned().collect();
        let problem = |name: (String, String)| {
            let cause = self.vanished.remove(&name)?;
            let until = call.map_or_else(String::new, |call| format!(" until call {}", call.sequence));
            Some((cause, format!("{} had no {} record{until}", name.0, name.1)))
        };
        back.into_iter().filter_map(problem).collect()
    }
}

/// The problems of requests that a record routes, and the ports to which requests are routed from now on. `before` are
/// those to which they were routed until now.
fn follow(record: &Record, is_answer: bool, before: Option<&BTreeSet<u16>>) -> (Vec<String>, Option<BTreeSet<u16>>) {
    let title = record.title();
    match (&record.dead_end, before) {
        (Some(end), _) if is_answer => (vec![format!("requests for {title} end at nothing: {end}")], None),
        // Route 53 avoids it, but only after its health checks have failed a few times. As long as this lasts, it is the
        // same problem.
        (Some(end), Some(ports)) if record.has_weight() => {
            let problem = format!("requests for {title} end at nothing until its health checks fail: {end}");
            (vec![problem], Some(ports.clone()))
        }
        (None, _) if is_answer => {
            let listening: BTreeSet<u16> = record.ports.iter().copied().collect();
            let before = before.cloned().unwrap_or_default();
            let closed = before.difference(&listening);
            let problem = |port| format!("requests for {title} to port {port} end at nothing: it has no listener");
            (closed.map(problem).collect(), Some(&listening | &before))
        }
        _ => (Vec::new(), None),
    }
}
