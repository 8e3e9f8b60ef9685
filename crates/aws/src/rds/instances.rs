//! Reads of DB instances: those of clusters, and those of their own.

use aws_sdk_rds::types::{DbInstance, Filter};
use payinfra_engine::{Class, Id, Result};

use crate::error::Unless;
use crate::{Cx, Explain};

/// Those of the instances that exist.
pub(super) async fn existing<R>(cx: &Cx, ids: &[Id<R>]) -> Result<Vec<DbInstance>> {
    let names = ids.iter().map(String::from).collect();
    let filter = Filter::builder().name("db-instance-id").set_values(Some(names)).build();
    cx.rds().describe_db_instances().filters(filter).into_paginator().items().send().try_collect().await.explain()
}

/// Whether an instance does not exist, by its identifier: an empty result of a filter proves nothing.
pub(super) async fn is_absent<R>(cx: &Cx, id: &Id<R>) -> Result<bool> {
    let found = cx.rds().describe_db_instances().db_instance_identifier(id).send().await.explain();
    Ok(found.unless(Class::NotFound)?.is_none_or(|found| found.db_instances().is_empty()))
}
