//! An instance of an Aurora cluster: a writer or a reader.

use std::time::Duration;

use aws_sdk_rds::types as sdk;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cluster::promote;
use super::monitoring::{self, Measured};
use super::roles::step_down;
use super::{Cluster, Insights, Monitoring, instances, tags, unseen};
use crate::error::{Unless, ours};
use crate::{Cx, Explain, Need};

/// An instance, never publicly accessible. The first one of a cluster becomes its writer (in the primary of a global
/// cluster).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterInstance {
    /// The name, in lower case, unique in the region.
    pub name: String,
    /// The cluster.
    pub cluster: Ref<Id<Cluster>>,
    /// The engine of the cluster.
    pub engine: String,
    /// The instance class, such as `db.r6g.large`.
    pub class: String,
    /// The failover priority: the instance with the lowest number becomes the writer first, 0 to 15.
    pub promotion_tier: i32,
    /// Whether AWS installs minor versions automatically.
    pub auto_minor_version_upgrade: bool,
    /// Performance Insights.
    pub insights: Option<Insights>,
    /// Enhanced monitoring.
    pub monitoring: Option<Monitoring>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClusterInstanceOutputs {
    /// The ARN.
    pub arn: Ref<String>,
    /// The endpoint of this instance.
    pub endpoint: Ref<String>,
}

impl ClusterInstance {
    /// Whether `is` differs in a value that `ModifyDBInstance` can set.
    fn differs(&self, is: &Self) -> bool {
        self.class != is.class
            || self.promotion_tier != is.promotion_tier
            || self.auto_minor_version_upgrade != is.auto_minor_version_upgrade
            || self.insights != is.insights
            || self.monitoring != is.monitoring
    }

    /// Whether `shown` still differs from the desired values; omitted values are disabled or unmanaged.
    fn lacks(&self, shown: &Self) -> bool {
        let insights = self.insights.clone().or_else(|| shown.insights.clone());
        let monitoring = self.monitoring.clone().or_else(|| shown.monitoring.clone());
        Self { insights, monitoring, ..self.clone() }.differs(shown)
    }

    fn measured(&self) -> Measured<'_> {
        Measured { insights: self.insights.as_ref(), monitoring: self.monitoring.as_ref() }
    }

    async fn modify(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let call = cx.rds().modify_db_instance().db_instance_identifier(&live.id);
        // Otherwise the change waits for the maintenance window.
        let call = call.apply_immediately(true).db_instance_class(&self.class).promotion_tier(self.promotion_tier);
        let call = call.auto_minor_version_upgrade(self.auto_minor_version_upgrade);
        let call = self.measured().modify(was.measured(), call)?;
        call.send().await.explain().map(drop)
    }
}

impl Resource for ClusterInstance {
    type Cx = Cx;
    const KIND: &'static str = "rds.cluster-instance";
    const REPLACE: Fields = fields!(Self: name, cluster, engine);
    const KEY: Fields = fields!(Self: name);
    const TIMEOUT: Duration = Duration::from_mins(90);
    const EXPECTED: Expected = Expected::millis(360_000, 240_000);
    type Outputs = ClusterInstanceOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.rds().create_db_instance().db_instance_identifier(&self.name);
        let call = call.db_cluster_identifier(self.cluster.known()?).engine(&self.engine);
        let call = call.db_instance_class(&self.class).promotion_tier(self.promotion_tier);
        let call = call.auto_minor_version_upgrade(self.auto_minor_version_upgrade).publicly_accessible(false);
        let call = self.measured().create(call)?;
        call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        ours(Self::read(cx, &[Id::new(&self.name)]).await?.pop(), "database instance", owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        instances::existing(cx, ids).await?.into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.differs(&live.args) {
            self.modify(cx, live).await?;
            let shown = Self::read(cx, std::slice::from_ref(&live.id)).await?.pop();
            if shown.is_some_and(|shown| shown.status == Status::Ready && self.lacks(&shown.args)) {
                return Err(unseen(live.id.as_str()));
            }
        }
        tags::sync(cx, live.outputs.arn.known()?, &live.args.tags, &self.tags).await
    }

    /// The last instance of the writer of a global database is deleted after another cluster has become the writer, and
    /// the last one of a replica after the replica is promoted: AWS refuses it before (API reference, DeleteDBInstance).
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let cluster = live.args.cluster.known()?;
        let found = cx.rds().describe_db_clusters().db_cluster_identifier(cluster).send().await.explain();
        let found = found.unless(Class::NotFound)?.and_then(|found| found.db_clusters?.pop());
        if let Some(found) = found.filter(|cluster| cluster.db_cluster_members().len() <= 1) {
            step_down(cx, cluster.as_str()).await?;
            if found.replication_source_identifier().is_some_and(|source| !source.is_empty()) {
                promote(cx, cluster.as_str()).await?;
            }
        }
        let call = cx.rds().delete_db_instance().db_instance_identifier(&live.id).skip_final_snapshot(true);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        instances::is_absent(cx, id).await
    }
}

fn live(instance: sdk::DbInstance) -> Result<Live<ClusterInstance>> {
    let (insights, monitoring) = monitoring::of(&instance);
    let name = instance.db_instance_identifier.need("DBInstanceIdentifier")?;
    // A pending change of the class counts as the current class, so that it is shown as drift immediately (AWS-FACTS
    // §1.5).
    let pending = instance.pending_modified_values.and_then(|pending| pending.db_instance_class);
    let endpoint = instance.endpoint.and_then(|endpoint| endpoint.address);
    Ok(Live {
        id: Id::new(&name),
        status: status(instance.db_instance_status.as_deref()),
        args: ClusterInstance {
            name,
            cluster: Ref::Known(Id::new(instance.db_cluster_identifier.unwrap_or_default())),
            engine: instance.engine.unwrap_or_default(),
            class: pending.or(instance.db_instance_class).unwrap_or_default(),
            promotion_tier: instance.promotion_tier.unwrap_or_default(),
            auto_minor_version_upgrade: instance.auto_minor_version_upgrade.unwrap_or_default(),
            insights,
            monitoring,
            tags: tags::from(instance.tag_list),
        },
        outputs: ClusterInstanceOutputs {
            arn: Ref::Known(instance.db_instance_arn.need("DBInstanceArn")?),
            endpoint: Ref::Known(endpoint.unwrap_or_default()),
        },
    })
}

/// The cluster has the data, so a failed instance can be replaced.
fn status(status: Option<&str>) -> Status {
    match status {
        Some("available" | "backing-up" | "storage-optimization") => Status::Ready,
        Some("deleting") => Status::Deleting,
        Some(
            status @ ("failed"
            | "incompatible-create"
            | "incompatible-network"
            | "incompatible-restore"
            | "insufficient-capacity"),
        ) => Status::Failed(status.to_owned()),
        _ => Status::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_the_window_is_seen_now() -> Result<()> {
        let pending = sdk::PendingModifiedValues::builder().db_instance_class("db.r6g.xlarge").build();
        let instance = sdk::DbInstance::builder().db_instance_identifier("i").db_instance_arn("arn");
        let instance = instance.db_instance_class("db.r6g.large").pending_modified_values(pending).build();
        assert_eq!(live(instance)?.args.class, "db.r6g.xlarge");
        Ok(())
    }

    #[test]
    fn only_what_never_came_up_is_replaced() {
        assert_eq!(status(Some("incompatible-network")), Status::Failed("incompatible-network".to_owned()));
        assert_eq!(status(Some("configuring-enhanced-monitoring")), Status::Pending);
        assert_eq!(status(Some("inaccessible-encryption-credentials")), Status::Pending);
    }
}
