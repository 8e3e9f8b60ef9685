//! Tags in Elastic Load Balancing's form.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::types::Tag;
use futures_util::future::try_join_all;
use payinfra_engine::{Result, Tags};

use super::{BATCH, each};
use crate::{Cx, Explain};

/// The tags of a create call.
pub(super) fn sdk(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// The tags of those of `arns` that exist, with twenty per call.
pub(super) async fn of(cx: &Cx, arns: &[String]) -> Result<HashMap<String, Tags>> {
    let ask = |arns: Vec<String>| async move {
        let found = cx.elbv2().describe_tags().set_resource_arns(Some(arns)).send().await.explain()?;
        Ok(found.tag_descriptions.unwrap_or_default())
    };
    let found = try_join_all(arns.chunks(BATCH).map(|arns| each(arns.to_vec(), ask))).await?;
    let tagged = found.into_iter().flatten().filter_map(|described| {
        let tags = described.tags.unwrap_or_default().into_iter();
        let tags = tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())));
        Some((described.resource_arn?, tags.collect()))
    });
    Ok(tagged.collect())
}

/// Updates the tags of the resource `arn`.
pub(super) async fn sync(cx: &Cx, arn: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    if !gone.is_empty() {
        cx.elbv2().remove_tags().resource_arns(arn).set_tag_keys(Some(gone)).send().await.explain()?;
    }
    if !new.is_empty() {
        cx.elbv2().add_tags().resource_arns(arn).set_tags(Some(sdk(&new))).send().await.explain()?;
    }
    Ok(())
}
