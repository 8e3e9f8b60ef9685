//! Tags in RDS's form.

use aws_sdk_rds::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// The tags of a response.
pub(super) fn from(tags: Option<Vec<Tag>>) -> Tags {
    let tags = tags.unwrap_or_default().into_iter();
    tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// The tags of the resource `arn`, for kinds whose descriptions do not include them.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    Ok(from(cx.rds().list_tags_for_resource().resource_name(arn).send().await.explain()?.tag_list))
}

/// Updates the tags of the resource `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.rds().remove_tags_from_resource().resource_name(arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.rds().add_tags_to_resource().resource_name(arn).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}
