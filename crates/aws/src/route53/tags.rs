//! Tags in Route 53's form: in separate calls, ten at a time.

use std::collections::HashMap;

use aws_sdk_route53::types::{Tag, TagResourceType};
use payinfra_engine::{Class, Result, Tags};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The maximum number of tags of a hosted zone or a health check (API reference: `ChangeTagsForResource`).
pub(super) const MOST: usize = 10;

/// The maximum number of tags or ids per call (AWS-FACTS §2).
const BATCH: usize = 10;

/// The tags of those of `ids` that exist.
pub(super) async fn of(cx: &Cx, kind: &TagResourceType, ids: &[String]) -> Result<HashMap<String, Tags>> {
    let mut all = HashMap::new();
    for ids in ids.chunks(BATCH) {
        let call = cx.route53().list_tags_for_resources().resource_type(kind.clone());
        let found = call.set_resource_ids(Some(ids.to_vec())).send().await.explain().unless(Class::NotFound)?;
        if let Some(found) = found {
            let sets = found.resource_tag_sets.into_iter();
            all.extend(sets.filter_map(|set| Some((set.resource_id?, from(set.tags)))));
            continue;
        }
        // One that is gone fails the call for all of them.
        for id in ids {
            let call = cx.route53().list_tags_for_resource().resource_type(kind.clone()).resource_id(id);
            let found = call.send().await.explain().unless(Class::NotFound)?;
            if let Some(set) = found.and_then(|found| found.resource_tag_set) {
                all.insert(id.clone(), from(set.tags));
            }
        }
    }
    Ok(all)
}

fn from(tags: Option<Vec<Tag>>) -> Tags {
    let tags = tags.unwrap_or_default().into_iter();
    tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

/// Updates the tags of `id`.
pub(super) async fn sync(cx: &Cx, kind: &TagResourceType, id: &str, live: &Tags, want: &Tags) -> Result<()> {
    let (gone, new) = live.changes(want);
    for keys in gone.chunks(BATCH) {
        let call = cx.route53().change_tags_for_resource().resource_type(kind.clone()).resource_id(id);
        call.set_remove_tag_keys(Some(keys.to_vec())).send().await.explain()?;
    }
    let new: Vec<_> = new.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    for tags in new.chunks(BATCH) {
        let call = cx.route53().change_tags_for_resource().resource_type(kind.clone()).resource_id(id);
        call.set_add_tags(Some(tags.to_vec())).send().await.explain()?;
    }
    Ok(())
}
