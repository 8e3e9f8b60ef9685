//! Tags in `CloudWatch`'s form. `PutMetricAlarm` sets tags only when it creates the alarm (AWS-FACTS §1.11).

use aws_sdk_cloudwatch::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// The tags of the alarm `arn`.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    let found = cx.cloudwatch().list_tags_for_resource().resource_arn(arn).send().await.explain()?;
    let tags = found.tags.unwrap_or_default().into_iter();
    Ok(tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect())
}

/// Updates the tags of the alarm `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.cloudwatch().untag_resource().resource_arn(arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.cloudwatch().tag_resource().resource_arn(arn).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}
