//! DynamoDB: tables.

mod table;
mod tags;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use table::{Attribute, AttributeType, Billing, Index, Projection, Replica, StreamView, Table, TableOutputs};

use crate::census::tagged;
use crate::{Cx, Explain, Need};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Table>()];

/// The tables with their tags. Replicas carry the tags of their table, whose address is in another region.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let names = cx.dynamodb().list_tables().into_paginator().items().send().try_collect().await.explain()?;
    let of = async |name: String| {
        let found = cx.dynamodb().describe_table().table_name(name).send().await.explain()?;
        tags::of(cx, &found.table.and_then(|table| table.table_arn).need("TableArn")?).await
    };
    tagged(names.into_iter().map(|name| (name.clone(), of(name)))).await
}
