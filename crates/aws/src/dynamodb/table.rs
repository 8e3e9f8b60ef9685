//! A DynamoDB table: its keys and indexes, its settings, and its replicas in other regions.

mod change;
mod consistency;
mod schema;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{self as sdk, IndexStatus, ReplicaStatus, SseStatus, TableStatus, WitnessStatus};
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Ref, Region, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use consistency::StrongConsistency;
pub use schema::{Attribute, AttributeType, Billing, Index, Projection, StreamView};

use self::consistency::{dissolve, is_strong};
use super::tags;
use crate::error::{Unless, claim, foreign, same_owner, shown};
use crate::size::bytes;
use crate::{Cx, Explain, Need};

/// A table. With replicas it is a global table (version 2019.11.21), which is managed from this table's region
/// (AWS-FACTS §4.1).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The name, 3 to 255 characters, unique in the region.
    pub name: String,
    /// The partition key.
    pub hash_key: Attribute,
    /// The sort key.
    pub range_key: Option<Attribute>,
    /// The global secondary indexes by name.
    pub indexes: BTreeMap<String, Index>,
    /// The billing mode.
    pub billing: Billing,
    /// The ARN of the KMS key; without one, a key that DynamoDB owns.
    pub kms_key: Option<Ref<String>>,
    /// The content of the stream; replicas require [`StreamView::NewAndOldImages`].
    pub stream: Option<StreamView>,
    /// The time-to-live attribute, in seconds since 1970. AWS allows one change per hour.
    pub time_to_live: Option<String>,
    /// Whether point-in-time recovery is enabled in this region.
    pub point_in_time_recovery: bool,
    /// The replicas in other regions; adding or removing one takes minutes.
    pub replicas: BTreeMap<Region, Replica>,
    /// Strong consistency between the regions; otherwise, writes are replicated asynchronously, usually within a second,
    /// and the last of two concurrent writes wins. It cannot be changed while the table has replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strong_consistency: Option<StrongConsistency>,
    /// Whether deletion protection is enabled in this region; each replica has its own.
    pub deletion_protection: Option<bool>,
    /// The tags, which the replicas have as well.
    pub tags: Tags,
}

/// A replica of a table in another region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    /// The ARN of a key in that region; required if the table has one. Another key means another replica.
    pub kms_key: Option<Ref<String>>,
    /// The same as for the table.
    pub point_in_time_recovery: bool,
    /// Whether deletion protection is enabled; the table's own protection does not cover the replica.
    #[serde(default)]
    pub deletion_protection: Option<bool>,
    /// The tags that differ from the table's: another value, or an empty one if the replica lacks the tag.
    pub other_tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TableOutputs {
    /// The ARN of the table in its own region.
    pub arn: Ref<String>,
    /// The ARN of the stream, if it has one.
    pub stream_arn: Option<Ref<String>>,
    /// The ARNs of the streams of the replicas, in the order of their regions, once all have one.
    pub replica_stream_arns: Option<Ref<Vec<String>>>,
}

impl Resource for Table {
    type Cx = Cx;
    const KIND: &'static str = "dynamodb.table";
    const REPLACE: Fields = fields!(Self: name, hash_key, range_key);
    const KEY: Fields = fields!(Self: name);
    const SERVES: Fields = fields!(Self: replicas);
    const KEEPS_DATA: bool = true;
    const SHIELD: Option<&'static str> = Some("deletion_protection");
    /// Each replica and each index takes minutes, sequentially (AWS-FACTS §4.1).
    const TIMEOUT: Duration = Duration::from_mins(30);
    const EXPECTED: Expected = Expected::millis(8_000, 8_000);
    type Outputs = TableOutputs;

    /// Replicas are added and removed sequentially.
    fn expected(&self) -> Expected {
        self.replicas.iter().fold(Self::EXPECTED, |sum, _| sum.and(Expected::millis(150_000, 120_000)))
    }

    fn losses(&self, live: &Self) -> Vec<String> {
        let gone = live.replicas.keys().filter(|region| !self.replicas.contains_key(*region));
        gone.map(|region| format!("its replica in {region}")).collect()
    }

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        self.check(cx.region())?;
        if let Some(there) = self.left_in(cx).await? {
            // Its data is still in the replica, and the name is in use there.
            change::add_replica(&there, &self.name, cx.region(), self.kms_key.as_ref())?.send().await.explain()?;
            return Ok(Id::new(&self.name));
        }
        let call = cx.dynamodb().create_table().table_name(&self.name).set_key_schema(Some(self.key()?));
        let call = call.set_attribute_definitions(Some(self.attributes(self.indexes.values())?));
        let indexes =
            self.indexes.iter().map(|(name, index)| index.sdk(name, &self.billing)).collect::<Result<Vec<_>>>();
        let indexes = Some(indexes?).filter(|indexes| !indexes.is_empty());
        let call = call.set_global_secondary_indexes(indexes).billing_mode(self.billing.mode());
        let call = call.set_provisioned_throughput(self.billing.throughput()?);
        let call = call.set_sse_specification(self.kms_key.as_ref().map(schema::encrypted).transpose()?);
        let call = call.set_stream_specification(self.stream.map(StreamView::sdk).transpose()?);
        let call = call.set_deletion_protection_enabled(self.deletion_protection);
        call.set_tags(Some(tags::sdk(&self.tags)?)).send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(table) = describe(cx, &self.name).await? else { return Ok(None) };
        if table.table_status == Some(TableStatus::Deleting) {
            return Ok(None);
        }
        let tags = shown("table", &self.name, tags::of(cx, table.table_arn().need("TableArn")?).await)?;
        // A table that was created from its replica has no tags at first.
        if Owner::of(&tags).is_none() && is_copy_of_ours(cx, &table, owner).await? {
            return Ok(Some(Id::new(&self.name)));
        }
        claim("table", &self.name, Id::new(&self.name), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let Some(table) = describe(cx, id.as_str()).await? else { return Ok(None) };
            Box::pin(live(cx, table)).await.unless(Class::NotFound)
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// AWS allows one change of a table at a time, so each update makes one change, and the next follows when the table
    /// is active again. Settings per region are sent to each region.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (name, was) = (live.id.as_str(), &live.args);
        self.check(cx.region())?;
        self.check_change(was)?;
        tags::sync(cx, live.outputs.arn.known()?, &was.tags, &self.tags).await?;
        if self.point_in_time_recovery != was.point_in_time_recovery {
            settings::put_recovery(cx, name, self.point_in_time_recovery).await?;
        }
        let on = self.deletion_protection.unwrap_or_default();
        if on != was.deletion_protection.unwrap_or_default() {
            // A change of the table has to wait until it is active again.
            return settings::put_deletion_protection(cx, name, on).await;
        }
        if self.time_to_live != was.time_to_live {
            settings::put_time_to_live(cx, name, was.time_to_live.as_deref(), self.time_to_live.as_deref()).await?;
        }
        if let Some(region) = self.unwanted(was) {
            return match describe(cx, name).await? {
                Some(table) if is_strong(&table) => dissolve(cx, name, &table).await,
                _ => change::remove_replica(cx, name, region).await,
            };
        }
        for (region, replica) in &self.replicas {
            let Some(copy) = was.replicas.get(region) else { continue };
            let there = cx.in_region(region);
            let on = replica.deletion_protection.unwrap_or_default();
            if on != copy.deletion_protection.unwrap_or_default() {
                return settings::put_deletion_protection(&there, name, on).await;
            }
            if replica.other_tags != copy.other_tags || self.tags != was.tags {
                let arn = arn_in(&there, name);
                let mut want = replica.other_tags.clone();
                want.fill(&self.tags);
                tags::sync(&there, &arn, &tags::of(&there, &arn).await?, &want).await?;
            }
            if replica.point_in_time_recovery != copy.point_in_time_recovery {
                settings::put_recovery(&there, name, replica.point_in_time_recovery).await?;
            }
        }
        match self.change(cx, live)? {
            Some(call) => call.send().await.explain().map(drop),
            None => Ok(()),
        }
    }

    /// `DynamoDB` updates the numbers about every six hours.
    async fn contents(cx: &Cx, live: &Live<Self>) -> Result<Option<String>> {
        let Some(table) = describe(cx, live.id.as_str()).await? else { return Ok(None) };
        let (items, size) = (table.item_count.unwrap_or_default(), table.table_size_bytes.unwrap_or_default());
        Ok(Some(format!("about {items} items, {}", bytes(size))))
    }

    /// Replicas are deleted first, those of a strongly consistent table together, and the table last: the region that added a replica cannot be deleted for 24 hours
    /// while there are others (AWS-FACTS §4.1).
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let name = live.id.as_str();
        let Some(table) = describe(cx, name).await? else { return Ok(()) };
        if table.table_status == Some(TableStatus::Deleting) {
            return Ok(());
        }
        // AWS would reject this only after the replicas are gone.
        if table.deletion_protection_enabled == Some(true) {
            return Err(Error::failed(format!("deletion protection is enabled for the table `{name}`")));
        }
        let left = || Error::new(Class::Conflict, format!("the replicas of `{name}` have to be deleted first"));
        if is_strong(&table) {
            if table.table_status != Some(TableStatus::Updating) {
                dissolve(cx, name, &table).await?;
            }
            if describe(cx, name).await?.is_some_and(|table| is_strong(&table)) {
                return Err(left());
            }
        }
        for replica in replicas(&table).filter(|_| !is_strong(&table)) {
            let gone = replica.replica_status == Some(ReplicaStatus::Deleting);
            if !gone {
                let region = replica.region_name.as_deref().need("RegionName")?;
                change::remove_replica(cx, name, &Region::new(region)).await?;
            }
            let now = describe(cx, name).await?;
            if now.is_some_and(|table| replicas(&table).any(|it| it.region_name == replica.region_name)) {
                return Err(left());
            }
        }
        let call = cx.dynamodb().delete_table().table_name(name);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(describe(cx, id.as_str()).await?.is_none())
    }
}

async fn describe(cx: &Cx, name: &str) -> Result<Option<sdk::TableDescription>> {
    let found = cx.dynamodb().describe_table().table_name(name).send().await.explain().unless(Class::NotFound)?;
    found.map(|found| found.table.need("Table")).transpose()
}

impl Table {
    /// A region that still has a replica of ours although the table is gone: it was deleted outside payinfra.
    async fn left_in(&self, cx: &Cx) -> Result<Option<Cx>> {
        for region in self.replicas.keys() {
            let there = cx.in_region(region);
            let Some(copy) = describe(&there, &self.name).await? else { continue };
            if copy.table_status == Some(TableStatus::Deleting) {
                continue;
            }
            let arn = copy.table_arn().need("TableArn")?;
            let tags = tags::of(&there, arn).await.unless(Class::NotFound)?;
            match tags {
                Some(tags) if same_owner(&self.tags, &tags) => return Ok(Some(there)),
                Some(_) => return Err(foreign("table", &self.name, arn)),
                None => {}
            }
        }
        Ok(None)
    }
}

/// Whether a replica of `table` in another region has the owner tags that the table lacks.
async fn is_copy_of_ours(cx: &Cx, table: &sdk::TableDescription, owner: &Owner) -> Result<bool> {
    for replica in replicas(table) {
        let there = cx.in_region(&Region::new(replica.region_name().need("RegionName")?));
        let arn = arn_in(&there, table.table_name().need("TableName")?);
        if tags::of(&there, &arn).await.unless(Class::NotFound)?.is_some_and(|tags| owner.owns(&tags)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `table` has a replica in `region` that is not being deleted.
pub(super) fn is_copied_to(table: &sdk::TableDescription, region: &Region) -> bool {
    replicas(table).any(|replica| {
        let here = replica.region_name() == Some(region.as_str());
        here && replica.replica_status != Some(ReplicaStatus::Deleting)
    })
}

/// The ARN of the table's replica in another region.
fn arn_in(cx: &Cx, name: &str) -> String {
    format!("arn:aws:dynamodb:{}:{}:table/{name}", cx.region(), cx.account())
}

/// The replicas in other regions. DynamoDB's list sometimes includes the region of the request.
fn replicas(table: &sdk::TableDescription) -> impl Iterator<Item = &sdk::ReplicaDescription> {
    let home = table.table_arn().and_then(|arn| arn.split(':').nth(3)).unwrap_or_default();
    table.replicas().iter().filter(move |replica| replica.region_name() != Some(home))
}

async fn live(cx: &Cx, table: sdk::TableDescription) -> Result<Live<Table>> {
    let name = table.table_name.clone().need("TableName")?;
    let arn = table.table_arn.clone().need("TableArn")?;
    let settled = matches!(table.table_status, Some(TableStatus::Active | TableStatus::Updating));
    // A replica that is being created or deleted has no settings.
    let (own_tags, recovery, time_to_live) = if settled {
        let (tags, recovery, time_to_live) =
            tokio::try_join!(tags::of(cx, &arn), settings::recovery(cx, &name), settings::time_to_live(cx, &name))?;
        (tags, recovery, time_to_live)
    } else {
        (Tags::new(), false, None)
    };
    let copies = replicas(&table).map(|replica| copy(cx, &name, replica, &own_tags));
    let (mut replicas, mut streams) = (BTreeMap::new(), BTreeMap::new());
    for (region, replica, stream) in try_join_all(copies).await? {
        streams.insert(region.clone(), stream);
        replicas.insert(region, replica);
    }
    let streams: Option<Vec<_>> = streams.into_values().collect();
    let (hash_key, range_key) = schema::key(&table, table.key_schema())?;
    Ok(Live {
        id: Id::new(&name),
        status: status(&table),
        args: Table {
            hash_key,
            range_key,
            indexes: schema::indexes(&table)?,
            billing: Billing::of(&table),
            kms_key: table.sse_description.as_ref().and_then(key),
            stream: table.stream_specification.as_ref().and_then(StreamView::of),
            time_to_live,
            point_in_time_recovery: recovery,
            replicas,
            strong_consistency: StrongConsistency::of(&table),
            deletion_protection: Some(table.deletion_protection_enabled.unwrap_or_default()),
            tags: own_tags,
            name,
        },
        outputs: TableOutputs {
            arn: Ref::Known(arn),
            stream_arn: table.latest_stream_arn.map(Ref::Known),
            replica_stream_arns: streams.map(Ref::Known),
        },
    })
}

/// The ARN of the account's default key for DynamoDB.
fn key(sse: &sdk::SseDescription) -> Option<Ref<String>> {
    let on = matches!(sse.status, Some(SseStatus::Enabled | SseStatus::Enabling | SseStatus::Updating));
    sse.kms_master_key_arn.clone().filter(|_| on).map(Ref::Known)
}

/// A replica with the settings that only its own region returns, and the ARN of its stream.
async fn copy(
    cx: &Cx,
    name: &str,
    replica: &sdk::ReplicaDescription,
    tags: &Tags,
) -> Result<(Region, Replica, Option<String>)> {
    let region = Region::new(replica.region_name.as_deref().need("RegionName")?);
    let there = cx.in_region(&region);
    let read = async {
        let arn = arn_in(&there, name);
        let (recovery, table, own) =
            tokio::try_join!(settings::recovery(&there, name), describe(&there, name), tags::of(&there, &arn))?;
        let protected = table.as_ref().and_then(|table| table.deletion_protection_enabled).unwrap_or_default();
        let stream = table.and_then(|table| table.latest_stream_arn);
        Ok((recovery, protected, difference(&own, tags), stream))
    };
    let is_active = replica.replica_status == Some(ReplicaStatus::Active);
    // A replica that is being deleted is read like one that is not created yet.
    let read = if is_active { read.await.unless(Class::NotFound)? } else { None };
    let (point_in_time_recovery, deletion_protection, other_tags, stream) = read.unwrap_or_default();
    let kms_key = replica.kms_master_key_id.clone().map(Ref::Known);
    let deletion_protection = Some(deletion_protection);
    Ok((region, Replica { kms_key, point_in_time_recovery, deletion_protection, other_tags }, stream))
}

/// The tags of a replica that differ from the table's, and those that it lacks.
fn difference(copy: &Tags, table: &Tags) -> Tags {
    let own = copy.iter().filter(|(key, value)| table.get(key) != Some(value));
    let lacks = table.iter().filter(|(key, _)| copy.get(key).is_none()).map(|(key, _)| (key, ""));
    own.chain(lacks).collect()
}

/// A table is ready when its indexes, its encryption and its replicas are ready.
fn status(table: &sdk::TableDescription) -> Status {
    let failed = |what: &str| Status::Failed(format!("{what}; check the table in the AWS console"));
    match &table.table_status {
        Some(TableStatus::Active) => {}
        Some(TableStatus::Deleting) => return Status::Deleting,
        Some(TableStatus::Creating | TableStatus::Updating) | None => return Status::Pending,
        Some(other) => return failed(other.as_str()),
    }
    for replica in replicas(table) {
        match &replica.replica_status {
            Some(ReplicaStatus::Active) | None => {}
            Some(ReplicaStatus::Creating | ReplicaStatus::Updating | ReplicaStatus::Deleting) => {
                return Status::Pending;
            }
            Some(other) => {
                let region = replica.region_name().unwrap_or("another region");
                let why = replica.replica_status_description().unwrap_or(other.as_str());
                return failed(&format!("the replica in {region}: {why}"));
            }
        }
    }
    let mut witnesses = table.global_table_witnesses().iter();
    let witness_moves = witnesses.any(|it| !matches!(it.witness_status, Some(WitnessStatus::Active) | None));
    let indexes = table.global_secondary_indexes().iter();
    let index_moves = indexes.clone().any(|index| !matches!(index.index_status, Some(IndexStatus::Active) | None));
    let sse = table.sse_description.as_ref().and_then(|sse| sse.status.as_ref());
    let key_moves = matches!(sse, Some(SseStatus::Enabling | SseStatus::Disabling | SseStatus::Updating));
    if index_moves || key_moves || witness_moves { Status::Pending } else { Status::Ready }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(status: TableStatus, replica: ReplicaStatus) -> Status {
        let replica = sdk::ReplicaDescription::builder().region_name("us-east-2").replica_status(replica);
        let replica = replica.replica_status_description("Key is disabled").build();
        super::status(&sdk::TableDescription::builder().table_status(status).replicas(replica).build())
    }

    #[test]
    fn is_ready_when_its_replicas_are() {
        assert_eq!(with(TableStatus::Active, ReplicaStatus::Active), Status::Ready);
        assert_eq!(with(TableStatus::Active, ReplicaStatus::Creating), Status::Pending);
        assert_eq!(with(TableStatus::Updating, ReplicaStatus::Active), Status::Pending);
        assert_eq!(with(TableStatus::Deleting, ReplicaStatus::Active), Status::Deleting);
        let failed = "the replica in us-east-2: Key is disabled; check the table in the AWS console".to_owned();
        assert_eq!(with(TableStatus::Active, ReplicaStatus::CreationFailed), Status::Failed(failed));
    }

    #[test]
    fn tells_where_the_tags_of_a_replica_differ() {
        let table = Tags::new().with("a", "1").with("b", "2").with("c", "3");
        let copy = Tags::new().with("a", "1").with("b", "other").with("d", "4");
        assert_eq!(difference(&copy, &table), Tags::new().with("b", "other").with("c", "").with("d", "4"));
        assert_eq!(difference(&table, &table), Tags::new());
    }
}
