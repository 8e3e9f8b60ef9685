//! Tags in Lambda's form.

use std::collections::HashMap;

use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> HashMap<String, String> {
    tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// From Lambda's form.
pub(super) fn from(tags: Option<HashMap<String, String>>) -> Tags {
    tags.unwrap_or_default().into_iter().collect()
}

/// The tags of the function or event source mapping `arn`.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    Ok(from(cx.lambda().list_tags().resource(arn).send().await.explain()?.tags))
}

/// Updates the tags of the function or event source mapping `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.lambda().untag_resource().resource(arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.lambda().tag_resource().resource(arn).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}
