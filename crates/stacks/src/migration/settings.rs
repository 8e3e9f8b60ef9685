//! The variables of the migration: as they are written, and checked with their defaults.

mod alarms;
mod database;
mod domain;
mod retention;
mod service;
mod waf;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use payinfra_components::load_balancer::RESOURCE_TYPES;
use payinfra_engine::{Error, Region, Result};
use payinfra_stack::{
    AccountId, At, Problem, Problems, REMOTE, RegionConfig, RemoteOutputs, Spanned, Suffix, Workspace, cidr,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::alarms::{AlarmConfig, Subscription};
pub use self::database::DatabaseConfig;
pub use self::domain::DomainConfig;
pub use self::service::{Architecture, ServiceConfig};
pub use self::waf::WafConfig;

use self::alarms::AlarmVariables;
use self::database::DatabaseVariables;
use self::domain::DomainVariables;
use self::retention::retention;
use self::service::ServiceVariables;
use self::waf::WafVariables;
use super::phase::Phase;

/// The variables of the migration, as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrationVariables {
    /// The phase, which determines what exists; by default the phase with the workspace's name.
    #[schemars(with = "Option<Phase>")]
    phase: Option<Spanned<Phase>>,
    /// The time of the cutover with time zone (RFC 3339): the value of the tag `CutoverTimestamp`.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    cutover: Option<Spanned<Moment>>,
    /// The traffic weights by region, which add up to 100; by default determined by the phase.
    #[schemars(with = "Option<BTreeMap<String, u8>>")]
    weights: Option<Spanned<BTreeMap<Spanned<String>, u8>>>,
    /// How private subnets reach the internet; by default through one NAT gateway per zone.
    nat: Option<Nat>,
    /// The retention of flow logs in days; by default 90.
    #[schemars(with = "Option<i32>")]
    flow_log_retention_days: Option<Spanned<i32>>,
    /// Existing resources in the primary region, which are only looked up.
    legacy_network: Option<LegacyVariables>,
    /// The databases.
    #[serde(default)]
    database: DatabaseVariables,
    /// The payment service.
    #[serde(default)]
    service: ServiceVariables,
    /// Domain names and certificates.
    #[serde(default)]
    domain: DomainVariables,
    /// Alarm thresholds and subscriptions.
    #[serde(default)]
    alarms: AlarmVariables,
    /// The web ACL in front of the load balancers.
    #[serde(default)]
    waf: WafVariables,
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
    #[schemars(with = "Vec<String>")]
    cidrs: Vec<Spanned<String>>,
    /// The subnets to look up.
    #[schemars(with = "Option<SubnetFinder>")]
    subnets: Option<Spanned<SubnetFinder>>,
    /// The security groups to look up, each under a name for addresses and outputs.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, SecurityGroupFinder>")]
    security_groups: BTreeMap<Spanned<String>, SecurityGroupFinder>,
}

/// The criteria for existing subnets; all must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
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
        let invalid = || Error::failed(format!("the variables of workspace `{}` are invalid", workspace.name));
        Self::check(workspace, &mut Problems::default()).ok_or_else(invalid)
    }

    /// The settings of `workspace`; `None` if a required variable is missing. Adds all problems.
    pub(super) fn check(workspace: &Workspace<MigrationVariables>, problems: &mut Problems) -> Option<Self> {
        let variables = &workspace.variables;
        let (name, place) = (&workspace.name, workspace.place(""));
        let phase = variables.phase.as_ref().map(|phase| *phase.get_ref());
        let phase = phase.or_else(|| Phase::ALL.into_iter().find(|phase| phase.as_str() == name));
        let phase = problems.take(phase.ok_or_else(|| {
            Problem::new(format!("workspace `{name}` has no `phase`"), place)
                .hint("set it to legacy, migration or production")
        }));
        let cutover = variables.cutover.as_ref();
        let cutover = cutover.ok_or_else(|| workspace.lacks("cutover", "it is the value of the tag CutoverTimestamp"));
        let cutover = problems.take(cutover.and_then(moment));
        if variables.service.auth.is_none() {
            let why = "it must be the ARN of a secret with API keys, or \"none\" for unauthenticated access";
            problems.add(workspace.lacks("service.auth", why));
        }
        let legacy = variables.legacy_network.as_ref();
        let legacy_network = legacy.and_then(|given| problems.take(legacy_network(given, &workspace.remote_outputs)));
        networks(workspace, legacy_network.as_ref(), problems);
        names(workspace, problems);
        let days = variables.flow_log_retention_days.as_ref();
        let flow_log_retention_days = days.map_or(Some(90), |days| problems.take(retention(days)));
        let phase = phase?;
        if phase != Phase::Legacy && workspace.regions.len() < 2 {
            let message = format!("the phase {phase} requires a second region");
            problems.add(
                Problem::new(message, workspace.place("regions"))
                    .hint("add one to `regions`, or stay in the phase legacy"),
            );
        }
        let service = problems.take(variables.service.clone().check(phase));
        let database = problems.take(variables.database.clone().check(phase));
        let domain = problems.take(variables.domain.clone().check(&workspace.regions));
        let waf = problems.take(variables.waf.check());
        let weights = weights(phase, &workspace.regions, variables.weights.as_ref(), problems);
        let service = service?;
        let alarms = problems.take(variables.alarms.clone().check(service.min_tasks, service.max_tasks));
        Some(Self {
            phase,
            cutover: cutover?,
            regions: workspace.regions[..phase.spans(workspace.regions.len())].to_vec(),
            weights,
            nat: variables.nat.unwrap_or_default(),
            flow_log_retention_days: flow_log_retention_days?,
            legacy_network,
            database: database?,
            service,
            domain: domain?,
            alarms: alarms?,
            waf: waf?,
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
    for region in &workspace.regions {
        let place = workspace.place(&format!("regions.{}.cidr", region.index));
        problems.take(cidr::network(&region.cidr.to_string()).at(place.clone()));
        let mut blocks = legacy.iter().flat_map(|legacy| &legacy.cidrs);
        if let Some(other) = blocks.find(|other| cidr::overlap(other, &region.cidr)) {
            let (network, name) = (region.cidr, &region.region);
            let message = format!("the network {network} of {name} overlaps {other}, a block of the legacy network");
            problems.add(
                Problem::new(message, place)
                    .hint("the networks are connected, so their blocks must not overlap; choose a free block"),
            );
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
    problems.take(all().at(workspace.place("suffix")));
}

fn moment(moment: &Spanned<Moment>) -> Result<Timestamp, Problem> {
    let text = match moment.get_ref() {
        Moment::Native(datetime) => datetime.to_string(),
        Moment::Text(text) => text.clone(),
    };
    text.parse().map_err(|_| {
        Problem::new(format!("`{text}` is not a timestamp"), moment.span())
            .hint("write date, time and time zone (RFC 3339), such as 2026-03-01T02:00:00Z")
    })
}

/// The traffic weights of the regions: the configured ones, or the defaults of the phase (M-02).
fn weights(
    phase: Phase,
    regions: &[RegionConfig],
    given: Option<&Spanned<BTreeMap<Spanned<String>, u8>>>,
    problems: &mut Problems,
) -> BTreeMap<Region, u8> {
    let exist = phase.spans(regions.len());
    let shares = shares(phase, exist).into_iter().chain(std::iter::repeat(0));
    let mut weights: BTreeMap<_, _> = regions.iter().map(|region| region.region.clone()).zip(shares).collect();
    let Some(given) = given else { return weights };
    for weight in weights.values_mut() {
        *weight = 0;
    }
    let mut good = true;
    for (name, weight) in given.get_ref() {
        let Some(region) = regions.iter().find(|region| region.region.as_str() == name.get_ref()) else {
            let unknown = format!("`{}` has a weight, but is not listed in `regions`", name.get_ref());
            problems.add(Problem::new(unknown, name.span()).hint("use the names in `regions`"));
            good = false;
            continue;
        };
        if *weight > 0 && region.index as usize >= exist {
            let unused = format!("{} has a weight, but is not used in the phase {phase}", region.region);
            problems.add(
                Problem::new(unused, name.span())
                    .hint("in the phase legacy all traffic goes to the primary region; remove `weights`"),
            );
            good = false;
        }
        weights.insert(region.region.clone(), *weight);
    }
    let sum: u32 = given.get_ref().values().map(|weight| u32::from(*weight)).sum();
    if good && sum != 100 {
        problems.add(
            Problem::new(format!("the weights add up to {sum}"), given.span())
                .hint("weights are percentages and must add up to 100"),
        );
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

fn legacy_network(given: &LegacyVariables, remote: &BTreeMap<String, RemoteOutputs>) -> Result<LegacyNetwork, Problem> {
    let cidrs = given.cidrs.iter().map(|cidr| cidr::private(cidr.get_ref()).at(cidr.span()));
    let cidrs = cidrs.collect::<Result<Vec<_>, _>>()?;
    let nothing = |place| {
        Problem::new("this would match everything in the region", place).hint("add an id, a name or a tag to match")
    };
    if let Some(subnets) = &given.subnets
        && *subnets.get_ref() == SubnetFinder::default()
    {
        return Err(nothing(subnets.span()));
    }
    if let Some(subnets) = &given.subnets {
        named(subnets.get_ref().vpc.as_ref(), remote, subnets.span())?;
    }
    let mut security_groups = BTreeMap::new();
    for (name, finder) in &given.security_groups {
        if *finder == SecurityGroupFinder::default() {
            return Err(nothing(name.span()));
        }
        Suffix::parse(name.get_ref()).map_err(|_| {
            Problem::new(format!("`{}` is not valid in an address", name.get_ref()), name.span())
                .hint("use lower-case letters, digits and inner hyphens")
        })?;
        named(finder.id.iter().chain(&finder.vpc), remote, name.span())?;
        security_groups.insert(name.get_ref().clone(), finder.clone());
    }
    Ok(LegacyNetwork {
        cidrs,
        subnets: given.subnets.as_ref().map(|subnets| subnets.get_ref().clone()),
        security_groups,
    })
}

/// Checks that the `variables` refer only to outputs that are listed.
fn named<'a>(
    variables: impl IntoIterator<Item = &'a String>,
    remote: &BTreeMap<String, RemoteOutputs>,
    place: Range<usize>,
) -> Result<(), Problem> {
    let unknown = |path: &&str| {
        let source = path.split_once('.').and_then(|(source, name)| Some(remote.get(source)?.outputs.contains(name)));
        source != Some(true)
    };
    match variables.into_iter().filter_map(|variable| variable.strip_prefix(REMOTE)).find(unknown) {
        Some(path) => Err(Problem::new(format!("`{REMOTE}{path}` is not listed in the remote outputs"), place)
            .hint("write remote.NAME.OUTPUT, and list OUTPUT under `remote_outputs`")),
        None => Ok(()),
    }
}
