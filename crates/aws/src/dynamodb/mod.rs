//! DynamoDB: tables.

mod table;
mod tags;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Kind, Result, Tags, kind};

pub use table::{Attribute, AttributeType, Billing, Index, Projection, Replica, StreamView, Table, TableOutputs};

use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Table>()];

/// The tables with their tags. Replicas carry the tags of their table, whose address is in another region.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let names = cx.dynamodb().list_tables().into_paginator().items().send().try_collect().await.explain()?;
    let tagged = names.into_iter().map(|name| async move {
        let found = cx.dynamodb().describe_table().table_name(&name).send().await.explain().unless(Class::NotFound)?;
        let Some(found) = found else { return Ok(None) };
        let arn = found.table.and_then(|table| table.table_arn).need("TableArn")?;
        let tags = tags::of(cx, &arn).await.unless(Class::NotFound)?;
        Ok::<_, payinfra_engine::Error>(tags.map(|tags| (name, tags)))
    });
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}
