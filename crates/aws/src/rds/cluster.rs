//! An Aurora cluster: the storage and the endpoints of a database in one region.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_rds::types::{self as sdk, CloudwatchLogsExportConfiguration, Filter};
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields, fulfils,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::final_snapshot::delete_with_snapshot;
use super::master::{self, stored, tagged};
use super::roles::{all, step_down};
use super::{ClusterParameterGroup, GlobalCluster, Master, SubnetGroup, downgrade, tags, unseen};
use crate::error::{Unless, ours};
use crate::refs::known;
use crate::{Cx, Explain, Need};

/// An encrypted Aurora cluster. It accepts connections once it has an instance.
///
/// In a global cluster, the first cluster is the primary. A secondary requires a primary with a writer, and inherits
/// the
/// master user and the database (AWS-FACTS §4.2).
///
/// A replica of a cluster in another region inherits them as well. It is created as a replica and can only be promoted
/// afterwards, to a cluster of its own that accepts writes: without `source`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The name, in lower case, unique in the region and among the members of a global cluster.
    pub name: String,
    /// The engine, such as `aurora-postgresql`.
    pub engine: String,
    /// The engine's version.
    pub engine_version: String,
    /// The global cluster in which it is created; a standalone cluster cannot join one later.
    pub global: Option<Ref<Id<GlobalCluster>>>,
    /// The ARN of the cluster in another region that it replicates, by the binary log. The source has to be an Aurora
    /// `MySQL` cluster with the parameter `binlog_format`, a writer, and at most five replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Ref<String>>,
    /// The name of the initial database; none in a secondary or a replica.
    pub database: Option<String>,
    /// The master user's name; none in a secondary or a replica.
    pub username: Option<String>,
    /// The master user's password; none in a secondary or a replica.
    pub master: Option<Master>,
    /// The port.
    pub port: i32,
    /// The subnet group.
    pub subnet_group: Ref<Id<SubnetGroup>>,
    /// The ids of the security groups of its instances.
    pub security_groups: BTreeSet<Ref<String>>,
    /// The cluster parameter group.
    pub parameter_group: Ref<Id<ClusterParameterGroup>>,
    /// The ARN of the KMS key, in its own region.
    pub kms_key: Ref<String>,
    /// Whether IAM database authentication is enabled.
    pub iam_authentication: bool,
    /// The backup retention in days, 1 to 35.
    pub backup_retention_days: i32,
    /// The daily backup window, in UTC: `03:00-04:00`.
    pub backup_window: String,
    /// Whether snapshots get the cluster's tags.
    pub copy_tags_to_snapshots: bool,
    /// The logs that are exported to `CloudWatch`, in `/aws/rds/cluster/NAME/LOG`. RDS creates missing groups
    /// unencrypted and without retention.
    pub log_exports: BTreeSet<String>,
    /// Whether deletion protection is enabled.
    pub deletion_protection: Option<bool>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClusterOutputs {
    /// The ARN.
    pub arn: Ref<String>,
    /// The immutable resource id, for IAM authentication policies.
    pub resource_id: Ref<String>,
    /// The writer endpoint; not available in a secondary.
    pub endpoint: Ref<String>,
    /// The reader endpoint.
    pub reader_endpoint: Ref<String>,
    /// The ARN of the secret with the master user's password; empty in a secondary.
    pub master: Ref<String>,
}

impl Cluster {
    /// The tags, including the one that stores a field.
    fn all_tags(&self) -> Result<Tags> {
        tagged(&self.tags, self.master.as_ref())
    }

    /// Whether `is` differs in a value that `ModifyDBCluster` can set.
    fn differs(&self, is: &Self) -> bool {
        let managed = matches!(self.master, Some(Master::Managed { .. }));
        (managed && self.master != is.master)
            || !fulfils(&is.engine_version, &self.engine_version)
            || self.port != is.port
            || self.security_groups != is.security_groups
            || self.parameter_group != is.parameter_group
            || self.iam_authentication != is.iam_authentication
            || self.backup_retention_days != is.backup_retention_days
            || self.backup_window != is.backup_window
            || self.copy_tags_to_snapshots != is.copy_tags_to_snapshots
            || self.log_exports != is.log_exports
            || self.deletion_protection != is.deletion_protection
    }

    async fn modify(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let call = cx.rds().modify_db_cluster().db_cluster_identifier(&live.id);
        // Otherwise the change waits for the maintenance window.
        let call = call.apply_immediately(true);
        let call = if fulfils(&was.engine_version, &self.engine_version) {
            call
        } else {
            call.engine_version(&self.engine_version).allow_major_version_upgrade(true)
        };
        let call = call.port(self.port).set_vpc_security_group_ids(Some(known(&self.security_groups)?));
        let call = call.db_cluster_parameter_group_name(self.parameter_group.known()?);
        let call = call.enable_iam_database_authentication(self.iam_authentication);
        let call =
            call.backup_retention_period(self.backup_retention_days).preferred_backup_window(&self.backup_window);
        let call = call.copy_tags_to_snapshot(self.copy_tags_to_snapshots);
        let protection = (self.deletion_protection != was.deletion_protection)
            .then_some(self.deletion_protection.unwrap_or_default());
        let call = call.set_deletion_protection(protection);
        let new: Vec<_> = self.log_exports.difference(&was.log_exports).cloned().collect();
        let gone: Vec<_> = was.log_exports.difference(&self.log_exports).cloned().collect();
        let exports = (!new.is_empty() || !gone.is_empty()).then(|| {
            let exports = CloudwatchLogsExportConfiguration::builder();
            exports.set_enable_log_types(Some(new)).set_disable_log_types(Some(gone)).build()
        });
        let call = call.set_cloudwatch_logs_export_configuration(exports);
        let call = match &self.master {
            Some(master) if self.master != was.master => match master {
                Master::Managed { kms_key } => {
                    call.manage_master_user_password(true).master_user_secret_kms_key_id(kms_key.known()?)
                }
                Master::Stored { arn } => {
                    let managed = matches!(was.master, Some(Master::Managed { .. }));
                    let call = call.set_manage_master_user_password(managed.then_some(false));
                    call.master_user_password(stored(cx, arn.known()?).await?)
                }
            },
            _ => call,
        };
        call.send().await.explain().map(drop)
    }
}

impl Resource for Cluster {
    type Cx = Cx;
    const KIND: &'static str = "rds.cluster";
    const REPLACE: Fields = fields!(Self: name, engine, global, database, username, subnet_group, kms_key);
    const KEY: Fields = fields!(Self: name);
    const AT_LEAST: Fields = fields!(Self: engine_version);
    const NETWORK: Fields = fields!(Self: subnet_group, security_groups);
    const KEEPS_DATA: bool = true;
    const SHIELD: Option<&'static str> = Some("deletion_protection");
    const TIMEOUT: Duration = Duration::from_hours(2);
    const EXPECTED: Expected = Expected::millis(60_000, 75_000);
    type Outputs = ClusterOutputs;

    /// A secondary starts with a copy of the primary's data; a member has to leave the global cluster before it is
    /// deleted.
    fn expected(&self) -> Expected {
        let (copies, leaves) = (Expected::millis(340_000, 0), Expected::millis(0, 90_000));
        let member = self.global.is_some();
        let first = if member { Self::EXPECTED.and(leaves) } else { Self::EXPECTED };
        let is_copy = self.source.is_some() || (member && self.username.is_none());
        if is_copy { first.and(copies) } else { first }
    }

    fn refused(&self, live: &Self) -> Vec<String> {
        let mut refused = downgrade(&self.engine_version, &live.engine_version);
        // A reference is to what does not exist yet, so it is another source.
        if let Some(source) = &self.source
            && self.source != live.source
        {
            let source = source.known().map_or("a new cluster", String::as_str);
            refused.push(format!("`source` cannot become {source}: a cluster is a replica from its create on"));
        }
        refused
    }

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.rds().create_db_cluster().db_cluster_identifier(&self.name).engine(&self.engine);
        let call = call.engine_version(&self.engine_version).port(self.port);
        let global = self.global.as_ref().map(Ref::known).transpose()?;
        let call = call.set_global_cluster_identifier(global.map(String::from));
        // Only GovCloud requires a pre-signed URL (API reference, CreateDBCluster).
        let source = self.source.as_ref().map(Ref::known).transpose()?;
        let call = call.set_replication_source_identifier(source.cloned());
        let call = call.set_database_name(self.database.clone()).set_master_username(self.username.clone());
        let call = match &self.master {
            Some(Master::Managed { kms_key }) => {
                call.manage_master_user_password(true).master_user_secret_kms_key_id(kms_key.known()?)
            }
            Some(Master::Stored { arn }) => call.master_user_password(stored(cx, arn.known()?).await?),
            None => call,
        };
        let call = call.db_subnet_group_name(self.subnet_group.known()?);
        let call = call.set_vpc_security_group_ids(Some(known(&self.security_groups)?));
        let call = call.db_cluster_parameter_group_name(self.parameter_group.known()?);
        let call = call.storage_encrypted(true).kms_key_id(self.kms_key.known()?);
        let call = call.enable_iam_database_authentication(self.iam_authentication);
        let call =
            call.backup_retention_period(self.backup_retention_days).preferred_backup_window(&self.backup_window);
        let call = call.copy_tags_to_snapshot(self.copy_tags_to_snapshots);
        let call = call.set_enable_cloudwatch_logs_exports(Some(self.log_exports.iter().cloned().collect()));
        let call = call.set_deletion_protection(self.deletion_protection).set_tags(Some(tags::sdk(&self.all_tags()?)));
        call.send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        ours(Self::read(cx, &[Id::new(&self.name)]).await?.pop(), "cluster", owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let names = ids.iter().map(String::from).collect();
        let filter = Filter::builder().name("db-cluster-id").set_values(Some(names)).build();
        let call = cx.rds().describe_db_clusters().filters(filter);
        let (found, members) = tokio::try_join!(
            async { call.into_paginator().items().send().try_collect().await.explain() },
            members(cx),
        )?;
        found.into_iter().map(|cluster| live(cluster, &members)).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        // A new member may be missing from its global cluster for a minute (AWS-FACTS §4.2).
        if self.global.is_some() && live.args.global.is_none() {
            let arn = live.outputs.arn.known()?;
            if !members(cx).await?.contains_key(arn) {
                return Err(Error::new(Class::Conflict, format!("{arn} is not visible in the global cluster yet")));
            }
        }
        if self.source.is_none() && live.args.source.is_some() {
            promote(cx, live.id.as_str()).await?;
        }
        let master = self.master.is_some() && self.master != live.args.master;
        if master || self.differs(&live.args) {
            self.modify(cx, live).await?;
            let shown = Self::read(cx, std::slice::from_ref(&live.id)).await?.pop();
            if shown.is_some_and(|shown| shown.status == Status::Ready && self.differs(&shown.args)) {
                return Err(unseen(live.id.as_str()));
            }
        }
        // After the password, so that the tag never names a secret whose password the cluster does not have.
        tags::sync(cx, live.outputs.arn.known()?, &live.args.all_tags()?, &self.all_tags()?).await
    }

    /// A member of a global cluster leaves it first, after another member has become the writer if it is the writer; a
    /// secondary becomes a standalone cluster within minutes. Until then, and while it has instances or is the primary of
    /// other members, the delete fails with a conflict: the engine repeats the call, and each call reads the current status.
    /// A replica is promoted first.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let Some(now) = Self::read(cx, std::slice::from_ref(&live.id)).await?.pop() else { return Ok(()) };
        if now.status == Status::Deleting {
            return Ok(());
        }
        // AWS would reject this only after it has left its global cluster.
        if now.args.deletion_protection == Some(true) {
            return Err(Error::failed(format!("deletion protection is enabled for {}", live.id)));
        }
        if now.args.source.is_some() {
            promote(cx, live.id.as_str()).await?;
        }
        if let Some(global) = &now.args.global {
            step_down(cx, live.id.as_str()).await?;
            let call = cx.rds().remove_from_global_cluster().global_cluster_identifier(global.known()?);
            let call = call.db_cluster_identifier(now.outputs.arn.known()?);
            call.send().await.explain().unless(Class::NotFound)?;
        }
        if cx.final_snapshot() {
            let resource = now.outputs.resource_id.known()?;
            let deleted = delete_with_snapshot(live.id.as_str(), resource, |snapshot| async {
                let call = cx.rds().delete_db_cluster().db_cluster_identifier(&live.id).skip_final_snapshot(false);
                let call = call.delete_automated_backups(true).final_db_snapshot_identifier(snapshot);
                let deleted = call.send().await.explain().unless_code(&["DBClusterSnapshotAlreadyExistsFault"])?;
                Ok(deleted.is_some())
            });
            return deleted.await.unless(Class::NotFound).map(drop);
        }
        let call = cx.rds().delete_db_cluster().db_cluster_identifier(&live.id);
        let call = call.skip_final_snapshot(true).delete_automated_backups(true);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the identifier: an empty result of a filter proves nothing.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let found = cx.rds().describe_db_clusters().db_cluster_identifier(id).send().await.explain();
        Ok(found.unless(Class::NotFound)?.is_none_or(|found| found.db_clusters().is_empty()))
    }
}

/// Promotes a replica to a cluster of its own. Until it is, changes of the cluster fail with a conflict.
pub(super) async fn promote(cx: &Cx, cluster: &str) -> Result<()> {
    let call = cx.rds().promote_read_replica_db_cluster().db_cluster_identifier(cluster);
    call.send().await.explain().map(drop)
}

/// The global clusters by the ARNs of their members.
async fn members(cx: &Cx) -> Result<BTreeMap<String, String>> {
    let mut members = BTreeMap::new();
    for global in all(cx).await? {
        let Some(name) = global.global_cluster_identifier else { continue };
        let arns = global.global_cluster_members.unwrap_or_default().into_iter();
        members.extend(arns.filter_map(|member| Some((member.db_cluster_arn?, name.clone()))));
    }
    Ok(members)
}

fn live(cluster: sdk::DbCluster, members: &BTreeMap<String, String>) -> Result<Live<Cluster>> {
    let status = status(cluster.status.as_deref());
    let name = cluster.db_cluster_identifier.need("DBClusterIdentifier")?;
    let arn = cluster.db_cluster_arn.need("DBClusterArn")?;
    let (master, secret, tags) = master::read(cluster.master_user_secret, &tags::from(cluster.tag_list));
    let groups = cluster.vpc_security_groups.unwrap_or_default().into_iter();
    let global = members.get(&arn).cloned().or(cluster.global_cluster_identifier);
    Ok(Live {
        id: Id::new(&name),
        status,
        args: Cluster {
            name,
            engine: cluster.engine.unwrap_or_default(),
            engine_version: cluster.engine_version.unwrap_or_default(),
            global: global.map(|global| Ref::Known(Id::new(global))),
            source: cluster.replication_source_identifier.filter(|source| !source.is_empty()).map(Ref::Known),
            database: cluster.database_name,
            username: cluster.master_username,
            master,
            port: cluster.port.unwrap_or_default(),
            subnet_group: Ref::Known(Id::new(cluster.db_subnet_group.unwrap_or_default())),
            security_groups: groups.filter_map(|group| group.vpc_security_group_id).map(Ref::Known).collect(),
            parameter_group: Ref::Known(Id::new(cluster.db_cluster_parameter_group.unwrap_or_default())),
            kms_key: Ref::Known(cluster.kms_key_id.unwrap_or_default()),
            iam_authentication: cluster.iam_database_authentication_enabled.unwrap_or_default(),
            backup_retention_days: cluster.backup_retention_period.unwrap_or_default(),
            backup_window: cluster.preferred_backup_window.unwrap_or_default(),
            copy_tags_to_snapshots: cluster.copy_tags_to_snapshot.unwrap_or_default(),
            log_exports: cluster.enabled_cloudwatch_logs_exports.unwrap_or_default().into_iter().collect(),
            deletion_protection: Some(cluster.deletion_protection.unwrap_or_default()),
            tags,
        },
        outputs: ClusterOutputs {
            arn: Ref::Known(arn),
            resource_id: Ref::Known(cluster.db_cluster_resource_id.unwrap_or_default()),
            endpoint: Ref::Known(cluster.endpoint.unwrap_or_default()),
            reader_endpoint: Ref::Known(cluster.reader_endpoint.unwrap_or_default()),
            master: Ref::Known(secret),
        },
    })
}

/// No status counts as failed: a failed resource is replaced, and its data would be lost.
pub(super) fn status(status: Option<&str>) -> Status {
    match status {
        Some("available" | "backing-up" | "storage-optimization") => Status::Ready,
        Some("deleting") => Status::Deleting,
        _ => Status::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_member_of_a_global_cluster_by_either_side() -> Result<()> {
        let cluster = |global: Option<&str>| {
            let cluster = sdk::DbCluster::builder().db_cluster_identifier("c").db_cluster_arn("arn");
            cluster.set_global_cluster_identifier(global.map(str::to_owned)).build()
        };
        let listed = BTreeMap::from([("arn".to_owned(), "g".to_owned())]);
        let global = Some(Ref::Known(Id::new("g")));
        assert_eq!(live(cluster(None), &listed)?.args.global, global);
        assert_eq!(live(cluster(Some("g")), &BTreeMap::new())?.args.global, global);
        assert_eq!(live(cluster(None), &BTreeMap::new())?.args.global, None);
        Ok(())
    }

    #[test]
    fn nothing_that_befalls_a_cluster_replaces_it() {
        for (name, expected) in [
            ("available", Status::Ready),
            ("deleting", Status::Deleting),
            ("promoting", Status::Pending),
            ("modifying", Status::Pending),
            ("inaccessible-encryption-credentials", Status::Pending),
        ] {
            assert_eq!(status(Some(name)), expected, "{name}");
        }
    }
}
