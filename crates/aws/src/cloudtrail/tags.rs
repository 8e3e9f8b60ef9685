//! Tags in `CloudTrail`'s form.

use aws_sdk_cloudtrail::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().explain()).collect()
}

/// The tags of the trail `arn`.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    let found = cx.cloudtrail().list_tags().resource_id_list(arn).send().await.explain()?;
    let tags = found.resource_tag_list.unwrap_or_default().into_iter().flat_map(|it| it.tags_list.unwrap_or_default());
    Ok(tags.map(|tag| (tag.key, tag.value.unwrap_or_default())).collect())
}

/// Updates the tags of the trail `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    let gone: Vec<_> = gone.iter().map(|key| Tag::builder().key(key).build().explain()).collect::<Result<_>>()?;
    if !gone.is_empty() {
        cx.cloudtrail().remove_tags().resource_id(arn).set_tags_list(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.cloudtrail().add_tags().resource_id(arn).set_tags_list(Some(sdk(&new)?)).send().await.explain()?;
    }
    Ok(())
}
