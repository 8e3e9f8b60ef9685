//! The variables of the peered payment API: as they are written, and checked.

use payinfra_engine::{Error, Result};
use payinfra_stack::{AccountId, Problems, Section, Workspace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::network::subnets;
use crate::settings::Architecture;
use crate::settings::database::{Named, postgresql};
use crate::settings::retention::retention;
use crate::settings::{self, DriftDetectorConfig, Subscription, drift_detector, regions, tag, window};

/// The largest threshold of an alarm.
const MANY: i32 = 1_000_000;

/// The variables of the peered payment API, as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeeredVariables {
    /// The value of the tag `MigrationBatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub migration_batch: Option<String>,
    /// The package of the payments function: a zip file, which `cargo function` builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub package: Option<String>,
    /// The payments function, in the first region.
    pub function: ProcessorConfig,
    /// The API, in the first region.
    pub api: RateConfig,
    /// The database, in the second region.
    pub database: PostgreSqlConfig,
    /// Alarm thresholds and subscriptions.
    pub alarms: ThresholdConfig,
    /// The retention of all logs in days.
    pub log_retention_days: Retention,
    /// The drift detector, which runs on a schedule; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_detector: Option<DriftDetectorConfig>,
}

/// The retention of logs in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Retention(pub i32);

/// The payments function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessorConfig {
    /// The instruction set of the package.
    pub architecture: Architecture,
    /// The memory in MB.
    #[schemars(range(min = 128, max = 10240))]
    pub memory: i32,
    /// The timeout in seconds. The function starts no call in the last two seconds.
    #[schemars(range(min = 5, max = 30))]
    pub timeout_seconds: i32,
    /// The number of concurrent invocations that is reserved for the function, and its maximum.
    #[schemars(range(min = 1, max = 1000))]
    pub reserved_concurrency: i32,
}

/// The API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    /// The rate in requests per second.
    #[schemars(range(min = 1, max = 10000))]
    pub requests_per_second: u32,
}

/// The database: an instance of `PostgreSQL`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PostgreSqlConfig {
    /// The version of `PostgreSQL`.
    pub engine_version: String,
    /// The name of the database.
    pub name: String,
    /// The name of the master user.
    pub username: String,
    /// The class of the instance.
    pub instance_class: String,
    /// The size of the storage in GB; it can only grow.
    #[schemars(range(min = 20, max = 65536))]
    pub storage: i32,
    /// Whether a standby in another zone takes over when the instance or its zone fails.
    pub multi_az: bool,
    /// The retention of backups in days; within it, the database can be restored to any second.
    #[schemars(range(min = 1, max = 35))]
    pub backup_retention_days: i32,
    /// The daily backup window in UTC.
    pub backup_window: String,
}

/// The alarm thresholds and subscriptions. An alarm fires beyond the threshold of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThresholdConfig {
    /// The subscriptions to alarms.
    pub subscriptions: Vec<Subscription>,
    /// The maximum number of errors of the function in five minutes.
    #[schemars(range(min = 0, max = MANY))]
    pub errors: i32,
    /// The maximum CPU utilization of the database in percent, in two consecutive periods of five minutes.
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: i32,
}

impl Default for Retention {
    fn default() -> Self {
        Self(30)
    }
}

impl Default for ProcessorConfig {
    fn default() -> Self {
        Self { architecture: Architecture::default(), memory: 256, timeout_seconds: 30, reserved_concurrency: 10 }
    }
}

impl Default for RateConfig {
    fn default() -> Self {
        Self { requests_per_second: 100 }
    }
}

impl Default for PostgreSqlConfig {
    fn default() -> Self {
        Self {
            engine_version: "16.6".to_owned(),
            name: "payments".to_owned(),
            username: "payments".to_owned(),
            instance_class: "db.m6g.large".to_owned(),
            storage: 100,
            multi_az: true,
            backup_retention_days: 7,
            backup_window: "03:00-04:00".to_owned(),
        }
    }
}

impl Default for ThresholdConfig {
    fn default() -> Self {
        Self { subscriptions: Vec::new(), errors: 5, cpu_percent: 80 }
    }
}

/// Checks the variables of a workspace. Adds all problems.
pub(super) fn check(workspace: &Workspace<PeeredVariables>, problems: &mut Problems) {
    let variables = &workspace.variables;
    for (variable, missing, why) in [
        ("migration_batch", variables.migration_batch.is_none(), "it is the value of the tag MigrationBatch"),
        (
            "package",
            variables.package.is_none(),
            "it is the package of the payments function, which `cargo function` builds",
        ),
    ] {
        if missing {
            problems.add(workspace.lacks(variable, why));
        }
    }
    let mut section = workspace.section("", problems);
    let count = workspace.regions.len();
    if count != 2 {
        let hint = "list the region of the function and the region of the database";
        section.wrong("regions", format!("a peered payment API has two regions, not {count}"), hint);
    }
    if let Some(value) = &variables.migration_batch {
        section.check("migration_batch", tag("migration_batch", "MigrationBatch", value));
    }
    settings::architecture(workspace, ("package", "function"), variables.function.architecture, &mut section);
    section.check("log_retention_days", retention(variables.log_retention_days.0));
    section.check("suffix", names(workspace));
    for region in &workspace.regions {
        section.check(&format!("regions.{}.name", region.index), regions::known(&region.region));
        section.check(&format!("regions.{}.cidr", region.index), subnets(region.cidr));
    }
    let mut section = workspace.section("function", problems);
    section.number("memory", variables.function.memory, 128..=10_240);
    section.number("timeout_seconds", variables.function.timeout_seconds, 5..=30);
    section.number("reserved_concurrency", variables.function.reserved_concurrency, 1..=1_000);
    let mut section = workspace.section("api", problems);
    section.number("requests_per_second", variables.api.requests_per_second, 1..=10_000);
    database(&variables.database, &mut workspace.section("database", problems));
    drift_detector::check(workspace, variables.drift_detector.as_ref(), problems);
    let mut section = workspace.section("alarms", problems);
    settings::subscriptions(&variables.alarms.subscriptions, &mut section);
    section.number("errors", variables.alarms.errors, 0..=MANY);
    section.number("cpu_percent", variables.alarms.cpu_percent, 1..=100);
}

/// Builds the longest names, so that none fails later.
fn names(workspace: &Workspace<PeeredVariables>) -> Result<()> {
    let names = workspace.names(&AccountId::any())?;
    workspace.regions.iter().try_for_each(|config| super::names(&names, &config.region))
}

fn database(config: &PostgreSqlConfig, section: &mut Section<'_>) {
    let parts: Vec<_> = config.engine_version.split('.').collect();
    if parts.len() != 2 || !parts.iter().all(|part| part.parse::<u16>().is_ok()) {
        let message = format!("`{}` is not a version of PostgreSQL", config.engine_version);
        section.wrong("engine_version", message, "use a version such as 16.6");
    }
    for (variable, name, named) in
        [("name", &config.name, Named::Database), ("username", &config.username, Named::User)]
    {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !begins || name.len() > 63 || !name.bytes().all(fits) {
            let hint = "use up to 63 letters, digits and underscores, with a letter first";
            section.wrong(variable, format!("`{name}` is not valid in PostgreSQL"), hint);
        } else {
            section.check(variable, postgresql(named, name));
        }
    }
    if !config.instance_class.starts_with("db.") {
        let message = format!("`{}` is not a class of instances", config.instance_class);
        section.wrong("instance_class", message, "use a class such as db.m6g.large");
    }
    section.number("storage", config.storage, 20..=65_536);
    section.number("backup_retention_days", config.backup_retention_days, 1..=35);
    section.check("backup_window", window(&config.backup_window));
}

/// The value of the tag `MigrationBatch`.
///
/// # Errors
/// If the workspace has none.
pub(super) fn batch(workspace: &Workspace<PeeredVariables>) -> Result<&str> {
    workspace
        .variables
        .migration_batch
        .as_deref()
        .ok_or_else(|| Error::failed("the workspace has no `migration_batch`"))
}
