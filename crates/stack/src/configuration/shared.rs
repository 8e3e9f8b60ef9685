//! Checks the variables that all stacks share, and fills in their defaults.

use std::ops::Range;

use payinfra_engine::{IgnoredTags, Region, counted};
use toml::Spanned;

use super::file::{RegionVariables, SharedVariables};
use super::remote_outputs;
use super::state::StateConfig;
use crate::cidr;
use crate::files::Files;
use crate::names::{AccountId, Names, Suffix};
use crate::places::Places;
use crate::problem::{At, Problem, Problems};
use crate::region::{is_region, not_a_region};
use crate::stack::AnyStack;
use crate::workspace::{RegionConfig, StateBucket, Workspace, lacks};

/// A workspace whose variables are checked.
pub(super) struct Context<'a> {
    pub(super) stack: &'static dyn AnyStack,
    pub(super) name: &'a Spanned<String>,
    pub(super) places: Places,
    pub(super) files: Files,
    pub(super) state: &'a StateConfig,
}

impl Context<'_> {
    /// The workspace without the stack's own variables; `None` if its name or a region is invalid. Texts that are missing
    /// are empty.
    pub(super) fn workspace(self, variables: SharedVariables, problems: &mut Problems) -> Option<Workspace<()>> {
        let (name, place) = (self.name.get_ref(), self.name.span());
        let mut needed = |variable: &str, given: Option<Spanned<String>>, why: &str| {
            problems.take(given.ok_or_else(|| lacks(name, place.clone(), variable, why)))
        };
        let suffix = needed("suffix", variables.suffix, "it is part of every name");
        let environment = needed("environment", variables.environment, "it is the value of the tag Environment");
        let project = needed("project", variables.project, "it is the value of the tag Project");
        let suffix = suffix.and_then(|given| problems.take(Suffix::parse(given.get_ref()).at(given.span())));
        let suffix = suffix.unwrap_or_else(Suffix::any);
        let regions = self.regions(variables.regions, problems);
        let (remote, stack) = (variables.remote_outputs, self.stack.name());
        let remote_outputs = remote_outputs::check(remote, &self.places, stack, name, self.state, problems);
        let days = variables.key_deletion_days;
        if !(7..=30).contains(&days) {
            let message = format!("KMS does not support a waiting period of {}", counted(days, "day", "days"));
            problems.add(Problem::new(message, self.places.of_value("key_deletion_days")).hint("use 7 to 30"));
        }
        problems.take(Names::new(&self.stack.name_form(), name, &suffix, &AccountId::any()).at(place))?;
        Some(Workspace {
            stack: self.stack.name().to_owned(),
            form: self.stack.name_form(),
            name: name.clone(),
            environment: environment.map(Spanned::into_inner).unwrap_or_default(),
            project: project.map(Spanned::into_inner).unwrap_or_default(),
            suffix,
            regions: regions?,
            protect: variables.protect,
            final_snapshot: variables.final_snapshot,
            key_deletion_days: days,
            remote_outputs,
            state: bucket(self.state),
            tags: variables.tags.into_iter().map(|(key, value)| (key, value.into_inner())).collect(),
            ignored_tags: IgnoredTags::new(variables.ignore_tags.into_iter().map(Spanned::into_inner)),
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
        let given = given.map_or_else(|| default_regions(self.stack, &place), Spanned::into_inner);
        let count = given.len();
        if count == 0 {
            let none = Problem::new("a workspace requires at least one region", place);
            problems.add(none.hint("list the primary region first"));
        }
        let mut regions: Vec<RegionConfig> = Vec::new();
        for (index, region) in (0_u32..).zip(given) {
            regions.extend(one(index, &region, &regions, problems));
        }
        (count > 0 && regions.len() == count).then_some(regions)
    }
}

/// The bucket of the state, unless it is stored in a folder.
fn bucket(state: &StateConfig) -> Option<StateBucket> {
    let StateConfig { bucket, region, table, path } = state.clone();
    path.is_none().then(|| StateBucket { bucket, region: Region::new(&region), table })
}

/// The regions of a workspace of `stack` that lists none; errors in them are at `place`.
pub(super) fn default_regions(stack: &dyn AnyStack, place: &Range<usize>) -> Vec<RegionVariables> {
    let spanned = |text: String| Spanned::new(place.clone(), text);
    let region = |(index, name): (u32, &&str)| RegionVariables {
        name: spanned((*name).to_owned()),
        cidr: Some(spanned(default_network(index))),
    };
    (0_u32..).zip(stack.default_regions()).map(region).collect()
}

/// The network of the region at `index` if it has none.
fn default_network(index: u32) -> String {
    format!("10.{index}.0.0/16")
}

/// A region whose network does not overlap those of the regions `before`; `None` if it is invalid. Adds all problems.
fn one(index: u32, region: &RegionVariables, before: &[RegionConfig], problems: &mut Problems) -> Option<RegionConfig> {
    let name = region.name.get_ref();
    let twice = before.iter().any(|other| other.region.as_str() == name);
    if !is_region(name) {
        problems.add(not_a_region(&region.name));
    } else if twice {
        let twice = Problem::new(format!("the region {name} is listed twice"), region.name.span());
        problems.add(twice.hint("list each region once, the primary first"));
    }
    let place = region.cidr.as_ref().unwrap_or(&region.name).span();
    let network = region.cidr.as_ref().map_or_else(|| default_network(index), |cidr| cidr.get_ref().clone());
    let cidr = problems.take(cidr::vpc(&network).at(place.clone()))?;
    let overlapped = before.iter().find(|other| cidr::overlap(&other.cidr, &cidr));
    if let Some(other) = overlapped {
        let message = format!("the network {cidr} of {name} overlaps {}, the network of {}", other.cidr, other.region);
        let hint = "the networks are connected, so their blocks must not overlap; choose a free block";
        problems.add(Problem::new(message, place).hint(hint));
    }
    let valid = is_region(name) && !twice && overlapped.is_none();
    valid.then(|| RegionConfig { region: Region::new(name), index, cidr })
}
