//! A `CloudTrail` trail, which records the account's API calls to a bucket.

use std::collections::BTreeSet;

use aws_sdk_cloudtrail::types::{self as sdk, DataResource, EventSelector, ReadWriteType};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, Text, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::{Unless, claim, shown};
use crate::{Cx, Explain, Need};

/// A trail. The policies of its bucket and its key must allow `CloudTrail` to write before it is created.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "AWS's own members")]
pub struct Trail {
    /// The name, 3 to 128 characters, unique in the account and region.
    pub name: String,
    /// The name of the bucket.
    pub bucket: Ref<String>,
    /// The prefix of its files' keys, before `/AWSLogs/`; none if empty.
    pub prefix: String,
    /// Whether it records all regions.
    pub multi_region: bool,
    /// Whether it writes digest files, which prove that the log files are unchanged.
    pub log_file_validation: bool,
    /// The ARN of the KMS key for its files.
    pub kms_key: Option<Ref<String>>,
    /// Whether it records management events.
    pub management_events: bool,
    /// The objects whose reads and writes it records: ARNs of buckets, `arn:aws:s3:::NAME/`, or of key prefixes.
    pub data_events: BTreeSet<Text>,
    /// Whether logging is enabled.
    pub logging: bool,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TrailOutputs {
    /// The trail's ARN.
    pub arn: Ref<String>,
}

const OBJECTS: &str = "AWS::S3::Object";

impl Resource for Trail {
    type Cx = Cx;
    const KIND: &'static str = "cloudtrail.trail";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    /// Two calls and the event selectors, at one call per second.
    const EXPECTED: Expected = Expected::millis(3_500, 1_000);
    type Outputs = TrailOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// A new trail does not log, and records only management events; `update` does the rest.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.cloudtrail().create_trail().name(&self.name).s3_bucket_name(self.bucket.known()?);
        let call = call.set_s3_key_prefix(Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty()));
        let call = call.is_multi_region_trail(self.multi_region).include_global_service_events(true);
        let call = call.enable_log_file_validation(self.log_file_validation);
        let call = call.set_kms_key_id(self.kms_key.as_ref().map(Ref::known).transpose()?.cloned());
        call.set_tags_list(Some(tags::sdk(&self.tags)?)).send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(found) = trails(cx, std::slice::from_ref(&self.name)).await?.pop() else { return Ok(None) };
        let tags = shown("trail", &self.name, tags::of(cx, &found.trail_arn.need("TrailARN")?).await)?;
        claim("trail", &self.name, Id::new(&self.name), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let names: Vec<_> = ids.iter().map(String::from).collect();
        let found = trails(cx, &names).await?.into_iter();
        let found = try_join_all(found.map(|trail| async { live(cx, trail).await.unless(Class::NotFound) })).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Event selectors are set before logging starts, and logging stops before they are reduced.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (cloudtrail, was, id) = (cx.cloudtrail(), &live.args, live.id.as_str());
        let place = (&self.bucket, &self.prefix, self.multi_region, self.log_file_validation, &self.kms_key);
        if place != (&was.bucket, &was.prefix, was.multi_region, was.log_file_validation, &was.kms_key) {
            let key = self.kms_key.as_ref().map(Ref::known).transpose()?.cloned();
            let call = cloudtrail.update_trail().name(id).s3_bucket_name(self.bucket.known()?);
            // Omitted values stay unchanged; an empty prefix or key removes the value.
            let call = call.s3_key_prefix(&self.prefix).kms_key_id(key.unwrap_or_default());
            let call = call.is_multi_region_trail(self.multi_region).include_global_service_events(true);
            call.enable_log_file_validation(self.log_file_validation).send().await.explain()?;
        }
        if (self.management_events, &self.data_events) != (was.management_events, &was.data_events) {
            let objects = self.data_events.iter().map(|arn| arn.known().map(str::to_owned));
            let objects = objects.collect::<Result<Vec<_>>>()?;
            let objects = (!objects.is_empty())
                .then(|| vec![DataResource::builder().r#type(OBJECTS).set_values(Some(objects)).build()]);
            let selector = EventSelector::builder().read_write_type(ReadWriteType::All);
            let selector = selector.include_management_events(self.management_events);
            let selector = selector.set_data_resources(Some(objects.unwrap_or_default())).build();
            cloudtrail.put_event_selectors().trail_name(id).event_selectors(selector).send().await.explain()?;
        }
        if self.logging && !was.logging {
            cloudtrail.start_logging().name(id).send().await.explain()?;
        } else if !self.logging && was.logging {
            cloudtrail.stop_logging().name(id).send().await.explain()?;
        }
        tags::sync(cx, live.outputs.arn.known()?, &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        cx.cloudtrail().delete_trail().name(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// Regardless of its tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(trails(cx, &[id.into()]).await?.is_empty())
    }
}

/// The trails of this region with these names. Other regions show shadow trails of multi-region trails.
async fn trails(cx: &Cx, names: &[String]) -> Result<Vec<sdk::Trail>> {
    let call = cx.cloudtrail().describe_trails().set_trail_name_list(Some(names.to_vec()));
    let found = call.include_shadow_trails(false).send().await.explain()?.trail_list.unwrap_or_default();
    let home = |trail: &sdk::Trail| trail.home_region.as_deref() == Some(cx.region().as_str());
    Ok(found.into_iter().filter(home).collect())
}

async fn live(cx: &Cx, trail: sdk::Trail) -> Result<Live<Trail>> {
    let (name, arn) = (trail.name.need("Name")?, trail.trail_arn.need("TrailARN")?);
    let (status, chosen, tags) = tokio::try_join!(
        async { cx.cloudtrail().get_trail_status().name(&name).send().await.explain() },
        async { cx.cloudtrail().get_event_selectors().trail_name(&name).send().await.explain() },
        tags::of(cx, &arn),
    )?;
    let selectors = chosen.event_selectors();
    let resources = selectors.iter().flat_map(EventSelector::data_resources);
    let objects = resources.filter(|it| it.r#type() == Some(OBJECTS)).flat_map(DataResource::values);
    Ok(Live {
        id: Id::new(&name),
        status: Status::Ready,
        args: Trail {
            bucket: Ref::Known(trail.s3_bucket_name.need("S3BucketName")?),
            prefix: trail.s3_key_prefix.unwrap_or_default(),
            multi_region: trail.is_multi_region_trail.unwrap_or_default(),
            log_file_validation: trail.log_file_validation_enabled.unwrap_or_default(),
            kms_key: trail.kms_key_id.map(Ref::Known),
            management_events: selectors.iter().any(|it| it.include_management_events().unwrap_or(true)),
            data_events: objects.map(|arn| Text::from(arn.as_str())).collect(),
            logging: status.is_logging.unwrap_or_default(),
            tags,
            name,
        },
        outputs: TrailOutputs { arn: Ref::Known(arn) },
    })
}
