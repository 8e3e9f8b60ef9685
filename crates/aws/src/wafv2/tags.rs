//! Tags in WAF's form.

use aws_sdk_wafv2::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The page size is a hundred; AWS allows fifty tags per resource.
const PAGES: usize = 4;

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().explain()).collect()
}

/// The tags of the resource `arn`.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    let mut tags = Vec::new();
    let mut next = None;
    for _ in 0..PAGES {
        let call = cx.wafv2().list_tags_for_resource().resource_arn(arn).limit(100).set_next_marker(next);
        let page = call.send().await.explain()?;
        tags.extend(page.tag_info_for_resource.and_then(|info| info.tag_list).unwrap_or_default());
        next = page.next_marker;
        if next.is_none() {
            break;
        }
    }
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// Updates the tags of the resource `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.wafv2().untag_resource().resource_arn(arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.wafv2().tag_resource().resource_arn(arn).set_tags(Some(sdk(&new)?)).send().await.explain()?;
    }
    Ok(())
}
