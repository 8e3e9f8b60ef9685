//! Alarms that notify a topic.

use std::collections::BTreeSet;

use payinfra_aws::cloudwatch::{Alarm, CompositeAlarm, MetricStat, Missing, Watch};
use payinfra_aws::sns::Topic;
use payinfra_engine::{Graph, Node, Ref, Region, Result, Text};
use payinfra_stack::Site;

/// What the alarms of a site have in common.
#[derive(Clone, Copy, Debug)]
pub struct Alarms<'a> {
    /// The site, which names them.
    pub site: Site<'a>,
    /// The topic that they notify. An alarm can only notify a topic in its own region.
    pub topic: Option<&'a Node<Topic>>,
    /// The number of consecutive periods beyond the threshold after which they fire.
    pub periods: i32,
}

/// The condition of an alarm.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    comparison: &'static str,
    threshold: f64,
    missing: Missing,
}

impl Condition {
    /// Above `threshold`; missing data is fine.
    pub fn above(threshold: impl Into<f64>) -> Self {
        Self { comparison: "GreaterThanThreshold", threshold: threshold.into(), missing: Missing::NotBreaching }
    }

    /// Below `threshold`; missing data is fine.
    pub fn below(threshold: impl Into<f64>) -> Self {
        Self { comparison: "LessThanThreshold", ..Self::above(threshold) }
    }

    /// Missing data also fulfils the condition, because the source may be down.
    #[must_use]
    pub fn or_missing(self) -> Self {
        Self { missing: Missing::Breaching, ..self }
    }

    /// Missing data does not change the alarm's state, for sources that publish only while they work, such as S3
    /// replication.
    #[must_use]
    pub fn ignoring_missing(self) -> Self {
        Self { missing: Missing::Ignore, ..self }
    }
}

impl Alarms<'_> {
    /// Declares an alarm in the site's region.
    ///
    /// # Errors
    /// If the region has an alarm of that name already.
    pub fn alarm(
        &self,
        graph: &mut Graph,
        name: &str,
        description: &str,
        metric: MetricStat,
        condition: Condition,
    ) -> Result<Node<Alarm>> {
        self.alarm_in(graph, self.site.region(), name, description, metric, condition)
    }

    /// Declares an alarm in `region`, for metrics that only one region has.
    ///
    /// # Errors
    /// If the region has an alarm of that name already.
    pub fn alarm_in(
        &self,
        graph: &mut Graph,
        region: &Region,
        name: &str,
        description: &str,
        metric: MetricStat,
        condition: Condition,
    ) -> Result<Node<Alarm>> {
        let alarm = Alarm {
            name: self.site.names.name(&format!("alarm-{name}")),
            description: description.to_owned(),
            watch: Watch::Metric(metric),
            comparison: condition.comparison.to_owned(),
            threshold: condition.threshold,
            periods: self.periods,
            datapoints: self.periods,
            missing: condition.missing,
            alarm_actions: self.notified(),
            ok_actions: self.notified(),
            tags: self.site.named(&format!("alarm-{name}")),
        };
        graph.add(region, name, alarm)
    }

    /// Declares a composite alarm that fires when one of `alarms` does.
    ///
    /// # Errors
    /// If the region has a composite alarm of that name already.
    pub fn any(
        &self,
        graph: &mut Graph,
        name: &str,
        description: &str,
        alarms: &[Node<Alarm>],
    ) -> Result<Node<CompositeAlarm>> {
        let mut rule = Text::default();
        for (index, alarm) in alarms.iter().enumerate() {
            let or = if index == 0 { "" } else { " OR " };
            rule = rule.and(or).and("ALARM(\"").and(&alarm.id).and("\")");
        }
        let full_name = self.site.names.name(&format!("alarm-{name}"));
        self.site.output(graph, &format!("{}_alarm_name", name.replace('-', "_")), &*full_name);
        let alarm = CompositeAlarm {
            name: full_name,
            description: description.to_owned(),
            rule,
            alarm_actions: self.notified(),
            ok_actions: self.notified(),
            tags: self.site.named(&format!("alarm-{name}")),
        };
        graph.add(self.site.region(), name, alarm)
    }

    fn notified(&self) -> BTreeSet<Ref<String>> {
        self.topic.iter().map(|topic| topic.outputs.arn.clone()).collect()
    }
}
