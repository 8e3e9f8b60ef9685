//! Tags in DynamoDB's form: by ARN, in the region of the ARN.

use aws_sdk_dynamodb::types::Tag;
use payinfra_engine::{Class, Result, Tags};

use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().explain()).collect()
}

/// The tags of the table `arn`, without those of others: the tags of replicas are compared with each other.
///
/// # Errors
/// [`Class::NotFound`] if the table does not exist, for which AWS returns that access is denied.
pub(super) async fn of(cx: &Cx, arn: &str) -> Result<Tags> {
    match all(cx, arn).await {
        Err(error) if error.is(Class::Denied) => {
            let name = arn.rsplit('/').next().unwrap_or(arn);
            cx.dynamodb().describe_table().table_name(name).send().await.explain()?;
            Err(error)
        }
        tags => tags,
    }
}

async fn all(cx: &Cx, arn: &str) -> Result<Tags> {
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let call = cx.dynamodb().list_tags_of_resource().resource_arn(arn).set_next_token(next);
        let page = call.send().await.explain()?;
        found.extend(page.tags.unwrap_or_default());
        next = page.next_token;
        if next.is_none() {
            return Ok(cx.ignored_tags().without(found.into_iter().map(|tag| (tag.key, tag.value)).collect()));
        }
    }
}

/// Updates the tags of the table `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        let call = cx.dynamodb().untag_resource().resource_arn(arn).set_tag_keys(Some(gone));
        call.send().await.explain()?;
    }
    if !new.is_empty() {
        cx.dynamodb().tag_resource().resource_arn(arn).set_tags(Some(sdk(&new)?)).send().await.explain()?;
    }
    Ok(())
}
