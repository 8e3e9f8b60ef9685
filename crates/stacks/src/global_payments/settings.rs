//! The variables of the payment API: as they are written, and checked.

use std::collections::BTreeMap;

use payinfra_aws::dynamodb::StrongConsistency;
use payinfra_engine::{Error, Region, Result};
use payinfra_stack::{AccountId, Problems, Section, Workspace, cidr};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::settings::Architecture;
use crate::settings::retention::retention;
use crate::settings::{self, DriftDetectorConfig, Subscription, domain, drift_detector, regions};

/// The largest threshold of an alarm.
const MANY: i32 = 1_000_000;

/// The variables of the payment API, as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentVariables {
    /// The package of the payments function: a zip file, which `cargo function` builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub package: Option<String>,
    /// The payments function.
    pub function: FunctionConfig,
    /// The table of payments.
    pub table: TableConfig,
    /// How private subnets reach the table and the bucket of the other region.
    pub nat: Nat,
    /// The API.
    pub api: ApiConfig,
    /// The domain name of the API; by default it has only those of API Gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainConfig>,
    /// Alarm thresholds and subscriptions.
    pub alarms: AlarmConfig,
    /// The drift detector, which runs on a schedule; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_detector: Option<DriftDetectorConfig>,
    /// The retention of all logs in days.
    pub log_retention_days: Retention,
}

/// The retention of logs in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Retention(pub i32);

impl Default for Retention {
    fn default() -> Self {
        Self(7)
    }
}

/// The payments function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FunctionConfig {
    /// The instruction set of the package.
    pub architecture: Architecture,
    /// The memory in MB.
    #[schemars(range(min = 128, max = 10240))]
    pub memory: i32,
    /// The timeout in seconds. The function starts no call in the last two seconds.
    #[schemars(range(min = 5, max = 29))]
    pub timeout_seconds: i32,
    /// The number of concurrent invocations that is reserved for the function, and its maximum; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub reserved_concurrency: Option<i32>,
}

/// The table of payments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TableConfig {
    /// The consistency between the regions. It cannot be changed later.
    pub consistency: Consistency,
    /// The third region of a strongly consistent table, which stores writes but serves no requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
}

/// The consistency of the table between the regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// Each payment is written in the region that its id belongs to; while that region is unreachable, its payments are
    /// rejected.
    #[default]
    Eventual,
    /// Each region accepts all payments, at a higher latency; no payment is lost with a region.
    Strong,
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

/// The API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// The origin of web pages that may use the API: `https://` and a name, or `*`.
    pub origin: String,
    /// The rate for all clients together, in requests per second.
    #[schemars(range(min = 1, max = 10000))]
    pub requests_per_second: u32,
    /// The rate for a client, in requests per second.
    #[schemars(range(min = 1, max = 10000))]
    pub client_requests_per_second: u32,
    /// The number of requests of a client per day.
    #[schemars(range(min = 1))]
    pub client_requests_per_day: i32,
}

/// The domain name of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainConfig {
    /// The domain of the hosted zone, without a trailing dot.
    pub zone: String,
    /// Whether to create the zone; otherwise, an existing one is looked up.
    #[serde(default)]
    pub create_zone: bool,
    /// The address and port of the DNS server that has to see the delegation of a created zone; by default the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    /// The ARNs of existing certificates for the API's name, by region; other regions request their own.
    #[serde(default)]
    pub certificates: BTreeMap<String, String>,
    /// Which region clients reach.
    #[serde(default)]
    pub routing: Routing,
}

/// Which region clients reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Routing {
    /// The primary region while it is healthy, otherwise the secondary one.
    #[default]
    Failover,
    /// The healthy region with the lowest latency.
    Latency,
    /// The healthy regions by weight: at first only the primary one; `payinfra traffic` changes the weights.
    Weighted,
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
    /// The maximum p99 duration of the function, in milliseconds.
    #[schemars(range(min = 1, max = MANY))]
    pub duration_ms: i32,
    /// The maximum number of throttled requests of the table in a period.
    #[schemars(range(min = 0, max = MANY))]
    pub throttles: i32,
    /// The maximum replication latency of the table, in milliseconds.
    #[schemars(range(min = 1, max = MANY))]
    pub replication_ms: i32,
}

impl Default for FunctionConfig {
    fn default() -> Self {
        Self { architecture: Architecture::default(), memory: 512, timeout_seconds: 10, reserved_concurrency: None }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            origin: "*".to_owned(),
            requests_per_second: 1_000,
            client_requests_per_second: 100,
            client_requests_per_day: 1_000_000,
        }
    }
}

impl Default for AlarmConfig {
    fn default() -> Self {
        Self {
            subscriptions: Vec::new(),
            period_seconds: 60,
            periods: 3,
            errors: 5,
            duration_ms: 2_000,
            throttles: 0,
            replication_ms: 5_000,
        }
    }
}

impl TableConfig {
    /// For the table.
    pub(super) fn strong(&self) -> Option<StrongConsistency> {
        let strong = || StrongConsistency { witness: self.witness.as_deref().map(Region::new) };
        (self.consistency == Consistency::Strong).then(strong)
    }
}

impl Consistency {
    /// For the function.
    pub(super) fn of_function(self) -> &'static str {
        match self {
            Self::Eventual => "eventual",
            Self::Strong => "strong",
        }
    }
}

/// Checks the variables of a workspace. Adds all problems.
pub(super) fn check(workspace: &Workspace<PaymentVariables>, problems: &mut Problems) {
    let variables = &workspace.variables;
    if variables.package.is_none() {
        problems.add(
            workspace.lacks("package", "it is the package of the payments function, which `cargo function` builds"),
        );
    }
    let count = workspace.regions.len();
    let mut section = workspace.section("", problems);
    if count != 2 {
        let hint = "list the primary region and the secondary one";
        section.wrong("regions", format!("a payment API has two regions, not {count}"), hint);
    }
    settings::architecture(workspace, ("package", "function"), variables.function.architecture, &mut section);
    section.check("log_retention_days", retention(variables.log_retention_days.0));
    section.check("suffix", names(workspace));
    for region in &workspace.regions {
        section.check(&format!("regions.{}.name", region.index), regions::known(&region.region));
        section.check(&format!("regions.{}.cidr", region.index), cidr::network(&region.cidr.to_string()));
    }
    let mut section = workspace.section("function", problems);
    section.number("memory", variables.function.memory, 128..=10_240);
    section.number("timeout_seconds", variables.function.timeout_seconds, 5..=29);
    if let Some(reserved) = variables.function.reserved_concurrency {
        section.number("reserved_concurrency", reserved, 1..=1_000);
    }
    table(workspace, &mut workspace.section("table", problems));
    api(&variables.api, &mut workspace.section("api", problems));
    if let Some(config) = &variables.domain {
        let mut section = workspace.section("domain", problems);
        section.check("zone", domain::zone(&config.zone));
        section.check("resolver", config.resolver.as_deref().map(domain::resolver).transpose());
        domain::certificates(&config.certificates, &workspace.regions, &mut section);
    }
    alarms(&variables.alarms, &mut workspace.section("alarms", problems));
    drift_detector::check(workspace, variables.drift_detector.as_ref(), problems);
}

/// Builds the longest names, so that none fails later.
fn names(workspace: &Workspace<PaymentVariables>) -> Result<()> {
    let names = workspace.names(&AccountId::any())?;
    for region in &workspace.regions {
        super::BUCKETS.iter().try_for_each(|bucket| names.bucket(bucket, &region.region).map(drop))?;
        super::ROLES.iter().try_for_each(|role| names.role(role, &region.region).map(drop))?;
    }
    Ok(())
}

fn table(workspace: &Workspace<PaymentVariables>, section: &mut Section<'_>) {
    let config = &workspace.variables.table;
    match (config.strong(), &workspace.regions[..]) {
        (Some(strong), [home, others @ ..]) => {
            section.check("witness", strong.check(&home.region, others.iter().map(|other| &other.region)));
        }
        (None, _) if config.witness.is_some() => {
            let hint = "remove `witness`, or set `consistency` to \"strong\"";
            section.wrong("witness", "only a strongly consistent table has a witness", hint);
        }
        _ => {}
    }
}

fn api(config: &ApiConfig, section: &mut Section<'_>) {
    section.check("origin", origin(&config.origin));
    section.number("requests_per_second", config.requests_per_second, 1..=10_000);
    section.number("client_requests_per_second", config.client_requests_per_second, 1..=10_000);
    section.number("client_requests_per_day", config.client_requests_per_day, 1..=i32::MAX);
    if config.client_requests_per_second > config.requests_per_second {
        let hint = "raise `requests_per_second`, or lower `client_requests_per_second`";
        section.wrong("client_requests_per_second", "one client may send more than all clients together", hint);
    }
}

/// Checks that `text` is an origin.
fn origin(text: &str) -> Result<()> {
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    let host = text.strip_prefix("https://").unwrap_or_default();
    if text == "*" || !host.is_empty() && is_name(host) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{text}` is not an origin"))
        .hint("write https:// and a name without a path, such as https://pay.example.com, or *"))
}

fn alarms(config: &AlarmConfig, section: &mut Section<'_>) {
    settings::alarms(&config.subscriptions, config.period_seconds, config.periods, section);
    section.number("errors", config.errors, 0..=MANY);
    section.number("duration_ms", config.duration_ms, 1..=MANY);
    section.number("throttles", config.throttles, 0..=MANY);
    section.number("replication_ms", config.replication_ms, 1..=MANY);
}
