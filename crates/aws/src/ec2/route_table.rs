//! A route table.

use aws_sdk_ec2::types::{self as sdk, ResourceType};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Vpc, by_id, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A route table. Its routes and associations are separate kinds. The VPC's main route table is not managed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// The VPC.
    pub vpc: Ref<Id<Vpc>>,
    /// The tags.
    pub tags: Tags,
}

impl Resource for RouteTable {
    type Cx = Cx;
    const KIND: &'static str = "ec2.route-table";
    const REPLACE: Fields = fields!(Self: vpc);
    const NETWORK: Fields = fields!(Self: vpc);
    const EXPECTED: Expected = Expected::millis(1_000, 750);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_route_table().vpc_id(self.vpc.known()?).client_token(cx.token()?);
        let call = call.tag_specifications(tags::spec(ResourceType::RouteTable, &self.tags));
        let table = call.send().await.explain()?.route_table.need("RouteTable")?;
        Ok(Id::new(table.route_table_id.need("RouteTableId")?))
    }

    /// By tags, not by the token, which would also return a deleted one. If the tags are not visible yet, the next
    /// `create` finds it by the token.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_route_tables().set_filters(Some(tags::owned_by(owner)));
        let found = call.send().await.explain()?;
        let mut ids = found.route_tables().iter().filter_map(|table| table.route_table_id());
        Ok(ids.find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_route_tables().filters(by_id("route-table-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        found.into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.ec2().delete_route_table().route_table_id(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    absent!(describe_route_tables, route_table_ids, route_tables);
}

fn live(table: sdk::RouteTable) -> Result<Live<RouteTable>> {
    Ok(Live {
        id: Id::new(table.route_table_id.need("RouteTableId")?),
        status: Status::Ready,
        args: RouteTable { vpc: Ref::Known(Id::new(table.vpc_id.need("VpcId")?)), tags: tags::from(table.tags) },
        outputs: (),
    })
}
