//! `payinfra.toml` as it is written: every value that may come from a default or from `[defaults]` is optional.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::{Spanned, Table};

use super::remote_outputs::RemoteVariables;
use super::state::StateConfig;
use crate::names::AccountId;

/// The configuration of payinfra: a stack, its workspaces and their variables.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "payinfra.toml")]
pub(super) struct File {
    /// The stack to deploy, such as `migration`.
    #[schemars(with = "String")]
    pub(super) stack: Spanned<String>,
    /// AWS credentials and accounts.
    #[serde(default)]
    pub(super) aws: AwsConfig,
    /// Where the state is stored.
    #[serde(default)]
    pub(super) state: StateConfig,
    /// Variables shared by all workspaces; a workspace's own variables take precedence.
    #[serde(default)]
    #[schemars(with = "SharedVariables")]
    #[expect(dead_code, reason = "it is read as a table, to be merged; this is its name and its schema")]
    defaults: Table,
    /// The workspaces by name. Each has its own state, lock and variables.
    #[schemars(with = "BTreeMap<String, SharedVariables>")]
    #[expect(dead_code, reason = "they are read as tables, to be merged; this is their name and their schema")]
    workspaces: BTreeMap<String, Table>,
}

/// AWS credentials and accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AwsConfig {
    /// The profile in the shared AWS configuration files; by default, the SDK's credential provider chain applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The ARN of a role to assume; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The accounts that may be used; checked before anything else. If empty, all accounts can be read, and the first
    /// command that would change one asks for confirmation.
    pub account_ids: Vec<AccountId>,
}

/// The variables that all stacks share, of a workspace or in `[defaults]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SharedVariables {
    /// The value of the tag `Environment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) environment: Option<Spanned<String>>,
    /// The value of the tag `Project`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) project: Option<Spanned<String>>,
    /// A suffix of every name that distinguishes environments: lower-case letters, digits, inner hyphens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("pattern" = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub(super) suffix: Option<Spanned<String>>,
    /// The regions, the primary first.
    // The schema of a stack adds its regions as the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<RegionVariables>")]
    pub(super) regions: Option<Spanned<Vec<RegionVariables>>>,
    /// Whether to reject plans that would delete or replace resources with data (databases, buckets, keys, tables,
    /// secrets, hosted zones), and to enable AWS deletion protection.
    pub(super) protect: bool,
    /// Whether to take a final snapshot before a database is deleted.
    pub(super) final_snapshot: bool,
    /// The waiting period before a deleted key is destroyed, from 7 to 30 days.
    #[schemars(range(min = 7, max = 30))]
    pub(super) key_deletion_days: i32,
    /// Outputs to read from other workspaces or stacks, by a name for each source.
    pub(super) remote_outputs: BTreeMap<String, RemoteVariables>,
    /// Variables whose values are never shown or stored in the clear, as paths such as `alarms.subscriptions.endpoint`.
    /// Values that become part of a name, a tag or an id in AWS cannot be sensitive.
    #[schemars(with = "Vec<String>")]
    pub(super) sensitive: Vec<Spanned<String>>,
    /// Additional tags on all resources: keys of up to 128 and values of up to 256 letters, digits, spaces and
    /// `_.:/=+-@`. Keys must not differ only in case.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) tags: BTreeMap<String, Spanned<String>>,
    /// Keys of tags that others set, such as an organization's tagger, with `*` for any characters: `org:*`. Such tags are
    /// neither compared, removed nor overwritten. AWS's own tags, `aws:*`, are always ignored.
    #[schemars(with = "Vec<String>")]
    pub(super) ignore_tags: Vec<Spanned<String>>,
}

impl Default for SharedVariables {
    fn default() -> Self {
        Self {
            environment: None,
            project: None,
            suffix: None,
            regions: None,
            protect: true,
            final_snapshot: true,
            key_deletion_days: 30,
            remote_outputs: BTreeMap::new(),
            sensitive: Vec::new(),
            tags: BTreeMap::new(),
            ignore_tags: Vec::new(),
        }
    }
}

/// A region of the workspace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionVariables {
    /// The name of the region, such as `us-east-1`.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// The CIDR block of the region's network, /16 to /21; by default 10.0.0.0/16, 10.1.0.0/16 and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(super) cidr: Option<Spanned<String>>,
}
