//! Tags in the form of API Gateway, version 2.

use std::collections::HashMap;

use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> HashMap<String, String> {
    tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// From API Gateway's form.
pub(super) fn from(tags: Option<HashMap<String, String>>) -> Tags {
    tags.unwrap_or_default().into_iter().collect()
}

/// Updates the tags of the resource at `path`, such as `/apis/ID`.
pub(super) async fn sync(cx: &Cx, path: &str, live: &Tags, want: &Tags) -> Result<()> {
    let arn = format!("arn:aws:apigateway:{}::{path}", cx.region());
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.apigatewayv2().untag_resource().resource_arn(&arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.apigatewayv2().tag_resource().resource_arn(&arn).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}
