//! The dashboard of a region. It shows all regions, so that each one's dashboard is enough if the other region is down.

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_components::dashboard::{self, Widget, row};
use payinfra_engine::{Graph, Ref, Result};
use serde_json::json;

use super::Watched;
use super::metrics::{Metrics, home_of_health};
use super::{NAMESPACE, PHASE};
use crate::migration::NAME;

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
    let alarms = [Widget::alarms("Regions", fit), Widget::alarms("Alarms here", own)];
    let widgets = std::iter::once(heading(part, parts)).chain(alarms).chain([phase(part, parts)]);
    dashboard::dashboard(graph, site, widgets.chain(graphs(part, parts))).map(drop)
}

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
    Widget::text(&text)
}

/// The phase, as last published in each region.
fn phase(part: &Watched<'_>, parts: &[Watched<'_>]) -> Widget {
    let (workspace, phase) = (part.site.workspace, part.site.settings.phase);
    let rows = parts.iter().map(|part| {
        let shown = json!({ "region": part.site.region(), "label": part.site.region(), "stat": "Maximum" });
        json!([NAMESPACE, PHASE, "Stack", NAME, "Workspace", workspace.name, "Phase", phase.as_str(), shown])
    });
    let title = format!("Phase: {phase}");
    Widget::value(part.site.region(), &title, &rows.collect::<Vec<_>>())
}

fn graphs(part: &Watched<'_>, parts: &[Watched<'_>]) -> Vec<Widget> {
    let each = |title: &str, metric: &dyn Fn(Metrics<'_>) -> MetricStat| {
        let rows = parts.iter().map(|part| {
            let region = part.site.region();
            row(region, region.as_str(), &metric(Metrics(part)))
        });
        Widget::graph(part.site.region(), title, &rows.collect::<Vec<_>>())
    };
    let mut widgets = vec![
        each("Requests", &|it| it.requests()),
        each("Latency p99, seconds", &|it| it.latency()),
        each("5xx of the service", &|it| it.target_errors()),
        each("5xx of the load balancer", &|it| it.balancer_errors()),
        each("Running tasks", &|it| it.running_tasks()),
        each("Lag of readers, milliseconds", &|it| it.replica_lag()),
    ];
    let coloured = |title: &str, metrics: &dyn Fn(Metrics<'_>) -> Vec<(&'static str, MetricStat)>| {
        let rows = parts.iter().flat_map(|part| {
            let region = part.site.region();
            let metrics = metrics(Metrics(part)).into_iter();
            metrics.map(move |(colour, metric)| row(region, &format!("{region} {colour}"), &metric))
        });
        Widget::graph(part.site.region(), title, &rows.collect::<Vec<_>>())
    };
    widgets.extend([
        coloured("CPU, per cent", &|it| it.cpu()),
        coloured("Memory, per cent", &|it| it.memory()),
        coloured("Unhealthy targets", &|it| it.unhealthy_hosts()),
    ]);
    let home = home_of_health();
    let health = parts.iter().map(|part| row(&home, part.site.region().as_str(), &Metrics(part).health()));
    widgets.push(Widget::graph(part.site.region(), "Health checks", &health.collect::<Vec<_>>()));
    let behind = parts.iter().filter_map(|part| {
        let (region, primary) = (part.site.region(), part.primary(parts)?);
        Some(row(region, region.as_str(), &Metrics(part).global_lag(primary.site.region())))
    });
    let behind: Vec<_> = behind.collect();
    if !behind.is_empty() {
        widgets.push(Widget::graph(part.site.region(), "Lag behind the primary region, milliseconds", &behind));
        let copies = parts.iter().flat_map(|from| from.others(parts).map(move |to| (from, to)));
        let copies = copies.flat_map(|(from, to)| {
            let label = format!("{} to {}", from.site.region(), to.site.region());
            let rows = Metrics(from).copy_latency(to).into_iter();
            rows.map(move |(kind, metric)| row(to.site.region(), &format!("{kind}, {label}"), &metric))
        });
        let copies = copies.collect::<Vec<_>>();
        widgets.push(Widget::graph(part.site.region(), "Lag of copies of objects, seconds", &copies));
    }
    widgets
}
