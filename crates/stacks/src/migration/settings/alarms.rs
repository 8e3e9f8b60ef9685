//! Variables of monitoring: alarm thresholds and subscriptions (M-27).

use payinfra_stack::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::{ServiceConfig, TASKS};
use crate::settings::{self, Subscription};

/// The variables as they are written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AlarmVariables {
    /// The subscriptions to alarms.
    subscriptions: Vec<Subscription>,
    /// The period of a measurement in seconds: a multiple of 60.
    #[schemars(range(min = 60, max = 3600))]
    period_seconds: i32,
    /// The number of consecutive periods beyond the threshold after which an alarm fires.
    #[schemars(range(min = 1, max = 24))]
    periods: i32,
    /// The maximum lag of a region's readers behind its writer, in milliseconds.
    #[schemars(range(min = 1, max = MANY))]
    replica_lag_ms: i32,
    /// The maximum lag of another region's database behind the primary, in milliseconds.
    #[schemars(range(min = 1, max = MANY))]
    global_lag_ms: i32,
    /// The minimum number of running tasks in a region; by default the service's `min_tasks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = TASKS))]
    running_tasks: Option<i32>,
    /// The maximum CPU utilization of the service, in percent.
    #[schemars(range(min = 1, max = 100))]
    cpu_percent: i32,
    /// The maximum memory utilization of the service, in percent.
    #[schemars(range(min = 1, max = 100))]
    memory_percent: i32,
    /// The maximum number of 5xx responses from a load balancer or its targets in a period.
    #[schemars(range(min = 0, max = MANY))]
    errors_5xx: i32,
    /// The maximum p99 latency of responses, in milliseconds.
    #[schemars(range(min = 1, max = MANY))]
    latency_ms: i32,
    /// The maximum number of unhealthy targets.
    #[schemars(range(min = 0, max = MANY))]
    unhealthy_hosts: i32,
    /// The maximum replication latency of objects, in seconds.
    #[schemars(range(min = 1, max = MANY))]
    replication_latency_seconds: i32,
    /// The maximum number of failed object replications in a period.
    #[schemars(range(min = 0, max = MANY))]
    replication_failures: i32,
}

impl Default for AlarmVariables {
    fn default() -> Self {
        Self {
            subscriptions: Vec::new(),
            period_seconds: 60,
            periods: 3,
            replica_lag_ms: 100,
            global_lag_ms: 100,
            running_tasks: None,
            cpu_percent: 80,
            memory_percent: 80,
            errors_5xx: 5,
            latency_ms: 200,
            unhealthy_hosts: 0,
            replication_latency_seconds: 900,
            replication_failures: 0,
        }
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

/// The highest threshold, where AWS has no limit.
const MANY: i32 = 1_000_000;

impl AlarmVariables {
    /// Checks the section. The service has at most `max_tasks` tasks in a region.
    pub(super) fn check(&self, max_tasks: i32, section: &mut Section<'_>) {
        settings::alarms(&self.subscriptions, self.period_seconds, self.periods, section);
        section.number("replica_lag_ms", self.replica_lag_ms, 1..=MANY);
        section.number("global_lag_ms", self.global_lag_ms, 1..=MANY);
        if let Some(tasks) = self.running_tasks {
            section.number("running_tasks", tasks, 1..=max_tasks);
        }
        section.number("cpu_percent", self.cpu_percent, 1..=100);
        section.number("memory_percent", self.memory_percent, 1..=100);
        section.number("errors_5xx", self.errors_5xx, 0..=MANY);
        section.number("latency_ms", self.latency_ms, 1..=MANY);
        section.number("unhealthy_hosts", self.unhealthy_hosts, 0..=MANY);
        section.number("replication_latency_seconds", self.replication_latency_seconds, 1..=MANY);
        section.number("replication_failures", self.replication_failures, 0..=MANY);
    }

    /// The alarms of a workspace with this `service`.
    pub(super) fn of(self, service: &ServiceConfig) -> AlarmConfig {
        AlarmConfig {
            subscriptions: self.subscriptions,
            period_seconds: self.period_seconds,
            periods: self.periods,
            replica_lag_ms: self.replica_lag_ms,
            global_lag_ms: self.global_lag_ms,
            running_tasks: self.running_tasks.unwrap_or(service.min_tasks),
            cpu_percent: self.cpu_percent,
            memory_percent: self.memory_percent,
            errors_5xx: self.errors_5xx,
            latency_ms: self.latency_ms,
            unhealthy_hosts: self.unhealthy_hosts,
            replication_latency_seconds: self.replication_latency_seconds,
            replication_failures: self.replication_failures,
        }
    }
}
