//! The global table of sessions (T-06).

use std::collections::BTreeMap;

use payinfra_aws::dynamodb::Attribute;
use payinfra_components::tables::{GlobalTable, Replica, Table, table};
use payinfra_engine::{Error, Graph, Result, Tags};

use super::{Part, REGION};

/// The key, and the attribute with the expiry, as the function expects them.
const KEY: &str = "session_id";
const EXPIRY: &str = "expires_at";

/// Declares the table in the primary region, with a replica in every other one.
pub(super) fn sessions(graph: &mut Graph, parts: &[Part<'_>]) -> Result<GlobalTable> {
    let (primary, others) = parts.split_first().ok_or_else(|| Error::invalid("a workspace has no region"))?;
    let replicas = others.iter().map(|part| Replica {
        site: part.site.shared,
        key: &part.key,
        tags: Tags::new().with(REGION, part.site.region().as_str()),
    });
    let sessions = Table {
        name: "sessions",
        hash_key: Attribute::string(KEY),
        range_key: None,
        indexes: BTreeMap::new(),
        time_to_live: Some(EXPIRY),
        key: &primary.key,
        replicas: replicas.collect(),
        strong_consistency: None,
    };
    table(graph, &primary.site, sessions)
}
