//! Tags in SNS's form.

use aws_sdk_sns::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().explain()).collect()
}

/// The tags of the topic `arn`.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    let found = cx.sns().list_tags_for_resource().resource_arn(arn).send().await.explain()?;
    Ok(found.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// Updates the tags of the topic `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.sns().untag_resource().resource_arn(arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.sns().tag_resource().resource_arn(arn).set_tags(Some(sdk(&new)?)).send().await.explain()?;
    }
    Ok(())
}
