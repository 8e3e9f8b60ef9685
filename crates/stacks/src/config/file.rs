//! `payinfra.toml` as it is written: every value optional where a default or the shared `[defaults]` may give it.

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

/// The configuration of payinfra: one stack, its workspaces and their variables.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "payinfra.toml")]
pub(crate) struct File {
    /// The stack that the workspaces deploy, such as `migration`.
    #[schemars(with = "String")]
    pub(super) stack: Spanned<String>,
    /// How AWS is called.
    #[serde(default)]
    pub(super) aws: AwsConfig,
    /// Where the state is kept.
    #[serde(default)]
    #[schemars(with = "Option<StateConfig>")]
    pub(super) state: Option<Spanned<StateConfig>>,
    /// Variables of all workspaces; a workspace's own come first.
    #[serde(default)]
    pub(super) defaults: Variables,
    /// The workspaces by name: each has its own state, lock and variables.
    #[schemars(with = "BTreeMap<String, Variables>")]
    pub(super) workspaces: BTreeMap<Spanned<String>, Variables>,
}

/// How AWS is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// The profile of the shared AWS configuration files; without it the SDK's usual chain decides.
    pub profile: Option<String>,
    /// The ARN of a role to assume.
    pub role: Option<String>,
    /// The accounts that may be used, checked before anything else. If empty, any may be read, and the first command that
    /// would change one asks.
    #[serde(default)]
    pub account_ids: Vec<AccountId>,
}

/// Where the state is kept: in S3 with a lock in `DynamoDB`, or in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// The bucket; by default `payinfra-state-ACCOUNT`.
    pub bucket: Option<String>,
    /// The region of bucket and table; by default us-east-1.
    pub region: Option<String>,
    /// The `DynamoDB` table of the locks; by default `payinfra-locks`.
    pub table: Option<String>,
    /// A folder, instead of all the above.
    pub path: Option<PathBuf>,
}

/// The variables of a workspace, or those that `[defaults]` gives to all.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variables {
    /// Which part of the stack exists; by default the phase that has the workspace's name.
    #[schemars(with = "Option<Phase>")]
    pub(super) phase: Option<Spanned<Phase>>,
    /// The tag `Environment`.
    #[schemars(with = "Option<String>")]
    pub(super) environment: Option<Spanned<String>>,
    /// The tag `Project`.
    #[schemars(with = "Option<String>")]
    pub(super) project: Option<Spanned<String>>,
    /// What tells environments apart in every name: lower-case letters, digits, inner hyphens.
    #[schemars(with = "Option<String>", extend("pattern" = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub(super) suffix: Option<Spanned<String>>,
    /// When traffic is cut over, with its zone (RFC 3339): the tag `CutoverTimestamp`.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(super) cutover: Option<Spanned<Moment>>,
    /// The regions, the primary first; by default us-east-1 and us-east-2.
    #[schemars(with = "Option<Vec<RegionVariables>>")]
    pub(super) regions: Option<Spanned<Vec<RegionVariables>>>,
    /// The share of the traffic by region, together 100; by default the phase decides.
    #[schemars(with = "Option<BTreeMap<String, u8>>")]
    pub(super) weights: Option<Spanned<BTreeMap<Spanned<String>, u8>>>,
    /// How private subnets reach the Internet; by default through one NAT gateway per zone.
    pub(super) nat: Option<Nat>,
    /// Whether plans fail that would delete or replace what keeps data (databases, buckets, keys, tables, secrets, hosted
    /// zones), and AWS's own deletion protection is on; by default true.
    pub(super) protect: Option<bool>,
    /// Whether a final snapshot is taken before a database is deleted; by default true.
    pub(super) final_snapshot: Option<bool>,
    /// How many days flow logs are kept; by default 90.
    #[schemars(with = "Option<i32>")]
    pub(super) flow_log_retention_days: Option<Spanned<i32>>,
    /// How many days a key that was destroyed can still be restored, from 7 to 30; by default 30.
    #[schemars(with = "Option<i32>", range(min = 7, max = 30))]
    pub(super) key_deletion_days: Option<Spanned<i32>>,
    /// What exists already in the primary region and is only looked up.
    pub(super) legacy_network: Option<LegacyVariables>,
    /// The databases.
    #[serde(default)]
    pub(super) database: DatabaseVariables,
    /// The service that takes payments.
    #[serde(default)]
    pub(super) service: ServiceVariables,
    /// Names and certificates.
    #[serde(default)]
    pub(super) domain: DomainVariables,
    /// Monitoring: who is told, and from when on.
    #[serde(default)]
    pub(super) alarms: AlarmVariables,
    /// The firewall before the load balancers.
    #[serde(default)]
    pub(super) waf: WafVariables,
    /// Outputs of other workspaces or stacks that are read here, each source under a name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RemoteVariables>")]
    pub(super) remote_outputs: BTreeMap<Spanned<String>, RemoteVariables>,
    /// More tags, which the services of all resources must accept: keys of up to 128 and values of up to 256 letters,
    /// digits, spaces and `_.:/=+-@`; keys must differ in more than case.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) tags: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// A region of the workspace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionVariables {
    /// The region's name, such as `us-east-1`.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// The block of the region's network, /16 to /21; by default 10.0.0.0/16, 10.1.0.0/16 and so on.
    #[schemars(with = "Option<String>")]
    pub(super) cidr: Option<Spanned<String>>,
}

/// An existing network: its subnets and security groups are looked up, never created, changed or destroyed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LegacyVariables {
    /// Its blocks, which the new networks must not overlap and which may call the new network's endpoints.
    #[schemars(with = "Vec<String>")]
    pub(super) cidrs: Vec<Spanned<String>>,
    /// Which subnets to look up.
    #[schemars(with = "Option<SubnetFinder>")]
    pub(super) subnets: Option<Spanned<SubnetFinder>>,
    /// Which security groups to look up, each under a name for addresses and outputs.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, SecurityGroupFinder>")]
    pub(super) security_groups: BTreeMap<Spanned<String>, SecurityGroupFinder>,
}

/// How existing subnets are found: by all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubnetFinder {
    /// Their ids.
    pub ids: Option<BTreeSet<String>>,
    /// The VPC that they are in: its id, or `remote.NAME.OUTPUT`.
    pub vpc: Option<String>,
    /// Their tag `Name`.
    pub name: Option<String>,
    /// Tags that they carry.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// How an existing security group is found: by all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupFinder {
    /// Its id, or `remote.NAME.OUTPUT`.
    pub id: Option<String>,
    /// The VPC that it is in: its id, or `remote.NAME.OUTPUT`.
    pub vpc: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Tags that it carries.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A time, written as TOML's own or as a string.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Moment {
    Native(toml::value::Datetime),
    Text(String),
}
