//! Alarms of a region, and the composite alarm for whether the region can serve traffic.

use payinfra_aws::cloudwatch::{Alarm, MetricStat};
use payinfra_aws::sns::Topic;
use payinfra_components::alarms::{Alarms, Condition};
use payinfra_engine::{Graph, Node, Ref, Result};

use super::Watched;
use super::metrics::{Metrics, home_of_health};

/// Declares all alarms of a region, and returns their ARNs, the composite alarm first.
pub(super) fn region(
    graph: &mut Graph,
    part: &Watched<'_>,
    parts: &[Watched<'_>],
    alarms: &Alarms<'_>,
) -> Result<Vec<Ref<String>>> {
    let (limits, metrics) = (&part.site.settings.alarms, Metrics(part));
    let seconds = f64::from(limits.latency_ms) / 1_000.0;
    let mut serious = vec![
        (
            "running-tasks",
            "Fewer tasks run than must; look at the events of the service",
            metrics.running_tasks(),
            Condition::below(limits.running_tasks).or_missing(),
        ),
        (
            "target-5xx",
            "The service answers with 5xx; look at its log",
            metrics.target_errors(),
            Condition::above(limits.errors_5xx),
        ),
        (
            "balancer-5xx",
            "The load balancer answers with 5xx: it has no healthy target, or cannot reach it",
            metrics.balancer_errors(),
            Condition::above(limits.errors_5xx),
        ),
        ("latency", "One answer in a hundred is too late (p99)", metrics.latency(), Condition::above(seconds)),
    ];
    if let Some(primary) = part.primary(parts) {
        serious.push((
            "global-lag",
            "The database is behind that of the primary region, or gets nothing from it",
            metrics.global_lag(primary.site.region()),
            Condition::above(limits.global_lag_ms).or_missing(),
        ));
    }
    let others = vec![(
        "replica-lag",
        "A reader of the database is behind its writer",
        metrics.replica_lag(),
        Condition::above(limits.replica_lag_ms),
    )];
    let mut all = |given: Vec<(&str, &str, MetricStat, Condition)>| {
        let made = given.into_iter().map(|(name, about, metric, bad)| alarms.alarm(graph, name, about, metric, bad));
        made.collect::<Result<Vec<_>>>()
    };
    let serious = all(serious)?;
    let mut others = all(others)?;
    for (name, about, coloured, bad) in [
        (
            "cpu",
            "This colour of the service uses too much CPU; it may be at its most tasks",
            metrics.cpu(),
            Condition::above(limits.cpu_percent),
        ),
        (
            "memory",
            "This colour of the service uses too much memory",
            metrics.memory(),
            Condition::above(limits.memory_percent),
        ),
        (
            "unhealthy-hosts",
            "Targets of this colour are unhealthy",
            metrics.unhealthy_hosts(),
            Condition::above(limits.unhealthy_hosts),
        ),
    ] {
        for (colour, metric) in coloured {
            others.push(alarms.alarm(graph, &format!("{name}-{colour}"), about, metric, bad)?);
        }
    }
    others.extend(copies(graph, part, parts, alarms)?);
    // The alarm for shifting traffic.
    let about = format!("{} is not fit for traffic", part.site.region());
    let fit = alarms.any(graph, "region", &about, &serious)?;
    let all = serious.iter().chain(&others).map(|alarm| alarm.outputs.arn.clone());
    Ok(std::iter::once(fit.outputs.arn).chain(all).collect())
}

/// Object replication: the latency to this region, and the failures from this region.
fn copies(
    graph: &mut Graph,
    part: &Watched<'_>,
    parts: &[Watched<'_>],
    alarms: &Alarms<'_>,
) -> Result<Vec<Node<Alarm>>> {
    let limits = &part.site.settings.alarms;
    let mut made = Vec::new();
    for other in part.others(parts) {
        let region = other.site.region();
        for (kind, metric) in Metrics(other).copy_latency(part) {
            let (name, bad) = (format!("{kind}-copies-from-{region}"), limits.replication_latency_seconds);
            let about = "Copies of objects arrive too late";
            made.push(alarms.alarm(graph, &name, about, metric, Condition::above(bad).ignoring_missing())?);
        }
        for (kind, metric) in Metrics(part).copy_failures(other) {
            let (name, bad) = (format!("{kind}-copies-to-{region}"), limits.replication_failures);
            let about = "Objects cannot be copied; look at the role and the keys";
            made.push(alarms.alarm(graph, &name, about, metric, Condition::above(bad).ignoring_missing())?);
        }
    }
    Ok(made)
}

/// Declares the alarms of the health checks in the one region that has their metrics; an alarm can only notify a topic
/// in its own region.
pub(super) fn health(
    graph: &mut Graph,
    parts: &[Watched<'_>],
    topics: &[Node<Topic>],
    alarms: &mut [Vec<Ref<String>>],
) -> Result<()> {
    let home = home_of_health();
    let topic = topics.iter().find(|topic| topic.address.region == home);
    for (part, alarms) in parts.iter().zip(alarms) {
        let metric = Metrics(part).health();
        let made = part.alarms(topic);
        let name = format!("health-{}", part.site.region());
        let about = "The health check of the region's load balancer fails: it gets no traffic";
        let bad = Condition::below(1.0).or_missing();
        alarms.push(made.alarm_in(graph, &home, &name, about, metric, bad)?.outputs.arn);
    }
    Ok(())
}
