//! The alarms of both regions, and the dashboard (P-08).

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_aws::sns::Topic;
use payinfra_components::alarms::{Alarms, Condition};
use payinfra_components::dashboard::{Widget, dashboard, row};
use payinfra_components::function::Deployed;
use payinfra_components::postgresql::Database;
use payinfra_components::tables::GlobalTable;
use payinfra_components::topic;
use payinfra_engine::{Graph, Node, Ref, Region, Result, Text};

use super::{Part, Site};
use crate::settings::Subscription;

/// The period of a measurement in seconds.
const PERIOD: i32 = 300;

/// Declares the topic of a region's alarms, which also gets what the function gives up.
pub(super) fn topic(graph: &mut Graph, site: &Site<'_>, key: &Ref<String>) -> Result<Node<Topic>> {
    let subscribers = site.variables().alarms.subscriptions.iter().map(Subscription::subscriber);
    topic::topic(graph, site, key, &subscribers.collect::<Vec<_>>())
}

/// Declares the alarm on errors of the function.
pub(super) fn of_function(graph: &mut Graph, near: &Part<'_>, function: &Deployed) -> Result<()> {
    let alarms = Alarms { site: near.site.shared, topic: Some(&near.topic), periods: 1 };
    let most = Condition::above(near.site.variables().alarms.errors);
    let metric = self::function(function, "Errors", "Sum");
    alarms.alarm(graph, "function-errors", "The function fails", metric, most).map(drop)
}

/// Declares the alarm on the load of the database: twice in a row.
pub(super) fn of_database(graph: &mut Graph, far: &Part<'_>, database: &Database) -> Result<()> {
    let alarms = Alarms { site: far.site.shared, topic: Some(&far.topic), periods: 2 };
    let most = Condition::above(far.site.variables().alarms.cpu_percent);
    let metric = self::database(database, "CPUUtilization", "Average");
    alarms.alarm(graph, "database-cpu", "The database is busy", metric, most).map(drop)
}

/// Declares the dashboard, in the first region.
pub(super) fn shown(
    graph: &mut Graph,
    near: &Part<'_>,
    far: &Part<'_>,
    function: &Deployed,
    payments: &GlobalTable,
    database: &Database,
) -> Result<()> {
    let (here, there) = (near.site.region(), far.site.region());
    let widget = |region: &Region, title: &str, rows: &[(&str, MetricStat)]| {
        let rows: Vec<_> = rows.iter().map(|(label, metric)| row(region, label, metric)).collect();
        Widget::graph(region, title, &rows)
    };
    let of_function = |name, statistic| self::function(function, name, statistic);
    let of_database = |name| self::database(database, name, "Average");
    let of_table = |name, operation| table(payments, name, operation);
    let widgets = [
        widget(
            here,
            "Function",
            &[
                ("invocations", of_function("Invocations", "Sum")),
                ("errors", of_function("Errors", "Sum")),
                ("throttles", of_function("Throttles", "Sum")),
            ],
        ),
        widget(here, "Function, milliseconds", &[("p99", of_function("Duration", "p99"))]),
        widget(there, "Database, CPU in percent", &[("average", of_database("CPUUtilization"))]),
        widget(there, "Database, connections", &[("average", of_database("DatabaseConnections"))]),
        widget(there, "Database, free storage in bytes", &[("average", of_database("FreeStorageSpace"))]),
        widget(
            here,
            "Table, throttled requests",
            &[
                ("put", of_table("ThrottledRequests", Some("PutItem"))),
                ("query", of_table("ThrottledRequests", Some("Query"))),
            ],
        ),
        widget(
            here,
            "Table, consumed capacity",
            &[
                ("read", of_table("ConsumedReadCapacityUnits", None)),
                ("write", of_table("ConsumedWriteCapacityUnits", None)),
            ],
        ),
    ];
    dashboard(graph, &near.site, widgets).map(drop)
}

fn metric(namespace: &str, name: &str, statistic: &str, dimensions: &[(&str, Text)]) -> MetricStat {
    MetricStat {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        statistic: statistic.to_owned(),
        period: PERIOD,
    }
}

fn function(function: &Deployed, name: &str, statistic: &str) -> MetricStat {
    metric("AWS/Lambda", name, statistic, &[("FunctionName", Text::from(&function.function.outputs.name))])
}

fn database(database: &Database, name: &str, statistic: &str) -> MetricStat {
    metric("AWS/RDS", name, statistic, &[("DBInstanceIdentifier", Text::from(&database.instance.id))])
}

/// A metric of the table, and of one operation if it is published for each.
fn table(payments: &GlobalTable, name: &str, operation: Option<&str>) -> MetricStat {
    let operation = operation.map(|operation| ("Operation", Text::from(operation)));
    let dimensions: Vec<_> = [("TableName", Text::from(&*payments.name))].into_iter().chain(operation).collect();
    metric("AWS/DynamoDB", name, "Sum", &dimensions)
}
