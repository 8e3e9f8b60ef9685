//! Examples of `CloudTrail`.

use std::collections::BTreeSet;

use payinfra_aws::cloudtrail::Trail;
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Ref, Region, Resource, Result, Tags, Text};

use crate::example::{Again, Example, examples, form, graph, region};
use crate::kms::key_for;
use crate::life::{access, site};
use crate::s3::bucket_for;

examples![trail];

fn args(name: &str, bucket: Ref<String>) -> Trail {
    Trail {
        name: name.to_owned(),
        bucket,
        prefix: String::new(),
        multi_region: true,
        log_file_validation: true,
        kms_key: None,
        management_events: true,
        data_events: BTreeSet::new(),
        logging: true,
        tags: Tags::new(),
    }
}

fn trail() -> Result<Example> {
    let mut graph = graph("trail");
    let key = key_for(&mut graph, "key", &["cloudtrail.amazonaws.com"])?;
    let first = bucket_for(&mut graph, "first")?;
    let second = bucket_for(&mut graph, "second")?;
    let objects = Text::from(&first.outputs.arn).and("/");
    Example::new(graph, &region(), args("contract-example", first.id.into()))?
        .again(Again::Taken)
        .change(|trail: &mut Trail| trail.bucket = second.id.into())?
        .change(|trail: &mut Trail| "trail".clone_into(&mut trail.prefix))?
        .change(|trail: &mut Trail| trail.kms_key = Some(key.outputs.arn))?
        .change(|trail: &mut Trail| trail.data_events = BTreeSet::from([objects]))?
        .change(|trail: &mut Trail| trail.management_events = false)?
        .change(|trail: &mut Trail| (trail.management_events, trail.data_events) = (true, BTreeSet::new()))?
        .change(|trail: &mut Trail| trail.logging = false)?
        .change(|trail: &mut Trail| (trail.multi_region, trail.log_file_validation) = (false, false))?
        .change(|trail: &mut Trail| (trail.prefix, trail.kms_key, trail.logging) = (String::new(), None, true))
}

#[tokio::test]
async fn a_trail_of_others_is_refused_and_its_shadow_in_another_region_is_not_found() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let bucket = "contract-shadow-0123456789ab";
    cx.s3().create_bucket().bucket(bucket).send().await.explain()?;
    let (theirs, ours) = (site(&region(), Trail::KIND, "theirs")?, site(&region(), Trail::KIND, "ours")?);
    let before = form(&Trail { tags: theirs.owner.tags(), ..args("contract-shadow", bucket.into()) })?;
    let wanted = form(&Trail { tags: ours.owner.tags(), ..args("contract-shadow", bucket.into()) })?;
    let id = [aws.create(&theirs, &before).await?];
    let class = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&ours, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&ours, &wanted).await.map_err(class), Err(Class::Foreign));
    let other = Region::new("us-east-2");
    assert_eq!(aws.read(&other, Trail::KIND, &id).await?, []);
    assert_eq!(aws.recover(&site(&other, Trail::KIND, "ours")?, &wanted).await?, None);
    let live = aws.read(&region(), Trail::KIND, &id).await?.pop().need("Trail")?;
    aws.delete(&theirs, &live).await?;
    cx.s3().delete_bucket().bucket(bucket).send().await.explain().map(drop)
}
