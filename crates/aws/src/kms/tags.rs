//! Tags in KMS's form.

use aws_sdk_kms::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call; KMS creates the key together with them.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build().explain()).collect()
}

/// The tags of the key `id`.
pub(super) async fn of(cx: &Cx, id: &str) -> Result<Tags> {
    let call = cx.kms().list_resource_tags().key_id(id);
    let tags = call.into_paginator().items().send().try_collect().await.explain()?;
    Ok(tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)).collect())
}

/// Updates the tags of the key `id`.
pub(super) async fn sync(cx: &Cx, id: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.kms().untag_resource().key_id(id).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.kms().tag_resource().key_id(id).set_tags(Some(sdk(&new)?)).send().await.explain()?;
    }
    Ok(())
}
