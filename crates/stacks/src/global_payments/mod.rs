//! An active/standby payment API on a global table (SYSTEMS §2).
//!
//! Each of the two regions has its keys, its network, a payments function behind a REST API, and an audit bucket. Both functions
//! use the same global table. With a domain, clients reach the primary region while it is healthy, or the nearest one.

mod api;
mod keys;
mod monitoring;
mod network;
mod parameters;
mod processor;
mod settings;
mod storage;
mod table;

use std::ops::Deref;

use payinfra_components::buckets::REPLICATION;
use payinfra_components::network::Network;
use payinfra_components::rest_api::LOGS_ROLE;
use payinfra_engine::{Graph, Result, Tags};
use payinfra_stack::{AccountId, Problems, Stack, Workspace};

pub use self::settings::{
    AlarmConfig, ApiConfig, Architecture, Consistency, DomainConfig, FunctionConfig, Nat, PaymentVariables, Retention,
    Routing, TableConfig,
};

use self::keys::Keys;
use self::processor::PROCESSOR;
use self::storage::{ACCESS_LOGS, AUDIT};
use crate::settings::drift_detector::{self, drift_detector};

/// The stack's name.
pub const NAME: &str = "global-payments";

/// The resource types in the names of buckets.
const BUCKETS: [&str; 2] = [ACCESS_LOGS, AUDIT];
/// The resource types in the names of roles.
const ROLES: [&str; 3] = [LOGS_ROLE, PROCESSOR, REPLICATION];

/// An active/standby payment API on a global table.
#[derive(Clone, Copy, Debug)]
pub struct GlobalPayments;

impl Stack for GlobalPayments {
    const NAME: &'static str = NAME;
    const ABOUT: &'static str = "an active/standby payment API on a global table";
    const NAMES: &'static str = "payment-{suffix}-{type}";
    const REGIONS: &'static [&'static str] = &["us-east-1", "us-west-2"];
    const REPLACED: &'static [&'static str] = &["domain.certificates"];
    const SECRET: &'static [&'static str] = &["alarms.subscriptions.endpoint"];
    const FILES: &'static [&'static str] = &[drift_detector::PACKAGE, "package"];
    const EXAMPLE: Option<&'static str> = Some(include_str!("payinfra.toml"));

    type Variables = PaymentVariables;

    fn check(&self, workspace: &Workspace<PaymentVariables>, problems: &mut Problems) {
        settings::check(workspace, problems);
    }

    fn build(&self, workspace: &Workspace<PaymentVariables>, account: &AccountId) -> Result<Graph> {
        build(workspace, account)
    }
}

fn build(workspace: &Workspace<PaymentVariables>, account: &AccountId) -> Result<Graph> {
    let names = workspace.names(account)?;
    let mut graph = workspace.graph(&Tags::new());
    let mut parts = Vec::new();
    for config in &workspace.regions {
        let site = Site { workspace, shared: payinfra_stack::Site::new(workspace, &names, config) };
        let keys = keys::keys(&mut graph, &site)?;
        let network = network::network(&mut graph, &site)?;
        let buckets = storage::names(&site)?;
        parts.push(Part { site, keys, network, buckets });
    }
    let payments = table::payments(&mut graph, &parts)?;
    let mut domain = api::domain(&mut graph, workspace, &names)?;
    let mut watched = Vec::new();
    for part in &parts {
        let audit = storage::buckets(&mut graph, part, &parts)?;
        let topic = monitoring::topic(&mut graph, part)?;
        let function = processor::processor(&mut graph, part, &parts, &payments, &topic)?;
        // The function writes to the buckets of both regions, by name.
        graph.order(&audit.address, &function.function.address);
        let api = api::api(&mut graph, part, &function)?;
        let check = api::route(&mut graph, part, &api, domain.as_mut())?;
        parameters::parameters(&mut graph, part, &payments, &api)?;
        watched.push(monitoring::Watched { part, topic, function, api, check });
    }
    monitoring::monitoring(&mut graph, &watched, &payments)?;
    if let Some(monitoring::Watched { part, topic, .. }) = watched.first() {
        let (config, logs) = (workspace.variables.drift_detector.as_ref(), workspace.variables.log_retention_days.0);
        let key = &part.keys.logs.outputs.arn;
        drift_detector(&mut graph, workspace, &part.site, config, topic, (key, logs))?;
    }
    if let Some(domain) = domain {
        domain.first(&mut graph);
    }
    Ok(graph)
}

/// A region of a workspace.
#[derive(Clone, Copy)]
struct Site<'a> {
    workspace: &'a Workspace<PaymentVariables>,
    shared: payinfra_stack::Site<'a>,
}

impl<'a> Deref for Site<'a> {
    type Target = payinfra_stack::Site<'a>;

    fn deref(&self) -> &Self::Target {
        &self.shared
    }
}

impl<'a> Site<'a> {
    fn variables(&self) -> &'a PaymentVariables {
        &self.workspace.variables
    }
}

/// A region and its resources.
struct Part<'a> {
    site: Site<'a>,
    keys: Keys,
    network: Network,
    buckets: storage::Buckets,
}

impl<'a> Part<'a> {
    /// The other regions.
    fn others<'b>(&self, parts: &'b [Part<'a>]) -> impl Iterator<Item = &'b Part<'a>> {
        let own = self.site.config.index;
        parts.iter().filter(move |part| part.site.config.index != own)
    }
}
