//! Checks the variables that all stacks share, and fills in their defaults.

use std::ops::Range;

use payinfra_engine::{Region, counted};
use toml::Spanned;

use super::file::{RegionVariables, SharedVariables};
use super::remote_outputs;
use super::state::StateConfig;
use crate::cidr;
use crate::files::Files;
use crate::names::{AccountId, Names, Suffix};
use crate::problem::{At, Problem, Problems};
use crate::region::{is_region, not_a_region};
use crate::stack::AnyStack;
use crate::workspace::{Places, RegionConfig, Workspace, lacks};

/// Checks where the state is stored.
pub(super) fn state(state: Spanned<StateConfig>, problems: &mut Problems) -> StateConfig {
    let span = state.span();
    let state = state.into_inner();
    if state.path.is_some() && (state.bucket.is_some() || state.region.is_some() || state.table.is_some()) {
        problems.add(
            Problem::new("the state is stored either in a folder or in a bucket, not in both", span)
                .hint("remove `path`, or `bucket`, `region` and `table`"),
        );
    }
    state
}

/// A workspace whose variables are checked.
pub(super) struct Context<'a> {
    pub(super) stack: &'static dyn AnyStack,
    pub(super) name: &'a Spanned<String>,
    pub(super) places: Places,
    pub(super) files: Files,
    pub(super) state: &'a StateConfig,
}

impl Context<'_> {
    /// The workspace without the stack's own variables; `None` if one that it needs is missing or invalid.
    pub(super) fn workspace(self, variables: SharedVariables, problems: &mut Problems) -> Option<Workspace<()>> {
        let (name, place) = (self.name.get_ref(), self.name.span());
        let mut needed = |variable: &str, given: Option<Spanned<String>>, why: &str| {
            problems.take(given.ok_or_else(|| lacks(name, place.clone(), variable, why)))
        };
        let suffix = needed("suffix", variables.suffix, "it is part of every name");
        let environment = needed("environment", variables.environment, "it is the value of the tag Environment");
        let project = needed("project", variables.project, "it is the value of the tag Project");
        let suffix = suffix.and_then(|given| problems.take(Suffix::parse(given.get_ref()).at(given.span())));
        let regions = self.regions(variables.regions, problems);
        let remote_outputs =
            remote_outputs::check(variables.remote_outputs, self.stack.name(), name, self.state, problems);
        let key_deletion_days = variables.key_deletion_days.map_or(Some(30), |days| problems.take(key_deletion(&days)));
        let suffix = suffix?;
        problems.take(Names::new(self.stack.prefix(), name, &suffix, &AccountId::any()).at(place))?;
        Some(Workspace {
            stack: self.stack.name().to_owned(),
            prefix: self.stack.prefix(),
            name: name.clone(),
            environment: environment?.into_inner(),
            project: project?.into_inner(),
            suffix,
            regions: regions?,
            protect: variables.protect.unwrap_or(true),
            final_snapshot: variables.final_snapshot.unwrap_or(true),
            key_deletion_days: key_deletion_days?,
            remote_outputs,
            tags: variables.tags.into_iter().map(|(key, value)| (key.into_inner(), value.into_inner())).collect(),
            places: self.places,
            files: self.files,
            variables: (),
        })
    }

    /// The regions; `None` if one of them is invalid.
    fn regions(
        &self,
        given: Option<Spanned<Vec<RegionVariables>>>,
        problems: &mut Problems,
    ) -> Option<Vec<RegionConfig>> {
        let place = given.as_ref().map_or_else(|| self.name.span(), Spanned::span);
        let named = |name: &&str| RegionVariables { name: Spanned::new(place.clone(), (*name).to_owned()), cidr: None };
        let given = given.map_or_else(|| self.stack.default_regions().iter().map(named).collect(), Spanned::into_inner);
        let count = given.len();
        if count == 0 {
            let none = Problem::new("a workspace requires at least one region", place);
            problems.add(none.hint("list the primary region first"));
        }
        let mut regions: Vec<RegionConfig> = Vec::new();
        for (index, region) in (0_u32..).zip(given) {
            regions.extend(problems.take(one(index, region, &regions)));
        }
        (count > 0 && regions.len() == count).then_some(regions)
    }
}

/// A region whose network does not overlap those of the regions `before`.
fn one(index: u32, region: RegionVariables, before: &[RegionConfig]) -> Result<RegionConfig, Problem> {
    let name = region.name.get_ref();
    if !is_region(name) {
        return Err(not_a_region(&region.name));
    }
    if before.iter().any(|other| other.region.as_str() == name) {
        return Err(Problem::new(format!("the region {name} is listed twice"), region.name.span())
            .hint("list each region once, the primary first"));
    }
    let (cidr, place) = match region.cidr {
        Some(cidr) => (cidr::vpc(cidr.get_ref()).at(cidr.span())?, cidr.span()),
        None => (cidr::vpc(&format!("10.{index}.0.0/16")).at(region.name.span())?, region.name.span()),
    };
    if let Some(other) = before.iter().find(|other| cidr::overlap(&other.cidr, &cidr)) {
        let message = format!("the network {cidr} of {name} overlaps {}, the network of {}", other.cidr, other.region);
        return Err(overlapping(message, place));
    }
    Ok(RegionConfig { region: Region::new(name), index, cidr })
}

fn overlapping(message: String, place: Range<usize>) -> Problem {
    Problem::new(message, place)
        .hint("the networks are connected, so their blocks must not overlap; choose a free block")
}

fn key_deletion(days: &Spanned<i32>) -> Result<i32, Problem> {
    if (7..=30).contains(days.get_ref()) {
        return Ok(*days.get_ref());
    }
    let period = counted(*days.get_ref(), "day", "days");
    Err(Problem::new(format!("KMS does not support a waiting period of {period}"), days.span()).hint("use 7 to 30"))
}
