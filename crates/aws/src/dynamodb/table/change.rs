//! The next change of a table: AWS allows one kind of change per call, one index, one replica.

use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    CreateGlobalSecondaryIndexAction, CreateReplicationGroupMemberAction, DeleteGlobalSecondaryIndexAction,
    DeleteReplicationGroupMemberAction, GlobalSecondaryIndexUpdate, ReplicationGroupUpdate, SseSpecification,
    StreamSpecification, UpdateGlobalSecondaryIndexAction,
};
use payinfra_engine::{Live, Ref, Region, Result};

use super::{Billing, Index, Replica, Table, describe, schema, settings};
use crate::{Cx, Explain};

impl Table {
    /// The region of a replica to remove: it is not desired, or desired with another key.
    pub(super) fn unwanted<'a>(&self, was: &'a Self) -> Option<&'a Region> {
        let goes = |(region, copy): &(&Region, &Replica)| {
            self.replicas.get(*region).is_none_or(|replica| replica.kms_key != copy.kms_key)
        };
        was.replicas.iter().find(goes).map(|(region, _)| region)
    }

    /// The next call that brings `live` closer to this table, if there is one, when no replica has to be removed.
    /// Removals come before additions.
    pub(super) fn change(&self, cx: &Cx, live: &Live<Self>) -> Result<Option<UpdateTableFluentBuilder>> {
        let (name, was) = (live.id.as_str(), &live.args);
        let call = cx.dynamodb().update_table().table_name(name);
        if let Some((index, _)) = was.indexes.iter().find(|(index, is)| self.indexes.get(*index) != Some(is)) {
            let gone = DeleteGlobalSecondaryIndexAction::builder().index_name(index).build().explain()?;
            let update = GlobalSecondaryIndexUpdate::builder().delete(gone).build();
            return Ok(Some(call.global_secondary_index_updates(update)));
        }
        if self.billing != was.billing {
            return self.bill(call, was).map(Some);
        }
        if self.kms_key != was.kms_key {
            let sse = match &self.kms_key {
                Some(key) => schema::encrypted(key)?,
                None => SseSpecification::builder().enabled(false).build(),
            };
            return Ok(Some(call.sse_specification(sse)));
        }
        if self.stream != was.stream {
            // Another view type requires disabling the stream first; the next update enables it (AWS-FACTS §1.4).
            let stream = match (was.stream, self.stream) {
                (None, Some(view)) => view.sdk()?,
                _ => StreamSpecification::builder().stream_enabled(false).build().explain()?,
            };
            return Ok(Some(call.stream_specification(stream)));
        }
        if let Some((index, want)) = self.indexes.iter().find(|(index, _)| !was.indexes.contains_key(*index)) {
            let call = call.set_attribute_definitions(Some(self.attributes(was.indexes.values().chain([want]))?));
            let new = CreateGlobalSecondaryIndexAction::builder().index_name(index);
            let new = new.set_key_schema(Some(want.key()?)).projection(want.projection.sdk());
            let new = new.set_provisioned_throughput(self.billing.throughput()?).build().explain()?;
            let update = GlobalSecondaryIndexUpdate::builder().create(new).build();
            return Ok(Some(call.global_secondary_index_updates(update)));
        }
        if let (Some(strong), true) = (&self.strong_consistency, was.replicas.is_empty()) {
            return self.make_strong(call, strong).map(Some);
        }
        if let Some((region, want)) = self.replicas.iter().find(|(region, _)| !was.replicas.contains_key(*region)) {
            return add_replica(cx, name, region, want.kms_key.as_ref()).map(Some);
        }
        Ok(None)
    }

    /// Changes the billing mode; for provisioned capacity, existing indexes need capacity as well.
    fn bill(&self, call: UpdateTableFluentBuilder, was: &Self) -> Result<UpdateTableFluentBuilder> {
        let call = call.billing_mode(self.billing.mode());
        let Billing::Provisioned { .. } = self.billing else { return Ok(call) };
        let throughput = self.billing.throughput()?;
        let share = |(name, _): (&String, &Index)| {
            let share = UpdateGlobalSecondaryIndexAction::builder().index_name(name);
            let share = share.set_provisioned_throughput(throughput.clone()).build().explain()?;
            Ok(GlobalSecondaryIndexUpdate::builder().update(share).build())
        };
        let shares = was.indexes.iter().map(share).collect::<Result<Vec<_>>>()?;
        let call = call.set_provisioned_throughput(throughput.clone());
        Ok(call.set_global_secondary_index_updates(Some(shares).filter(|shares| !shares.is_empty())))
    }
}

/// The call that adds a replica in `region`, encrypted with `key`.
pub(super) fn add_replica(
    cx: &Cx,
    name: &str,
    region: &Region,
    key: Option<&Ref<String>>,
) -> Result<UpdateTableFluentBuilder> {
    Ok(cx.dynamodb().update_table().table_name(name).replica_updates(new_replica(region, key)?))
}

/// A new replica in `region`, encrypted with `key`.
pub(super) fn new_replica(region: &Region, key: Option<&Ref<String>>) -> Result<ReplicationGroupUpdate> {
    let key = key.map(Ref::known).transpose()?.cloned();
    let new = CreateReplicationGroupMemberAction::builder().region_name(region.as_str());
    let new = new.set_kms_master_key_id(key).build().explain()?;
    Ok(ReplicationGroupUpdate::builder().create(new).build())
}

/// Removes the replica in `region`.
pub(super) async fn remove_replica(cx: &Cx, name: &str, region: &Region) -> Result<()> {
    release(cx, name, region).await?;
    let call = cx.dynamodb().update_table().table_name(name).replica_updates(old_replica(region)?);
    call.send().await.explain().map(drop)
}

/// A replica in `region` that is to be removed.
pub(super) fn old_replica(region: &Region) -> Result<ReplicationGroupUpdate> {
    let old = DeleteReplicationGroupMemberAction::builder().region_name(region.as_str()).build().explain()?;
    Ok(ReplicationGroupUpdate::builder().delete(old).build())
}

/// Disables the own deletion protection of the replica in `region`, whose removal the plan allows.
pub(super) async fn release(cx: &Cx, name: &str, region: &Region) -> Result<()> {
    let there = cx.in_region(region);
    let copy = describe(&there, name).await?;
    if copy.is_some_and(|copy| copy.deletion_protection_enabled == Some(true)) {
        settings::put_deletion_protection(&there, name, false).await?;
    }
    Ok(())
}
