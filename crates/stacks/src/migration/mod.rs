//! The migration of a payment platform from one region to two without downtime (SYSTEMS §1).
//!
//! The service gets a domain name. Each region gets its keys, its network with flow logs, a transit gateway, and a
//! certificate. Then the transit gateways are peered, and the regions' buckets replicate to each other. Every step is a
//! loop over the regions of the phase (M-02), so that adding a region takes one line in the configuration.

mod audit;
mod compute;
mod database;
mod dns;
mod edge;
mod endpoints;
mod keys;
mod legacy;
mod monitoring;
mod network;
mod observability;
mod payments;
mod protection;
mod remote;
mod roles;
mod storage;
mod transit;

use payinfra_engine::{Graph, Ref, Region, Result, Tags, Text};

use self::keys::Keys;
use self::monitoring::Watched;
use self::network::Network;
use self::storage::Buckets;
use self::transit::Hub;
use crate::config::{RegionConfig, Workspace};
use crate::names::{AccountId, Names};
use crate::rules;
use crate::tags::tags;

/// The stack's name.
pub const NAME: &str = "migration";

pub(crate) use self::database::DATABASES;
pub(crate) use self::edge::BALANCERS;
pub(crate) use self::roles::ROLES;
pub(crate) use self::storage::BUCKETS;

/// The desired state of `workspace` in `account`.
///
/// # Errors
/// If a name is too long, or the graph violates one of the [`rules`].
pub fn build(workspace: &Workspace, account: &AccountId) -> Result<Graph> {
    let names = Names::new(&workspace.name, &workspace.suffix, account)?;
    let mut graph = Graph::new(NAME, &workspace.name, tags(workspace)).with_extra_tags(workspace.tags.clone());

    let mut domain = dns::domain(&mut graph, workspace, &names)?;
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
        let certificate = dns::certificate(&mut graph, &site, &mut domain)?;
        parts.push(Part { site, keys, network, hub, buckets, certificate });
    }
    transit::mesh(&mut graph, &parts)?;
    let payments = payments::payments(&mut graph, &parts)?;
    let databases = database::databases(&mut graph, &parts)?;
    let mut watched = Vec::new();
    for (part, database) in parts.iter().zip(&databases) {
        let stored = storage::buckets(&mut graph, part, &parts)?;
        if part.site.config.is_primary() {
            audit::trail(&mut graph, part, &parts, &stored.audit_trail)?;
        }
        let certificate = part.certificate.clone();
        let edge = edge::edge(&mut graph, &part.site, &part.network, certificate, &stored.access_logs)?;
        let compute = compute::compute(&mut graph, part, &parts, &edge, &payments)?;
        let ready = [&edge.https.address, &compute.service.address];
        let check = dns::record(&mut graph, &part.site, &domain, &edge.balancer, &ready)?;
        let (site, keys, buckets) = (part.site, &part.keys, &part.buckets);
        let service = monitoring::Service {
            cluster: Text::from(&compute.cluster.outputs.name),
            name: Text::from(&compute.service.outputs.name),
            arn: compute.service.outputs.arn,
        };
        let (database, health_check) = (Text::from(&database.cluster.id), Text::from(&check.id));
        watched.push(Watched { site, keys, buckets, edge, database, service, health_check });
    }
    monitoring::monitoring(&mut graph, &watched)?;
    protection::protection(&mut graph, workspace, &databases);
    let remote = remote::remote(&mut graph, workspace, account)?;
    legacy::lookups(&mut graph, workspace, &remote)?;
    graph.output("phase", workspace.phase.as_str());
    graph.output("regions", workspace.regions().iter().map(|it| it.region.as_str()).collect::<Vec<_>>().join(","));

    rules::check(&graph, &names)?;
    Ok(graph)
}

/// The context of what is built: a region of a workspace, and its names.
#[derive(Clone, Copy)]
struct Site<'a> {
    workspace: &'a Workspace,
    names: &'a Names,
    config: &'a RegionConfig,
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
    fn region(&self) -> &Region {
        &self.config.region
    }

    fn account(&self) -> &str {
        self.names.account().as_str()
    }

    /// The tags of one resource: its name. The graph adds the common tags.
    fn named(&self, resource_type: &str) -> Tags {
        Tags::new().with("Name", self.names.name(resource_type))
    }

    /// Declares an output of this region: `vpc_id_us_east_1`.
    fn output(&self, graph: &mut Graph, name: &str, value: impl Into<Text>) {
        graph.output(&format!("{name}_{}", self.region().as_str().replace('-', "_")), value);
    }

    /// The ARN of a resource in this region and account.
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
