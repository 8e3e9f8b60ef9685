//! The payments table, with a replica in every other region (M-30).

use std::collections::BTreeMap;

use payinfra_aws::dynamodb::{Attribute, Index, Projection};
use payinfra_components::tables::{GlobalTable, Replica, Table, table};
use payinfra_engine::{Error, Graph, Result, Tags};

use super::Part;

/// The index of payments without an audit record; a payment leaves it when its attribute is removed.
pub(super) const PENDING: &str = "audit-pending";

/// Declares the table in the first region, with replicas in the others, so that the next phase only adds replicas.
///
/// The id is the only key, so that a condition on one item is enough to store a payment once.
pub(super) fn payments(graph: &mut Graph, parts: &[Part<'_>]) -> Result<GlobalTable> {
    let (primary, others) = parts.split_first().ok_or_else(|| Error::invalid("a workspace has no region"))?;
    let by_customer = Index {
        hash_key: Attribute::string("customer_id"),
        range_key: Some(Attribute::string("accepted_at")),
        projection: Projection::All,
    };
    let pending = Index { hash_key: Attribute::string("audit_pending"), range_key: None, projection: Projection::All };
    let replicas = others.iter().map(|part| Replica {
        site: part.site.shared,
        key: &part.keys.application.outputs.arn,
        tags: Tags::new(),
    });
    let payments = Table {
        name: "payments",
        hash_key: Attribute::string("payment_id"),
        range_key: None,
        indexes: BTreeMap::from([("by-customer".to_owned(), by_customer), (PENDING.to_owned(), pending)]),
        time_to_live: None,
        key: &primary.keys.application.outputs.arn,
        replicas: replicas.collect(),
        strong_consistency: None,
    };
    table(graph, &primary.site, payments)
}
