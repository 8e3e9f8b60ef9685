//! The roles of the clusters of a global database: one is the writer, and AWS, an operator or a command can change which.

use aws_sdk_rds::types as sdk;
use payinfra_engine::{Class, Error, Region, Result};

use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A global database with the current roles of its clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalDatabase {
    /// The name of the global cluster.
    pub name: String,
    /// Its clusters.
    pub members: Vec<Member>,
    /// Whether it is available: no change of its roles or settings is in progress.
    pub is_available: bool,
}

/// A cluster of a global database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The ARN of the cluster.
    pub arn: String,
    /// Its region.
    pub region: Region,
    /// Whether it is the writer.
    pub is_writer: bool,
    /// Whether it is in sync with the writer, or is the writer; `false` while it is synchronized again after an outage.
    pub is_connected: bool,
}

impl Member {
    /// Whether the cluster has an instance. Without one it keeps a copy of the data, but nobody can connect to it. `cx` is in
    /// its region.
    ///
    /// # Errors
    /// If there is no such cluster.
    pub async fn has_instance(&self, cx: &Cx) -> Result<bool> {
        let id = self.arn.rsplit(':').next().unwrap_or_default();
        let found = cx.rds().describe_db_clusters().db_cluster_identifier(id).send().await.explain()?;
        let cluster = found.db_clusters.unwrap_or_default().into_iter().next().need("DBCluster")?;
        Ok(!cluster.db_cluster_members.unwrap_or_default().is_empty())
    }
}

impl GlobalDatabase {
    /// The global database `name`, asked in the region of `cx`; `None` if it does not exist. Every region of a member knows
    /// all members, with a delay.
    ///
    /// # Errors
    /// If the response is incomplete.
    pub async fn read(cx: &Cx, name: &str) -> Result<Option<Self>> {
        let found = cx.rds().describe_global_clusters().global_cluster_identifier(name).send().await.explain();
        let found = found.unless(Class::NotFound)?.and_then(|found| found.global_clusters).unwrap_or_default();
        found.into_iter().next().map(Self::from).transpose()
    }

    pub(super) fn from(global: sdk::GlobalCluster) -> Result<Self> {
        let members = global.global_cluster_members.unwrap_or_default().into_iter().map(|member| {
            let arn = member.db_cluster_arn.need("DBClusterArn")?;
            let region = Region::new(arn.split(':').nth(3).need("region in DBClusterArn")?);
            let status = member.synchronization_status;
            let is_connected =
                status.is_none_or(|status| status == sdk::GlobalClusterMemberSynchronizationStatus::Connected);
            Ok(Member { region, is_writer: member.is_writer == Some(true), is_connected, arn })
        });
        Ok(Self {
            name: global.global_cluster_identifier.need("GlobalClusterIdentifier")?,
            members: members.collect::<Result<_>>()?,
            is_available: global.status.as_deref() == Some("available"),
        })
    }

    /// The writer. There is none before the first cluster has joined.
    #[must_use]
    pub fn writer(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.is_writer)
    }

    /// The cluster in `region`.
    #[must_use]
    pub fn member(&self, region: &Region) -> Option<&Member> {
        self.members.iter().find(|member| member.region == *region)
    }

    /// Starts to make `to` the writer without losing data: AWS stops writes, waits until the secondary has everything, and
    /// exchanges the roles. All clusters have to be available.
    ///
    /// # Errors
    /// [`Class::Conflict`] while a change is in progress or a cluster is not available.
    pub async fn switch_over(&self, cx: &Cx, to: &Member) -> Result<()> {
        let call = cx.rds().switchover_global_cluster().global_cluster_identifier(&self.name);
        call.target_db_cluster_identifier(&to.arn).send().await.explain().map(drop)
    }

    /// Starts to make `to` the writer although the current writer does not respond. What has not been replicated is lost.
    ///
    /// # Errors
    /// [`Class::Conflict`] while a change is in progress or the cluster is not available.
    pub async fn fail_over(&self, cx: &Cx, to: &Member) -> Result<()> {
        let call = cx.rds().failover_global_cluster().global_cluster_identifier(&self.name).allow_data_loss(true);
        call.target_db_cluster_identifier(&to.arn).send().await.explain().map(drop)
    }
}

/// All global clusters; every region returns all of them, with a delay.
pub(super) async fn all(cx: &Cx) -> Result<Vec<sdk::GlobalCluster>> {
    cx.rds().describe_global_clusters().into_paginator().items().send().try_collect().await.explain()
}

/// Makes another cluster the writer if the cluster `id` in the region of `cx` is the writer of others, so that it can be
/// deleted: AWS deletes a secondary, but not the writer of secondaries.
///
/// # Errors
/// [`Class::Conflict`] until the roles have changed; the caller repeats its call.
pub(super) async fn step_down(cx: &Cx, id: &str) -> Result<()> {
    let suffix = format!(":cluster:{id}");
    let is_it = |member: &Member| member.region == *cx.region() && member.arn.ends_with(&suffix);
    for global in all(cx).await? {
        let database = GlobalDatabase::from(global)?;
        let Some(own) = database.writer().filter(|writer| is_it(writer)) else { continue };
        let Some(other) = database.members.iter().find(|member| member.arn != own.arn && member.is_connected) else {
            continue;
        };
        // The list of members lags: it may still have one that has left.
        if database.is_available && database.switch_over(cx, other).await.unless(Class::NotFound)?.is_none() {
            continue;
        }
        let message = format!("{id} is the writer of {}; it moves to {} first", database.name, other.region);
        return Err(Error::new(Class::Conflict, message));
    }
    Ok(())
}
