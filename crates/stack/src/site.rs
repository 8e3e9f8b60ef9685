//! The context of components: a region of a workspace, with names and tags.

use payinfra_engine::{Graph, Region, Result, Tags, Text};

use crate::names::{AccountId, Names};
use crate::workspace::{RegionConfig, Workspace};

/// A region of a workspace: what a component needs to know to name, tag and protect its resources.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The names of the workspace.
    pub names: &'a Names,
    /// The region and its network.
    pub config: &'a RegionConfig,
    /// Whether to enable AWS deletion protection.
    pub protect: bool,
    /// The waiting period before a deleted key is destroyed, in days.
    pub key_deletion_days: i32,
}

impl<'a> Site<'a> {
    /// The region `config` of `workspace`.
    #[must_use]
    pub fn new<V>(workspace: &Workspace<V>, names: &'a Names, config: &'a RegionConfig) -> Self {
        Self { names, config, protect: workspace.protect, key_deletion_days: workspace.key_deletion_days }
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &'a Region {
        &self.config.region
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &'a str {
        self.names.account().as_str()
    }

    /// The tags of one resource: its name. The graph adds the common tags.
    #[must_use]
    pub fn named(&self, resource_type: &str) -> Tags {
        Tags::new().with("Name", self.names.name(resource_type))
    }

    /// Declares an output of this region: `vpc_id_us_east_1`.
    pub fn output(&self, graph: &mut Graph, name: &str, value: impl Into<Text>) {
        graph.output(&format!("{name}_{}", self.region().as_str().replace('-', "_")), value);
    }

    /// The ARN of a resource in this region and account.
    #[must_use]
    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region(), self.account())
    }
}

impl<V> Workspace<V> {
    /// A graph of this workspace in `account`, with the common tags, to which `declare` adds the resources of each region.
    ///
    /// # Errors
    /// If the workspace's name is not valid in names, or `declare` fails.
    pub fn graph_per_region(
        &self,
        account: &AccountId,
        declare: impl Fn(&mut Graph, &Site<'_>) -> Result<()>,
    ) -> Result<Graph> {
        let (names, mut graph) = (self.names(account)?, self.graph(&Tags::new()));
        for config in &self.regions {
            declare(&mut graph, &Site::new(self, &names, config))?;
        }
        Ok(graph)
    }
}
