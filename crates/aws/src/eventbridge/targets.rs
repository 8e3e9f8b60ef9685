//! Lists and removes the targets of a rule.

use aws_sdk_eventbridge::operation::remove_targets::RemoveTargetsOutput;
use aws_sdk_eventbridge::types as sdk;
use payinfra_engine::{Class, Result};

use crate::error::{Unless, partial};
use crate::{Cx, Explain};

/// The targets of `rule`; none if the rule does not exist.
pub(super) async fn list(cx: &Cx, rule: &str) -> Result<Vec<sdk::Target>> {
    let call = cx.eventbridge().list_targets_by_rule().rule(rule);
    // A rule has at most five targets, and the page size is a hundred.
    let found = call.send().await.explain().unless(Class::NotFound)?.and_then(|found| found.targets);
    Ok(found.unwrap_or_default())
}

/// Removes all targets of `rule`.
pub(super) async fn remove_all(cx: &Cx, rule: &str) -> Result<()> {
    let names: Vec<_> = list(cx, rule).await?.into_iter().map(|target| target.id).collect();
    if names.is_empty() { Ok(()) } else { remove(cx, rule, names).await }
}

/// Removes the targets `names` of `rule`.
pub(super) async fn remove(cx: &Cx, rule: &str, names: Vec<String>) -> Result<()> {
    let call = cx.eventbridge().remove_targets().rule(rule).set_ids(Some(names));
    let done = call.send().await.explain().unless(Class::NotFound)?;
    let failed = done.iter().flat_map(RemoveTargetsOutput::failed_entries);
    let mut failed = failed.map(|it| partial("events:RemoveTargets", it.error_code(), it.error_message()));
    failed.find(|error| !error.is(Class::NotFound)).map_or(Ok(()), Err)
}
