//! Tags in S3's form: all in one call.

use aws_sdk_s3::types::{Tag, Tagging};
use payinfra_engine::{Result, Tags};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().explain()).collect()
}

/// The tags of the bucket `name`.
pub(super) async fn of(cx: &Cx, name: &str) -> Result<Tags> {
    Ok(all(cx, name).await?.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// The tags of the bucket `name`, with AWS's own.
async fn all(cx: &Cx, name: &str) -> Result<Vec<Tag>> {
    let found = cx.s3().get_bucket_tagging().bucket(name).send().await.explain().unless_code(&["NoSuchTagSet"])?;
    Ok(found.map(|found| found.tag_set).unwrap_or_default())
}

/// Updates the tags of the bucket `name`. S3 takes all tags at once, and refuses to remove AWS's own, so those of others are
/// written back.
pub(super) async fn sync(cx: &Cx, name: &str, live: &Tags, want: &Tags) -> Result<()> {
    if want == live {
        return Ok(());
    }
    let mut tags = all(cx, name).await?;
    tags.retain(|tag| cx.ignored_tags().contains(tag.key()));
    tags.extend(sdk(want)?);
    if tags.is_empty() {
        return cx.s3().delete_bucket_tagging().bucket(name).send().await.explain().map(drop);
    }
    let tagging = Tagging::builder().set_tag_set(Some(tags)).build().explain()?;
    cx.s3().put_bucket_tagging().bucket(name).tagging(tagging).send().await.explain().map(drop)
}
