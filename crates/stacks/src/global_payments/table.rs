//! The global table of payments (G-04).

use std::collections::BTreeMap;

use payinfra_aws::dynamodb::{Attribute, Index, Projection};
use payinfra_components::tables::{GlobalTable, Replica, Table, table};
use payinfra_engine::{Error, Graph, Result, Tags};

use super::Part;

/// The key, as the function expects it.
pub(super) const KEY: [&str; 2] = ["payment_id", "timestamp"];

/// Declares the table in the primary region, with a replica in the other one. Claims have no `status`, so the index has only
/// payments.
pub(super) fn payments(graph: &mut Graph, parts: &[Part<'_>]) -> Result<GlobalTable> {
    let (primary, others) = parts.split_first().ok_or_else(|| Error::invalid("a workspace has no region"))?;
    let [id, timestamp] = KEY;
    let by_status = Index {
        hash_key: Attribute::string("status"),
        range_key: Some(Attribute::number(timestamp)),
        projection: Projection::All,
    };
    let replicas = others.iter().map(|part| Replica {
        site: part.site.shared,
        key: &part.keys.table.outputs.arn,
        tags: Tags::new(),
    });
    let payments = Table {
        name: "payments",
        hash_key: Attribute::string(id),
        range_key: Some(Attribute::number(timestamp)),
        indexes: BTreeMap::from([("by-status".to_owned(), by_status)]),
        time_to_live: None,
        key: &primary.keys.table.outputs.arn,
        replicas: replicas.collect(),
        strong_consistency: primary.site.variables().table.strong(),
    };
    table(graph, &primary.site, payments)
}
