//! Monitoring (M-27). Each region gets a topic, alarms, a composite alarm, event rules, and a dashboard of all regions.

mod alarms;
mod dashboard;
mod events;
mod metrics;

use payinfra_aws::ecs::ServiceOutputs;
use payinfra_aws::sns::Topic;
use payinfra_components::alarms::Alarms;
use payinfra_components::load_balancer::Edge;
use payinfra_components::topic;
use payinfra_engine::{Graph, Metric, Node, Result, Text};

use super::Site;
use super::keys::Keys;
use super::phase::Phase;
use super::storage::Buckets;
use crate::settings::Subscription;

/// The metric of the phase; see [`Metric`].
const PHASE: &str = "MigrationPhase";
const NAMESPACE: &str = "payinfra";

/// A region, and its monitored resources.
pub(super) struct Watched<'a> {
    pub(super) site: Site<'a>,
    pub(super) keys: &'a Keys,
    pub(super) buckets: &'a Buckets,
    pub(super) edge: Edge,
    /// The name of the database cluster.
    pub(super) database: Text,
    pub(super) service: Service,
    /// The id of the region's health check.
    pub(super) health_check: Text,
}

/// The names of the service in metrics and events.
pub(super) struct Service {
    pub(super) cluster: Text,
    /// Each colour's, or those of the one service.
    pub(super) colours: Vec<(&'static str, ServiceOutputs)>,
}

impl<'a> Watched<'a> {
    /// The other regions.
    fn others<'b>(&self, all: &'b [Self]) -> impl Iterator<Item = &'b Self> + use<'a, 'b> {
        let own = self.site.config.index;
        all.iter().filter(move |other| other.site.config.index != own)
    }

    /// The primary region; none if this is it.
    fn primary<'b>(&self, all: &'b [Self]) -> Option<&'b Self> {
        self.others(all).find(|other| other.site.config.is_primary())
    }

    /// What the alarms for this region have in common.
    fn alarms<'b>(&self, topic: Option<&'b Node<Topic>>) -> Alarms<'b>
    where
        'a: 'b,
    {
        Alarms { site: self.site.shared, topic, periods: self.site.settings.alarms.periods }
    }
}

/// Declares the monitoring of all regions, and returns the topics of their alarms.
pub(super) fn monitoring(graph: &mut Graph, parts: &[Watched<'_>]) -> Result<Vec<Node<Topic>>> {
    let topics = parts.iter().map(|part| topic(graph, part)).collect::<Result<Vec<_>>>()?;
    let mut alarms = Vec::new();
    for (part, topic) in parts.iter().zip(&topics) {
        alarms.push(alarms::region(graph, part, parts, &part.alarms(Some(topic)))?);
        events::rules(graph, part, topic)?;
    }
    alarms::health(graph, parts, &topics, &mut alarms)?;
    for part in parts {
        dashboard::dashboard(graph, part, parts, &alarms)?;
        phase(graph, part);
    }
    Ok(topics)
}

fn topic(graph: &mut Graph, part: &Watched<'_>) -> Result<Node<Topic>> {
    let subscribers = part.site.settings.alarms.subscriptions.iter();
    let subscribers = subscribers.map(Subscription::subscriber);
    topic::topic(graph, &part.site, &part.keys.application.outputs.arn, &subscribers.collect::<Vec<_>>())
}

/// The number of the phase, for dashboards and for analyzing past alarms.
fn phase(graph: &mut Graph, part: &Watched<'_>) {
    let (workspace, phase) = (part.site.workspace, part.site.settings.phase);
    let dimensions = [("Stack", super::NAME), ("Workspace", &*workspace.name), ("Phase", phase.as_str())];
    graph.metric(Metric {
        region: part.site.region().clone(),
        namespace: NAMESPACE.to_owned(),
        name: PHASE.to_owned(),
        dimensions: dimensions.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        value: number(phase),
    });
}

/// 1 to 3, in the order of a migration.
fn number(phase: Phase) -> f64 {
    match phase {
        Phase::Legacy => 1.0,
        Phase::Migration => 2.0,
        Phase::Production => 3.0,
    }
}
