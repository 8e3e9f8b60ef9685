//! Tags in Application Auto Scaling's form.

use std::collections::HashMap;

use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> HashMap<String, String> {
    tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The tags of the target `arn`.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    let found = cx.application_autoscaling().list_tags_for_resource().resource_arn(arn).send().await.explain()?;
    Ok(found.tags.unwrap_or_default().into_iter().collect())
}

/// Updates the tags of the target `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let scaling = cx.application_autoscaling();
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        scaling.untag_resource().resource_arn(arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        scaling.tag_resource().resource_arn(arn).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}
