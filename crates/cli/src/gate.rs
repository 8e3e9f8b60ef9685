//! Gates: conditions that have to hold before an operation and between its steps.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use futures_util::future::try_join_all;
use payinfra_aws::Access;
use payinfra_aws::cloudwatch::MetricStat;
use payinfra_aws::probe::{self, Finding};
use payinfra_engine::{Class, Error, Intent, Record, Region, Result, State};
use tokio::time::{Instant, sleep, sleep_until};

use crate::events::{GateResult, Message};
use crate::screen::{self, CREATE, DIM, ERROR};

mod command;
mod metric;
mod replication;

use metric::Comparison;
pub(crate) use replication::database_lag;

/// The options of commands with gates.
#[derive(Args, Clone, Debug)]
pub(crate) struct GateOptions {
    /// Condition that has to hold before and between the steps; can be repeated. `alarm:NAME@REGION`,
    /// `health-check:ID`, `metric:NAMESPACE/NAME{DIMENSION=VALUE,…}:STATISTIC@REGION<NUMBER`, `replication:DURATION`,
    /// `targets:ARN`, `http:URL` or `command:PROGRAM ARGUMENTS`. By default, all alarms of the workspace, and the health
    /// checks of the regions with traffic
    #[arg(long, value_name = "GATE")]
    pub(crate) gate: Vec<Gate>,
    /// Check the gates at least this many times during each wait; all checks have to succeed [default: 3]
    #[arg(long, value_name = "N")]
    samples: Option<NonZeroU32>,
    /// Alarm that is not a gate, although it belongs to the workspace; can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) ignore_alarm: Vec<String>,
    /// Time limit for each gate command [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    gate_timeout: Option<Duration>,
}

impl GateOptions {
    /// The minimum number of checks during each wait.
    pub(crate) fn samples(&self) -> NonZeroU32 {
        const SAMPLES: NonZeroU32 = NonZeroU32::new(3).unwrap();
        self.samples.unwrap_or(SAMPLES)
    }

    /// The gates that were given, or else the workspace's `own`, without ignored alarms.
    ///
    /// # Errors
    /// If an alarm is ignored that is none of them, or a gate has no resources in `state`.
    pub(crate) fn watched(&self, state: &State, own: impl FnOnce() -> Vec<Gate>) -> Result<Vec<Gate>> {
        let gates = if self.gate.is_empty() { own() } else { self.gate.clone() };
        expanded(without(gates, &self.ignore_alarm)?, state)
    }

    /// The time limit for each gate command.
    pub(crate) fn timeout(&self) -> Duration {
        self.gate_timeout.unwrap_or(Duration::from_secs(30))
    }

    /// The number of checks of an operation that is resumed.
    pub(crate) fn samples_or(&self, recorded: NonZeroU32) -> NonZeroU32 {
        self.samples.unwrap_or(recorded)
    }

    /// The time limit for each gate command of an operation that is resumed, in milliseconds.
    pub(crate) fn timeout_millis_or(&self, recorded: u64) -> u64 {
        self.gate_timeout.map_or(recorded, millis)
    }
}

/// In milliseconds, for records in the state.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration on the command line, such as `90s`, `5m` or `1h 30m`.
///
/// # Errors
/// If it is not one.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as `60s`, `5m` or `1h 30m`");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

/// The time limit for an HTTP gate.
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time between two samples of a wait.
const INTERVAL: Duration = Duration::from_secs(10);
/// When to evaluate again after a call to AWS has failed for a passing reason.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Gate {
    /// A CloudWatch alarm or composite alarm does not fire.
    Alarm {
        /// Its name.
        name: String,
        /// Its region.
        region: Region,
    },
    /// A Route 53 health check is healthy.
    HealthCheck(String),
    /// The newest value of a CloudWatch metric is on the right side of a threshold.
    Metric {
        /// The metric.
        metric: MetricStat,
        /// Its region.
        region: Region,
        /// The comparison with the threshold.
        comparison: Comparison,
    },
    /// No copy of a database, table or bucket of the workspace is behind by more than this. [`expanded`] replaces it.
    Replication(Duration),
    /// The targets of the target group with this ARN are healthy.
    Targets(String),
    /// A GET request for this URL is answered with 2xx.
    Http(String),
    /// A program ends with 0: its path and arguments.
    Command(Vec<String>),
}

impl Default for Gate {
    fn default() -> Self {
        Self::Replication(replication::MOST)
    }
}

/// The result of evaluating a gate.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The gate, as on the command line.
    pub(crate) gate: String,
    /// Whether it holds.
    pub(crate) holds: bool,
    /// Why.
    pub(crate) reason: String,
}

/// The region in the ARN of a target group.
fn region_of(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':').skip(3);
    let (region, group) = (parts.next()?, parts.nth(1)?);
    (arn.starts_with("arn:") && !region.is_empty() && group.starts_with("targetgroup/")).then_some(region)
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sort, rest) = text.split_once(':').unwrap_or((text, ""));
        let rest = rest.trim();
        match sort {
            "alarm" => match rest.rsplit_once('@') {
                Some((name, region)) if !name.is_empty() && !region.is_empty() => {
                    Ok(Self::Alarm { name: name.to_owned(), region: Region::new(region) })
                }
                _ => Err("write alarm:NAME@REGION".to_owned()),
            },
            "health-check" if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
                Ok(Self::HealthCheck(rest.to_owned()))
            }
            "metric" => metric::parse(rest),
            "replication" if rest.is_empty() => Ok(Self::Replication(replication::MOST)),
            "replication" => duration(rest).map(Self::Replication),
            "targets" if region_of(rest).is_some() => Ok(Self::Targets(rest.to_owned())),
            "targets" => Err("write targets: and the ARN of a target group".to_owned()),
            "http" if ["http://", "https://"].iter().any(|scheme| rest.starts_with(scheme)) => {
                Ok(Self::Http(rest.to_owned()))
            }
            "http" => Err("write http: and a URL, such as http:https://example.com/health".to_owned()),
            "command" if !rest.is_empty() => Ok(Self::Command(rest.split_whitespace().map(str::to_owned).collect())),
            _ => Err(
                "write alarm:NAME@REGION, health-check:ID, metric:…, replication:DURATION, targets:ARN, http:URL or \
                 command:PROGRAM"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alarm { name, region } => write!(f, "alarm:{name}@{region}"),
            Self::HealthCheck(id) => write!(f, "health-check:{id}"),
            Self::Metric { metric, region, comparison } => metric::write(f, metric, region, *comparison),
            Self::Replication(most) => write!(f, "replication:{}ms", most.as_millis()),
            Self::Targets(arn) => write!(f, "targets:{arn}"),
            Self::Http(url) => write!(f, "http:{url}"),
            Self::Command(line) => write!(f, "command:{}", line.join(" ")),
        }
    }
}

/// The alarms of the workspace that its state records, without those that an interrupted run was creating or deleting, which
/// may not exist. A composite alarm stands for all others of its region.
pub(crate) fn alarms(state: &State) -> Vec<Gate> {
    const COMPOSITE: &str = "cloudwatch.composite-alarm";
    const METRIC: &str = "cloudwatch.alarm";
    let exists = |record: &Record| !matches!(record.intent, Some(Intent::Create | Intent::Delete));
    let all = || state.resources.iter().filter(move |(_, record)| exists(record));
    let of = |kind: &'static str| all().filter(move |(address, _)| &*address.kind == kind);
    let has_composite = |region: &Region| of(COMPOSITE).any(|(address, _)| address.region == *region);
    let chosen = of(COMPOSITE).chain(of(METRIC).filter(|(address, _)| !has_composite(&address.region)));
    let gates = chosen.filter_map(|(address, record)| {
        // The id of an alarm is its name.
        Some(Gate::Alarm { name: record.id.clone()?, region: address.region.clone() })
    });
    gates.collect()
}

/// `gates` without the alarms that are ignored.
///
/// # Errors
/// If an ignored alarm is not among them.
fn without(mut gates: Vec<Gate>, ignored: &[String]) -> Result<Vec<Gate>> {
    for name in ignored {
        let is_it = |gate: &Gate| matches!(gate, Gate::Alarm { name: other, .. } if other == name);
        if !gates.iter().any(is_it) {
            let known: Vec<_> = gates.iter().map(ToString::to_string).collect();
            return Err(Error::invalid(format!("no gate watches the alarm `{name}`"))
                .hint(format!("the gates are {}", known.join(", "))));
        }
        gates.retain(|gate| !is_it(gate));
    }
    Ok(gates)
}

/// Prints the results, one line per gate.
pub(crate) fn list(verdicts: &[Verdict]) {
    for Verdict { gate, holds, reason } in verdicts {
        let (style, symbol) = if *holds { (CREATE, "✓") } else { (ERROR, "✗") };
        screen::line(&format!("  {style}{symbol}{style:#} {gate} {DIM}{reason}{DIM:#}"));
    }
}

/// The gates that do not hold, and why.
pub(crate) fn reasons(verdicts: &[Verdict]) -> String {
    let failed = verdicts.iter().filter(|verdict| !verdict.holds);
    let each = failed.map(|Verdict { gate, reason, .. }| format!("the gate {gate} does not hold: {reason}"));
    each.collect::<Vec<_>>().join("; ")
}

/// The event with the results.
pub(crate) fn results(verdicts: &[Verdict]) -> Message {
    let result = |it: &Verdict| GateResult { gate: it.gate.clone(), holds: it.holds, reason: it.reason.clone() };
    Message::Gates { gates: verdicts.iter().map(result).collect() }
}

/// `gates` with one gate per copy in place of [`Gate::Replication`].
///
/// # Errors
/// If there is such a gate, but `state` has no copies.
pub(crate) fn expanded(gates: Vec<Gate>, state: &State) -> Result<Vec<Gate>> {
    let mut expanded = Vec::new();
    for gate in gates {
        let Gate::Replication(most) = &gate else {
            expanded.push(gate);
            continue;
        };
        let copies = replication::of(state, *most);
        if copies.is_empty() {
            return Err(Error::invalid(format!("the gate {gate} has nothing to watch")).hint(
                "the workspace has no global database, no table with replicas, and no bucket with replication metrics",
            ));
        }
        expanded.extend(copies);
    }
    Ok(expanded)
}

/// Several gates, and what is needed to evaluate them.
#[derive(Debug)]
pub(crate) struct Gates {
    access: Access,
    all: Vec<Gate>,
    timeout: Duration,
}

impl Gates {
    /// `gates` that are evaluated through `access`, with a time limit for commands.
    pub(crate) fn new(access: &Access, gates: Vec<Gate>, timeout: Duration) -> Self {
        Self { access: access.clone(), all: gates, timeout }
    }

    /// The gates, as on the command line.
    pub(crate) fn describe(&self) -> Vec<String> {
        self.all.iter().map(ToString::to_string).collect()
    }

    /// Evaluates all gates once, concurrently.
    ///
    /// # Errors
    /// If one cannot be evaluated: its alarm does not exist, or the credentials may not read it.
    pub(crate) async fn evaluate(&self) -> Result<Vec<Verdict>> {
        let mut pauses = AGAIN.into_iter();
        loop {
            let error = match self.once().await {
                Ok(verdicts) => return Ok(verdicts),
                Err(error) => error,
            };
            let passing = [Class::Ambiguous, Class::Throttled, Class::Eventual, Class::Expired, Class::Conflict];
            match pauses.next() {
                Some(pause) if passing.contains(&error.class()) => sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    /// Evaluates the gates for as long as `wait`, at least `samples` times, the last time at its end. Returns early with
    /// the gates that do not hold; an empty list means that all of them held all the time. A gate that can no longer be
    /// evaluated does not hold. `told` gets the result of every sample.
    pub(crate) async fn watch(
        &self,
        wait: Duration,
        samples: NonZeroU32,
        mut told: impl FnMut(&[Verdict]),
    ) -> Vec<Verdict> {
        let often = u32::try_from(wait.as_millis().div_ceil(INTERVAL.as_millis())).unwrap_or(u32::MAX);
        let samples = samples.get().max(often);
        let begun = Instant::now();
        for sample in 1..=samples {
            sleep_until(begun + wait.mul_f64(f64::from(sample) / f64::from(samples))).await;
            let verdicts = self.evaluate().await.unwrap_or_else(|error| {
                let reason = format!("the gates can no longer be evaluated: {error}");
                vec![Verdict { gate: self.describe().join(", "), holds: false, reason }]
            });
            told(&verdicts);
            let failed: Vec<_> = verdicts.into_iter().filter(|verdict| !verdict.holds).collect();
            if !failed.is_empty() {
                return failed;
            }
        }
        Vec::new()
    }

    async fn once(&self) -> Result<Vec<Verdict>> {
        let alarms = &self.alarms().await?;
        let verdicts = self.all.iter().map(|gate| async move {
            let finding = match gate {
                Gate::Alarm { name, region } => {
                    let found = alarms.get(&(region, name.clone())).cloned();
                    found.ok_or_else(|| Error::failed(format!("the state of the alarm {name} was not returned")))?
                }
                other => self.probe(other).await.map_err(|error| error.at(other))?,
            };
            Ok(Verdict { gate: gate.to_string(), holds: finding.good, reason: finding.reason })
        });
        try_join_all(verdicts).await
    }

    /// The states of all alarms, with one call per region.
    async fn alarms(&self) -> Result<BTreeMap<(&Region, String), Finding>> {
        let mut names = BTreeMap::<&Region, Vec<String>>::new();
        for gate in &self.all {
            if let Gate::Alarm { name, region } = gate {
                names.entry(region).or_default().push(name.clone());
            }
        }
        let found = names.into_iter().map(|(region, names)| async move {
            let found = probe::alarms(&self.access.cx(region), &names).await?;
            Ok::<_, Error>(found.into_iter().map(move |(name, finding)| ((region, name), finding)))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn probe(&self, gate: &Gate) -> Result<Finding> {
        match gate {
            Gate::Alarm { .. } | Gate::Replication(_) => {
                Err(Error::failed("alarms are read together, and replication per copy"))
            }
            Gate::HealthCheck(id) => probe::health_check(&self.access.cx(&Region::global()), id).await,
            Gate::Metric { metric, region, comparison } => {
                Ok(comparison.judge(probe::metric(&self.access.cx(region), metric).await?))
            }
            Gate::Targets(arn) => {
                let region = Region::new(region_of(arn).unwrap_or_default());
                Ok(probe::targets(&self.access.cx(&region), arn).await?.finding())
            }
            Gate::Http(url) => Ok(probe::http(url, HTTP_TIMEOUT).await),
            Gate::Command(line) => command::run(line, self.timeout).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_written_as_it_is_read() {
        for text in [
            "alarm:payments-5xx@us-east-1",
            "alarm:an @ in the name@eu-west-1",
            "health-check:0a1b2c3d",
            "metric:AWS/ApplicationELB/TargetResponseTime{LoadBalancer=app/api/1}:p99@us-east-1<0.2",
            "metric:Own/Queue@us-east-2<=10",
            "targets:arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/green/50dc6c495c0c9188",
            "http:https://example.com/health?deep=1",
            "command:./check.sh --quick",
        ] {
            let gate: Result<Gate, String> = text.parse();
            assert_eq!(gate.map(|gate| gate.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_a_gate_says_what_to_write() {
        for (text, told) in [
            ("alarm:payments", "alarm:NAME@REGION"),
            ("alarm:@us-east-1", "alarm:NAME@REGION"),
            ("health-check:", "health-check:ID"),
            ("http:example.com", "http:https://"),
            ("targets:green", "the ARN of a target group"),
            ("command: ", "command:PROGRAM"),
            ("nonsense", "alarm:NAME@REGION"),
        ] {
            let refused = text.parse::<Gate>().err().unwrap_or_default();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for wrong in ["", "60", "-5s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_composite_alarm_stands_for_its_region_and_alarms_can_be_ignored() -> Result<()> {
        let mut state = State::new("stack", "workspace", "1");
        for (address, name) in [
            ("us-east-1/cloudwatch.alarm/cpu", "cpu-1"),
            ("us-east-1/cloudwatch.composite-alarm/unfit", "unfit-1"),
            ("us-east-2/cloudwatch.alarm/cpu", "cpu-2"),
            ("us-east-2/cloudwatch.alarm/new", ""),
        ] {
            let id = Some(name.to_owned()).filter(|name| !name.is_empty());
            state.resources.insert(address.parse()?, Record { id, ..Record::default() });
        }
        let shown = |gates: &[Gate]| gates.iter().map(ToString::to_string).collect::<Vec<_>>();
        let gates = alarms(&state);
        assert_eq!(shown(&gates), ["alarm:unfit-1@us-east-1", "alarm:cpu-2@us-east-2"]);
        let mut interrupted = state.clone();
        for record in interrupted.resources.values_mut().take(2) {
            record.intent = Some(Intent::Delete);
        }
        assert_eq!(shown(&alarms(&interrupted)), ["alarm:cpu-2@us-east-2"], "deleted alarms watch nothing");
        assert_eq!(shown(&without(gates.clone(), &["cpu-2".to_owned()])?), ["alarm:unfit-1@us-east-1"]);
        assert!(without(gates, &["cpu-1".to_owned()]).is_err_and(|error| error.message().contains("`cpu-1`")));
        Ok(())
    }
}
