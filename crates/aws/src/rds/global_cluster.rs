//! A global cluster: connects Aurora clusters of several regions.

use std::time::Duration;

use aws_sdk_rds::types as sdk;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields, fulfils,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::roles::{GlobalDatabase, Member, all};
use super::{downgrade, tags};
use crate::error::{Unless, ours};
use crate::{Cx, Explain, Need};

/// A global cluster, initially empty: the first cluster that is created in it becomes the primary, the others
/// secondaries. It can be deleted when its last member has left it (AWS-FACTS §4.2).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalCluster {
    /// The name, in lower case, unique in the account.
    pub name: String,
    /// The engine, such as `aurora-postgresql`.
    pub engine: String,
    /// The engine's version, also of the members. AWS performs a major upgrade in one step; a minor upgrade is
    /// performed member by member, the primary last.
    pub engine_version: String,
    /// The name of the initial database of the primary.
    pub database: Option<String>,
    /// Whether its members are encrypted: all of them or none.
    pub encrypted: bool,
    /// Whether deletion protection is enabled.
    pub deletion_protection: Option<bool>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct GlobalClusterOutputs {
    /// The ARN, which contains no region.
    pub arn: Ref<String>,
    /// The writer endpoint, whichever region the writer is in.
    pub endpoint: Ref<String>,
}

impl Resource for GlobalCluster {
    type Cx = Cx;
    const KIND: &'static str = "rds.global-cluster";
    const REPLACE: Fields = fields!(Self: name, engine, database, encrypted);
    const KEY: Fields = fields!(Self: name);
    const AT_LEAST: Fields = fields!(Self: engine_version);
    const SHIELD: Option<&'static str> = Some("deletion_protection");
    const TIMEOUT: Duration = Duration::from_hours(2);
    const EXPECTED: Expected = Expected::millis(15_000, 10_000);
    type Outputs = GlobalClusterOutputs;

    fn refused(&self, live: &Self) -> Vec<String> {
        downgrade(&self.engine_version, &live.engine_version)
    }

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.rds().create_global_cluster().global_cluster_identifier(&self.name).engine(&self.engine);
        let call = call.engine_version(&self.engine_version).set_database_name(self.database.clone());
        let call = call.storage_encrypted(self.encrypted).set_deletion_protection(self.deletion_protection);
        call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        ours(Self::read(cx, &[Id::new(&self.name)]).await?.pop(), "global cluster", owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = all(cx).await?.into_iter().filter(|cluster| {
            let name = cluster.global_cluster_identifier();
            name.is_some_and(|name| ids.iter().any(|id| id.as_str() == name))
        });
        found.map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if !fulfils(&live.args.engine_version, &self.engine_version) {
            upgrade(cx, &live.id, &self.engine_version).await?;
        }
        if self.deletion_protection != live.args.deletion_protection {
            let call = cx.rds().modify_global_cluster().global_cluster_identifier(&live.id);
            call.deletion_protection(self.deletion_protection.unwrap_or_default()).send().await.explain()?;
        }
        tags::sync(cx, live.outputs.arn.known()?, &live.args.tags, &self.tags).await
    }

    /// While it has members this is a conflict; each member leaves it before it is deleted itself.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.rds().delete_global_cluster().global_cluster_identifier(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the identifier, because the list lags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let found = cx.rds().describe_global_clusters().global_cluster_identifier(id).send().await.explain();
        Ok(found.unless(Class::NotFound)?.is_none_or(|found| found.global_clusters().is_empty()))
    }
}

/// Starts the next step of an upgrade. Until all members have the version this is a conflict, so the engine calls it
/// again.
async fn upgrade(cx: &Cx, id: &Id<GlobalCluster>, version: &str) -> Result<()> {
    let global = all(cx).await?.into_iter().find(|it| it.global_cluster_identifier() == Some(id.as_str()));
    let global = global.need("GlobalCluster")?;
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    let is_major = major(version) != global.engine_version.as_deref().and_then(major);
    let mut members = GlobalDatabase::from(global)?.members;
    if members.is_empty() || is_major {
        let call = cx.rds().modify_global_cluster().global_cluster_identifier(id);
        let call = call.engine_version(version).allow_major_version_upgrade(true);
        return call.send().await.explain().map(drop);
    }
    members.sort_by_key(|member| member.is_writer);
    let mut behind = Vec::new();
    for Member { arn, region, is_writer, .. } in members {
        let there = cx.in_region(&region);
        let found = there.rds().describe_db_clusters().db_cluster_identifier(&arn).send().await.explain()?;
        let cluster = found.db_clusters.unwrap_or_default().pop().need("DBCluster")?;
        if cluster.engine_version.as_deref().is_some_and(|is| fulfils(is, version)) {
            continue;
        }
        // The primary is upgraded last, because its version must not be ahead of the secondaries'.
        let first = behind.is_empty() || !is_writer;
        if first && cluster.status.as_deref() == Some("available") {
            let name = cluster.db_cluster_identifier.need("DBClusterIdentifier")?;
            let call = there.rds().modify_db_cluster().db_cluster_identifier(name).engine_version(version);
            call.apply_immediately(true).send().await.explain()?;
        }
        behind.push(arn);
    }
    if behind.is_empty() {
        return Ok(());
    }
    Err(Error::new(Class::Conflict, format!("the upgrade to {version} is in progress in {}", behind.join(", "))))
}

fn live(cluster: sdk::GlobalCluster) -> Result<Live<GlobalCluster>> {
    let name = cluster.global_cluster_identifier.need("GlobalClusterIdentifier")?;
    Ok(Live {
        id: Id::new(&name),
        status: match cluster.status.as_deref() {
            Some("available") => Status::Ready,
            Some("deleting") => Status::Deleting,
            _ => Status::Pending,
        },
        args: GlobalCluster {
            name,
            engine: cluster.engine.unwrap_or_default(),
            engine_version: cluster.engine_version.unwrap_or_default(),
            database: cluster.database_name,
            encrypted: cluster.storage_encrypted.unwrap_or_default(),
            deletion_protection: Some(cluster.deletion_protection.unwrap_or_default()),
            tags: tags::from(cluster.tag_list),
        },
        outputs: GlobalClusterOutputs {
            arn: Ref::Known(cluster.global_cluster_arn.need("GlobalClusterArn")?),
            endpoint: Ref::Known(cluster.endpoint.unwrap_or_default()),
        },
    })
}
