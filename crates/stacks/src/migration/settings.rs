//! The variables of the migration: as they are written, and checked with their defaults.

mod alarms;
mod database;
mod domain;
mod service;
mod waf;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use jiff::Timestamp;
use payinfra_components::load_balancer::RESOURCE_TYPES;
use payinfra_engine::{Error, Region, Result};
use payinfra_stack::{AccountId, Problem, Problems, RegionConfig, Section, Suffix, Workspace, cidr};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::alarms::AlarmConfig;
pub use self::database::DatabaseConfig;
pub use self::domain::DomainConfig;
pub use self::service::{Architecture, ServiceConfig};
pub use self::waf::WafConfig;

use self::alarms::AlarmVariables;
use self::database::DatabaseVariables;
use self::domain::DomainVariables;
use self::service::{ServiceVariables, TASKS};
use super::phase::Phase;
use crate::remote::listed;
use crate::settings::regions;
use crate::settings::retention::{self, retention};
use crate::settings::{DriftDetectorConfig, drift_detector};

/// The variables of the migration, as they are written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MigrationVariables {
    /// The phase, which determines what exists; by default the phase with the workspace's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
    /// The time of the cutover with time zone (RFC 3339): the value of the tag `CutoverTimestamp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    cutover: Option<Moment>,
    /// The traffic weights by region, which add up to 100; by default determined by the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<BTreeMap<String, u8>>,
    /// How private subnets reach the internet.
    nat: Nat,
    /// The retention of flow logs in days.
    flow_log_retention_days: i32,
    /// Existing resources in the primary region, which are only looked up; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    legacy_network: Option<LegacyVariables>,
    /// The databases.
    database: DatabaseVariables,
    /// The payment service.
    service: ServiceVariables,
    /// Domain names and certificates.
    domain: DomainVariables,
    /// Alarm thresholds and subscriptions.
    alarms: AlarmVariables,
    /// The web ACL in front of the load balancers.
    waf: WafConfig,
    /// The drift detector, which runs on a schedule; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift_detector: Option<DriftDetectorConfig>,
}

impl Default for MigrationVariables {
    fn default() -> Self {
        Self {
            phase: None,
            cutover: None,
            weights: None,
            nat: Nat::default(),
            flow_log_retention_days: retention::DEFAULT,
            legacy_network: None,
            database: DatabaseVariables::default(),
            service: ServiceVariables::default(),
            domain: DomainVariables::default(),
            alarms: AlarmVariables::default(),
            waf: WafConfig::default(),
            drift_detector: None,
        }
    }
}

/// The checked variables of a workspace, with their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The phase, which determines what exists.
    pub phase: Phase,
    /// The time of the cutover.
    pub cutover: Timestamp,
    /// The regions used in the phase, the primary first.
    pub regions: Vec<RegionConfig>,
    /// The traffic weights in percent, also of regions that are not used in the phase.
    pub weights: BTreeMap<Region, u8>,
    /// How private subnets reach the internet.
    pub nat: Nat,
    /// The retention of flow logs in days.
    pub flow_log_retention_days: i32,
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
    /// The drift detector.
    pub drift_detector: Option<DriftDetectorConfig>,
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

/// An existing network: its subnets and security groups are looked up, never created, updated or deleted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LegacyVariables {
    /// Its CIDR blocks. The new networks must not overlap them, and they may access the endpoints of the new network.
    cidrs: Vec<String>,
    /// The subnets to look up; by default none.
    subnets: Option<SubnetFinder>,
    /// The security groups to look up, each under a name for addresses and outputs.
    #[serde(default)]
    security_groups: BTreeMap<String, SecurityGroupFinder>,
}

/// The criteria for existing subnets; all must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubnetFinder {
    /// Their ids; by default any.
    pub ids: Option<BTreeSet<String>>,
    /// Their VPC: its id, or `remote.NAME.OUTPUT`; by default any.
    pub vpc: Option<String>,
    /// Their tag `Name`; by default any.
    pub name: Option<String>,
    /// Their tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The criteria for an existing security group; all must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupFinder {
    /// Its id, or `remote.NAME.OUTPUT`; by default any.
    pub id: Option<String>,
    /// Its VPC: the id, or `remote.NAME.OUTPUT`; by default any.
    pub vpc: Option<String>,
    /// Its name; by default any.
    pub name: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A time, as a TOML datetime or as a string.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected date, time and time zone, such as 2026-03-01T02:00:00Z")]
pub(super) enum Moment {
    Native(toml::value::Datetime),
    Text(String),
}

impl Settings {
    /// The settings of `workspace`, which has been checked.
    ///
    /// # Errors
    /// If it was not, and is invalid.
    pub fn of(workspace: &Workspace<MigrationVariables>) -> Result<Self> {
        let mut problems = Problems::default();
        let settings = Self::check(workspace, &mut problems).filter(|_| problems.is_empty());
        settings.ok_or_else(|| Error::failed(format!("the variables of workspace `{}` are invalid", workspace.name)))
    }

    /// The settings of `workspace`; `None` if the phase, the time of the cutover or a valid zone is missing. Adds all
    /// problems; if there are any, the settings are not valid.
    pub(super) fn check(workspace: &Workspace<MigrationVariables>, problems: &mut Problems) -> Option<Self> {
        let (variables, name) = (workspace.variables.clone(), &workspace.name);
        let given = variables.phase.or_else(|| Phase::ALL.into_iter().find(|phase| phase.as_str() == name));
        if given.is_none() {
            let missing = Problem::new(format!("workspace `{name}` has no `phase`"), workspace.place(""));
            problems.add(missing.hint("set it to legacy, migration or production"));
        }
        let cutover = variables.cutover.as_ref();
        if cutover.is_none() {
            problems.add(workspace.lacks("cutover", "it is the value of the tag CutoverTimestamp"));
        }
        if variables.service.auth.is_none() {
            let why = "it must be the ARN of a secret with API keys, or \"none\" for unauthenticated access";
            problems.add(workspace.lacks("service.auth", why));
        }
        if variables.domain.zone.is_none() {
            let why = "it is the domain of the hosted zone, a domain of yours or below one";
            problems.add(workspace.lacks("domain.zone", why));
        }
        let legacy = variables.legacy_network.as_ref();
        let legacy_network = legacy.map(|legacy| legacy_network(legacy, workspace, problems));
        networks(workspace, legacy_network.as_ref(), problems);
        names(workspace, problems);

        // Without a phase, what does not depend on it is checked nevertheless.
        let phase = given.unwrap_or(Phase::Production);
        let service = variables.service.in_phase(phase);
        let database = variables.database.in_phase(phase);
        service.check(&mut workspace.section("service", problems));
        database.check(&mut workspace.section("database", problems));
        let domain = variables.domain.check(&workspace.regions, &mut workspace.section("domain", problems));
        variables.waf.check(&mut workspace.section("waf", problems));
        drift_detector::check(workspace, variables.drift_detector.as_ref(), problems);
        let tasks = given.and_then(|_| service.check_tasks(&mut workspace.section("service", problems)));
        variables.alarms.check(tasks.unwrap_or(TASKS), &mut workspace.section("alarms", problems));
        let mut section = workspace.section("", problems);
        let cutover = cutover.and_then(|cutover| section.check("cutover", moment(cutover)));
        section.check("flow_log_retention_days", retention(variables.flow_log_retention_days));
        let phase = given?;
        if phase != Phase::Legacy && workspace.regions.len() < 2 {
            let message = format!("the phase {phase} requires a second region");
            section.wrong("regions", message, "add one to `regions`, or stay in the phase legacy");
        }
        let weights = weights(phase, &workspace.regions, variables.weights.as_ref(), &mut section);
        let alarms = variables.alarms.of(&service);
        Some(Self {
            phase,
            cutover: cutover?,
            regions: workspace.regions[..phase.spans(workspace.regions.len())].to_vec(),
            weights,
            nat: variables.nat,
            flow_log_retention_days: variables.flow_log_retention_days,
            legacy_network,
            database,
            service,
            domain: domain?,
            alarms,
            waf: variables.waf,
            drift_detector: variables.drift_detector,
        })
    }

    /// The traffic weight of `region` in percent.
    #[must_use]
    pub fn weight(&self, region: &Region) -> u8 {
        self.weights.get(region).copied().unwrap_or_default()
    }
}

/// Checks that the networks have room for three zones, and do not overlap the legacy network.
fn networks(workspace: &Workspace<MigrationVariables>, legacy: Option<&LegacyNetwork>, problems: &mut Problems) {
    let mut section = workspace.section("regions", problems);
    for region in &workspace.regions {
        let variable = format!("{}.cidr", region.index);
        section.check(&variable, cidr::network(&region.cidr.to_string()));
        section.check(&format!("{}.name", region.index), regions::known(&region.region));
        let mut blocks = legacy.iter().flat_map(|legacy| &legacy.cidrs);
        if let Some(other) = blocks.find(|other| cidr::overlap(other, &region.cidr)) {
            let (network, name) = (region.cidr, &region.region);
            let message = format!("the network {network} of {name} overlaps {other}, a block of the legacy network");
            let hint = "the networks are connected, so their blocks must not overlap; choose a free block";
            section.wrong(&variable, message, hint);
        }
    }
}

/// Builds the longest names, so that none fails later. The hash of the account id has a fixed length.
fn names(workspace: &Workspace<MigrationVariables>, problems: &mut Problems) {
    let all = || {
        let names = workspace.names(&AccountId::any())?;
        for region in &workspace.regions {
            for bucket in super::BUCKETS {
                names.bucket(bucket, &region.region)?;
            }
            for database in super::DATABASES {
                names.database(database, &region.region)?;
            }
            for role in super::ROLES {
                names.role(role, &region.region)?;
            }
        }
        RESOURCE_TYPES.iter().try_for_each(|balancer| names.balancer(balancer).map(drop))
    };
    workspace.section("", problems).check("suffix", all());
}

fn moment(moment: &Moment) -> Result<Timestamp> {
    let text = match moment {
        Moment::Native(datetime) => datetime.to_string(),
        Moment::Text(text) => text.clone(),
    };
    text.parse().map_err(|_| {
        Error::invalid(format!("`{text}` is not a timestamp"))
            .hint("write date, time and time zone (RFC 3339), such as 2026-03-01T02:00:00Z")
    })
}

/// The traffic weights of the regions: the configured ones, or the defaults of the phase (M-02).
fn weights(
    phase: Phase,
    regions: &[RegionConfig],
    given: Option<&BTreeMap<String, u8>>,
    section: &mut Section<'_>,
) -> BTreeMap<Region, u8> {
    let exist = phase.spans(regions.len());
    let shares = shares(phase, exist).into_iter().chain(std::iter::repeat(0));
    let mut weights: BTreeMap<_, _> = regions.iter().map(|region| region.region.clone()).zip(shares).collect();
    let Some(given) = given else { return weights };
    for weight in weights.values_mut() {
        *weight = 0;
    }
    let mut good = true;
    for (name, weight) in given {
        let region = regions.iter().find(|region| region.region.as_str() == name);
        let wrong = match region {
            None => Error::invalid(format!("`{name}` has a weight, but is not listed in `regions`"))
                .hint("use the names in `regions`"),
            Some(region) if *weight > 0 && region.index as usize >= exist => {
                Error::invalid(format!("{name} has a weight, but is not used in the phase {phase}"))
                    .hint("in the phase legacy all traffic goes to the primary region; remove `weights`")
            }
            Some(region) => {
                weights.insert(region.region.clone(), *weight);
                continue;
            }
        };
        section.check_key::<()>(&format!("weights.{name}"), Err(wrong));
        good = false;
    }
    let sum: u32 = given.values().map(|weight| u32::from(*weight)).sum();
    if good && sum != 100 {
        let hint = "weights are percentages and must add up to 100";
        section.wrong("weights", format!("the weights add up to {sum}"), hint);
    }
    weights
}

/// The default weights of a phase for `count` regions: all, 90/10, or even; the first region gets the remainder.
fn shares(phase: Phase, count: usize) -> Vec<u8> {
    let even = |sum: usize, count: usize| {
        let first = sum - sum / count * (count - 1);
        std::iter::once(first).chain(std::iter::repeat_n(sum / count, count - 1))
    };
    let shares: Vec<usize> = match (phase, count) {
        (_, 0) => Vec::new(),
        (_, 1) | (Phase::Legacy, _) => vec![100],
        (Phase::Migration, _) => std::iter::once(90).chain(even(10, count - 1)).collect(),
        (Phase::Production, _) => even(100, count).collect(),
    };
    shares.into_iter().filter_map(|share| u8::try_from(share).ok()).collect()
}

/// The legacy network as far as it is valid.
fn legacy_network(
    given: &LegacyVariables,
    workspace: &Workspace<MigrationVariables>,
    problems: &mut Problems,
) -> LegacyNetwork {
    let mut section = workspace.section("legacy_network", problems);
    let nothing =
        || Error::invalid("this would match everything in the region").hint("add an id, a name or a tag to match");
    let blocks = given.cidrs.iter().enumerate();
    let cidrs = blocks.filter_map(|(index, block)| section.check(&format!("cidrs.{index}"), cidr::private(block)));
    let cidrs = cidrs.collect();
    if let Some(subnets) = &given.subnets {
        if *subnets == SubnetFinder::default() {
            section.check::<()>("subnets", Err(nothing()));
        }
        section.check("subnets.vpc", listed(subnets.vpc.as_deref(), &workspace.remote_outputs));
    }
    for (name, finder) in &given.security_groups {
        let variable = format!("security_groups.{name}");
        if *finder == SecurityGroupFinder::default() {
            section.check_key::<()>(&variable, Err(nothing()));
        }
        let valid = Suffix::parse(name).map_err(|_| {
            Error::invalid(format!("`{name}` is not valid in an address"))
                .hint("use lower-case letters, digits and inner hyphens")
        });
        section.check_key(&variable, valid);
        section.check(&format!("{variable}.id"), listed(finder.id.as_deref(), &workspace.remote_outputs));
        section.check(&format!("{variable}.vpc"), listed(finder.vpc.as_deref(), &workspace.remote_outputs));
    }
    LegacyNetwork { cidrs, subnets: given.subnets.clone(), security_groups: given.security_groups.clone() }
}
