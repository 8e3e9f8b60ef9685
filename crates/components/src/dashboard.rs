//! Dashboards of `CloudWatch`: widgets of equal size in three columns.

use payinfra_aws::cloudwatch::{self, MetricStat};
use payinfra_engine::{Graph, Node, Ref, Region, Result};
use payinfra_stack::Site;
use serde_json::{Value, json};

/// The width of a dashboard, and the height of its widgets.
const WIDTH: usize = 24;
const HEIGHT: usize = 6;
const COLUMNS: usize = 3;

/// A widget: its type and its properties.
#[derive(Clone, Debug)]
pub struct Widget {
    kind: &'static str,
    properties: Value,
}

impl Widget {
    /// A text in Markdown.
    #[must_use]
    pub fn text(markdown: &str) -> Self {
        Self { kind: "text", properties: json!({ "markdown": markdown }) }
    }

    /// The states of alarms, given by their ARNs.
    pub fn alarms<'a>(title: &str, alarms: impl IntoIterator<Item = &'a Ref<String>>) -> Self {
        let alarms: Vec<_> = alarms.into_iter().collect();
        Self { kind: "alarm", properties: json!({ "title": title, "alarms": alarms }) }
    }

    /// A graph of metrics over time. `rows` are made by [`row`], or are in the form of `CloudWatch`.
    #[must_use]
    pub fn graph(region: &Region, title: &str, rows: &[Value]) -> Self {
        Self::metrics(region, title, "timeSeries", rows)
    }

    /// The latest values of metrics.
    #[must_use]
    pub fn value(region: &Region, title: &str, rows: &[Value]) -> Self {
        Self::metrics(region, title, "singleValue", rows)
    }

    fn metrics(region: &Region, title: &str, view: &str, rows: &[Value]) -> Self {
        let properties = json!({ "title": title, "region": region, "view": view, "metrics": rows });
        Self { kind: "metric", properties }
    }
}

/// A row of a widget's metrics, from any region.
#[must_use]
pub fn row(region: &Region, label: &str, metric: &MetricStat) -> Value {
    let mut row = vec![json!(metric.namespace), json!(metric.name)];
    for (name, value) in &metric.dimensions {
        row.extend([json!(name), json!(value)]);
    }
    row.push(json!({ "region": region, "label": label, "stat": metric.statistic, "period": metric.period }));
    Value::Array(row)
}

/// Declares the dashboard of a region. Dashboards are global, so its name includes the region.
///
/// # Errors
/// If the region has a dashboard already.
pub fn dashboard(
    graph: &mut Graph,
    site: &Site<'_>,
    widgets: impl IntoIterator<Item = Widget>,
) -> Result<Node<cloudwatch::Dashboard>> {
    let placed = widgets.into_iter().enumerate().map(|(index, Widget { kind, properties })| {
        let (row, column, width) = (index / COLUMNS, index % COLUMNS, WIDTH / COLUMNS);
        let (x, y) = (column * width, row * HEIGHT);
        json!({ "type": kind, "x": x, "y": y, "width": width, "height": HEIGHT, "properties": properties })
    });
    let name = site.names.name(&format!("dashboard-{}", site.region()));
    site.output(graph, "dashboard_name", &*name);
    let body = json!({ "widgets": placed.collect::<Vec<_>>() });
    graph.add(site.region(), "main", cloudwatch::Dashboard { name, body })
}
