//! Identical infrastructure in several regions (SYSTEMS §3).
//!
//! One module, instantiated for each region of the list: a key, a network, an Aurora `MySQL` cluster, a bucket of static content
//! whose objects a function processes, an HTTP API, a trail and alarms. The databases of the other regions replicate the primary
//! region's, and the sessions are in one global table.

mod api;
mod database;
mod keys;
mod monitoring;
mod network;
mod processor;
mod sessions;
mod settings;
mod storage;

use std::ops::Deref;

use payinfra_components::network::Network;
use payinfra_engine::{Graph, Ref, Region, Result, Tags};
use payinfra_stack::{AccountId, Problems, Stack, Workspace};

pub use self::settings::{
    AlarmConfig, ApiConfig, ContentConfig, DatabaseConfig, DomainConfig, ModuleConfig, Nat, Retention, TradingVariables,
};

use self::settings::{DATABASES, cost_center};
use crate::remote::remote;
use crate::settings::drift_detector::{self, drift_detector};

/// The stack's name.
pub const NAME: &str = "trading";

/// Identical infrastructure in several regions.
#[derive(Clone, Copy, Debug)]
pub struct Trading;

impl Stack for Trading {
    const NAME: &'static str = NAME;
    const ABOUT: &'static str = "a trading platform that is identical in all of its regions";
    const NAMES: &'static str = "{type}-{suffix}";
    const REGIONS: &'static [&'static str] = &["us-east-1", "us-east-2", "us-west-2"];
    const TAGS: &'static [&'static str] = &["CostCenter", "Region"];
    const REPLACED: &'static [&'static str] = &["modules"];
    const SECRET: &'static [&'static str] = &["alarms.subscriptions.endpoint"];
    const FILES: &'static [&'static str] = &[drift_detector::PACKAGE, "package"];
    const EXAMPLE: Option<&'static str> = Some(include_str!("payinfra.toml"));

    type Variables = TradingVariables;

    fn check(&self, workspace: &Workspace<TradingVariables>, problems: &mut Problems) {
        settings::check(workspace, problems);
    }

    fn build(&self, workspace: &Workspace<TradingVariables>, account: &AccountId) -> Result<Graph> {
        build(workspace, account)
    }
}

fn build(workspace: &Workspace<TradingVariables>, account: &AccountId) -> Result<Graph> {
    let names = workspace.names(account)?;
    let common = Tags::new().with("CostCenter", cost_center(workspace)?);
    let mut graph = workspace.graph(&common);
    let common = graph.tags.clone();
    let remote = remote(&mut graph, workspace, account)?;
    let mut parts = Vec::new();
    for config in &workspace.regions {
        let site = Site { workspace, shared: payinfra_stack::Site::new(workspace, &names, config) };
        graph.tags = common.clone().with(REGION, site.region().as_str());
        let key = keys::key(&mut graph, &site, &remote)?;
        let network = network::network(&mut graph, &site, &key)?;
        parts.push(Part { site, key, network });
    }
    let Some(primary) = parts.first() else { return Ok(graph) };
    graph.tags = common.clone().with(REGION, primary.site.region().as_str());
    let sessions = sessions::sessions(&mut graph, &parts)?;
    let zone = api::zone(&mut graph, workspace)?;
    let mut source = database::given(workspace, &remote)?;
    let mut topics = Vec::new();
    for part in &parts {
        graph.tags = common.clone().with(REGION, part.site.region().as_str());
        let database = database::database(&mut graph, part, source.as_ref())?;
        source.get_or_insert_with(|| database.source());
        let topic = monitoring::topic(&mut graph, part)?;
        let content = storage::content(&mut graph, part)?;
        storage::trail(&mut graph, part, &content)?;
        let function = processor::processor(&mut graph, part, &sessions, &content, &topic)?;
        let api = api::api(&mut graph, part, &function, zone.as_ref())?;
        let watched = monitoring::Watched { part, topic, database, function, api };
        monitoring::monitoring(&mut graph, &watched, &sessions)?;
        topics.push(watched.topic);
    }
    if let Some(topic) = topics.first() {
        graph.tags = common.clone().with(REGION, primary.site.region().as_str());
        let (config, logs) = (workspace.variables.drift_detector.as_ref(), workspace.variables.log_retention_days.0);
        drift_detector(&mut graph, workspace, &primary.site, config, topic, (&primary.key, logs))?;
    }
    graph.tags = common;
    graph.output("regions", workspace.regions.iter().map(|it| it.region.as_str()).collect::<Vec<_>>().join(","));
    Ok(graph)
}

/// The tag with the region that a resource is in, or is for.
const REGION: &str = "Region";

/// A region of a workspace.
#[derive(Clone, Copy)]
struct Site<'a> {
    workspace: &'a Workspace<TradingVariables>,
    shared: payinfra_stack::Site<'a>,
}

impl<'a> Deref for Site<'a> {
    type Target = payinfra_stack::Site<'a>;

    fn deref(&self) -> &Self::Target {
        &self.shared
    }
}

impl<'a> Site<'a> {
    fn variables(&self) -> &'a TradingVariables {
        &self.workspace.variables
    }

    /// The parameters of the region.
    fn module(&self) -> ModuleConfig {
        self.variables().module(self.region())
    }
}

/// A region, and what its other resources refer to.
struct Part<'a> {
    site: Site<'a>,
    /// The ARN of the region's key.
    key: Ref<String>,
    network: Network,
}

/// The names of a region that are limited in length.
fn names(site: &payinfra_stack::Site<'_>, region: &Region) -> Result<()> {
    storage::BUCKETS.iter().try_for_each(|bucket| site.names.bucket(bucket, region).map(drop))?;
    ROLES.iter().try_for_each(|role| site.names.role(role, region).map(drop))?;
    DATABASES.iter().try_for_each(|database| site.names.database(database, region).map(drop))
}

/// The resource types in the names of roles.
const ROLES: [&str; 3] = [payinfra_components::flow_log::FLOW_LOGS, MONITORING, processor::PROCESSOR];
const MONITORING: &str = payinfra_components::aurora::MONITORING;
