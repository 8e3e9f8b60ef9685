//! Settings of the service and the function.

use std::collections::BTreeMap;

/// The regions and their buckets, from the form `us-east-1=a,us-east-2=b`; `None` if a region is duplicated or lacks its bucket.
#[must_use]
pub fn regions(text: &str) -> Option<BTreeMap<String, String>> {
    let mut regions = BTreeMap::new();
    for pair in text.split(',') {
        let (region, bucket) =
            pair.split_once('=').filter(|(region, bucket)| !region.is_empty() && !bucket.is_empty())?;
        if regions.insert(region.to_owned(), bucket.to_owned()).is_some() {
            return None;
        }
    }
    Some(regions)
}
