//! `payinfra.toml` as it is written: every value that may come from a default or from `[defaults]` is optional.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::alarms::AlarmVariables;
use super::database::DatabaseVariables;
use super::domain::DomainVariables;
use super::remote_outputs::RemoteVariables;
use super::service::ServiceVariables;
use super::waf::WafVariables;
use super::{Nat, Phase};
use crate::names::AccountId;

/// The configuration of payinfra: a stack, its workspaces and their variables.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "payinfra.toml")]
pub(crate) struct File {
    /// The stack to deploy, such as `migration`.
    #[schemars(with = "String")]
    pub(super) stack: Spanned<String>,
    /// AWS credentials and accounts.
    #[serde(default)]
    pub(super) aws: AwsConfig,
    /// Where the state is stored.
    #[serde(default)]
    #[schemars(with = "Option<StateConfig>")]
    pub(super) state: Option<Spanned<StateConfig>>,
    /// Variables shared by all workspaces; a workspace's own variables take precedence.
    #[serde(default)]
    pub(super) defaults: Variables,
    /// The workspaces by name. Each has its own state, lock and variables.
    #[schemars(with = "BTreeMap<String, Variables>")]
    pub(super) workspaces: BTreeMap<Spanned<String>, Variables>,
}

/// AWS credentials and accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// The profile in the shared AWS configuration files; by default, the SDK's credential provider chain applies.
    pub profile: Option<String>,
    /// The ARN of a role to assume.
    pub role: Option<String>,
    /// The accounts that may be used; checked before anything else. If empty, all accounts can be read, and the first
    /// command that would change one asks for confirmation.
    #[serde(default)]
    pub account_ids: Vec<AccountId>,
}

/// Where the state is stored: in S3 with a lock in `DynamoDB`, or in a local folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// The S3 bucket; by default `payinfra-state-ACCOUNT`.
    pub bucket: Option<String>,
    /// The region of the bucket and the table; by default us-east-1.
    pub region: Option<String>,
    /// The `DynamoDB` lock table; by default `payinfra-locks`.
    pub table: Option<String>,
    /// A local folder, instead of all of the above.
    pub path: Option<PathBuf>,
}

/// The variables of a workspace, or the shared ones in `[defaults]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variables {
    /// The phase, which determines what exists; by default the phase with the workspace's name.
    #[schemars(with = "Option<Phase>")]
    pub(super) phase: Option<Spanned<Phase>>,
    /// The value of the tag `Environment`.
    #[schemars(with = "Option<String>")]
    pub(super) environment: Option<Spanned<String>>,
    /// The value of the tag `Project`.
    #[schemars(with = "Option<String>")]
    pub(super) project: Option<Spanned<String>>,
    /// A suffix of every name that distinguishes environments: lower-case letters, digits, inner hyphens.
    #[schemars(with = "Option<String>", extend("pattern" = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub(super) suffix: Option<Spanned<String>>,
    /// The time of the cutover with time zone (RFC 3339): the value of the tag `CutoverTimestamp`.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(super) cutover: Option<Spanned<Moment>>,
    /// The regions, the primary first; by default us-east-1 and us-east-2.
    #[schemars(with = "Option<Vec<RegionVariables>>")]
    pub(super) regions: Option<Spanned<Vec<RegionVariables>>>,
    /// The traffic weights by region, which add up to 100; by default determined by the phase.
    #[schemars(with = "Option<BTreeMap<String, u8>>")]
    pub(super) weights: Option<Spanned<BTreeMap<Spanned<String>, u8>>>,
    /// How private subnets reach the internet; by default through one NAT gateway per zone.
    pub(super) nat: Option<Nat>,
    /// Whether to reject plans that would delete or replace resources with data (databases, buckets, keys, tables,
    /// secrets, hosted zones), and to enable AWS deletion protection; by default true.
    pub(super) protect: Option<bool>,
    /// Whether to take a final snapshot before a database is deleted; by default true.
    pub(super) final_snapshot: Option<bool>,
    /// The retention of flow logs in days; by default 90.
    #[schemars(with = "Option<i32>")]
    pub(super) flow_log_retention_days: Option<Spanned<i32>>,
    /// The waiting period before a deleted key is destroyed, from 7 to 30 days; by default 30.
    #[schemars(with = "Option<i32>", range(min = 7, max = 30))]
    pub(super) key_deletion_days: Option<Spanned<i32>>,
    /// Existing resources in the primary region, which are only looked up.
    pub(super) legacy_network: Option<LegacyVariables>,
    /// The databases.
    #[serde(default)]
    pub(super) database: DatabaseVariables,
    /// The payment service.
    #[serde(default)]
    pub(super) service: ServiceVariables,
    /// Domain names and certificates.
    #[serde(default)]
    pub(super) domain: DomainVariables,
    /// Alarm thresholds and subscriptions.
    #[serde(default)]
    pub(super) alarms: AlarmVariables,
    /// The web ACL in front of the load balancers.
    #[serde(default)]
    pub(super) waf: WafVariables,
    /// Outputs to read from other workspaces or stacks, by a name for each source.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RemoteVariables>")]
    pub(super) remote_outputs: BTreeMap<Spanned<String>, RemoteVariables>,
    /// Variables whose values are never shown or stored in the clear, as paths such as `alarms.subscriptions.endpoint`.
    /// Values that become part of a name, a tag or an id in AWS cannot be sensitive.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) sensitive: Option<Vec<Spanned<String>>>,
    /// Additional tags on all resources: keys of up to 128 and values of up to 256 letters, digits, spaces and
    /// `_.:/=+-@`. Keys must not differ only in case.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) tags: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// A region of the workspace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionVariables {
    /// The name of the region, such as `us-east-1`.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// The CIDR block of the region's network, /16 to /21; by default 10.0.0.0/16, 10.1.0.0/16 and so on.
    #[schemars(with = "Option<String>")]
    pub(super) cidr: Option<Spanned<String>>,
}

/// An existing network: its subnets and security groups are looked up, never created, updated or deleted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LegacyVariables {
    /// Its CIDR blocks. The new networks must not overlap them, and they may access the endpoints of the new network.
    #[schemars(with = "Vec<String>")]
    pub(super) cidrs: Vec<Spanned<String>>,
    /// The subnets to look up.
    #[schemars(with = "Option<SubnetFinder>")]
    pub(super) subnets: Option<Spanned<SubnetFinder>>,
    /// The security groups to look up, each under a name for addresses and outputs.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, SecurityGroupFinder>")]
    pub(super) security_groups: BTreeMap<Spanned<String>, SecurityGroupFinder>,
}

/// The criteria for existing subnets; all must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubnetFinder {
    /// Their ids.
    pub ids: Option<BTreeSet<String>>,
    /// Their VPC: its id, or `remote.NAME.OUTPUT`.
    pub vpc: Option<String>,
    /// Their tag `Name`.
    pub name: Option<String>,
    /// Their tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The criteria for an existing security group; all must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupFinder {
    /// Its id, or `remote.NAME.OUTPUT`.
    pub id: Option<String>,
    /// Its VPC: the id, or `remote.NAME.OUTPUT`.
    pub vpc: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A time, as a TOML datetime or as a string.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Moment {
    Native(toml::value::Datetime),
    Text(String),
}
