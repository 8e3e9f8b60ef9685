//! DynamoDB: tables.

mod table;
mod tags;

use payinfra_engine::{Kind, Owner, Result, Tags, kind};

pub use table::{
    Attribute, AttributeType, Billing, Index, Projection, Replica, StreamView, StrongConsistency, Table, TableOutputs,
};

use crate::tagged::tagged;
use crate::{Cx, Explain, Need};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Table>()];

/// The tables with their tags, and the replicas of tables of other regions whose table no longer knows them.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let names = cx.dynamodb().list_tables().into_paginator().items().send().try_collect().await.explain()?;
    let of = async |name: String| {
        let found = cx.dynamodb().describe_table().table_name(name).send().await.explain()?.table.need("Table")?;
        let tags = tags::of(cx, found.table_arn().need("TableArn")?).await?;
        let home = Owner::of(&tags).map(|owner| owner.address.region);
        let known = home.is_some_and(|home| home != *cx.region() && table::is_copied_to(&found, &home));
        Ok(if known { Tags::new() } else { tags })
    };
    tagged(names.into_iter().map(|name| (name.clone(), of(name)))).await
}
