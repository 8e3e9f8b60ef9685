//! Alarms of a region, and the composite alarm for whether the region can serve traffic.

use std::collections::BTreeSet;

use payinfra_aws::cloudwatch::{Alarm, CompositeAlarm, MetricStat, Missing, Watch};
use payinfra_aws::sns::Topic;
use payinfra_engine::{Graph, Node, Ref, Region, Result, Text};

use super::Watched;
use super::metrics::{Metrics, home_of_health};
use crate::migration::Site;

/// Creates alarms that notify `topic`.
pub(super) struct Alarms<'a> {
    pub(super) site: Site<'a>,
    pub(super) topic: Option<&'a Node<Topic>>,
}

/// The condition of an alarm.
struct Bad {
    comparison: &'static str,
    threshold: f64,
    missing: Missing,
}

impl Bad {
    fn above(threshold: impl Into<f64>) -> Self {
        Self { comparison: "GreaterThanThreshold", threshold: threshold.into(), missing: Missing::NotBreaching }
    }

    fn below(threshold: impl Into<f64>) -> Self {
        Self { comparison: "LessThanThreshold", ..Self::above(threshold) }
    }

    /// Missing data counts as bad, because the source may be down.
    fn or_silent(self) -> Self {
        Self { missing: Missing::Breaching, ..self }
    }

    /// Missing data is ignored; S3 publishes only while it replicates.
    fn or_idle(self) -> Self {
        Self { missing: Missing::Ignore, ..self }
    }
}

impl Alarms<'_> {
    /// Declares all alarms of a region, and returns their ARNs, the composite alarm first.
    pub(super) fn region(
        &self,
        graph: &mut Graph,
        part: &Watched<'_>,
        parts: &[Watched<'_>],
    ) -> Result<Vec<Ref<String>>> {
        let (limits, metrics) = (&self.site.settings.alarms, Metrics(part));
        let seconds = f64::from(limits.latency_ms) / 1_000.0;
        let mut serious = vec![
            (
                "running-tasks",
                "Fewer tasks run than must; look at the events of the service",
                metrics.running_tasks(),
                Bad::below(limits.running_tasks).or_silent(),
            ),
            (
                "target-5xx",
                "The service answers with 5xx; look at its log",
                metrics.target_errors(),
                Bad::above(limits.errors_5xx),
            ),
            (
                "balancer-5xx",
                "The load balancer answers with 5xx: it has no healthy target, or cannot reach it",
                metrics.balancer_errors(),
                Bad::above(limits.errors_5xx),
            ),
            ("latency", "One answer in a hundred is too late (p99)", metrics.latency(), Bad::above(seconds)),
        ];
        if !self.site.config.is_primary() {
            serious.push((
                "global-lag",
                "The database is behind that of the primary region, or gets nothing from it",
                metrics.global_lag(),
                Bad::above(limits.global_lag_ms).or_silent(),
            ));
        }
        let others = vec![
            (
                "replica-lag",
                "A reader of the database is behind its writer",
                metrics.replica_lag(),
                Bad::above(limits.replica_lag_ms),
            ),
            (
                "cpu",
                "The service uses too much CPU; it may be at its most tasks",
                metrics.cpu(),
                Bad::above(limits.cpu_percent),
            ),
            ("memory", "The service uses too much memory", metrics.memory(), Bad::above(limits.memory_percent)),
        ];
        let mut all = |given: Vec<(&str, &str, MetricStat, Bad)>| {
            let made = given.into_iter().map(|(name, about, metric, bad)| self.alarm(graph, name, about, metric, &bad));
            made.collect::<Result<Vec<_>>>()
        };
        let serious = all(serious)?;
        let mut others = all(others)?;
        for (colour, metric) in metrics.unhealthy_hosts() {
            let name = format!("unhealthy-hosts-{colour}");
            let bad = Bad::above(limits.unhealthy_hosts);
            others.push(self.alarm(graph, &name, "Targets of this colour are unhealthy", metric, &bad)?);
        }
        others.extend(self.copies(graph, part, parts)?);
        let fit = self.fit(graph, &serious)?;
        let all = serious.iter().chain(&others).map(|alarm| alarm.outputs.arn.clone());
        Ok(std::iter::once(fit.outputs.arn).chain(all).collect())
    }

    /// Object replication: the latency to this region, and the failures from this region.
    fn copies(&self, graph: &mut Graph, part: &Watched<'_>, parts: &[Watched<'_>]) -> Result<Vec<Node<Alarm>>> {
        let limits = &self.site.settings.alarms;
        let mut made = Vec::new();
        for other in part.others(parts) {
            let region = other.site.region();
            for (kind, metric) in Metrics(other).copy_latency(part) {
                let (name, bad) = (format!("{kind}-copies-from-{region}"), limits.replication_latency_seconds);
                let about = "Copies of objects arrive too late";
                made.push(self.alarm(graph, &name, about, metric, &Bad::above(bad).or_idle())?);
            }
            for (kind, metric) in Metrics(part).copy_failures(other) {
                let (name, bad) = (format!("{kind}-copies-to-{region}"), limits.replication_failures);
                let about = "Objects cannot be copied; look at the role and the keys";
                made.push(self.alarm(graph, &name, about, metric, &Bad::above(bad).or_idle())?);
            }
        }
        Ok(made)
    }

    /// The alarm for shifting traffic: it fires when one of `serious` does.
    fn fit(&self, graph: &mut Graph, serious: &[Node<Alarm>]) -> Result<Node<CompositeAlarm>> {
        let mut rule = Text::default();
        for (index, alarm) in serious.iter().enumerate() {
            let or = if index == 0 { "" } else { " OR " };
            rule = rule.and(or).and("ALARM(\"").and(&alarm.id).and("\")");
        }
        let name = self.site.names.name("alarm-region");
        self.site.output(graph, "region_alarm_name", &*name);
        let alarm = CompositeAlarm {
            name,
            description: format!("{} is not fit for traffic", self.site.region()),
            rule,
            alarm_actions: self.told(),
            ok_actions: self.told(),
            tags: self.site.named("alarm-region"),
        };
        graph.add(self.site.region(), "region", alarm)
    }

    fn told(&self) -> BTreeSet<Ref<String>> {
        self.topic.iter().map(|topic| topic.outputs.arn.clone()).collect()
    }

    fn alarm(
        &self,
        graph: &mut Graph,
        name: &str,
        description: &str,
        metric: MetricStat,
        bad: &Bad,
    ) -> Result<Node<Alarm>> {
        self.alarm_in(graph, self.site.region(), name, description, metric, bad)
    }

    fn alarm_in(
        &self,
        graph: &mut Graph,
        region: &Region,
        name: &str,
        description: &str,
        metric: MetricStat,
        bad: &Bad,
    ) -> Result<Node<Alarm>> {
        let periods = self.site.settings.alarms.periods;
        let alarm = Alarm {
            name: self.site.names.name(&format!("alarm-{name}")),
            description: description.to_owned(),
            watch: Watch::Metric(metric),
            comparison: bad.comparison.to_owned(),
            threshold: bad.threshold,
            periods,
            datapoints: periods,
            missing: bad.missing,
            alarm_actions: self.told(),
            ok_actions: self.told(),
            tags: self.site.named(&format!("alarm-{name}")),
        };
        graph.add(region, name, alarm)
    }
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
        let made = Alarms { site: part.site, topic };
        let name = format!("health-{}", part.site.region());
        let about = "The health check of the region's load balancer fails: it gets no traffic";
        let bad = Bad::below(1.0).or_silent();
        alarms.push(made.alarm_in(graph, &home, &name, about, metric, &bad)?.outputs.arn);
    }
    Ok(())
}
