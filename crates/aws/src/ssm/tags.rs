//! Tags in Systems Manager's form.

use aws_sdk_ssm::types::{ResourceTypeForTagging, Tag};
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().explain()).collect()
}

/// The tags of the parameter `name`.
pub(super) async fn of(cx: &Cx, name: &str) -> Result<Tags> {
    let call = cx.ssm().list_tags_for_resource().resource_type(ResourceTypeForTagging::Parameter).resource_id(name);
    let tags = call.send().await.explain()?.tag_list.unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// Updates the tags of the parameter `name`.
pub(super) async fn sync(cx: &Cx, name: &str, live: &Tags, want: &Tags) -> Result<()> {
    let parameter = ResourceTypeForTagging::Parameter;
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        let call = cx.ssm().remove_tags_from_resource().resource_type(parameter.clone()).resource_id(name);
        call.set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        let call = cx.ssm().add_tags_to_resource().resource_type(parameter).resource_id(name);
        call.set_tags(Some(sdk(&new)?)).send().await.explain()?;
    }
    Ok(())
}
