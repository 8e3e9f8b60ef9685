//! How much data a bucket has, and how much of it is not replicated yet.

use aws_sdk_s3::types::ReplicationStatus;
use futures_util::future::try_join_all;
use payinfra_engine::Result;

use crate::size::bytes;
use crate::{Cx, Explain};

/// How many of the listed objects are asked for their replication status: a call each.
const ASKED: usize = 20;

/// The number and size of the versions in `bucket`. Counts one page of a thousand, because a bucket can have billions; of
/// the newest objects, tells how many are not replicated yet if `replicates`.
pub(super) async fn contents(cx: &Cx, bucket: &str, replicates: bool) -> Result<String> {
    let page = cx.s3().list_object_versions().bucket(bucket).send().await.explain()?;
    let versions = page.versions.unwrap_or_default();
    let more = if page.is_truncated == Some(true) { "more than " } else { "" };
    let size: i64 = versions.iter().filter_map(|version| version.size).sum();
    let mut text = match versions.len() {
        0 if more.is_empty() => return Ok("empty".to_owned()),
        1 => format!("{more}1 object version, {}", bytes(size)),
        count => format!("{more}{count} object versions, {}", bytes(size)),
    };
    if replicates {
        let mut latest: Vec<_> = versions.into_iter().filter(|version| version.is_latest == Some(true)).collect();
        latest.sort_by_key(|version| std::cmp::Reverse(version.last_modified));
        let keys: Vec<String> = latest.into_iter().filter_map(|version| version.key).take(ASKED).collect();
        let pending = try_join_all(keys.iter().map(|key| pending(cx, bucket, key))).await?;
        let pending = pending.into_iter().filter(|pending| *pending).count();
        if pending > 0 {
            text = format!("{text}; of the newest {}, {pending} not replicated", keys.len());
        }
    }
    Ok(text)
}

/// Whether the object has not reached the bucket's replicas, or failed to.
async fn pending(cx: &Cx, bucket: &str, key: &str) -> Result<bool> {
    let head = cx.s3().head_object().bucket(bucket).key(key).send().await.explain()?;
    Ok(matches!(head.replication_status, Some(ReplicationStatus::Pending | ReplicationStatus::Failed)))
}
