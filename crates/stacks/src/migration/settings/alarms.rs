//! Variables of monitoring: alarm thresholds and subscriptions (M-27).

use std::fmt;

use payinfra_stack::{Problem, Spanned, number};
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// The variables as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlarmVariables {
    /// The subscriptions to alarms; by default none.
    #[schemars(with = "Option<Vec<Subscription>>")]
    subscriptions: Option<Vec<Spanned<Subscription>>>,
    /// The period of a measurement in seconds: a multiple of 60; by default 60.
    #[schemars(with = "Option<i32>", range(min = 60, max = 3600))]
    period_seconds: Option<Spanned<i32>>,
    /// The number of consecutive periods beyond the threshold after which an alarm fires; by default 3.
    #[schemars(with = "Option<i32>", range(min = 1, max = 24))]
    periods: Option<Spanned<i32>>,
    /// The maximum lag of a region's readers behind its writer, in milliseconds; by default 100.
    #[schemars(with = "Option<i32>", range(min = 1))]
    replica_lag_ms: Option<Spanned<i32>>,
    /// The maximum lag of another region's database behind the primary, in milliseconds; by default 100.
    #[schemars(with = "Option<i32>", range(min = 1))]
    global_lag_ms: Option<Spanned<i32>>,
    /// The minimum number of running tasks in a region; by default the service's `min_tasks`.
    #[schemars(with = "Option<i32>", range(min = 1))]
    running_tasks: Option<Spanned<i32>>,
    /// The maximum CPU utilization of the service, in percent; by default 80.
    #[schemars(with = "Option<i32>", range(min = 1, max = 100))]
    cpu_percent: Option<Spanned<i32>>,
    /// The maximum memory utilization of the service, in percent; by default 80.
    #[schemars(with = "Option<i32>", range(min = 1, max = 100))]
    memory_percent: Option<Spanned<i32>>,
    /// The maximum number of 5xx responses from a load balancer or its targets in a period; by default 5.
    #[schemars(with = "Option<i32>", range(min = 0))]
    errors_5xx: Option<Spanned<i32>>,
    /// The maximum p99 latency of responses, in milliseconds; by default 200.
    #[schemars(with = "Option<i32>", range(min = 1))]
    latency_ms: Option<Spanned<i32>>,
    /// The maximum number of unhealthy targets; by default 0.
    #[schemars(with = "Option<i32>", range(min = 0))]
    unhealthy_hosts: Option<Spanned<i32>>,
    /// The maximum replication latency of objects, in seconds; by default 900.
    #[schemars(with = "Option<i32>", range(min = 1))]
    replication_latency_seconds: Option<Spanned<i32>>,
    /// The maximum number of failed object replications in a period; by default 0.
    #[schemars(with = "Option<i32>", range(min = 0))]
    replication_failures: Option<Spanned<i32>>,
}

/// A subscription to alarms.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The protocol: `email`, `email-json`, `https`, `lambda`, `sms` or `sqs`.
    pub protocol: String,
    /// The endpoint: an email address, a URL, an ARN or a phone number.
    pub endpoint: String,
}

impl Subscription {
    /// The endpoint for display. URLs are secret, because anyone who knows one can post to it.
    fn shown(&self) -> &str {
        if matches!(self.protocol.as_str(), "http" | "https") { "(secret)" } else { &self.endpoint }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("protocol", &self.protocol).field("endpoint", &self.shown()).finish()
    }
}

impl Serialize for Subscription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Subscription", 2)?;
        members.serialize_field("protocol", &self.protocol)?;
        members.serialize_field("endpoint", self.shown())?;
        members.end()
    }
}

/// The alarm thresholds and subscriptions of a workspace. An alarm fires beyond the threshold of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlarmConfig {
    /// The subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// The period of a measurement in seconds.
    pub period_seconds: i32,
    /// The number of consecutive periods beyond the threshold after which an alarm fires.
    pub periods: i32,
    /// The maximum lag of a region's readers behind its writer, in milliseconds.
    pub replica_lag_ms: i32,
    /// The maximum lag of another region's database behind the primary, in milliseconds.
    pub global_lag_ms: i32,
    /// The minimum number of running tasks in a region.
    pub running_tasks: i32,
    /// The maximum CPU utilization of the service, in percent.
    pub cpu_percent: i32,
    /// The maximum memory utilization of the service, in percent.
    pub memory_percent: i32,
    /// The maximum number of 5xx responses from a load balancer or its targets in a period.
    pub errors_5xx: i32,
    /// The maximum p99 latency of responses, in milliseconds.
    pub latency_ms: i32,
    /// The maximum number of unhealthy targets.
    pub unhealthy_hosts: i32,
    /// The maximum replication latency of objects, in seconds.
    pub replication_latency_seconds: i32,
    /// The maximum number of failed object replications in a period.
    pub replication_failures: i32,
}

const MANY: i32 = 1_000_000;

impl AlarmVariables {
    /// Fills in defaults and checks. `running_tasks` must be between the service's `min_tasks` and `max_tasks`.
    pub(super) fn check(self, min_tasks: i32, max_tasks: i32) -> Result<AlarmConfig, Problem> {
        let period_seconds = number("period_seconds", self.period_seconds.as_ref(), 60, 60..=3_600)?;
        if let Some(place) = self.period_seconds.as_ref().filter(|_| period_seconds % 60 != 0) {
            return Err(Problem::new(
                format!("CloudWatch does not support a period of {period_seconds} seconds"),
                place.span(),
            )
            .hint("use a multiple of 60"));
        }
        let subscriptions = self.subscriptions.unwrap_or_default().into_iter().map(subscription);
        Ok(AlarmConfig {
            subscriptions: subscriptions.collect::<Result<_, _>>()?,
            period_seconds,
            periods: number("periods", self.periods.as_ref(), 3, 1..=24)?,
            replica_lag_ms: number("replica_lag_ms", self.replica_lag_ms.as_ref(), 100, 1..=MANY)?,
            global_lag_ms: number("global_lag_ms", self.global_lag_ms.as_ref(), 100, 1..=MANY)?,
            running_tasks: number("running_tasks", self.running_tasks.as_ref(), min_tasks, 1..=max_tasks)?,
            cpu_percent: number("cpu_percent", self.cpu_percent.as_ref(), 80, 1..=100)?,
            memory_percent: number("memory_percent", self.memory_percent.as_ref(), 80, 1..=100)?,
            errors_5xx: number("errors_5xx", self.errors_5xx.as_ref(), 5, 0..=MANY)?,
            latency_ms: number("latency_ms", self.latency_ms.as_ref(), 200, 1..=MANY)?,
            unhealthy_hosts: number("unhealthy_hosts", self.unhealthy_hosts.as_ref(), 0, 0..=MANY)?,
            replication_latency_seconds: number(
                "replication_latency_seconds",
                self.replication_latency_seconds.as_ref(),
                900,
                1..=MANY,
            )?,
            replication_failures: number("replication_failures", self.replication_failures.as_ref(), 0, 0..=MANY)?,
        })
    }
}

fn subscription(given: Spanned<Subscription>) -> Result<Subscription, Problem> {
    let Subscription { protocol, endpoint } = given.get_ref();
    let (good, example) = match protocol.as_str() {
        "email" | "email-json" => {
            (endpoint.split_once('@').is_some_and(|(_, host)| host.contains('.')), "a@example.com")
        }
        "https" => (endpoint.starts_with("https://"), "https://example.com/alarms"),
        "lambda" => (endpoint.starts_with("arn:aws:lambda:"), "arn:aws:lambda:us-east-1:123456789012:function:alarms"),
        "sms" => (is_number(endpoint), "+15550100"),
        "sqs" => (endpoint.starts_with("arn:aws:sqs:"), "arn:aws:sqs:us-east-1:123456789012:alarms"),
        _ => {
            return Err(Problem::new(format!("unsupported protocol `{protocol}` for alarms"), given.span())
                .hint("use email, email-json, https, lambda, sms or sqs"));
        }
    };
    if !good {
        return Err(Problem::new(
            format!("`{}` is not a valid endpoint for {protocol}", given.get_ref().shown()),
            given.span(),
        )
        .hint(format!("write an endpoint such as {example}")));
    }
    Ok(given.into_inner())
}

fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|it| (7..=15).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit()))
}
