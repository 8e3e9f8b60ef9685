//! The payments table, with a replica in every other region (M-30).

use std::collections::BTreeMap;

use payinfra_aws::dynamodb::{Attribute, Billing, Index, Projection, Replica, StreamView, Table};
use payinfra_engine::{Error, Graph, Node, Result, Tags};

use super::{Part, Site};

/// The resource type in the table's name.
const PAYMENTS: &str = "payments";
/// The index of payments without an audit record; a payment leaves it when its attribute is removed.
pub(super) const PENDING: &str = "audit-pending";

/// The payments table, which has the same name in every region.
pub(super) struct Payments {
    pub(super) table: Node<Table>,
    /// Its name.
    pub(super) name: String,
}

impl Payments {
    /// The ARN of the replica in the region of `site`.
    pub(super) fn arn(&self, site: &Site<'_>) -> String {
        site.arn("dynamodb", &format!("table/{}", self.name))
    }
}

/// Declares the table in the first region, with replicas in the others, so that the next phase only adds replicas.
///
/// The stream is enabled from the start, because replicas require it. The id is the only key, so that a condition on
/// one item is enough to store a payment once.
pub(super) fn payments(graph: &mut Graph, parts: &[Part<'_>]) -> Result<Payments> {
    let (primary, others) = parts.split_first().ok_or_else(|| Error::invalid("a workspace has no region"))?;
    let site = &primary.site;
    let replicas = others.iter().map(|part| {
        let kms_key = Some(part.keys.application.outputs.arn.clone());
        let replica = Replica {
            kms_key,
            point_in_time_recovery: true,
            deletion_protection: Some(part.site.workspace.protect),
            other_tags: Tags::new(),
        };
        (part.site.region().clone(), replica)
    });
    let by_customer = Index {
        hash_key: Attribute::string("customer_id"),
        range_key: Some(Attribute::string("accepted_at")),
        projection: Projection::All,
    };
    let pending = Index { hash_key: Attribute::string("audit_pending"), range_key: None, projection: Projection::All };
    let name = site.names.name(PAYMENTS);
    let table = Table {
        name: name.clone(),
        hash_key: Attribute::string("payment_id"),
        range_key: None,
        indexes: BTreeMap::from([("by-customer".to_owned(), by_customer), (PENDING.to_owned(), pending)]),
        billing: Billing::OnDemand,
        kms_key: Some(primary.keys.application.outputs.arn.clone()),
        stream: Some(StreamView::NewAndOldImages),
        time_to_live: None,
        point_in_time_recovery: true,
        replicas: replicas.collect(),
        deletion_protection: Some(site.workspace.protect),
        tags: site.named(PAYMENTS),
    };
    let table = graph.add(site.region(), PAYMENTS, table)?;
    let payments = Payments { table, name };
    graph.output("payments_table_name", &payments.table.id);
    for part in parts {
        part.site.output(graph, "payments_table_arn", payments.arn(&part.site));
    }
    Ok(payments)
}
