//! The table of payments (P-04).

use std::collections::BTreeMap;

use payinfra_aws::dynamodb::{Attribute, Index, Projection};
use payinfra_components::tables::{GlobalTable, Table, table};
use payinfra_engine::{Graph, Result};

use super::Part;

/// The key, as the function expects it.
pub(super) const KEY: [&str; 2] = ["transactionId", "timestamp"];
/// The indexes, and the attributes of a payment that they are for.
const INDEXES: [(&str, &str); 2] = [("CustomerIndex", "customer_id"), ("StatusIndex", "status")];

/// Declares the table in the first region.
pub(super) fn payments(graph: &mut Graph, near: &Part<'_>) -> Result<GlobalTable> {
    let [id, timestamp] = KEY;
    let indexes = INDEXES.map(|(name, attribute)| {
        let index = Index {
            hash_key: Attribute::string(attribute),
            range_key: Some(Attribute::number(timestamp)),
            projection: Projection::All,
        };
        (name.to_owned(), index)
    });
    let payments = Table {
        name: "payment-transactions",
        hash_key: Attribute::string(id),
        range_key: Some(Attribute::number(timestamp)),
        indexes: BTreeMap::from(indexes),
        time_to_live: None,
        key: &near.key,
        replicas: Vec::new(),
        strong_consistency: None,
    };
    table(graph, &near.site, payments)
}
