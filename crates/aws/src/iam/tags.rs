//! Tags in IAM's form.

use aws_sdk_iam::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call; IAM creates the role together with them.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().explain()).collect()
}

/// The tags of a response.
pub(super) fn from(tags: Option<Vec<Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()
}

/// Updates the tags of the role `name`.
pub(super) async fn sync(cx: &Cx, name: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.iam().untag_role().role_name(name).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.iam().tag_role().role_name(name).set_tags(Some(sdk(&new)?)).send().await.explain()?;
    }
    Ok(())
}
