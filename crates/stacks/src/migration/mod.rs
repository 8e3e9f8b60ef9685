//! The migration of a payment platform from one region to two without downtime (SYSTEMS §1).
//!
//! The service gets a domain name: nothing else begins until the zone is delegated. Each region gets its keys, its network with flow logs, a transit gateway, and a
//! certificate. Then the transit gateways are peered, and the regions' buckets replicate to each other. Every step is a
//! loop over the regions of the phase (M-02), so that adding a region takes one line in the configuration.

mod compute;
mod database;
mod dns;
mod edge;
mod endpoints;
mod keys;
mod legacy;
mod monitoring;
mod payments;
mod phase;
mod protection;
mod roles;
mod settings;
mod storage;

use std::ops::Deref;

use payinfra_components::flow_log::flow_log;
use payinfra_components::network::{self, Layout, Network, network};
use payinfra_components::trail::{Scope, trail};
use payinfra_components::transit::{self, Hub, Member};
use payinfra_engine::{Graph, Ref, Result, Tags, Text};
use payinfra_stack::cidr::Subnets;
use payinfra_stack::{AccountId, Problems, RegionConfig, Stack, Workspace};
use serde_json::{Value, json};

pub use self::phase::Phase;
pub use self::settings::{
    AlarmConfig, Architecture, DatabaseConfig, DomainConfig, LegacyNetwork, MigrationVariables, Nat,
    SecurityGroupFinder, ServiceConfig, Settings, SubnetFinder, WafConfig,
};

use self::database::DATABASES;
use self::keys::Keys;
use self::monitoring::Watched;
use self::roles::ROLES;
use self::storage::{BUCKETS, Buckets};
use crate::remote::remote;
use crate::settings::drift_detector::{self, drift_detector};

/// The stack's name.
pub const NAME: &str = "migration";

/// The migration of a payment platform from one region to two.
#[derive(Clone, Copy, Debug)]
pub struct Migration;

impl Stack for Migration {
    const NAME: &'static str = NAME;
    const ABOUT: &'static str = "a payment platform that moves from one region to two without downtime";
    const NAMES: &'static str = "payment-{type}-{workspace}-{suffix}";
    const REGIONS: &'static [&'static str] = &["us-east-1", "us-east-2"];
    const TAGS: &'static [&'static str] = &["CutoverTimestamp", "MigrationPhase"];
    const REPLACED: &'static [&'static str] = &["domain.certificates", "legacy_network", "weights"];
    const SECRET: &'static [&'static str] = &["alarms.subscriptions.endpoint"];
    const FILES: &'static [&'static str] = &[drift_detector::PACKAGE];
    const PHASES: &'static [&'static str] =
        &[Phase::Legacy.as_str(), Phase::Migration.as_str(), Phase::Production.as_str()];
    const EXAMPLE: Option<&'static str> = Some(include_str!("../../../../payinfra.toml"));

    type Variables = MigrationVariables;

    fn check(&self, workspace: &Workspace<MigrationVariables>, problems: &mut Problems) {
        let _ = Settings::check(workspace, problems);
    }

    fn build(&self, workspace: &Workspace<MigrationVariables>, account: &AccountId) -> Result<Graph> {
        build(workspace, account)
    }

    fn regions<'a>(&self, workspace: &'a Workspace<MigrationVariables>) -> &'a [RegionConfig] {
        let count = Settings::of(workspace).map_or(0, |settings| settings.regions.len());
        &workspace.regions[..count]
    }

    fn headline(&self, workspace: &Workspace<MigrationVariables>) -> String {
        Settings::of(workspace).map_or_else(|_| String::new(), |settings| settings.phase.to_string())
    }

    fn phase(&self, workspace: &Workspace<MigrationVariables>) -> Option<&'static str> {
        Settings::of(workspace).ok().map(|settings| settings.phase.as_str())
    }

    fn describe(&self, workspace: &Workspace<MigrationVariables>) -> Value {
        let Ok(settings) = Settings::of(workspace) else { return Value::Null };
        let legacy = settings.legacy_network.as_ref().map(|legacy| json!({ "cidrs": legacy.cidrs }));
        json!({
            "phase": settings.phase,
            "cutover": settings.cutover,
            "weights": settings.weights,
            "nat": settings.nat,
            "flow_log_retention_days": settings.flow_log_retention_days,
            "legacy_network": legacy,
            "database": settings.database,
            "service": settings.service,
            "domain": settings.domain,
            "alarms": settings.alarms,
            "waf": settings.waf,
            "drift_detector": settings.drift_detector,
        })
    }

    fn warnings(&self, workspace: &Workspace<MigrationVariables>) -> Vec<String> {
        let warning = Settings::of(workspace).ok().and_then(|settings| settings.service.warning());
        warning.into_iter().map(str::to_owned).collect()
    }
}

fn build(workspace: &Workspace<MigrationVariables>, account: &AccountId) -> Result<Graph> {
    let settings = &Settings::of(workspace)?;
    let names = workspace.names(account)?;
    // The time is the configured one, because the current time would change every plan.
    let tags = Tags::new()
        .with("CutoverTimestamp", settings.cutover.to_string())
        .with("MigrationPhase", settings.phase.as_str());
    let mut graph = workspace.graph(&tags);

    let mut domain = dns::domain(&mut graph, settings, &names)?;
    let mut parts = Vec::new();
    for config in &settings.regions {
        let shared = payinfra_stack::Site::new(workspace, &names, config);
        let site = Site { workspace, settings, shared };
        site.output(&mut graph, "weight", site.weight().to_string());
        let keys = keys::keys(&mut graph, &site)?;
        let network = network(&mut graph, &site, &layout(&site)?)?;
        endpoints::endpoints(&mut graph, &site, &network)?;
        flow_log(&mut graph, &site, &network.vpc, &keys.logs.outputs.arn, settings.flow_log_retention_days)?;
        let hub = transit::hub(&mut graph, &site, &network)?;
        let buckets = storage::names(&site)?;
        let certificate = dns::certificate(&mut graph, &site, &mut domain)?;
        parts.push(Part { site, keys, network, hub, buckets, certificate });
    }
    // M-08: every pair of regions is connected.
    transit::mesh(&mut graph, &parts.iter().map(Part::member).collect::<Vec<_>>())?;
    let payments = payments::payments(&mut graph, &parts)?;
    let databases = database::databases(&mut graph, &parts)?;
    let (mut watched, mut routes) = (Vec::new(), Vec::new());
    let (mut written, mut services) = (Vec::new(), Vec::new());
    for (part, database) in parts.iter().zip(&databases) {
        let stored = storage::buckets(&mut graph, part, &parts)?;
        if part.site.config.is_primary() {
            // M-23: the trail records access to the transaction logs of all regions.
            let transactions: Vec<_> = parts.iter().map(|part| part.buckets.transactions()).collect();
            let key = &part.keys.storage.outputs.arn;
            trail(&mut graph, &part.site, &stored.audit_trail, key, Scope::AllRegions, &transactions)?;
        }
        let certificate = part.certificate.clone();
        let edge = edge::edge(&mut graph, &part.site, &part.network, certificate, &stored.access_logs)?;
        let compute = compute::compute(&mut graph, part, &parts, &edge, &payments)?;
        written.extend([stored.audit_trail.address, stored.transactions.address]);
        services.extend(compute.colours.iter().map(|colour| colour.service.address.clone()));
        let route = dns::record(&mut graph, &part.site, &domain, &edge.balancer)?;
        let (site, keys, buckets) = (part.site, &part.keys, &part.buckets);
        let service = monitoring::Service {
            cluster: Text::from(&compute.cluster.outputs.name),
            colours: compute.colours.into_iter().map(|colour| (colour.name, colour.service.outputs)).collect(),
        };
        let (database, health_check) = (Text::from(&database.cluster.id), Text::from(&route.check.id));
        routes.push(route);
        watched.push(Watched { site, keys, buckets, edge, database, service, health_check });
    }
    // Services write to the buckets of all regions, by name: a bucket exists before them, and is deleted only after they no
    // longer write to it.
    for (bucket, service) in written.iter().flat_map(|bucket| services.iter().map(move |service| (bucket, service))) {
        graph.order(bucket, service);
    }
    dns::hand_over(&mut graph, settings, &routes);
    let topics = monitoring::monitoring(&mut graph, &watched)?;
    dns::serve(&mut graph, &routes, &databases);
    if workspace.protect {
        protection::protection(&mut graph, &databases);
    }
    let remote = remote(&mut graph, workspace, account)?;
    legacy::lookups(&mut graph, settings, &remote)?;
    if let Some((part, topic)) = parts.first().zip(topics.first()) {
        let logs = (&part.keys.logs.outputs.arn, settings.flow_log_retention_days);
        drift_detector(&mut graph, workspace, &part.site, settings.drift_detector.as_ref(), topic, logs)?;
    }
    domain.first(&mut graph);
    graph.output("phase", settings.phase.as_str());
    graph.output("regions", settings.regions.iter().map(|it| it.region.as_str()).collect::<Vec<_>>().join(","));
    Ok(graph)
}

/// The subnets of a region in three zones (M-07).
fn layout(site: &Site<'_>) -> Result<Layout> {
    let Subnets { private, public } = Subnets::of(&site.config.cidr)?;
    let nat = match site.settings.nat {
        Nat::PerZone => network::Nat::PerZone,
        Nat::Single => network::Nat::Single,
    };
    Ok(Layout { private, public, nat })
}

/// A region of a workspace with its settings.
#[derive(Clone, Copy)]
struct Site<'a> {
    workspace: &'a Workspace<MigrationVariables>,
    settings: &'a Settings,
    shared: payinfra_stack::Site<'a>,
}

/// What components need to know.
impl<'a> Deref for Site<'a> {
    type Target = payinfra_stack::Site<'a>;

    fn deref(&self) -> &Self::Target {
        &self.shared
    }
}

/// A region and its resources.
struct Part<'a> {
    site: Site<'a>,
    keys: Keys,
    network: Network,
    hub: Hub,
    buckets: Buckets,
    /// The ARN of the certificate for the service's name; resolved only after it is issued.
    certificate: Ref<String>,
}

impl Site<'_> {
    fn weight(&self) -> u8 {
        self.settings.weight(self.region())
    }
}

impl<'a> Part<'a> {
    /// The region in the mesh of transit gateways.
    fn member(&self) -> Member<'_> {
        Member { site: self.site.shared, network: &self.network, hub: &self.hub }
    }

    /// The other regions.
    fn others<'b>(&self, parts: &'b [Part<'a>]) -> impl Iterator<Item = &'b Part<'a>> {
        let own = self.site.config.index;
        parts.iter().filter(move |part| part.site.config.index != own)
    }
}
