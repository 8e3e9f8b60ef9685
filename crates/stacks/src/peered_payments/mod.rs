//! A payment API in one region, with its database in another one: two peered networks (SYSTEMS §4).
//!
//! The first region has the function behind an HTTP API and the table of payments. The second one has `PostgreSQL`, which the
//! function reaches over the peering, and a copy of all objects.

mod api;
mod database;
mod keys;
mod monitoring;
mod network;
mod processor;
mod settings;
mod storage;
mod table;

use std::ops::Deref;

use payinfra_aws::sns::Topic;
use payinfra_components::buckets::REPLICATION;
use payinfra_components::network::Network;
use payinfra_components::peering::{Side, peering};
use payinfra_components::postgresql::INSTANCE;
use payinfra_engine::{Error, Graph, Node, Ref, Region, Result, Tags};
use payinfra_stack::{AccountId, Names, Problems, Stack, Workspace};

pub use self::settings::{PeeredVariables, PostgreSqlConfig, ProcessorConfig, RateConfig, Retention, ThresholdConfig};

use self::processor::PROCESSOR;
use self::settings::batch;
use crate::settings::drift_detector::{self, drift_detector};

/// The stack's name.
pub const NAME: &str = "peered-payments";

/// The resource types in the names of roles.
const ROLES: [&str; 2] = [PROCESSOR, REPLICATION];
/// The tag with the region that a resource is in, or is for.
const REGION: &str = "Region";
/// The tag with the batch of the migration.
const BATCH: &str = "MigrationBatch";

/// A payment API in one region, with its database in another one.
#[derive(Clone, Copy, Debug)]
pub struct PeeredPayments;

impl Stack for PeeredPayments {
    const NAME: &'static str = NAME;
    const ABOUT: &'static str = "a payment API with its database in a peered network of another region";
    const NAMES: &'static str = "{type}-{suffix}";
    const REGIONS: &'static [&'static str] = &["us-east-1", "eu-west-1"];
    const TAGS: &'static [&'static str] = &[BATCH, REGION];
    const SECRET: &'static [&'static str] = &["alarms.subscriptions.endpoint"];
    const FILES: &'static [&'static str] = &[drift_detector::PACKAGE, "package"];
    const EXAMPLE: Option<&'static str> = Some(include_str!("payinfra.toml"));

    type Variables = PeeredVariables;

    fn check(&self, workspace: &Workspace<PeeredVariables>, problems: &mut Problems) {
        settings::check(workspace, problems);
    }

    fn build(&self, workspace: &Workspace<PeeredVariables>, account: &AccountId) -> Result<Graph> {
        build(workspace, account)
    }
}

fn build(workspace: &Workspace<PeeredVariables>, account: &AccountId) -> Result<Graph> {
    let names = workspace.names(account)?;
    let mut graph = workspace.graph(&Tags::new().with(BATCH, batch(workspace)?));
    let common = graph.tags.clone();
    let in_region = |part: &Part<'_>| common.clone().with(REGION, part.site.region().as_str());
    let mut parts = Vec::new();
    for config in &workspace.regions {
        let site = Site { workspace, shared: payinfra_stack::Site::new(workspace, &names, config) };
        graph.tags = common.clone().with(REGION, site.region().as_str());
        let key = keys::key(&mut graph, &site)?;
        let network = network::network(&mut graph, &site)?;
        let topic = monitoring::topic(&mut graph, &site, &key)?;
        parts.push(Part { site, key, network, topic });
    }
    let [near, far] = &parts[..] else { return Err(Error::invalid("a peered payment API has two regions")) };

    graph.tags = in_region(far);
    let database = database::database(&mut graph, near, far)?;
    let copies = storage::copies(&mut graph, far)?;
    monitoring::of_database(&mut graph, far, &database)?;

    graph.tags = in_region(near);
    peering(&mut graph, &near.side(), &far.side())?;
    let payments = table::payments(&mut graph, near)?;
    let data = storage::data(&mut graph, near, far, &copies)?;
    let function = processor::processor(&mut graph, near, far, &payments, &data)?;
    api::api(&mut graph, near, &function)?;
    monitoring::of_function(&mut graph, near, &function)?;
    monitoring::shown(&mut graph, near, far, &function, &payments, &database)?;
    let (config, logs) = (workspace.variables.drift_detector.as_ref(), workspace.variables.log_retention_days.0);
    drift_detector(&mut graph, workspace, &near.site, config, &near.topic, (&near.key, logs))?;
    Ok(graph)
}

/// A region of a workspace.
#[derive(Clone, Copy)]
struct Site<'a> {
    workspace: &'a Workspace<PeeredVariables>,
    shared: payinfra_stack::Site<'a>,
}

impl<'a> Deref for Site<'a> {
    type Target = payinfra_stack::Site<'a>;

    fn deref(&self) -> &Self::Target {
        &self.shared
    }
}

impl<'a> Site<'a> {
    fn variables(&self) -> &'a PeeredVariables {
        &self.workspace.variables
    }
}

/// A region, and what its other resources refer to.
struct Part<'a> {
    site: Site<'a>,
    /// The ARN of the region's key, for everything but the database.
    key: Ref<String>,
    network: Network,
    topic: Node<Topic>,
}

impl Part<'_> {
    /// As a side of the peering.
    fn side(&self) -> Side<'_> {
        let tags = Tags::new().with(REGION, self.site.region().as_str());
        Side { site: self.site.shared, network: &self.network, tags }
    }
}

/// The names of a region that are limited in length.
fn names(names: &Names, region: &Region) -> Result<()> {
    ROLES.iter().try_for_each(|role| names.role(role, region).map(drop))?;
    names.database(INSTANCE, region)?;
    storage::name(names, region).map(drop)
}
