//! Tags as EC2 takes them: with the create call, and by their own calls afterwards.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use payinfra_engine::{Owner, Result, Tags};

use super::filter;
use crate::{Cx, Explain};

/// The tags of a create call; EC2 makes the resource with them or not at all.
pub(super) fn spec(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(sdk(tags))).build()
}

/// The filters that find what `owner` owns.
pub(super) fn owned_by(owner: &Owner) -> Vec<Filter> {
    owner.tags().iter().map(|(key, value)| filter(&format!("tag:{key}"), value)).collect()
}

/// The tags of an answer.
pub(super) fn from(tags: Option<Vec<Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// Makes the tags of `id` what they should be.
pub(super) async fn sync(cx: &Cx, id: impl Into<String>, live: &Tags, want: &Tags) -> Result<()> {
    let id = id.into();
    let (gone, new) = live.changes(want);
    let gone: Vec<_> = gone.iter().map(|key| Tag::builder().key(key).build()).collect();
    if !gone.is_empty() {
        cx.ec2().delete_tags().resources(&id).set_tags(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.ec2().create_tags().resources(&id).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}

fn sdk(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}
