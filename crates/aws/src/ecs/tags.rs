//! Tags in ECS's form.

use aws_sdk_ecs::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// The tags of a response.
pub(super) fn from(tags: Option<Vec<Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// The tags of the resource `arn`.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    let found = cx.ecs().list_tags_for_resource().resource_arn(arn).send().await.explain()?;
    Ok(from(found.tags))
}

/// Updates the tags of the resource `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.ecs().untag_resource().resource_arn(arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.ecs().tag_resource().resource_arn(arn).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}
