//! Rules that inject failures of networks, AWS and operating systems.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    hold::{Held, HoldSender},
    record::Call,
};

/// When a fault hits a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before the request is forwarded: it has no effect.
    Before,
    /// After the request took effect, instead of the response.
    After,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// AWS fails with this HTTP status (500 or 503), or denies the call (403); it has no effect.
    Error {
        /// The HTTP status.
        status: u16,
    },
    /// AWS rejects the call with the service's own throttling error.
    Throttle,
    /// AWS rejects the call because the credentials have expired.
    Expired,
    /// The connection is reset.
    Reset {
        /// Before or after the call takes effect.
        when: When,
    },
    /// The call takes effect immediately, but the response is delayed.
    Delay {
        /// The delay in seconds.
        seconds: f64,
    },
    /// The response is truncated.
    Truncate,
    /// After this write, reads of the service return earlier responses.
    Stale {
        /// The duration in seconds.
        seconds: f64,
    },
    /// The resource that this call creates is not found.
    NotFound {
        /// The duration in seconds.
        seconds: f64,
        /// Whether this applies to mutating calls as well.
        #[serde(default)]
        writes: bool,
    },
    /// The role that this call creates cannot be used by other services.
    RoleNotAssumable {
        /// The duration in seconds.
        seconds: f64,
    },
    /// The key that this call creates is not known to other services.
    KeyNotUsable {
        /// The duration in seconds.
        seconds: f64,
    },
    /// The resource that this call creates shows no tags, and filters on tags do not find it.
    HiddenTags {
        /// The duration in seconds.
        seconds: f64,
    },
    /// The client is killed (SIGKILL).
    Kill {
        /// Its process id.
        pid: u32,
        /// Before or after the call takes effect.
        when: When,
    },
}

impl Fault {
    /// The name in the record of calls.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Throttle => "throttle",
            Self::Expired => "expired",
            Self::Reset { when: When::Before } => "reset-before",
            Self::Reset { when: When::After } => "reset-after",
            Self::Delay { .. } => "delay",
            Self::Truncate => "truncate",
            Self::Stale { .. } => "stale",
            Self::NotFound { .. } => "not-found",
            Self::RoleNotAssumable { .. } => "role-not-assumable",
            Self::KeyNotUsable { .. } => "key-not-usable",
            Self::HiddenTags { .. } => "hidden-tags",
            Self::Kill { when: When::Before, .. } => "kill-before",
            Self::Kill { when: When::After, .. } => "kill-after",
        }
    }
}

/// The calls that a rule applies to. Fields that are not set match everything; `*` stands for any text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The signing name: `ec2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The operation: `Create*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The client's access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// Only mutating calls, or only read-only calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutating: Option<bool>,
    /// Only the n-th matching call, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Only every n-th matching call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// The maximum number of hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Match {
    /// All calls.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of an operation; service and operation may contain `*`.
    #[must_use]
    pub fn action(service: &str, action: &str) -> Self {
        Self { service: Some(service.to_owned()), action: Some(action.to_owned()), ..Self::default() }
    }

    /// Only in this region.
    #[must_use]
    pub fn region(self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self }
    }

    /// Only the n-th matching call, from 1.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// Only every n-th matching call.
    #[must_use]
    pub fn every(self, every: u64) -> Self {
        Self { every: Some(every), ..self }
    }

    /// The maximum number of hits.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    fn accepts(&self, call: &Call) -> bool {
        let glob = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| matches(pattern, text));
        glob(&self.service, &call.service)
            && glob(&self.action, &call.action)
            && glob(&self.region, &call.region)
            && glob(&self.access_key, &call.access_key)
            && self.mutating.is_none_or(|mutating| mutating == call.mutating)
    }
}

/// A fault and the calls that it hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The calls.
    #[serde(rename = "match", default)]
    pub matches: Match,
    /// The fault.
    pub fault: Fault,
}

/// All failures, throttling and latency of the emulated AWS. The format of `cargo local faults set`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The rules, in order; all that match a call apply.
    pub rules: Vec<Rule>,
    /// Throttling with AWS's limits times this factor: 1 is AWS, 0.1 a tenth of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttling: Option<f64>,
    /// Latency with AWS's times times this factor: 1 is AWS, 0.016 about a second for a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<f64>,
    /// The regions that are down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outages: Vec<Outage>,
    /// Whether something is healthy, whatever the emulated AWS would say, by a pattern of its name; if several match,
    /// all must be `true`. Names are those of target groups (or ARNs), the ids and domain names of Route 53 health
    /// checks, and container images, whose tasks then pass or fail their health checks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub health: BTreeMap<String, bool>,
    /// The states of availability zones by name, such as `impaired`; the others are `available`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub zones: BTreeMap<String, String>,
    /// Patterns of the names of certificates that AWS has renewed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub renewed: BTreeSet<String>,
}

/// A region that is down: its calls are not answered, its targets are unhealthy, and so are Route 53's health checks of
/// its load balancers. Global services (IAM and Route 53) continue to respond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// The region.
    pub region: String,
    /// What happens to its calls.
    #[serde(default)]
    pub calls: Silence,
}

/// What happens to the calls of a region that is down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Silence {
    /// They have no effect and get no response; when the region is up again, their connections are reset.
    #[default]
    Hang,
    /// Their connections are reset, and they have no effect.
    Reset,
}

/// Whether a text matches a pattern in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(index, _)| index).chain([tail.len()]).any(|index| matches(rest, &tail[index..]))
        }),
    }
}

/// The active rules, with the number of matches of each.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<(Rule, Count)>,
    holds: Vec<(Match, When, HoldSender, Count)>,
}

#[derive(Debug, Default)]
struct Count {
    matched: u64,
    applied: u64,
}

impl Count {
    /// Counts a call, and returns whether the rule hits it.
    fn take(&mut self, matches: &Match, call: &Call) -> bool {
        if !matches.accepts(call) {
            return false;
        }
        self.matched += 1;
        let hit = matches.nth.is_none_or(|nth| nth == self.matched)
            && matches.every.is_none_or(|every| every > 0 && self.matched.is_multiple_of(every))
            && matches.times.is_none_or(|times| self.applied < times);
        self.applied += u64::from(hit);
        hit
    }
}

impl Engine {
    pub(crate) fn set(&self, rules: Vec<Rule>) {
        self.lock().rules = rules.into_iter().map(|rule| (rule, Count::default())).collect();
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.lock().rules.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// Whether earlier responses have to be kept for stale reads.
    pub(crate) fn has_stale(&self) -> bool {
        self.lock().rules.iter().any(|(rule, _)| matches!(rule.fault, Fault::Stale { .. }))
    }

    pub(crate) fn hold(&self, matches: Match, when: When, sender: HoldSender) {
        self.lock().holds.push((matches, when, sender, Count::default()));
    }

    /// The faults that hit a call, and the holds on it.
    pub(crate) fn take(&self, call: &Call) -> (Vec<Fault>, Vec<(When, HoldSender)>) {
        let mut state = self.lock();
        state.holds.retain(|(_, _, sender, _)| !sender.is_closed());
        let State { rules, holds } = &mut *state;
        let hit = |rule: &mut (Rule, Count)| rule.1.take(&rule.0.matches, call).then(|| rule.0.fault.clone());
        let faults = rules.iter_mut().filter_map(hit).collect();
        let holds = holds
            .iter_mut()
            .filter_map(|(matches, when, sender, count)| count.take(matches, call).then(|| (*when, sender.clone())))
            .collect();
        (faults, holds)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the holds on a call decide at this moment; false means that its connection is reset.
pub(crate) async fn held(holds: &[(When, HoldSender)], moment: When, call: &Call) -> bool {
    for (_, sender) in holds.iter().filter(|(when, _)| *when == moment) {
        let (held, verdict) = Held::new(call.clone());
        // If the receiver is gone or drops the call, the call continues.
        if sender.send(held).is_ok() && verdict.await == Ok(false) {
            return false;
        }
    }
    true
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("Create*", "CreateVpc", true),
            ("Create*", "DeleteVpc", false),
            ("*Vpc", "CreateVpc", true),
            ("C*t*c", "CreateVpc", true),
            ("CreateVpc", "CreateVpcEndpoint", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn faults_read_as_toml_and_reject_what_they_do_not_know() {
        let faults: Faults = toml::from_str(
            r#"
            throttling = 0.1

            [[rules]]
            match = { service = "ec2", action = "Create*", nth = 2 }
            fault = { kind = "reset", when = "after" }
            "#,
        )
        .unwrap();
        assert_eq!(
            faults,
            Faults {
                rules: vec![Rule {
                    matches: Match::action("ec2", "Create*").nth(2),
                    fault: Fault::Reset { when: When::After }
                }],
                throttling: Some(0.1),
                ..Faults::default()
            }
        );
        let down: Faults =
            toml::from_str("outages = [{ region = \"us-east-2\" }]\nhealth = { \"*blue*\" = false }\nzones = { us-east-1b = \"impaired\" }").unwrap();
        let outage = Outage { region: "us-east-2".to_owned(), calls: Silence::Hang };
        let health = BTreeMap::from([("*blue*".to_owned(), false)]);
        let zones = BTreeMap::from([("us-east-1b".to_owned(), "impaired".to_owned())]);
        assert_eq!(down, Faults { outages: vec![outage], health, zones, ..Faults::default() });
        assert!(toml::from_str::<Faults>("rule = []").is_err());
        let misspelt = "[[rules]]\nfault = { kind = \"delay\", second = 1 }";
        assert!(toml::from_str::<Faults>(misspelt).is_err());
    }
}
