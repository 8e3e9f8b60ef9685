//! The variables of the trading platform: as they are written, and checked.

use std::collections::BTreeMap;

use payinfra_components::aurora::CLUSTER;
use payinfra_engine::{Error, Region, Result};
use payinfra_stack::{AccountId, Problems, REMOTE, Section, Workspace, cidr};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::global_payments::FunctionConfig;
use crate::remote::listed;
use crate::settings::database::{Named, mysql};
use crate::settings::retention::{self, retention};
use crate::settings::{self, DriftDetectorConfig, Subscription, domain, drift_detector, regions, tag, window};

/// The maximum number of regions: an Aurora cluster has at most five replicas in other regions.
const REGIONS: usize = 6;
/// The largest threshold of an alarm.
const MANY: i32 = 1_000_000;
/// The maximum number of instances of a cluster: the names of more would not be checked.
const INSTANCES: usize = 3;
/// The resource types in the names of databases.
pub(super) const DATABASES: [&str; 1 + INSTANCES] = [CLUSTER, "db-instance-1", "db-instance-2", "db-instance-3"];

/// The variables of the trading platform, as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TradingVariables {
    /// The value of the tag `CostCenter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cost_center: Option<String>,
    /// The package of the function that processes objects: a zip file, which `cargo function --name object-processor` builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub package: Option<String>,
    /// The parameters of the regional module, by region. What is set for one region must be set for all of them.
    pub modules: BTreeMap<String, ModuleConfig>,
    /// The hosted zone of the domain names of the APIs; by default, the APIs only have the names of API Gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainConfig>,
    /// How private subnets reach the internet.
    pub nat: Nat,
    /// The database.
    pub database: DatabaseConfig,
    /// The function that processes objects.
    pub function: FunctionConfig,
    /// The number of days after which a session expires.
    pub session_days: SessionDays,
    /// The API.
    pub api: ApiConfig,
    /// The bucket of static content, and that of the trail.
    pub content: ContentConfig,
    /// Alarm thresholds and subscriptions.
    pub alarms: AlarmConfig,
    /// The drift detector, which runs on a schedule; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_detector: Option<DriftDetectorConfig>,
    /// The retention of all logs in days.
    pub log_retention_days: Retention,
}

/// The parameters of the module of a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModuleConfig {
    /// The ARN of an existing KMS key in the region, or of its alias, or `remote.NAME.OUTPUT`; by default, one is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The ARN of an issued certificate in the region for `domain`; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The domain name of the region's API; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// The hosted zone of the domain names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainConfig {
    /// The domain of an existing public hosted zone, without a trailing dot.
    pub zone: String,
}

/// The retention of logs in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Retention(pub i32);

/// The number of days after which a session expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SessionDays(#[schemars(range(min = 1, max = 3650))] pub u32);

/// How private subnets reach the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// Not at all: the function only uses services of its own region, through endpoints.
    #[default]
    None,
    /// One NAT gateway per region.
    Single,
    /// A NAT gateway in each zone, so that losing a zone does not affect the others.
    PerZone,
}

/// The database: one Aurora `MySQL` cluster per region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// The ARN of a cluster in another deployment that the primary region replicates, or `remote.NAME.OUTPUT`; by default, the
    /// primary region has the source of all replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The version of Aurora `MySQL`.
    pub engine_version: String,
    /// The name of the database.
    pub name: String,
    /// The name of the master user.
    pub username: String,
    /// The class of the instances.
    pub instance_class: String,
    /// The number of instances per region.
    #[schemars(range(min = 1, max = INSTANCES))]
    pub instances: usize,
    /// The retention of backups in days; within it, the database can be restored to any second.
    #[schemars(range(min = 1, max = 35))]
    pub backup_retention_days: i32,
    /// The daily backup window in UTC.
    pub backup_window: String,
    /// The retention of Performance Insights in days: 7, a multiple of 31, or 731.
    pub performance_insights_days: i32,
    /// The interval of enhanced monitoring in seconds: 1, 5, 10, 15, 30 or 60.
    pub monitoring_interval: i32,
}

/// The API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// The rate for each route, in requests per second.
    #[schemars(range(min = 1, max = 10000))]
    pub requests_per_second: u32,
}

/// The buckets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContentConfig {
    /// The age in days at which old versions of static content are deleted.
    #[schemars(range(min = 31, max = 3650))]
    pub noncurrent_days: i32,
    /// The age in days at which files of the trail are deleted.
    #[schemars(range(min = 91, max = 3650))]
    pub trail_days: i32,
}

/// The alarm thresholds and subscriptions. An alarm fires beyond the threshold of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlarmConfig {
    /// The subscriptions to alarms.
    pub subscriptions: Vec<Subscription>,
    /// The period of a measurement in seconds: a multiple of 60.
    #[schemars(range(min = 60, max = 3600))]
    pub period_seconds: i32,
    /// The number of consecutive periods beyond the threshold after which an alarm fires.
    #[schemars(range(min = 1, max = 24))]
    pub periods: i32,
    /// The maximum number of 5xx responses of the API, and of errors of the function, in a period.
    #[schemars(range(min = 0, max = MANY))]
    pub errors: i32,
    /// The maximum number of throttled requests of the table, and of invocations of the function, in a period.
    #[schemars(range(min = 0, max = MANY))]
    pub throttles: i32,
    /// The maximum CPU utilization of the database in percent.
    #[schemars(range(min = 1, max = 100))]
    pub cpu_percent: i32,
    /// The maximum lag of the database's replicas in seconds.
    #[schemars(range(min = 1, max = MANY))]
    pub replica_lag_seconds: i32,
}

impl Default for Retention {
    fn default() -> Self {
        Self(retention::DEFAULT)
    }
}

impl Default for SessionDays {
    fn default() -> Self {
        Self(30)
    }
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            source: None,
            engine_version: "8.0.mysql_aurora.3.08.0".to_owned(),
            name: "trading".to_owned(),
            username: "trading".to_owned(),
            instance_class: "db.r6g.large".to_owned(),
            instances: 2,
            backup_retention_days: 14,
            backup_window: "03:00-04:00".to_owned(),
            performance_insights_days: 7,
            monitoring_interval: 60,
        }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { requests_per_second: 500 }
    }
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self { noncurrent_days: 90, trail_days: 365 }
    }
}

impl Default for AlarmConfig {
    fn default() -> Self {
        Self {
            subscriptions: Vec::new(),
            period_seconds: 60,
            periods: 3,
            errors: 5,
            throttles: 0,
            cpu_percent: 80,
            replica_lag_seconds: 60,
        }
    }
}

impl TradingVariables {
    /// The parameters of the module of `region`.
    pub(super) fn module(&self, region: &Region) -> ModuleConfig {
        self.modules.get(region.as_str()).cloned().unwrap_or_default()
    }
}

/// Checks the variables of a workspace. Adds all problems.
pub(super) fn check(workspace: &Workspace<TradingVariables>, problems: &mut Problems) {
    let variables = &workspace.variables;
    for (variable, missing, why) in [
        ("cost_center", variables.cost_center.is_none(), "it is the value of the tag CostCenter"),
        (
            "package",
            variables.package.is_none(),
            "it is the package of the function, which `cargo function --name object-processor` builds",
        ),
    ] {
        if missing {
            problems.add(workspace.lacks(variable, why));
        }
    }
    let mut section = workspace.section("", problems);
    let count = workspace.regions.len();
    if count > REGIONS {
        let hint = "an Aurora cluster has at most five replicas in other regions; list at most six regions";
        section.wrong("regions", format!("a trading platform has at most {REGIONS} regions, not {count}"), hint);
    }
    if let Some(value) = &variables.cost_center {
        section.check("cost_center", tag("cost_center", "CostCenter", value));
    }
    settings::architecture(workspace, ("package", "function"), variables.function.architecture, &mut section);
    section.number("session_days", variables.session_days.0, 1..=3_650);
    section.check("log_retention_days", retention(variables.log_retention_days.0));
    section.check("suffix", names(workspace));
    for region in &workspace.regions {
        section.check(&format!("regions.{}.name", region.index), regions::known(&region.region));
        section.check(&format!("regions.{}.cidr", region.index), cidr::network(&region.cidr.to_string()));
    }
    modules(workspace, problems);
    database(workspace, problems);
    let mut section = workspace.section("function", problems);
    section.number("memory", variables.function.memory, 128..=10_240);
    section.number("timeout_seconds", variables.function.timeout_seconds, 5..=29);
    if let Some(reserved) = variables.function.reserved_concurrency {
        section.number("reserved_concurrency", reserved, 1..=1_000);
    }
    let mut section = workspace.section("api", problems);
    section.number("requests_per_second", variables.api.requests_per_second, 1..=10_000);
    let mut section = workspace.section("content", problems);
    section.number("noncurrent_days", variables.content.noncurrent_days, 31..=3_650);
    section.number("trail_days", variables.content.trail_days, 91..=3_650);
    alarms(&variables.alarms, &mut workspace.section("alarms", problems));
    drift_detector::check(workspace, variables.drift_detector.as_ref(), problems);
}

/// Builds the longest names, so that none fails later.
fn names(workspace: &Workspace<TradingVariables>) -> Result<()> {
    let names = workspace.names(&AccountId::any())?;
    workspace.regions.iter().try_for_each(|config| {
        let site = payinfra_stack::Site::new(workspace, &names, config);
        super::names(&site, &config.region)
    })
}

/// A parameter of a module.
type Parameter = (&'static str, fn(&ModuleConfig) -> Option<&String>);

/// The parameters that all regions have, or none.
const PARAMETERS: [Parameter; 3] = [
    ("certificate", |module| module.certificate.as_ref()),
    ("domain", |module| module.domain.as_ref()),
    ("key", |module| module.key.as_ref()),
];

/// Checks the parameters of each region, and that the regions have the same ones.
fn modules(workspace: &Workspace<TradingVariables>, problems: &mut Problems) {
    let variables = &workspace.variables;
    let mut section = workspace.section("modules", problems);
    for (name, module) in &variables.modules {
        let Some(region) = workspace.regions.iter().map(|it| &it.region).find(|it| it.as_str() == name) else {
            let unknown = Error::invalid(format!("`{name}` has parameters, but is not listed in `regions`"));
            section.check_key::<()>(name, Err(unknown.hint("use the names in `regions`")));
            continue;
        };
        if let Some(key) = &module.key {
            let variable = format!("{name}.key");
            if section.check(&variable, listed(Some(key), &workspace.remote_outputs)).is_some() {
                section.check(&variable, self::key(region, key));
            }
        }
        if let Some(certificate) = &module.certificate {
            section.check(&format!("{name}.certificate"), domain::certificate(name, certificate));
        }
        match (&module.domain, &module.certificate) {
            (Some(_), None) => {
                let hint = "set the ARN of a certificate in this region that is issued for it";
                section.wrong(name, format!("{name} has a `domain`, but no `certificate`"), hint);
            }
            (None, Some(_)) => {
                let hint = "set the domain name of the region's API, or remove the certificate";
                section.wrong(name, format!("{name} has a `certificate`, but no `domain`"), hint);
            }
            _ => {}
        }
    }
    for (parameter, value) in PARAMETERS {
        let has = |region: &&str| variables.modules.get(*region).and_then(value).is_some();
        let (have, lack): (Vec<_>, Vec<_>) = workspace.regions.iter().map(|it| it.region.as_str()).partition(has);
        for region in lack.iter().filter(|_| !have.is_empty()) {
            let verb = if have.len() == 1 { "has" } else { "have" };
            let message = format!("{region} has no `{parameter}`, but {} {verb} one", have.join(" and "));
            section.wrong(region, message, format!("set `modules.{region}.{parameter}`, or remove it everywhere"));
        }
    }
    domains(workspace, problems);
}

/// Checks that the domain names are different, and in the zone.
fn domains(workspace: &Workspace<TradingVariables>, problems: &mut Problems) {
    let variables = &workspace.variables;
    let zone = variables.domain.as_ref().map(|config| &config.zone);
    let named: Vec<_> = variables.modules.iter().filter_map(|(name, it)| Some((name, it.domain.as_ref()?))).collect();
    if let Some(zone) = zone {
        let mut section = workspace.section("domain", problems);
        if section.check("zone", domain::zone(zone)).is_some() && named.is_empty() {
            let hint =
                "set `modules.REGION.domain` and `modules.REGION.certificate` of each region, or remove the zone";
            section.wrong("zone", "there is a zone, but no region has a `domain`", hint);
        }
    }
    let mut section = workspace.section("modules", problems);
    for (index, (name, name_of_api)) in named.iter().enumerate() {
        let variable = format!("{name}.domain");
        if section.check(&variable, domain::name(name_of_api)).is_none() {
            continue;
        }
        match zone {
            None => section.wrong(&variable, format!("`{name_of_api}` has no zone"), "set `domain.zone`"),
            Some(zone) if !name_of_api.ends_with(&format!(".{zone}")) => {
                let message = format!("`{name_of_api}` is not in the zone {zone}");
                section.wrong(&variable, message, format!("use a name such as api-{name}.{zone}"));
            }
            Some(_) => {}
        }
        if let Some((other, _)) = named[..index].iter().find(|(_, other)| other == name_of_api) {
            let message = format!("`{name_of_api}` is also the domain of {other}");
            section.wrong(&variable, message, "each region has its own name");
        }
    }
}

/// Checks that `text` is the ARN of a key or alias in `region`, or a remote output.
fn key(region: &Region, text: &str) -> Result<()> {
    let account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.splitn(6, ':').collect::<Vec<_>>()[..] {
        _ if text.starts_with(REMOTE) => Ok(()),
        ["arn", "aws", "kms", of, owner, id]
            if account(owner) && (id.starts_with("key/") || id.starts_with("alias/")) =>
        {
            if of == region.as_str() {
                return Ok(());
            }
            Err(Error::invalid(format!("the key for {region} is in {of}")).hint("set a key in the same region"))
        }
        _ => Err(Error::invalid(format!("`{text}` is not the ARN of a key"))
            .hint(format!("use an ARN such as arn:aws:kms:{region}:123456789012:key/ID"))),
    }
}

fn database(workspace: &Workspace<TradingVariables>, problems: &mut Problems) {
    let config = &workspace.variables.database;
    let mut section = workspace.section("database", problems);
    section.check("source", listed(config.source.as_deref(), &workspace.remote_outputs));
    if let Some(source) = config.source.as_deref().filter(|source| !source.starts_with(REMOTE)) {
        let region = match source.split(':').collect::<Vec<_>>()[..] {
            ["arn", "aws", "rds", region, _, "cluster", _] => Some(region),
            _ => None,
        };
        match region {
            None => {
                let hint = "use an ARN such as arn:aws:rds:us-east-1:123456789012:cluster:NAME";
                section.wrong("source", format!("`{source}` is not the ARN of a cluster"), hint);
            }
            Some(of) if workspace.regions.iter().any(|it| it.region.as_str() == of) => {
                let hint = "the regions of this workspace must not have the region of the source";
                section.wrong("source", format!("the source is in {of}, like a replica"), hint);
            }
            Some(_) => {}
        }
    }
    if config.engine_version.split('.').count() < 3 || !config.engine_version.contains("mysql_aurora") {
        let message = format!("`{}` is not a version of Aurora MySQL", config.engine_version);
        section.wrong("engine_version", message, "use a version such as 8.0.mysql_aurora.3.08.0");
    }
    for (variable, named, name, longest) in [
        ("name", Named::Database, &config.name, 64),
        // CreateDBCluster, MasterUsername.
        ("username", Named::User, &config.username, 16),
    ] {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !begins || name.len() > longest || !name.bytes().all(fits) {
            let hint = format!("use up to {longest} letters, digits and underscores, with a letter first");
            section.wrong(variable, format!("`{name}` is not valid in MySQL"), hint);
        } else {
            section.check(variable, mysql(named, name));
        }
    }
    if !config.instance_class.starts_with("db.") {
        let message = format!("`{}` is not a class of instances", config.instance_class);
        section.wrong("instance_class", message, "use a class such as db.r6g.large");
    }
    section.number("instances", config.instances, 1..=INSTANCES);
    section.number("backup_retention_days", config.backup_retention_days, 1..=35);
    section.check("backup_window", window(&config.backup_window));
    let days = config.performance_insights_days;
    if !(days == 7 || days == 731 || (days % 31 == 0 && (31..=713).contains(&days))) {
        let message = format!("Performance Insights does not support a retention of {days} days");
        section.wrong("performance_insights_days", message, "use 7, a multiple of 31 up to 713, or 731");
    }
    section.one_of("monitoring_interval", config.monitoring_interval, &[1, 5, 10, 15, 30, 60]);
}

fn alarms(config: &AlarmConfig, section: &mut Section<'_>) {
    settings::alarms(&config.subscriptions, config.period_seconds, config.periods, section);
    section.number("errors", config.errors, 0..=MANY);
    section.number("throttles", config.throttles, 0..=MANY);
    section.number("cpu_percent", config.cpu_percent, 1..=100);
    section.number("replica_lag_seconds", config.replica_lag_seconds, 1..=MANY);
}

/// The value of the tag `CostCenter`.
///
/// # Errors
/// If the workspace has none.
pub(super) fn cost_center(workspace: &Workspace<TradingVariables>) -> Result<&str> {
    workspace.variables.cost_center.as_deref().ok_or_else(|| Error::failed("the workspace has no `cost_center`"))
}
