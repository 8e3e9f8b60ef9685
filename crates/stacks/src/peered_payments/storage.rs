//! The buckets of payment data: that of the first region replicates to that of the second one (P-05).

use payinfra_aws::Statement;
use payinfra_aws::s3::{Bucket, Encryption};
use payinfra_components::buckets::{Replicas, arn, private, replication, replication_role};
use payinfra_engine::{Error, Graph, Node, Region, Result};
use payinfra_stack::Names;

use super::Part;

/// The bucket in addresses and tags.
const DATA: &str = "payment-data";
/// The maximum length of a bucket's name (S3 User Guide, Bucket naming rules).
const LONGEST: usize = 63;

/// The name of a region's bucket, which the requirements fix.
///
/// # Errors
/// If it is too long for S3.
pub(super) fn name(names: &Names, region: &Region) -> Result<String> {
    let name = names.name(&format!("{DATA}-{region}"));
    if name.len() > LONGEST {
        let message = format!("the bucket name `{name}` has {} characters, but S3 accepts {LONGEST}", name.len());
        return Err(Error::invalid(message).hint("use a shorter suffix"));
    }
    Ok(name)
}

/// Declares the bucket of the copies, in the second region.
pub(super) fn copies(graph: &mut Graph, far: &Part<'_>) -> Result<Node<Bucket>> {
    let bucket = bucket(far)?;
    add(graph, far, bucket)
}

/// Declares the bucket of payment data, in the first region, and the role that copies its objects.
pub(super) fn data(graph: &mut Graph, near: &Part<'_>, far: &Part<'_>, copies: &Node<Bucket>) -> Result<Node<Bucket>> {
    let (from, to) = (name(near.site.names, near.site.region())?, name(far.site.names, far.site.region())?);
    let keep = Statement::deny("NeverDeleteBuckets", ["s3:DeleteBucket"]).on(arn(&from)).on(arn(&to));
    let from = Replicas { region: near.site.region(), key: &near.key, buckets: vec![&from] };
    let to = [Replicas { region: far.site.region(), key: &far.key, buckets: vec![&to] }];
    let role = replication_role(graph, &near.site, &from, &to, [keep])?;
    let bucket = Bucket { replication: Some(replication(&role.outputs.arn, &to, 0)), ..bucket(near)? };
    let bucket = add(graph, near, bucket)?;
    // The rule names the other bucket, which has to exist.
    graph.order(&copies.address, &bucket.address);
    Ok(bucket)
}

fn bucket(part: &Part<'_>) -> Result<Bucket> {
    let name = name(part.site.names, part.site.region())?;
    Ok(Bucket {
        versioning: true,
        encryption: Some(Encryption { key: part.key.clone(), bucket_key: true }),
        ..private(&part.site, DATA, &name, [])
    })
}

fn add(graph: &mut Graph, part: &Part<'_>, bucket: Bucket) -> Result<Node<Bucket>> {
    let site = &part.site;
    let bucket = graph.add(site.region(), DATA, bucket)?;
    site.output(graph, "payment_data_bucket_name", &bucket.id);
    site.output(graph, "payment_data_bucket_arn", &bucket.outputs.arn);
    Ok(bucket)
}
