//! Outputs read from other workspaces and stacks (M-29).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_engine::Region;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::state::StateConfig;
use crate::names::{AccountId, Suffix};
use crate::problem::{At, Problem, Problems};
use crate::region::{is_region, not_a_region};
use crate::remote::RemoteOutputs;

/// The variables as they are written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
    #[schemars(with = "Option<String>")]
    bucket: Option<Spanned<String>>,
    /// The account that owns the bucket; by default the current account.
    #[schemars(with = "Option<String>")]
    account: Option<Spanned<String>>,
    /// The region of the bucket; by default the region in this configuration.
    #[schemars(with = "Option<String>")]
    region: Option<Spanned<String>>,
}

/// Checks what the workspace `own` of the stack `stack` reads from others.
pub(super) fn check(
    given: BTreeMap<Spanned<String>, RemoteVariables>,
    stack: &str,
    own: &str,
    state: &StateConfig,
    problems: &mut Problems,
) -> BTreeMap<String, RemoteOutputs> {
    let checked = given.into_iter().filter_map(|(name, remote)| {
        let checked = problems.take(one(&name, remote, stack, own, state))?;
        Some((name.into_inner(), checked))
    });
    checked.collect()
}

fn one(
    name: &Spanned<String>,
    remote: RemoteVariables,
    stack: &str,
    own: &str,
    state: &StateConfig,
) -> Result<RemoteOutputs, Problem> {
    Suffix::parse(name.get_ref()).map_err(|_| {
        Problem::new(format!("`{}` is not valid in an address", name.get_ref()), name.span())
            .hint("use lower-case letters, digits and inner hyphens")
    })?;
    if state.path.is_some() && remote.bucket.is_none() {
        return Err(Problem::new("remote outputs are read from a bucket, but the state is in a folder", name.span())
            .hint("set the `bucket` of that state, or store the state in a bucket"));
    }
    let of = remote.stack.as_ref().map_or(stack, |it| it.get_ref());
    if of == stack && remote.workspace.get_ref() == own && remote.bucket.is_none() {
        return Err(Problem::new("a workspace cannot read its own outputs", remote.workspace.span())
            .hint("set another workspace or stack"));
    }
    for part in remote.stack.iter().chain([&remote.workspace]) {
        Suffix::parse(part.get_ref()).at(part.span())?;
    }
    let place = remote.outputs.span();
    let wrong = |it: &&String| it.is_empty() || !it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    if let Some(wrong) = remote.outputs.get_ref().iter().find(wrong) {
        return Err(Problem::new(format!("`{wrong}` is not a valid output name"), place)
            .hint("output names consist of letters, digits and underscores"));
    }
    if remote.outputs.get_ref().is_empty() {
        return Err(Problem::new("no outputs are listed", place).hint("list the outputs to read"));
    }
    if let Some(region) = remote.region.as_ref().filter(|region| !is_region(region.get_ref())) {
        return Err(not_a_region(region));
    }
    if let Some(account) = &remote.account {
        AccountId::try_from(account.get_ref().clone()).at(account.span())?;
    }
    let region = remote.region.map(Spanned::into_inner).or_else(|| state.region.clone());
    Ok(RemoteOutputs {
        stack: of.to_owned(),
        workspace: remote.workspace.into_inner(),
        outputs: remote.outputs.into_inner(),
        lineage: remote.lineage,
        bucket: remote.bucket.map(Spanned::into_inner).or_else(|| state.bucket.clone()),
        account: remote.account.map(Spanned::into_inner),
        region: Region::new(&region.unwrap_or_else(|| "us-east-1".to_owned())),
    })
}
