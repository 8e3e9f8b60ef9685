//! The alarms of a region, and in the primary region the one on differences between the regions (T-08).

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_aws::sns::Topic;
use payinfra_components::alarms::{Alarms, Condition};
use payinfra_components::drift_detector::of_deployment;
use payinfra_components::function::Deployed;
use payinfra_components::http_api::Api;
use payinfra_components::tables::GlobalTable;
use payinfra_components::topic;
use payinfra_engine::{Graph, Metric, Node, Result, Text};

use super::Part;
use super::database::Regional;
use crate::settings::Subscription;

/// What is monitored in a region.
pub(super) struct Watched<'a> {
    pub(super) part: &'a Part<'a>,
    pub(super) topic: Node<Topic>,
    pub(super) database: Regional,
    pub(super) function: Deployed,
    pub(super) api: Api,
}

/// Declares the topic of a region's alarms, which also gets what the function could not process.
pub(super) fn topic(graph: &mut Graph, part: &Part<'_>) -> Result<Node<Topic>> {
    let subscribers = part.site.variables().alarms.subscriptions.iter().map(Subscription::subscriber);
    topic::topic(graph, &part.site, &part.key, &subscribers.collect::<Vec<_>>())
}

/// Declares the alarms of a region.
pub(super) fn monitoring(graph: &mut Graph, watched: &Watched<'_>, sessions: &GlobalTable) -> Result<()> {
    let Watched { part, topic, database, function, api } = watched;
    let site = &part.site;
    let config = &site.variables().alarms;
    let alarms = Alarms { site: site.shared, topic: Some(topic), periods: config.periods };
    let metric = |namespace: &str, name: &str, statistic: &str, dimensions: &[(&str, Text)]| MetricStat {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        statistic: statistic.to_owned(),
        period: config.period_seconds,
    };
    let of_api = [("ApiId", Text::from(&api.api.id)), ("Stage", Text::from(&api.stage.outputs.name))];
    let of_function = [("FunctionName", Text::from(&function.function.outputs.name))];
    let of_table = [("TableName", Text::from(&*sessions.name)), ("Operation", Text::from("PutItem"))];
    let of_database = [("DBClusterIdentifier", Text::from(&database.database.cluster.id))];
    let all = [
        ("api-5xx", "The API returns errors", metric("AWS/ApiGateway", "5xx", "Sum", &of_api), config.errors),
        ("function-errors", "The function fails", metric("AWS/Lambda", "Errors", "Sum", &of_function), config.errors),
        (
            "function-throttles",
            "Invocations of the function are throttled",
            metric("AWS/Lambda", "Throttles", "Sum", &of_function),
            config.throttles,
        ),
        (
            "table-throttles",
            "Requests of the table are throttled",
            metric("AWS/DynamoDB", "ThrottledRequests", "Sum", &of_table),
            config.throttles,
        ),
        (
            "database-cpu",
            "The database is busy",
            metric("AWS/RDS", "CPUUtilization", "Average", &of_database),
            config.cpu_percent,
        ),
    ];
    for (name, about, metric, most) in all {
        alarms.alarm(graph, name, about, metric, Condition::above(most))?;
    }
    if database.is_replica {
        let lag = metric("AWS/RDS", "AuroraBinlogReplicaLag", "Maximum", &of_database);
        let most = Condition::above(config.replica_lag_seconds).ignoring_missing();
        alarms.alarm(graph, "database-replica-lag", "The replica of the database is behind", lag, most)?;
    }
    if site.config.is_primary() {
        differences(graph, part, topic)?;
    }
    Ok(())
}

/// The alarm on the metric that `payinfra drift --between-regions --publish` publishes.
fn differences(graph: &mut Graph, part: &Part<'_>, topic: &Node<Topic>) -> Result<()> {
    let site = &part.site;
    let period = site.variables().alarms.period_seconds;
    let metric = of_deployment(graph, site.region(), Metric::of_regions, "Maximum", period);
    // Each comparison is one data point, so one of them decides, and the alarm keeps its state until the next one.
    let alarms = Alarms { site: site.shared, topic: Some(topic), periods: 1 };
    let condition = Condition::above(0).ignoring_missing();
    alarms.alarm(graph, "regional-differences", "The regions differ", metric, condition).map(drop)
}
