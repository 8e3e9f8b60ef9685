//! Read-only looks at what watches a system: alarms, health checks, metrics and web endpoints.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::types::{AlarmType, MetricDataQuery, ScanBy, StateValue};
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use aws_sdk_route53::types::HealthCheckObservation;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use payinfra_engine::{Class, Error, Result};

use crate::cloudwatch::MetricStat;
use crate::error::Unless;
use crate::limit::connector;
use crate::{Cx, Explain, Need};

/// What was found, and whether it is as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it should be.
    pub good: bool,
    /// What was found, as a part of a sentence.
    pub reason: String,
}

impl Finding {
    /// It is as it should be.
    #[must_use]
    pub fn good(reason: impl Into<String>) -> Self {
        Self { good: true, reason: reason.into() }
    }

    /// It is not as it should be.
    #[must_use]
    pub fn bad(reason: impl Into<String>) -> Self {
        Self { good: false, reason: reason.into() }
    }
}

/// The maximum number of alarms per call.
const ALARMS: usize = 100;
/// Route 53 considers an endpoint healthy if more than this percentage of its checkers do.
const HEALTHY: usize = 18;
/// How far back the data points of a metric are read, in seconds: they arrive with a delay of one to two minutes.
const WINDOW: i64 = 300;

/// The states of the alarms and composite alarms `names`, by name. One without data is good: it has nothing to report.
///
/// # Errors
/// If one does not exist, with the names of all that do not.
pub async fn alarms(cx: &Cx, names: &[String]) -> Result<HashMap<String, Finding>> {
    let mut found = HashMap::new();
    for names in names.chunks(ALARMS) {
        let call = cx.cloudwatch().describe_alarms().set_alarm_names(Some(names.to_vec()));
        let call = call.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
        let answer = call.max_records(100).send().await.explain()?;
        let metric = answer.metric_alarms.unwrap_or_default().into_iter();
        let metric = metric.map(|alarm| (alarm.alarm_name, alarm.state_value, alarm.state_reason));
        let composite = answer.composite_alarms.unwrap_or_default().into_iter();
        let composite = composite.map(|alarm| (alarm.alarm_name, alarm.state_value, alarm.state_reason));
        let states = metric.chain(composite).filter_map(|(name, state, reason)| Some((name?, told(state?, reason))));
        found.extend(states);
    }
    let missing: Vec<_> =
        names.iter().filter(|name| !found.contains_key(*name)).map(|name| format!("`{name}`")).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    Err(Error::invalid(format!("there is no alarm {} in {}", missing.join(", "), cx.region()))
        .hint("check the name and the region, or apply the configuration that declares it"))
}

fn told(state: StateValue, reason: Option<String>) -> Finding {
    let reason = reason.filter(|reason| !reason.is_empty()).map_or_else(String::new, |reason| format!(": {reason}"));
    match state {
        StateValue::Ok => Finding::good("OK"),
        StateValue::InsufficientData => Finding::good("has no data, which counts as OK"),
        other => Finding::bad(format!("{other}{reason}")),
    }
}

/// Asks Route 53 for anything, to see whether it responds.
///
/// # Errors
/// If it does not, or the credentials are rejected.
pub async fn route53(cx: &Cx) -> Result<()> {
    cx.route53().get_hosted_zone_count().send().await.explain().map(drop)
}

/// Whether Route 53 considers the endpoint of the health check `id` healthy. Without results yet, it does.
///
/// # Errors
/// If there is no such health check, or it does not check an endpoint.
pub async fn health_check(cx: &Cx, id: &str) -> Result<Finding> {
    let call = cx.route53().get_health_check_status().health_check_id(id);
    let found = call.send().await.explain().unless(Class::NotFound)?;
    let found = found.ok_or_else(|| {
        Error::invalid(format!("there is no health check {id}"))
            .hint("list the health checks with `payinfra state list`")
    })?;
    Ok(health(&found.health_check_observations))
}

fn health(observations: &[HealthCheckObservation]) -> Finding {
    let statuses = observations.iter().filter_map(|it| it.status_report.as_ref()?.status.as_deref());
    let (healthy, unhealthy): (Vec<_>, Vec<_>) = statuses.partition(|status| status.starts_with("Success"));
    let all = healthy.len() + unhealthy.len();
    match unhealthy.first() {
        _ if all == 0 => Finding::good("has no results yet, which counts as healthy"),
        Some(status) if healthy.len() * 100 <= HEALTHY * all => {
            Finding::bad(format!("unhealthy for {} of {all} checkers: {status}", unhealthy.len()))
        }
        _ => Finding::good(format!("healthy for {} of {all} checkers", healthy.len())),
    }
}

/// The targets of a target group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// How many receive requests.
    pub healthy: usize,
    /// How many fail their health checks.
    pub unhealthy: usize,
    /// How many are neither, because their first health checks have not ended.
    pub initial: usize,
    /// Why one does not receive requests, if AWS says so.
    pub reason: Option<String>,
}

impl Targets {
    /// Whether there are healthy targets, and no unhealthy ones.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let Self { healthy, unhealthy, .. } = self;
        let reason = self.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        match (healthy, unhealthy) {
            (0, _) => Finding::bad(format!("no target is healthy{reason}")),
            (_, 0) => Finding::good(format!("{healthy} healthy")),
            _ => Finding::bad(format!("{unhealthy} of {} targets unhealthy{reason}", healthy + unhealthy)),
        }
    }
}

/// The targets of the target group `arn`, without those that are leaving it.
///
/// # Errors
/// If there is no such group.
pub async fn targets(cx: &Cx, arn: &str) -> Result<Targets> {
    let answer = cx.elbv2().describe_target_health().target_group_arn(arn).send().await.explain()?;
    let mut targets = Targets::default();
    for health in answer.target_health_descriptions.unwrap_or_default().into_iter().filter_map(|it| it.target_health) {
        match health.state {
            Some(TargetHealthStateEnum::Healthy) => {
                targets.healthy += 1;
                continue;
            }
            Some(TargetHealthStateEnum::Draining | TargetHealthStateEnum::UnhealthyDraining) => continue,
            Some(TargetHealthStateEnum::Initial) => targets.initial += 1,
            _ => targets.unhealthy += 1,
        }
        let code = health.reason.map(|reason| reason.as_str().to_owned());
        targets.reason = targets.reason.or(health.description).or(code);
    }
    Ok(targets)
}

/// An ECS service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tasks {
    /// The desired number of tasks.
    pub desired: i32,
    /// The newest event of the service that is about a failure.
    pub failure: Option<String>,
}

/// The tasks of the ECS service `arn`.
///
/// # Errors
/// If there is no such service.
pub async fn tasks(cx: &Cx, arn: &str) -> Result<Tasks> {
    // The cluster is in the ARN: `…:service/CLUSTER/SERVICE`.
    let cluster = arn.split('/').nth(1).unwrap_or_default();
    let answer = cx.ecs().describe_services().cluster(cluster).services(arn).send().await.explain()?;
    let service = answer.services.unwrap_or_default().into_iter().next().need("Service")?;
    // The newest is first.
    let messages = service.events.unwrap_or_default().into_iter().filter_map(|event| event.message);
    let failure =
        messages.into_iter().find(|text| ["failed", "unable", "unhealthy"].iter().any(|sign| text.contains(sign)));
    Ok(Tasks { desired: service.desired_count, failure })
}

/// The newest value of a metric; `None` if it has no data in the last five minutes. A period that has not ended counts only
/// if there is no other, because its sum is still growing.
///
/// # Errors
/// If the metric is invalid.
pub async fn metric(cx: &Cx, metric: &MetricStat) -> Result<Option<f64>> {
    let now = DateTime::from(SystemTime::now());
    let period = i64::from(metric.period);
    let query = MetricDataQuery::builder().id("m").metric_stat(metric.sdk()?).return_data(true).build();
    let call = cx.cloudwatch().get_metric_data().metric_data_queries(query).scan_by(ScanBy::TimestampDescending);
    let call =
        call.start_time(DateTime::from_secs(now.secs() - WINDOW)).end_time(DateTime::from_secs(now.secs() + period));
    let answer = call.send().await.explain()?;
    let result = answer.metric_data_results.unwrap_or_default().into_iter().next();
    let (times, values) = result.map(|result| (result.timestamps, result.values)).unwrap_or_default();
    let values: Vec<_> = times.unwrap_or_default().into_iter().zip(values.unwrap_or_default()).collect();
    let ended = values.iter().find(|(begun, _)| begun.secs() + period <= now.secs());
    Ok(ended.or(values.first()).map(|(_, value)| *value))
}

/// Whether a GET request for `url` is answered with a status 2xx within `patience`.
pub async fn http(url: &str, patience: Duration) -> Finding {
    let mut request = HttpRequest::new(SdkBody::empty());
    if let Err(error) = request.set_uri(url) {
        return Finding::bad(format!("{url} is not a URL: {error}"));
    }
    request.headers_mut().insert("user-agent", "payinfra");
    match tokio::time::timeout(patience, connector(None, None).call(request)).await {
        Err(_) => Finding::bad(format!("no response within {} s", patience.as_secs_f64())),
        Ok(Err(error)) => Finding::bad(format!("no response: {}", innermost(&error))),
        Ok(Ok(answer)) if answer.status().is_success() => Finding::good(format!("HTTP {}", answer.status().as_u16())),
        Ok(Ok(answer)) => Finding::bad(format!("HTTP {}", answer.status().as_u16())),
    }
}

/// The innermost cause, which has the reason.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::StatusReport;

    use super::*;

    fn observed(healthy: usize, unhealthy: usize) -> Finding {
        let of = |status: &str| {
            let report = StatusReport::builder().status(status).build();
            HealthCheckObservation::builder().status_report(report).build()
        };
        let all = std::iter::repeat_n(of("Success: HTTP Status Code 200, OK"), healthy);
        health(&all.chain(std::iter::repeat_n(of("Failure: connection timed out"), unhealthy)).collect::<Vec<_>>())
    }

    #[test]
    fn an_endpoint_is_healthy_if_more_than_18_percent_of_the_checkers_say_so() {
        assert!(observed(16, 0).good && observed(4, 12).good && observed(0, 0).good);
        let bad = observed(2, 14);
        assert_eq!(bad, Finding::bad("unhealthy for 14 of 16 checkers: Failure: connection timed out"));
    }

    #[test]
    fn an_alarm_without_data_is_not_firing() {
        let reason = || Some("Threshold Crossed".to_owned());
        assert!(told(StateValue::Ok, reason()).good);
        assert_eq!(told(StateValue::InsufficientData, None), Finding::good("has no data, which counts as OK"));
        assert_eq!(told(StateValue::Alarm, reason()), Finding::bad("ALARM: Threshold Crossed"));
    }
}
