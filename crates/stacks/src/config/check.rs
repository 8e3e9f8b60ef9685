//! Validates the configuration as written, fills in defaults, and reports problems with their places.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use jiff::Timestamp;
use payinfra_engine::Region;
use toml::Spanned;

use super::error::{At, Problem};
use super::file::{File, LegacyVariables, Moment, RegionVariables, Variables};
use super::{
    Configuration, LegacyNetwork, Phase, RegionConfig, RemoteOutputs, SecurityGroupFinder, StateConfig, SubnetFinder,
    Workspace, remote_outputs, sensitive, tags,
};
use crate::names::{AccountId, Names, Suffix};
use crate::{STACKS, cidr, migration};

/// The place of a variable that is not set: the name of its workspace.
type Place = Range<usize>;

/// The default primary and secondary region (SYSTEMS §1).
const REGIONS: [&str; 2] = ["us-east-1", "us-east-2"];
/// The retention periods that `CloudWatch` Logs supports, in days.
const RETENTION: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

pub(super) fn configuration(text: &str, source_name: &str) -> Result<Configuration, Problem> {
    let file: File = toml::from_str(text)?;
    if !STACKS.iter().any(|stack| stack.name == file.stack.get_ref()) {
        let known: Vec<_> = STACKS.iter().map(|stack| stack.name).collect();
        return Err(Problem::new(format!("unknown stack `{}`", file.stack.get_ref()), file.stack.span())
            .hint(format!("available stacks: {}", known.join(", "))));
    }
    let (mut workspaces, no_state) = (BTreeMap::new(), StateConfig::default());
    let merged = file.workspaces.into_iter().map(|(name, variables)| (name, or(variables, &file.defaults)));
    let merged: Vec<_> = merged.collect();
    tags::check(&merged)?;
    for (name, mut variables) in merged {
        let remote = std::mem::take(&mut variables.remote_outputs);
        let state = file.state.as_ref().map_or(&no_state, Spanned::get_ref);
        let remote = remote_outputs::check(remote, file.stack.get_ref(), name.get_ref(), state)?;
        let sensitive = variables.sensitive.take().unwrap_or_default();
        let mut workspace = workspace(&name, variables, remote)?;
        workspace.sensitive = sensitive::check(text, source_name, &name, sensitive)?;
        workspaces.insert(workspace.name.clone(), workspace);
    }
    if workspaces.is_empty() {
        return Err(
            Problem::new("no workspace is declared", file.stack.span()).hint("declare one under [workspaces.NAME]")
        );
    }
    Ok(Configuration {
        source_name: source_name.to_owned(),
        stack: file.stack.into_inner(),
        aws: file.aws,
        state: file.state.map(state).transpose()?.unwrap_or_default(),
        workspaces,
    })
}

fn state(state: Spanned<StateConfig>) -> Result<StateConfig, Problem> {
    let span = state.span();
    let state = state.into_inner();
    if state.path.is_some() && (state.bucket.is_some() || state.region.is_some() || state.table.is_some()) {
        return Err(Problem::new("the state is stored either in a folder or in a bucket, not in both", span)
            .hint("remove `path`, or `bucket`, `region` and `table`"));
    }
    Ok(state)
}

/// The variables of a workspace, with the shared ones as defaults.
fn or(own: Variables, shared: &Variables) -> Variables {
    let mut tags = shared.tags.clone();
    for (key, value) in own.tags {
        tags.remove(key.get_ref().as_str());
        tags.insert(key, value);
    }
    let mut remote_outputs = shared.remote_outputs.clone();
    for (name, remote) in own.remote_outputs {
        remote_outputs.remove(name.get_ref().as_str());
        remote_outputs.insert(name, remote);
    }
    Variables {
        phase: own.phase.or_else(|| shared.phase.clone()),
        environment: own.environment.or_else(|| shared.environment.clone()),
        project: own.project.or_else(|| shared.project.clone()),
        suffix: own.suffix.or_else(|| shared.suffix.clone()),
        cutover: own.cutover.or_else(|| shared.cutover.clone()),
        regions: own.regions.or_else(|| shared.regions.clone()),
        weights: own.weights.or_else(|| shared.weights.clone()),
        nat: own.nat.or(shared.nat),
        protect: own.protect.or(shared.protect),
        final_snapshot: own.final_snapshot.or(shared.final_snapshot),
        flow_log_retention_days: own.flow_log_retention_days.or_else(|| shared.flow_log_retention_days.clone()),
        key_deletion_days: own.key_deletion_days.or_else(|| shared.key_deletion_days.clone()),
        legacy_network: own.legacy_network.or_else(|| shared.legacy_network.clone()),
        database: own.database.or(&shared.database),
        service: own.service.or(&shared.service),
        domain: own.domain.or(&shared.domain),
        alarms: own.alarms.or(&shared.alarms),
        waf: own.waf.or(&shared.waf),
        remote_outputs,
        sensitive: Some(own.sensitive.into_iter().chain(shared.sensitive.clone()).flatten().collect()),
        tags,
    }
}

fn workspace(
    name: &Spanned<String>,
    variables: Variables,
    remote_outputs: BTreeMap<String, RemoteOutputs>,
) -> Result<Workspace, Problem> {
    let place = name.span();
    let name = name.get_ref();
    let phase = match variables.phase {
        Some(phase) => phase.into_inner(),
        None => Phase::ALL.into_iter().find(|phase| phase.as_str() == name).ok_or_else(|| {
            Problem::new(format!("workspace `{name}` has no `phase`"), place.clone())
                .hint("set it to legacy, migration or production")
        })?,
    };
    let lacks = |variable: &str, why: &str| {
        Problem::new(format!("workspace `{name}` has no `{variable}`: {why}"), place.clone())
            .hint(format!("set it under [workspaces.{name}] or [defaults]"))
    };
    let suffix = variables.suffix.ok_or_else(|| lacks("suffix", "it is part of every name"))?;
    let suffix_place = suffix.span();
    let suffix = Suffix::parse(suffix.get_ref()).at(suffix_place.clone())?;
    let environment =
        variables.environment.ok_or_else(|| lacks("environment", "it is the value of the tag Environment"))?;
    let project = variables.project.ok_or_else(|| lacks("project", "it is the value of the tag Project"))?;
    let cutover = variables.cutover.ok_or_else(|| lacks("cutover", "it is the value of the tag CutoverTimestamp"))?;
    let legacy_network = variables.legacy_network.map(|given| legacy_network(given, &remote_outputs)).transpose()?;

    let regions_place = variables.regions.as_ref().map_or_else(|| place.clone(), Spanned::span);
    let all_regions = regions(variables.regions, &place)?;
    apart(&all_regions, legacy_network.as_ref())?;
    let mut all_regions: Vec<_> = all_regions.into_iter().map(|(region, _)| region).collect();
    if phase != Phase::Legacy && all_regions.len() < 2 {
        return Err(Problem::new(format!("the phase {phase} requires a second region"), regions_place)
            .hint("add one to `regions`, or stay in the phase legacy"));
    }
    weights(phase, &mut all_regions, variables.weights)?;
    names(name, &suffix, &all_regions, &place, &suffix_place)?;
    if variables.service.auth.is_none() {
        let why = "it must be the ARN of a secret with API keys, or \"none\" for unauthenticated access";
        return Err(lacks("service.auth", why));
    }
    let service = variables.service.check(phase)?;

    Ok(Workspace {
        name: name.clone(),
        phase,
        environment: environment.into_inner(),
        database: variables.database.check(phase)?,
        domain: variables.domain.check(&all_regions)?,
        alarms: variables.alarms.check(service.min_tasks, service.max_tasks)?,
        service,
        waf: variables.waf.check()?,
        remote_outputs,
        project: project.into_inner(),
        suffix,
        cutover: moment(&cutover)?,
        all_regions,
        nat: variables.nat.unwrap_or_default(),
        protect: variables.protect.unwrap_or(true),
        final_snapshot: variables.final_snapshot.unwrap_or(true),
        flow_log_retention_days: variables.flow_log_retention_days.as_ref().map_or(Ok(90), retention)?,
        key_deletion_days: variables.key_deletion_days.as_ref().map_or(Ok(30), key_deletion)?,
        legacy_network,
        sensitive: Vec::new(),
        tags: variables.tags.into_iter().map(|(key, value)| (key.into_inner(), value.into_inner())).collect(),
    })
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

type Placed = (RegionConfig, Place);

fn regions(given: Option<Spanned<Vec<RegionVariables>>>, place: &Place) -> Result<Vec<Placed>, Problem> {
    let (place, given) = if let Some(given) = given {
        (given.span(), given.into_inner())
    } else {
        let named = |name: &&str| RegionVariables { name: Spanned::new(place.clone(), (*name).to_owned()), cidr: None };
        (place.clone(), REGIONS.iter().map(named).collect())
    };
    if given.is_empty() {
        return Err(
            Problem::new("a workspace requires at least one region", place).hint("list the primary region first")
        );
    }
    let mut regions: Vec<Placed> = Vec::new();
    for (index, region) in (0_u32..).zip(given) {
        let name = region.name.get_ref();
        if !is_region(name) {
            return Err(not_a_region(&region.name));
        }
        if regions.iter().any(|(other, _)| other.region.as_str() == name) {
            return Err(Problem::new(format!("the region {name} is listed twice"), region.name.span())
                .hint("list each region once, the primary first"));
        }
        let (cidr, place) = match region.cidr {
            Some(cidr) => (cidr::network(cidr.get_ref()).at(cidr.span())?, cidr.span()),
            None => (cidr::network(&format!("10.{index}.0.0/16")).at(region.name.span())?, region.name.span()),
        };
        regions.push((RegionConfig { region: Region::new(name), index, cidr, weight: 0 }, place));
    }
    Ok(regions)
}

pub(super) fn not_a_region(name: &Spanned<String>) -> Problem {
    Problem::new(format!("`{}` is not a region", name.get_ref()), name.span())
        .hint("use a region name such as us-east-1")
}

pub(super) fn is_region(name: &str) -> bool {
    let parts: Vec<_> = name.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    matches!(&parts[..], [words @ .., number]
        if words.len() >= 2 && words.iter().all(letters) && number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
}

fn apart(regions: &[Placed], legacy: Option<&LegacyNetwork>) -> Result<(), Problem> {
    for (index, (region, place)) in regions.iter().enumerate() {
        let before = regions[..index].iter().map(|(other, _)| (other.cidr, format!("the network of {}", other.region)));
        let legacy = legacy.iter().flat_map(|legacy| &legacy.cidrs);
        let legacy = legacy.map(|cidr| (*cidr, "a block of the legacy network".to_owned()));
        if let Some((other, whose)) = before.chain(legacy).find(|(other, _)| cidr::overlap(other, &region.cidr)) {
            let message = format!("the network {} of {} overlaps {other}, {whose}", region.cidr, region.region);
            return Err(Problem::new(message, place.clone())
                .hint("the networks are connected, so their blocks must not overlap; choose a free block"));
        }
    }
    Ok(())
}

/// Sets the traffic weights of the regions: the configured ones, or the defaults of the phase (M-02).
fn weights(
    phase: Phase,
    regions: &mut [RegionConfig],
    given: Option<Spanned<BTreeMap<Spanned<String>, u8>>>,
) -> Result<(), Problem> {
    let exist = phase.spans(regions.len());
    let Some(given) = given else {
        for (region, weight) in regions.iter_mut().zip(shares(phase, exist)) {
            region.weight = weight;
        }
        return Ok(());
    };
    let place = given.span();
    let given = given.into_inner();
    let sum: u32 = given.values().map(|weight| u32::from(*weight)).sum();
    for (name, weight) in given {
        let Some(region) = regions.iter_mut().find(|region| region.region.as_str() == name.get_ref()) else {
            return Err(Problem::new(
                format!("`{}` has a weight, but is not listed in `regions`", name.get_ref()),
                name.span(),
            )
            .hint("use the names in `regions`"));
        };
        if weight > 0 && region.index as usize >= exist {
            return Err(Problem::new(
                format!("{} has a weight, but is not used in the phase {phase}", region.region),
                name.span(),
            )
            .hint("in the phase legacy all traffic goes to the primary region; remove `weights`"));
        }
        region.weight = weight;
    }
    if sum != 100 {
        return Err(Problem::new(format!("the weights add up to {sum}"), place)
            .hint("weights are percentages and must add up to 100"));
    }
    Ok(())
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

/// Builds the longest names, so that none fails later. The hash of the account id has a fixed length.
fn names(
    name: &str,
    suffix: &Suffix,
    regions: &[RegionConfig],
    place: &Place,
    suffix_place: &Place,
) -> Result<(), Problem> {
    let account = AccountId::any();
    let names = Names::new(name, suffix, &account).at(place.clone())?;
    for region in regions {
        for bucket in migration::BUCKETS {
            names.bucket(bucket, &region.region).at(suffix_place.clone())?;
        }
        for database in migration::DATABASES {
            names.database(database, &region.region).at(suffix_place.clone())?;
        }
        for role in migration::ROLES {
            names.role(role, &region.region).at(suffix_place.clone())?;
        }
    }
    for balancer in migration::BALANCERS {
        names.balancer(balancer).at(suffix_place.clone())?;
    }
    Ok(())
}

fn legacy_network(given: LegacyVariables, remote: &BTreeMap<String, RemoteOutputs>) -> Result<LegacyNetwork, Problem> {
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
        remote_outputs::named(subnets.get_ref().vpc.as_ref(), remote, subnets.span())?;
    }
    let mut security_groups = BTreeMap::new();
    for (name, finder) in given.security_groups {
        if finder == SecurityGroupFinder::default() {
            return Err(nothing(name.span()));
        }
        Suffix::parse(name.get_ref()).map_err(|_| {
            Problem::new(format!("`{}` is not valid in an address", name.get_ref()), name.span())
                .hint("use lower-case letters, digits and inner hyphens")
        })?;
        remote_outputs::named(finder.id.iter().chain(&finder.vpc), remote, name.span())?;
        security_groups.insert(name.into_inner(), finder);
    }
    Ok(LegacyNetwork { cidrs, subnets: given.subnets.map(Spanned::into_inner), security_groups })
}

/// A retention period that `CloudWatch` Logs supports.
pub(super) fn retention(days: &Spanned<i32>) -> Result<i32, Problem> {
    if RETENTION.contains(days.get_ref()) {
        return Ok(*days.get_ref());
    }
    let known: Vec<_> = RETENTION.iter().map(ToString::to_string).collect();
    Err(Problem::new(format!("CloudWatch Logs does not support a retention of {} days", days.get_ref()), days.span())
        .hint(format!("use one of {}", known.join(", "))))
}

/// Each variable of a section, with the shared value as default.
macro_rules! or_shared {
    ($own:ident, $shared:ident: $($variable:ident),* $(,)?) => {
        Self { $($variable: $own.$variable.or_else(|| $shared.$variable.clone())),* }
    };
}
pub(super) use or_shared;

/// The value of a numeric variable in a range, or the default.
pub(super) fn number<N: Copy + Display + PartialOrd>(
    variable: &str,
    given: Option<&Spanned<N>>,
    default: N,
    taken: RangeInclusive<N>,
) -> Result<N, Problem> {
    let Some(given) = given else { return Ok(default) };
    if taken.contains(given.get_ref()) {
        return Ok(*given.get_ref());
    }
    Err(Problem::new(format!("invalid value {} of `{variable}`", given.get_ref()), given.span()).hint(format!(
        "use {} to {}",
        taken.start(),
        taken.end()
    )))
}

/// The value of a numeric variable from a list, or the default.
pub(super) fn one_of(
    variable: &str,
    given: Option<&Spanned<i32>>,
    default: i32,
    listed: &[i32],
) -> Result<i32, Problem> {
    let Some(given) = given else { return Ok(default) };
    if listed.contains(given.get_ref()) {
        return Ok(*given.get_ref());
    }
    let listed: Vec<_> = listed.iter().map(ToString::to_string).collect();
    Err(Problem::new(format!("invalid value {} of `{variable}`", given.get_ref()), given.span())
        .hint(format!("use one of {}", listed.join(", "))))
}

fn key_deletion(days: &Spanned<i32>) -> Result<i32, Problem> {
    if (7..=30).contains(days.get_ref()) {
        return Ok(*days.get_ref());
    }
    Err(Problem::new(format!("KMS does not support a waiting period of {} days", days.get_ref()), days.span())
        .hint("use 7 to 30"))
}
