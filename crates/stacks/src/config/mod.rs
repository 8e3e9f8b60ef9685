//! The configuration, `payinfra.toml`: parsed and fully checked before anything is planned.

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

/// A valid configuration, as far as this can be checked without calling AWS.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The file it was read from.
    pub source_name: String,
    /// The name of the stack.
    pub stack: String,
    /// AWS credentials and accounts.
    pub aws: AwsConfig,
    /// Where the state is stored.
    pub state: StateConfig,
    /// The workspaces by name.
    pub workspaces: BTreeMap<String, Workspace>,
}

/// One workspace with all of its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Its name.
    pub name: String,
    /// The phase, which determines what exists.
    pub phase: Phase,
    /// The value of the tag `Environment`.
    pub environment: String,
    /// The value of the tag `Project`.
    pub project: String,
    /// The suffix of every name.
    pub suffix: Suffix,
    /// The time of the cutover.
    pub cutover: Timestamp,
    /// All regions, the primary first; [`Workspace::regions`] returns those used in the phase.
    pub all_regions: Vec<RegionConfig>,
    /// How private subnets reach the internet.
    pub nat: Nat,
    /// Whether resources with data are protected: databases, buckets, keys, tables, secrets and hosted zones (M-28).
    pub protect: bool,
    /// Whether a final snapshot is taken before a database is deleted.
    pub final_snapshot: bool,
    /// The retention of flow logs in days.
    pub flow_log_retention_days: i32,
    /// The waiting period before a deleted key is destroyed, in days.
    pub key_deletion_days: i32,
    /// Existing resources in the primary region.
    pub legacy_network: Option<LegacyNetwork>,
    /// The databases.
    pub database: DatabaseConfig,
    /// The payment service.
    pub service: ServiceConfig,
    /// Domain names and certificates.
    pub domain: DomainConfig,
    /// Alarm thresholds and subscriptions.
    pub alarms: AlarmConfig,
    /// The web ACL in front of the load balancers.
    pub waf: WafConfig,
    /// Outputs to read from other workspaces or stacks, by the name of the source.
    pub remote_outputs: BTreeMap<String, RemoteOutputs>,
    /// Additional tags.
    pub tags: Tags,
    /// The variables whose values are never shown.
    pub sensitive: Vec<SensitiveVariable>,
}

/// A region of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionConfig {
    /// The region.
    pub region: Region,
    /// Its position in the list, from 0 for the primary region.
    pub index: u32,
    /// The CIDR block of its network.
    pub cidr: Ipv4Net,
    /// Its traffic weight in percent.
    pub weight: u8,
}

/// An existing network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyNetwork {
    /// Its CIDR blocks.
    pub cidrs: Vec<Ipv4Net>,
    /// The subnets to look up.
    pub subnets: Option<SubnetFinder>,
    /// The security groups to look up, by name.
    pub security_groups: BTreeMap<String, SecurityGroupFinder>,
}

/// The phase of the migration (M-02).
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

    /// Its name in configurations and tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Migration => "migration",
            Self::Production => "production",
        }
    }

    /// The number of `regions` used in this phase.
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

/// How private subnets reach the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// A NAT gateway in each zone, so that losing a zone does not affect the others.
    #[default]
    PerZone,
    /// One NAT gateway per region: cheaper.
    Single,
}

impl Configuration {
    /// Parses and checks the text of a configuration; messages refer to it as `source_name`.
    ///
    /// # Errors
    /// The first error, with its place. Errors in tags are reported together.
    pub fn parse(text: &str, source_name: &str) -> Result<Self, Box<ConfigError>> {
        check::configuration(text, source_name)
            .map_err(|problem| Box::new(problem.into_error(source_name, text).without(&sensitive::secrets(text))))
    }

    /// The workspace `name`.
    ///
    /// # Errors
    /// If it is not declared; the message lists the declared workspaces.
    pub fn workspace(&self, name: &str) -> Result<&Workspace, Box<ConfigError>> {
        self.workspaces.get(name).ok_or_else(|| {
            let declared = self.workspaces.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Box::new(ConfigError {
                source_name: self.source_name.clone(),
                message: format!("workspace `{name}` is not declared; declared workspaces: {declared}"),
                span: None,
                position: None,
                others: Vec::new(),
                hint: Some(format!("select one of them, or declare it under [workspaces.{name}]")),
            })
        })
    }
}

impl Workspace {
    /// The regions used in this phase, the primary first.
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
