//! The bucket of static content of a region, and its trail with a bucket of its own (T-07, T-12).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::s3::{Bucket, Encryption, LifecycleRule, Transition};
use payinfra_components::buckets::{archive, private};
use payinfra_components::trail::{self, Scope, bucket_statements};
use payinfra_engine::{Graph, Node, Result};

use super::Part;

/// The resource type of the bucket of static content.
pub(super) const CONTENT: &str = "content";
/// The resource type of the trail's bucket.
const TRAIL: &str = "trail";
/// The resource types in the names of buckets.
pub(super) const BUCKETS: [&str; 2] = [CONTENT, TRAIL];

/// Declares the bucket of static content of a region.
pub(super) fn content(graph: &mut Graph, part: &Part<'_>) -> Result<Node<Bucket>> {
    let site = &part.site;
    let config = &site.variables().content;
    let name = site.names.bucket(CONTENT, site.region())?;
    let infrequent = Transition { days: 30, class: "STANDARD_IA".to_owned() };
    let rule = LifecycleRule {
        noncurrent_transitions: BTreeSet::from([infrequent]),
        noncurrent_expiration_days: config.noncurrent_days,
        abort_multipart_days: 7,
        ..LifecycleRule::default()
    };
    let bucket = Bucket {
        versioning: true,
        encryption: Some(Encryption { key: part.key.clone(), bucket_key: true }),
        lifecycle: BTreeMap::from([("old-versions".to_owned(), rule)]),
        ..private(site, CONTENT, &name, [])
    };
    let bucket = graph.add(site.region(), CONTENT, bucket)?;
    site.output(graph, "content_bucket_name", &bucket.id);
    site.output(graph, "content_bucket_arn", &bucket.outputs.arn);
    Ok(bucket)
}

/// Declares the trail of a region. Each region has its own, so that a further region changes nothing in the others.
pub(super) fn trail(graph: &mut Graph, part: &Part<'_>, content: &Node<Bucket>) -> Result<()> {
    let site = &part.site;
    let name = site.names.bucket(TRAIL, site.region())?;
    let bucket = Bucket {
        versioning: true,
        encryption: Some(Encryption { key: part.key.clone(), bucket_key: true }),
        lifecycle: archive(site.variables().content.trail_days),
        ..private(site, TRAIL, &name, bucket_statements(site, &name))
    };
    let bucket = graph.add(site.region(), TRAIL, bucket)?;
    let recorded = site.names.bucket(CONTENT, site.region())?;
    let trail = trail::trail(graph, site, &bucket, &part.key, Scope::OwnRegion, &[&recorded])?;
    graph.order(&content.address, &trail.address);
    Ok(())
}
