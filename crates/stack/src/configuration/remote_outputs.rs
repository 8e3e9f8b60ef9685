//! Outputs read from other workspaces and stacks (M-29).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_engine::Region;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::state::StateConfig;
use crate::names::{AccountId, Suffix};
use crate::places::Places;
use crate::problem::{At, Problem, Problems};
use crate::region::{is_region, not_a_region};
use crate::remote::RemoteOutputs;

/// The variables as they are written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoteVariables {
    /// The stack; by default this one.
    #[schemars(with = "Option<String>")]
    stack: Option<Spanned<String>>,
    /// The workspace.
    #[schemars(with = "String")]
    workspace: Spanned<String>,
    /// The names of the outputs to read; they become outputs of this workspace: `remote_NAME_OUTPUT`.
    #[schemars(with = "BTreeSet<String>")]
    outputs: Spanned<BTreeSet<String>>,
    /// The lineage that the state must have, as shown by `payinfra state pull`; by default any.
    lineage: Option<String>,
    /// The bucket of the state; by default the bucket in this configuration.
    bucket: Option<String>,
    /// The account that owns the bucket; by default the current account.
    #[schemars(with = "Option<String>")]
    account: Option<Spanned<String>>,
    /// The region of the bucket; by default the region in this configuration.
    #[schemars(with = "Option<String>")]
    region: Option<Spanned<String>>,
}

/// Checks what the workspace `own` of the stack `stack` reads from others.
pub(super) fn check(
    given: BTreeMap<String, RemoteVariables>,
    places: &Places,
    stack: &str,
    own: &str,
    state: &StateConfig,
    problems: &mut Problems,
) -> BTreeMap<String, RemoteOutputs> {
    let checked = given.into_iter().map(|(name, remote)| {
        let place = places.of_key(&format!("remote_outputs.{name}"));
        one(&Spanned::new(place, &*name), &remote, stack, own, state, problems);
        let (workspace, outputs) = (remote.workspace.into_inner(), remote.outputs.into_inner());
        let (lineage, bucket) = (remote.lineage, remote.bucket.or_else(|| state.bucket.clone()));
        let account = remote.account.map(Spanned::into_inner);
        let stack = remote.stack.map_or_else(|| stack.to_owned(), Spanned::into_inner);
        let region = Region::new(remote.region.as_ref().map_or(&state.region, |region| region.get_ref()));
        (name, RemoteOutputs { stack, workspace, outputs, lineage, bucket, account, region })
    });
    checked.collect()
}

fn one(
    name: &Spanned<&str>,
    remote: &RemoteVariables,
    stack: &str,
    own: &str,
    state: &StateConfig,
    problems: &mut Problems,
) {
    if Suffix::parse(name.get_ref()).is_err() {
        let invalid = Problem::new(format!("`{}` is not valid in an address", name.get_ref()), name.span());
        problems.add(invalid.hint("use lower-case letters, digits and inner hyphens"));
    }
    if state.path.is_some() && remote.bucket.is_none() {
        let message = "remote outputs are read from a bucket, but the state is in a folder";
        let hint = "set the `bucket` of that state, or store the state in a bucket";
        problems.add(Problem::new(message, name.span()).hint(hint));
    }
    let of = remote.stack.as_ref().map_or(stack, |it| it.get_ref());
    if of == stack && remote.workspace.get_ref() == own && remote.bucket.is_none() {
        let own = Problem::new("a workspace cannot read its own outputs", remote.workspace.span());
        problems.add(own.hint("set another workspace or stack"));
    }
    for part in remote.stack.iter().chain([&remote.workspace]) {
        problems.take(Suffix::parse(part.get_ref()).at(part.span()));
    }
    let place = remote.outputs.span();
    let wrong = |it: &&String| it.is_empty() || !it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    for wrong in remote.outputs.get_ref().iter().filter(wrong) {
        let wrong = Problem::new(format!("`{wrong}` is not a valid output name"), place.clone());
        problems.add(wrong.hint("output names consist of letters, digits and underscores"));
    }
    if remote.outputs.get_ref().is_empty() {
        problems.add(Problem::new("no outputs are listed", place).hint("list the outputs to read"));
    }
    if let Some(region) = remote.region.as_ref().filter(|region| !is_region(region.get_ref())) {
        problems.add(not_a_region(region));
    }
    if let Some(account) = &remote.account {
        problems.take(AccountId::try_from(account.get_ref().clone()).at(account.span()));
    }
}
