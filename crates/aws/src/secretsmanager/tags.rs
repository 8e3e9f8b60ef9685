//! Tags in Secrets Manager's form.

use aws_sdk_secretsmanager::types::Tag;
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

/// Updates the tags of the secret `id`.
pub(super) async fn sync(cx: &Cx, id: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.secretsmanager().untag_resource().secret_id(id).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.secretsmanager().tag_resource().secret_id(id).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}
