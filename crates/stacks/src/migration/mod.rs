//! The migration of a payment platform from one region to two without downtime (SYSTEMS §1).
//!
//! The story: each region gets its keys, its network with flow logs, and a hub that others can reach it by; then the
//! hubs are joined to a mesh, and the regions' buckets replicate to each other. Every step is a loop over the regions
//! that exist in the phase (M-02), so that another region is another line of the configuration.

mod endpoints;
mod keys;
mod legacy;
mod network;
mod observability;
mod roles;
mod storage;
mod transit;

use payinfra_engine::{Graph, Region, Result, Tags, Text};

use self::keys::Keys;
use self::network::Network;
use self::storage::Buckets;
use self::transit::Hub;
use crate::config::{RegionConfig, Workspace};
use crate::names::{AccountId, Names};
use crate::rules;
use crate::tags::tags;

/// The stack's name.
pub const NAME: &str = "migration";

pub(crate) use self::roles::ROLES;
pub(crate) use self::storage::BUCKETS;

/// What `workspace` should be in `account`.
///
/// # Errors
/// If a name gets too long, or what comes out breaks one of the [`rules`].
pub fn build(workspace: &Workspace, account: &AccountId) -> Result<Graph> {
    let names = Names::new(&workspace.name, &workspace.suffix, account)?;
    let mut graph = Graph::new(NAME, &workspace.name, tags(workspace));

    let mut parts = Vec::new();
    for config in workspace.regions() {
        let site = Site { workspace, names: &names, config };
        site.output(&mut graph, "weight", config.weight.to_string());
        let keys = keys::keys(&mut graph, &site)?;
        let network = network::network(&mut graph, &site)?;
        endpoints::endpoints(&mut graph, &site, &network)?;
        observability::flow_log(&mut graph, &site, &network, &keys)?;
        let hub = transit::hub(&mut graph, &site, &network)?;
        let buckets = storage::names(&site)?;
        parts.push(Part { site, keys, network, hub, buckets });
    }
    transit::mesh(&mut graph, &parts)?;
    for part in &parts {
        storage::buckets(&mut graph, part, &parts)?;
    }
    legacy::lookups(&mut graph, workspace)?;
    graph.output("phase", workspace.phase.as_str());
    graph.output("regions", workspace.regions().iter().map(|it| it.region.as_str()).collect::<Vec<_>>().join(","));

    rules::check(&graph, &names)?;
    Ok(graph)
}

/// Where something is built: a region of a workspace, and how things are called there.
#[derive(Clone, Copy)]
struct Site<'a> {
    workspace: &'a Workspace,
    names: &'a Names,
    config: &'a RegionConfig,
}

/// A region and what stands in it.
struct Part<'a> {
    site: Site<'a>,
    keys: Keys,
    network: Network,
    hub: Hub,
    buckets: Buckets,
}

impl Site<'_> {
    fn region(&self) -> &Region {
        &self.config.region
    }

    fn account(&self) -> &str {
        self.names.account().as_str()
    }

    /// The tags of one resource: its name. The graph adds those that all carry.
    fn named(&self, resource_type: &str) -> Tags {
        Tags::new().with("Name", self.names.name(resource_type))
    }

    /// Declares an output of this region: `vpc_id_us_east_1`.
    fn output(&self, graph: &mut Graph, name: &str, value: impl Into<Text>) {
        graph.output(&format!("{name}_{}", self.region().as_str().replace('-', "_")), value);
    }

    /// The ARN of something in this region and account.
    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region(), self.account())
    }
}

impl<'a> Part<'a> {
    /// The other regions.
    fn others<'b>(&self, parts: &'b [Part<'a>]) -> impl Iterator<Item = &'b Part<'a>> {
        let own = self.site.config.index;
        parts.iter().filter(move |part| part.site.config.index != own)
    }
}
