//! Tags in ACM's form.

use aws_sdk_acm::types::Tag;
use payinfra_engine::{Result, Tags};

use crate::{Cx, Explain};

/// The tags of a request.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().explain()).collect()
}

/// The tags of a certificate.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    let found = cx.acm().list_tags_for_certificate().certificate_arn(arn).send().await.explain()?;
    let tags = found.tags.unwrap_or_default().into_iter();
    Ok(tags.map(|tag| (tag.key, tag.value.unwrap_or_default())).collect())
}

/// Updates the tags of a certificate.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    // If a value is given, ACM removes a tag only if the value matches.
    let (gone, new) = live.changes(want);
    let gone: Vec<_> = gone.iter().map(|key| Tag::builder().key(key).build().explain()).collect::<Result<_>>()?;
    if !gone.is_empty() {
        let call = cx.acm().remove_tags_from_certificate().certificate_arn(arn).set_tags(Some(gone));
        call.send().await.explain()?;
    }
    if !new.is_empty() {
        let call = cx.acm().add_tags_to_certificate().certificate_arn(arn).set_tags(Some(sdk(&new)?));
        call.send().await.explain()?;
    }
    Ok(())
}
