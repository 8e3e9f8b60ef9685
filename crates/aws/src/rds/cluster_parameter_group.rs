//! A cluster parameter group, which configures the engine of a cluster.

use std::collections::BTreeMap;

use aws_sdk_rds::types as sdk;
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{parameters, tags};
use crate::error::{Unless, ours};
use crate::{Cx, Explain, Need};

/// A cluster parameter group. It cannot be deleted while a cluster uses it, so a change of the family needs another
/// name and address: the new one is created, the cluster changes over, and the old one is deleted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterParameterGroup {
    /// The name, in lower case, unique in the region.
    pub name: String,
    /// The engine and its major version, such as `aurora-postgresql16`.
    pub family: String,
    /// The description.
    pub description: String,
    /// The parameters that differ from the engine's defaults.
    pub parameters: BTreeMap<String, String>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClusterParameterGroupOutputs {
    /// The ARN.
    pub arn: Ref<String>,
}

impl Resource for ClusterParameterGroup {
    type Cx = Cx;
    const KIND: &'static str = "rds.cluster-parameter-group";
    const REPLACE: Fields = fields!(Self: name, family, description);
    const KEY: Fields = fields!(Self: name);
    const EXPECTED: Expected = Expected::millis(1_500, 1_000);
    type Outputs = ClusterParameterGroupOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.rds().create_db_cluster_parameter_group().db_cluster_parameter_group_name(&self.name);
        let call = call.db_parameter_group_family(&self.family).description(&self.description);
        call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        ours(Self::read(cx, &[Id::new(&self.name)]).await?.pop(), "cluster parameter group", owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let only = if let [id] = ids { Some(id.into()) } else { None };
        let call = cx.rds().describe_db_cluster_parameter_groups().set_db_cluster_parameter_group_name(only);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let asked = found.into_iter().flatten().filter(|group| {
            let name = group.db_cluster_parameter_group_name.as_deref();
            name.is_some_and(|name| ids.iter().any(|id| id.as_str() == name))
        });
        let found = try_join_all(asked.map(|group| async { live(cx, group).await.unless(Class::NotFound) })).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.parameters != live.args.parameters {
            let call = cx.rds().describe_db_cluster_parameters().db_cluster_parameter_group_name(&live.id);
            let all = call.into_paginator().items().send().try_collect().await.explain()?;
            let changes = parameters::changes(&live.args.parameters, &self.parameters, all);
            for some in changes.set {
                let call = cx.rds().modify_db_cluster_parameter_group().db_cluster_parameter_group_name(&live.id);
                call.set_parameters(Some(some)).send().await.explain()?;
            }
            for some in changes.reset {
                let call = cx.rds().reset_db_cluster_parameter_group().db_cluster_parameter_group_name(&live.id);
                call.reset_all_parameters(false).set_parameters(Some(some)).send().await.explain()?;
            }
        }
        tags::sync(cx, live.outputs.arn.known()?, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.rds().delete_db_cluster_parameter_group().db_cluster_parameter_group_name(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let found =
            cx.rds().describe_db_cluster_parameter_groups().db_cluster_parameter_group_name(id).send().await.explain();
        Ok(found.unless(Class::NotFound)?.is_none_or(|found| found.db_cluster_parameter_groups().is_empty()))
    }
}

async fn live(cx: &Cx, group: sdk::DbClusterParameterGroup) -> Result<Live<ClusterParameterGroup>> {
    let name = group.db_cluster_parameter_group_name.need("DBClusterParameterGroupName")?;
    let arn = group.db_cluster_parameter_group_arn.need("DBClusterParameterGroupArn")?;
    // Without this, it returns hundreds of engine defaults.
    let set = cx.rds().describe_db_cluster_parameters().db_cluster_parameter_group_name(&name).source("user");
    let (set, tags) = tokio::try_join!(
        async { set.into_paginator().items().send().try_collect().await.explain() },
        tags::of(cx, &arn)
    )?;
    Ok(Live {
        id: Id::new(&name),
        status: Status::Ready,
        args: ClusterParameterGroup {
            name,
            family: group.db_parameter_group_family.unwrap_or_default(),
            description: group.description.unwrap_or_default(),
            parameters: parameters::values(set),
            tags,
        },
        outputs: ClusterParameterGroupOutputs { arn: Ref::Known(arn) },
    })
}
