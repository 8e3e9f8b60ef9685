//! Tags in EC2's form: in the create call, and in separate calls afterwards.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use payinfra_engine::{Owner, Result, Tags};

use super::filter;
use crate::{Cx, Explain};

/// The tags of a create call; EC2 creates the resource together with them.
pub(super) fn spec(kind: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(sdk(tags))).build()
}

/// The filters for the resources of `owner`.
pub(super) fn owned_by(owner: &Owner) -> Vec<Filter> {
    owner.tags().iter().map(|(key, value)| filter(&format!("tag:{key}"), value)).collect()
}

/// The tags of a response.
pub(super) fn from(tags: Option<Vec<Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// Updates the tags of `id`.
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
