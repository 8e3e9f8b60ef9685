//! The dashboard of a region. It shows all regions, so that each one's dashboard is enough if the other region is down.

use payinfra_aws::cloudwatch::{Dashboard, MetricStat};
use payinfra_engine::{Graph, Ref, Region, Result};
use serde_json::{Value, json};

use super::Watched;
use super::metrics::{Metrics, home_of_health};
use super::{NAMESPACE, PHASE};
use crate::migration::NAME;

/// The width of a dashboard, and the height of its widgets.
const WIDTH: usize = 24;
const HEIGHT: usize = 6;
const COLUMNS: usize = 3;

/// Declares the dashboard of a region; `alarms` has those of each of `parts`.
pub(super) fn dashboard(
    graph: &mut Graph,
    part: &Watched<'_>,
    parts: &[Watched<'_>],
    alarms: &[Vec<Ref<String>>],
) -> Result<()> {
    let site = &part.site;
    let own = parts.iter().zip(alarms).filter(|(other, _)| other.site.config.index == site.config.index);
    let own = own.flat_map(|(_, arns)| arns);
    let fit = alarms.iter().filter_map(|arns| arns.first());
    let widgets = [heading(part, parts), state("Regions", fit), state("Alarms here", own), phase(part, parts)];
    let widgets = widgets.into_iter().chain(graphs(part, parts));
    let placed = widgets.enumerate().map(|(index, (kind, properties))| {
        let (row, column, width) = (index / COLUMNS, index % COLUMNS, WIDTH / COLUMNS);
        let (x, y) = (column * width, row * HEIGHT);
        json!({ "type": kind, "x": x, "y": y, "width": width, "height": HEIGHT, "properties": properties })
    });
    let name = site.names.name(&format!("dashboard-{}", site.region()));
    site.output(graph, "dashboard_name", &*name);
    let dashboard = Dashboard { name, body: json!({ "widgets": placed.collect::<Vec<_>>() }) };
    graph.add(site.region(), "main", dashboard).map(drop)
}

/// A widget: its type and its properties.
type Widget = (&'static str, Value);

fn heading(part: &Watched<'_>, parts: &[Watched<'_>]) -> Widget {
    let (workspace, settings) = (part.site.workspace, part.site.settings);
    let regions = parts.iter().map(|part| {
        let (region, weight) = (part.site.region(), part.site.weight());
        format!("\n- {region}: {weight} % of the traffic")
    });
    let text = format!(
        "# {NAME} / {}\nPhase **{}**, cut-over {}\n{}",
        workspace.name,
        settings.phase,
        settings.cutover,
        regions.collect::<String>()
    );
    ("text", json!({ "markdown": text }))
}

/// The states of alarms.
fn state<'a>(title: &str, alarms: impl Iterator<Item = &'a Ref<String>>) -> Widget {
    ("alarm", json!({ "title": title, "alarms": alarms.collect::<Vec<_>>() }))
}

/// The phase, as last published in each region.
fn phase(part: &Watched<'_>, parts: &[Watched<'_>]) -> Widget {
    let (workspace, phase) = (part.site.workspace, part.site.settings.phase);
    let rows = parts.iter().map(|part| {
        let shown = json!({ "region": part.site.region(), "label": part.site.region(), "stat": "Maximum" });
        json!([NAMESPACE, PHASE, "Stack", NAME, "Workspace", workspace.name, "Phase", phase.as_str(), shown])
    });
    let title = format!("Phase: {phase}");
    let mut properties = graph(part.site.region(), &title, &rows.collect::<Vec<_>>());
    properties["view"] = json!("singleValue");
    ("metric", properties)
}

fn graphs(part: &Watched<'_>, parts: &[Watched<'_>]) -> Vec<Widget> {
    let each = |title: &str, metric: &dyn Fn(Metrics<'_>) -> MetricStat| {
        let rows = parts.iter().map(|part| {
            let region = part.site.region();
            row(region, region.as_str(), &metric(Metrics(part)))
        });
        ("metric", graph(part.site.region(), title, &rows.collect::<Vec<_>>()))
    };
    let mut widgets = vec![
        each("Requests", &|it| it.requests()),
        each("Latency p99, seconds", &|it| it.latency()),
        each("5xx of the service", &|it| it.target_errors()),
        each("5xx of the load balancer", &|it| it.balancer_errors()),
        each("Running tasks", &|it| it.running_tasks()),
        each("CPU, per cent", &|it| it.cpu()),
        each("Memory, per cent", &|it| it.memory()),
        each("Lag of readers, milliseconds", &|it| it.replica_lag()),
    ];
    let unhealthy = parts.iter().flat_map(|part| {
        let hosts = Metrics(part).unhealthy_hosts();
        hosts.map(|(colour, metric)| row(part.site.region(), &format!("{} {colour}", part.site.region()), &metric))
    });
    widgets.push(("metric", graph(part.site.region(), "Unhealthy targets", &unhealthy.collect::<Vec<_>>())));
    let home = home_of_health();
    let health = parts.iter().map(|part| row(&home, part.site.region().as_str(), &Metrics(part).health()));
    widgets.push(("metric", graph(part.site.region(), "Health checks", &health.collect::<Vec<_>>())));
    let behind = parts.iter().filter(|part| !part.site.config.is_primary());
    let behind = behind.map(|part| {
        let region = part.site.region();
        row(region, region.as_str(), &Metrics(part).global_lag())
    });
    let behind: Vec<_> = behind.collect();
    if !behind.is_empty() {
        widgets.push(("metric", graph(part.site.region(), "Lag behind the primary region, milliseconds", &behind)));
        let copies = parts.iter().flat_map(|from| from.others(parts).map(move |to| (from, to)));
        let copies = copies.flat_map(|(from, to)| {
            let label = format!("{} to {}", from.site.region(), to.site.region());
            let rows = Metrics(from).copy_latency(to).into_iter();
            rows.map(move |(kind, metric)| row(to.site.region(), &format!("{kind}, {label}"), &metric))
        });
        widgets.push((
            "metric",
            graph(part.site.region(), "Lag of copies of objects, seconds", &copies.collect::<Vec<_>>()),
        ));
    }
    widgets
}

/// A row of a graph's metrics.
fn row(region: &Region, label: &str, metric: &MetricStat) -> Value {
    let mut row = vec![json!(metric.namespace), json!(metric.name)];
    for (name, value) in &metric.dimensions {
        row.extend([json!(name), json!(value)]);
    }
    row.push(json!({ "region": region, "label": label, "stat": metric.statistic, "period": metric.period }));
    Value::Array(row)
}

fn graph(region: &Region, title: &str, rows: &[Value]) -> Value {
    json!({ "title": title, "region": region, "view": "timeSeries", "metrics": rows })
}
