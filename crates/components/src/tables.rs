//! `DynamoDB` tables: encrypted, recoverable to any point in time, and replicated to other regions.

use std::collections::BTreeMap;

use payinfra_aws::dynamodb::{self, Attribute, Billing, Index, StreamView, StrongConsistency};
use payinfra_engine::{Error, Graph, Node, Ref, Region, Result, Tags};
use payinfra_stack::Site;

/// A table, and where it is replicated.
#[derive(Debug)]
pub struct Table<'a> {
    /// Its name in addresses and outputs, and the resource type in its name in AWS, such as `payments`.
    pub name: &'a str,
    /// The partition key.
    pub hash_key: Attribute,
    /// The sort key.
    pub range_key: Option<Attribute>,
    /// The global secondary indexes by name.
    pub indexes: BTreeMap<String, Index>,
    /// The attribute with the time at which an item expires, in seconds since 1970.
    pub time_to_live: Option<&'a str>,
    /// The key that encrypts it in its own region.
    pub key: &'a Ref<String>,
    /// Its replicas in other regions. A later one is added in place.
    pub replicas: Vec<Replica<'a>>,
    /// Strong consistency between the regions, which cannot change later.
    pub strong_consistency: Option<StrongConsistency>,
}

/// A replica of a table in another region.
#[derive(Debug)]
pub struct Replica<'a> {
    /// The region.
    pub site: Site<'a>,
    /// The key that encrypts it there.
    pub key: &'a Ref<String>,
    /// The tags whose values differ from the table's.
    pub tags: Tags,
}

/// A table, which is a global table once it has replicas.
#[derive(Debug)]
pub struct GlobalTable {
    /// The table in its own region, which manages the replicas.
    pub table: Node<dynamodb::Table>,
    /// Its name, the same in all regions, and known before it exists.
    pub name: String,
    /// The regions of its replicas, sorted.
    pub replicas: Vec<Region>,
}

impl GlobalTable {
    /// The ARN of the table, or of its replica, in the region of `site`; known before it exists.
    #[must_use]
    pub fn arn(&self, site: &Site<'_>) -> String {
        site.arn("dynamodb", &format!("table/{}", self.name))
    }

    /// The ARN of the stream of the table, or of its replica, in the region of `site`.
    ///
    /// # Errors
    /// If the table has no replica there.
    pub fn stream_in(&self, site: &Site<'_>) -> Result<Ref<String>> {
        let region = site.region();
        let index = self.replicas.iter().position(|replica| replica == region);
        match (index, &self.table.outputs) {
            (Some(index), outputs) => outputs.replica_stream_arns.as_ref().map(|all| all.at(index)),
            (None, outputs) => {
                (self.table.address.region == *region).then(|| outputs.stream_arn.clone()).flatten().map(Ok)
            }
        }
        .unwrap_or_else(|| Err(Error::failed(format!("the table {} has no stream in {region}", self.name))))
    }
}

/// Declares a table in the site's region, with its replicas. It is billed per request. The policies of the keys must
/// allow `DynamoDB` to use them and to create grants.
///
/// # Errors
/// If a replica is in the site's own region, the regions do not support strong consistency, or the region has a table of that
/// name already.
pub fn table(graph: &mut Graph, site: &Site<'_>, wanted: Table<'_>) -> Result<GlobalTable> {
    let sites: Vec<_> = std::iter::once(*site).chain(wanted.replicas.iter().map(|replica| replica.site)).collect();
    let replicas = wanted.replicas.into_iter().map(|Replica { site: other, key, tags }| {
        if other.region() == site.region() {
            let message = format!("the table `{}` has a replica in its own region, {}", wanted.name, site.region());
            return Err(Error::invalid(message).hint("list only the other regions as replicas"));
        }
        let replica = dynamodb::Replica {
            kms_key: Some(key.clone()),
            point_in_time_recovery: true,
            deletion_protection: Some(other.protect),
            other_tags: tags,
        };
        Ok((other.region().clone(), replica))
    });
    let name = site.names.name(wanted.name);
    let table = dynamodb::Table {
        name: name.clone(),
        hash_key: wanted.hash_key,
        range_key: wanted.range_key,
        indexes: wanted.indexes,
        billing: Billing::OnDemand,
        kms_key: Some(wanted.key.clone()),
        // Replicas require it. It is free as long as nobody reads it.
        stream: Some(StreamView::NewAndOldImages),
        time_to_live: wanted.time_to_live.map(str::to_owned),
        point_in_time_recovery: true,
        replicas: replicas.collect::<Result<_>>()?,
        strong_consistency: wanted.strong_consistency,
        deletion_protection: Some(site.protect),
        tags: site.named(wanted.name),
    };
    if let Some(strong) = &table.strong_consistency {
        strong.check(site.region(), table.replicas.keys())?;
    }
    let replicas = table.replicas.keys().cloned().collect();
    let table = GlobalTable { table: graph.add(site.region(), wanted.name, table)?, name, replicas };
    let output = wanted.name.replace('-', "_");
    graph.output(&format!("{output}_table_name"), &table.table.id);
    for site in sites {
        site.output(graph, &format!("{output}_table_arn"), table.arn(&site));
    }
    Ok(table)
}
