//! A DB subnet group: the subnets of databases.

use std::collections::BTreeSet;

use aws_sdk_rds::types as sdk;
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::{Unless, ours};
use crate::refs::known;
use crate::{Cx, Explain, Need};

/// A group of subnets in at least two zones.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubnetGroup {
    /// The name, in lower case, unique in the region.
    pub name: String,
    /// The description.
    pub description: String,
    /// The ids of the subnets.
    pub subnets: BTreeSet<Ref<String>>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SubnetGroupOutputs {
    /// The ARN.
    pub arn: Ref<String>,
}

impl Resource for SubnetGroup {
    type Cx = Cx;
    const KIND: &'static str = "rds.subnet-group";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const NETWORK: Fields = fields!(Self: subnets);
    const EXPECTED: Expected = Expected::millis(1_000, 1_000);
    type Outputs = SubnetGroupOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.rds().create_db_subnet_group().db_subnet_group_name(&self.name);
        let call = call.db_subnet_group_description(&self.description).set_subnet_ids(Some(known(&self.subnets)?));
        call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        ours(Self::read(cx, &[Id::new(&self.name)]).await?.pop(), "DB subnet group", owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        // AWS accepts one name or none, and one list is cheaper than one call per name.
        let only = if let [id] = ids { Some(id.into()) } else { None };
        let call = cx.rds().describe_db_subnet_groups().set_db_subnet_group_name(only);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let asked = found.into_iter().flatten().filter(|group| {
            group.db_subnet_group_name.as_deref().is_some_and(|name| ids.iter().any(|id| id.as_str() == name))
        });
        let found = try_join_all(asked.map(|group| async { live(cx, group).await.unless(Class::NotFound) })).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        if self.description != was.description || self.subnets != was.subnets {
            let call = cx.rds().modify_db_subnet_group().db_subnet_group_name(&live.id);
            let call = call.db_subnet_group_description(&self.description);
            call.set_subnet_ids(Some(known(&self.subnets)?)).send().await.explain()?;
        }
        tags::sync(cx, live.outputs.arn.known()?, &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.rds().delete_db_subnet_group().db_subnet_group_name(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let found = cx.rds().describe_db_subnet_groups().db_subnet_group_name(id).send().await.explain();
        Ok(found.unless(Class::NotFound)?.is_none_or(|found| found.db_subnet_groups().is_empty()))
    }
}

async fn live(cx: &Cx, group: sdk::DbSubnetGroup) -> Result<Live<SubnetGroup>> {
    let name = group.db_subnet_group_name.need("DBSubnetGroupName")?;
    let arn = group.db_subnet_group_arn.need("DBSubnetGroupArn")?;
    let subnets = group.subnets.unwrap_or_default().into_iter();
    Ok(Live {
        id: Id::new(&name),
        status: if group.subnet_group_status.as_deref() == Some("Complete") { Status::Ready } else { Status::Pending },
        args: SubnetGroup {
            name,
            description: group.db_subnet_group_description.unwrap_or_default(),
            subnets: subnets.filter_map(|subnet| subnet.subnet_identifier).map(Ref::Known).collect(),
            tags: tags::of(cx, &arn).await?,
        },
        outputs: SubnetGroupOutputs { arn: Ref::Known(arn) },
    })
}
