//! Alarms, business metrics and dashboards (G-06).

use std::collections::BTreeMap;

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_aws::logs::MetricFilter;
use payinfra_aws::route53::HealthCheck;
use payinfra_aws::sns::Topic;
use payinfra_components::alarms::{Alarms, Condition};
use payinfra_components::dashboard::{Widget, dashboard, row};
use payinfra_components::function::Deployed;
use payinfra_components::rest_api::Api;
use payinfra_components::tables::GlobalTable;
use payinfra_components::topic;
use payinfra_engine::{Graph, Node, Region, Result, Text};
use payinfra_stack::Names;

use super::Part;
use crate::settings::Subscription;

/// Where Route 53 publishes the metrics of health checks.
const HEALTH: &str = "us-east-1";

/// What is monitored in a region.
pub(super) struct Watched<'a> {
    pub(super) part: &'a Part<'a>,
    pub(super) topic: Node<Topic>,
    pub(super) function: Deployed,
    pub(super) api: Api,
    pub(super) check: Node<HealthCheck>,
}

/// Declares the topic of a region's alarms, which also gets what the function gives up.
pub(super) fn topic(graph: &mut Graph, part: &Part<'_>) -> Result<Node<Topic>> {
    let subscribers = part.site.variables().alarms.subscriptions.iter().map(Subscription::subscriber);
    topic::topic(graph, &part.site, &part.keys.application.outputs.arn, &subscribers.collect::<Vec<_>>())
}

/// Declares the monitoring of all regions.
pub(super) fn monitoring(graph: &mut Graph, all: &[Watched<'_>], payments: &GlobalTable) -> Result<()> {
    for watched in all {
        filters(graph, watched)?;
        alarms(graph, watched, all, payments)?;
        shown(graph, watched, payments)?;
    }
    Ok(())
}

/// The namespace of the function's metrics, so that deployments in one account do not share them.
pub(super) fn namespace(names: &Names) -> String {
    names.name("payments")
}

/// The business metrics, from the function's log: one line per transaction.
fn filters(graph: &mut Graph, watched: &Watched<'_>) -> Result<()> {
    let site = &watched.part.site;
    for (name, pattern, value) in [
        ("Approved", r#"{ $.outcome = "accepted" }"#, "1"),
        ("Declined", r#"{ $.outcome = "refused" || $.outcome = "conflict" }"#, "1"),
        ("ApprovedAmount", r#"{ $.outcome = "accepted" }"#, "$.amount"),
    ] {
        let filter = MetricFilter {
            group: watched.function.log_group.id.clone(),
            name: site.names.name(&name.to_lowercase()),
            pattern: pattern.to_owned(),
            metric_namespace: namespace(site.names),
            metric_name: name.to_owned(),
            metric_value: value.to_owned(),
            default_value: None,
        };
        graph.add(site.region(), &name.to_lowercase(), filter)?;
    }
    Ok(())
}

fn alarms(graph: &mut Graph, watched: &Watched<'_>, all: &[Watched<'_>], payments: &GlobalTable) -> Result<()> {
    let Watched { part, topic, .. } = watched;
    let config = &part.site.variables().alarms;
    let alarms = Alarms { site: part.site.shared, topic: Some(topic), periods: config.periods };
    let metrics = Metrics { watched, payments };
    let serious = [
        ("api-5xx", "The API returns errors", metrics.api("5XXError", "Sum"), Condition::above(config.errors)),
        ("function-errors", "The function fails", metrics.function("Errors", "Sum"), Condition::above(config.errors)),
        (
            "function-duration",
            "The function is slow",
            metrics.function("Duration", "p99"),
            Condition::above(config.duration_ms),
        ),
    ];
    let serious = serious.map(|(name, about, metric, bad)| alarms.alarm(graph, name, about, metric, bad));
    let serious = serious.into_iter().collect::<Result<Vec<_>>>()?;
    alarms.any(graph, "region", "The region is not fit for traffic", &serious)?;
    for (name, about, metric, bad) in [
        (
            "table-throttles",
            "Requests of the table are throttled",
            metrics.table("ThrottledRequests"),
            Condition::above(config.throttles),
        ),
        (
            "function-throttles",
            "Invocations of the function are throttled",
            metrics.function("Throttles", "Sum"),
            Condition::above(0),
        ),
        (
            "audit-age",
            "Audit records wait to be written",
            metrics.function("IteratorAge", "Maximum"),
            Condition::above(config.duration_ms.saturating_mul(30)),
        ),
    ] {
        alarms.alarm(graph, name, about, metric, bad)?;
    }
    for other in all.iter().filter(|other| other.part.site.region() != part.site.region()) {
        let to = other.part.site.region();
        let metric = metrics.replication(to);
        let bad = Condition::above(config.replication_ms).ignoring_missing();
        alarms.alarm(graph, &format!("replication-to-{to}"), "The table's replica is behind", metric, bad)?;
    }
    if let Some(home) = all.iter().find(|it| it.part.site.region().as_str() == HEALTH) {
        let alarms = Alarms { topic: Some(&home.topic), ..alarms };
        let name = format!("health-{}", part.site.region());
        let bad = Condition::below(1).or_missing();
        alarms.alarm_in(graph, &Region::new(HEALTH), &name, "The API is not healthy", metrics.health(), bad)?;
    }
    Ok(())
}

/// The metrics of a region's resources.
struct Metrics<'a> {
    watched: &'a Watched<'a>,
    payments: &'a GlobalTable,
}

impl Metrics<'_> {
    fn metric<const N: usize>(
        &self,
        (namespace, name): (&str, &str),
        statistic: &str,
        dimensions: [(&str, Text); N],
    ) -> MetricStat {
        let dimensions = dimensions.into_iter().map(|(name, value)| (name.to_owned(), value));
        MetricStat {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions: dimensions.collect::<BTreeMap<_, _>>(),
            statistic: statistic.to_owned(),
            period: self.watched.part.site.variables().alarms.period_seconds,
        }
    }

    fn api(&self, name: &str, statistic: &str) -> MetricStat {
        let site = &self.watched.part.site;
        let dimensions = [
            ("ApiName", Text::from(site.names.name(super::api::API))),
            ("Stage", Text::from(&self.watched.api.stage.outputs.name)),
        ];
        self.metric(("AWS/ApiGateway", name), statistic, dimensions)
    }

    fn function(&self, name: &str, statistic: &str) -> MetricStat {
        let name_of = Text::from(&self.watched.function.function.outputs.name);
        self.metric(("AWS/Lambda", name), statistic, [("FunctionName", name_of)])
    }

    fn table(&self, name: &str) -> MetricStat {
        let table = Text::from(&self.payments.table.id);
        self.metric(("AWS/DynamoDB", name), "Sum", [("TableName", table), ("Operation", Text::from("PutItem"))])
    }

    fn replication(&self, to: &Region) -> MetricStat {
        let table = Text::from(&self.payments.table.id);
        let dimensions = [("TableName", table), ("ReceivingRegion", Text::from(to.as_str()))];
        self.metric(("AWS/DynamoDB", "ReplicationLatency"), "Average", dimensions)
    }

    fn health(&self) -> MetricStat {
        let check = Text::from(&self.watched.check.id);
        self.metric(("AWS/Route53", "HealthCheckStatus"), "Minimum", [("HealthCheckId", check)])
    }

    fn business(&self, name: &str) -> MetricStat {
        self.metric((&namespace(self.watched.part.site.names), name), "Sum", [])
    }
}

/// The dashboard of a region.
fn shown(graph: &mut Graph, watched: &Watched<'_>, payments: &GlobalTable) -> Result<()> {
    let site = &watched.part.site;
    let metrics = Metrics { watched, payments };
    let region = site.region();
    let graph_of = |title: &str, rows: &[(&str, MetricStat)]| {
        let rows: Vec<_> = rows.iter().map(|(label, metric)| row(region, label, metric)).collect();
        Widget::graph(region, title, &rows)
    };
    let widgets = [
        graph_of("Payments", &[("approved", metrics.business("Approved")), ("declined", metrics.business("Declined"))]),
        graph_of("Amount", &[("approved", metrics.business("ApprovedAmount"))]),
        graph_of("Requests", &[("all", metrics.api("Count", "Sum")), ("5xx", metrics.api("5XXError", "Sum"))]),
        graph_of("Latency, milliseconds", &[("p99", metrics.api("Latency", "p99"))]),
        graph_of(
            "Function",
            &[("errors", metrics.function("Errors", "Sum")), ("throttles", metrics.function("Throttles", "Sum"))],
        ),
        graph_of("Age of the stream, milliseconds", &[("maximum", metrics.function("IteratorAge", "Maximum"))]),
    ];
    dashboard(graph, &site.shared, widgets).map(drop)
}
