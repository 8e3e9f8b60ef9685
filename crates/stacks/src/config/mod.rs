//! The configuration, `payinfra.toml`: read and checked as a whole before anything is planned.

mod alarms;
mod check;
mod database;
mod domain;
mod error;
mod file;
mod remote_outputs;
mod sensitive;
mod service;
mod tags;
mod waf;

use std::collections::BTreeMap;
use std::fmt;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use payinfra_engine::{Region, Tags};
use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

pub use alarms::{AlarmConfig, Subscription};
pub use database::DatabaseConfig;
pub use domain::DomainConfig;
pub use error::ConfigError;
pub use file::{AwsConfig, SecurityGroupFinder, StateConfig, SubnetFinder};
pub(crate) use remote_outputs::REMOTE;
pub use remote_outputs::RemoteOutputs;
pub use sensitive::{SensitiveVariable, without_secrets};
pub use service::{Architecture, ServiceConfig};
pub use waf::WafConfig;

use crate::names::Suffix;

/// A configuration in which nothing is wrong that can be told without calling AWS.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The file it was read from, as it was named.
    pub source_name: String,
    /// The name of the stack.
    pub stack: String,
    /// How AWS is called.
    pub aws: AwsConfig,
    /// Where the state is kept.
    pub state: StateConfig,
    /// The workspaces by name.
    pub workspaces: BTreeMap<String, Workspace>,
}

/// One workspace: its variables, each with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its name.
    pub name: String,
    /// Which part of the stack exists.
    pub phase: Phase,
    /// The tag `Environment`.
    pub environment: String,
    /// The tag `Project`.
    pub project: String,
    /// What tells environments apart in every name.
    pub suffix: Suffix,
    /// When traffic is cut over.
    pub cutover: Timestamp,
    /// All regions, the primary first; [`Workspace::regions`] has those that exist in the phase.
    pub all_regions: Vec<RegionConfig>,
    /// How private subnets reach the Internet.
    pub nat: Nat,
    /// Whether what keeps data is protected: databases, buckets, keys, tables, secrets and hosted zones (M-28).
    pub protect: bool,
    /// Whether a final snapshot is taken before a database is deleted.
    pub final_snapshot: bool,
    /// How many days flow logs are kept.
    pub flow_log_retention_days: i32,
    /// How many days a destroyed key can still be restored.
    pub key_deletion_days: i32,
    /// What exists already in the primary region.
    pub legacy_network: Option<LegacyNetwork>,
    /// The databases.
    pub database: DatabaseConfig,
    /// The service that takes payments.
    pub service: ServiceConfig,
    /// Names and certificates.
    pub domain: DomainConfig,
    /// Monitoring: who is told, and from when on.
    pub alarms: AlarmConfig,
    /// The firewall before the load balancers.
    pub waf: WafConfig,
    /// Outputs of other workspaces or stacks, by the name that the source has here.
    pub remote_outputs: BTreeMap<String, RemoteOutputs>,
    /// More tags.
    pub tags: Tags,
    /// The variables whose values are never shown.
    pub sensitive: Vec<SensitiveVariable>,
}

/// A region of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionConfig {
    /// The region.
    pub region: Region,
    /// Its place in the list, from 0: the primary's.
    pub index: u32,
    /// The block of its network.
    pub cidr: Ipv4Net,
    /// Its share of the traffic in per cent.
    pub weight: u8,
}

/// An existing network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyNetwork {
    /// Its blocks.
    pub cidrs: Vec<Ipv4Net>,
    /// Which subnets to look up.
    pub subnets: Option<SubnetFinder>,
    /// Which security groups to look up, by the name that they get here.
    pub security_groups: BTreeMap<String, SecurityGroupFinder>,
}

/// How far the migration is (M-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The primary region only, with all traffic.
    Legacy,
    /// Both regions, the second one with a small share of the traffic.
    Migration,
    /// Both regions at full size.
    Production,
}

impl Phase {
    /// All phases, in the order of a migration.
    pub const ALL: [Self; 3] = [Self::Legacy, Self::Migration, Self::Production];

    /// As it is written in configurations and tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Migration => "migration",
            Self::Production => "production",
        }
    }

    /// How many of `regions` exist in this phase.
    #[must_use]
    pub fn spans(self, regions: usize) -> usize {
        match self {
            Self::Legacy => regions.min(1),
            Self::Migration | Self::Production => regions,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How private subnets reach the Internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// A NAT gateway in each zone: the loss of a zone takes no other with it.
    #[default]
    PerZone,
    /// One NAT gateway for the region: cheaper.
    Single,
}

impl Configuration {
    /// Reads and checks the text of a configuration; `source_name` is how messages call it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place. Wrong tags are reported all at once.
    pub fn parse(text: &str, source_name: &str) -> Result<Self, Box<ConfigError>> {
        check::configuration(text, source_name)
            .map_err(|problem| Box::new(problem.into_error(source_name, text).without(&sensitive::secrets(text))))
    }

    /// The workspace `name`.
    ///
    /// # Errors
    /// If it is not declared; the message lists those that are.
    pub fn workspace(&self, name: &str) -> Result<&Workspace, Box<ConfigError>> {
        self.workspaces.get(name).ok_or_else(|| {
            let declared = self.workspaces.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Box::new(ConfigError {
                source_name: self.source_name.clone(),
                message: format!("there is no workspace `{name}`; declared are {declared}"),
                span: None,
                position: None,
                others: Vec::new(),
                hint: Some(format!("name one of them, or declare it under [workspaces.{name}]")),
            })
        })
    }
}

impl Workspace {
    /// The regions that exist in this phase, the primary first.
    #[must_use]
    pub fn regions(&self) -> &[RegionConfig] {
        &self.all_regions[..self.phase.spans(self.all_regions.len())]
    }
}

impl RegionConfig {
    /// Whether it is the primary region.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.index == 0
    }
}

/// The JSON schema of `payinfra.toml`, for editors.
#[must_use]
pub fn schema() -> Schema {
    schema_for!(file::File)
}
