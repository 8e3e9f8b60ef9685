//! The stores that clients write to in each region, and where their data goes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::fault::matches;

/// A DynamoDB table in one region, a bucket, or a cluster of a global database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Store {
    pub(super) name: String,
    pub(super) region: String,
    /// The regions of the replicas, or for a bucket, the buckets to which all objects are replicated.
    pub(super) replicas: Vec<String>,
}

impl Store {
    fn replicas(&self) -> BTreeSet<&str> {
        self.replicas.iter().map(String::as_str).collect()
    }
}

/// An Aurora global database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) members: Vec<Member>,
}

/// A cluster of a global database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Member {
    pub(super) region: String,
    pub(super) writer: bool,
}

/// The stores of the account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Stores {
    pub(super) tables: Vec<Store>,
    pub(super) buckets: Vec<Store>,
}

/// A store, its region, and another region that its data reached.
pub(super) type Route = (String, String, String);

/// The routes of data between these regions, and the missing ones of the stores that match `patterns` or had the route
/// before.
pub(super) fn replication(
    stores: &Stores,
    databases: &[Database],
    serving: &BTreeSet<String>,
    patterns: &[String],
    before: &BTreeSet<Route>,
) -> (BTreeSet<Route>, BTreeSet<String>) {
    let regions: BTreeMap<&str, &str> =
        stores.buckets.iter().map(|bucket| (bucket.name.as_str(), bucket.region.as_str())).collect();
    let clusters: Vec<_> = databases.iter().flat_map(Database::clusters).collect();
    let tables = stores.tables.iter().map(|table| ("table", table, table.replicas()));
    let clusters = clusters.iter().map(|cluster| ("global database", cluster, cluster.replicas()));
    let buckets = stores.buckets.iter().map(|bucket| {
        let to = bucket.replicas.iter().filter_map(|name| regions.get(name.as_str()).copied());
        ("bucket", bucket, to.collect::<BTreeSet<_>>())
    });
    let (mut routes, mut problems) = (BTreeSet::new(), BTreeSet::new());
    for (noun, store, reaches) in
        tables.chain(buckets).chain(clusters).filter(|(_, store, _)| serving.contains(&store.region))
    {
        for to in serving.iter().filter(|region| **region != store.region) {
            let route = (store.name.clone(), store.region.clone(), to.clone());
            if reaches.contains(to.as_str()) {
                routes.insert(route);
            } else if before.contains(&route) || patterns.iter().any(|pattern| matches(pattern, &store.name)) {
                let (name, from) = (&store.name, &store.region);
                problems.insert(format!("{noun} {name} in {from} is written to, but not replicated to {to}"));
            }
        }
    }
    (routes, problems)
}

impl Database {
    /// Its clusters, each of which has the data of all others.
    fn clusters(&self) -> impl Iterator<Item = Store> {
        let replicas: Vec<_> = self.members.iter().map(|member| member.region.clone()).collect();
        let store = move |member: &Member| Store {
            name: self.name.clone(),
            region: member.region.clone(),
            replicas: replicas.clone(),
        };
        self.members.iter().map(store)
    }
}

/// The databases in serving regions that do not have exactly one writer.
pub(super) fn writers(databases: &[Database], serving: &BTreeSet<String>) -> BTreeSet<String> {
    let serves = |database: &&Database| database.members.iter().any(|member| serving.contains(&member.region));
    let wrong = databases.iter().filter(serves).filter_map(|Database { name, members }| {
        let writers = members.iter().filter(|member| member.writer).count();
        (writers != 1).then(|| format!("global database {name} has {writers} writers"))
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str, region: &str, replicas: &[&str]) -> Store {
        let replicas = replicas.iter().map(ToString::to_string).collect();
        Store { name: name.to_owned(), region: region.to_owned(), replicas }
    }

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_store_must_be_replicated_if_it_is_named_or_was_before() {
        let serving = set(&["east", "west"]);
        let both = Stores {
            tables: vec![store("payments", "east", &["east", "west"]), store("payments", "west", &["east", "west"])],
            buckets: vec![store("audit-east", "east", &["audit-west"]), store("audit-west", "west", &[])],
        };
        let (routes, problems) = replication(&both, &[], &serving, &[], &BTreeSet::new());
        assert_eq!(routes.len(), 3);
        assert_eq!(problems, BTreeSet::new());
        let (_, problems) = replication(&both, &[], &serving, &["audit*".to_owned()], &BTreeSet::new());
        assert_eq!(problems, set(&["bucket audit-west in west is written to, but not replicated to east"]));

        let alone = Stores { tables: vec![store("payments", "east", &[])], buckets: Vec::new() };
        let (_, problems) = replication(&alone, &[], &serving, &[], &routes);
        assert_eq!(problems, set(&["table payments in east is written to, but not replicated to west"]));
        // One region needs no replicas.
        let (routes, problems) = replication(&alone, &[], &set(&["east"]), &["*".to_owned()], &routes);
        assert_eq!((routes, problems), (BTreeSet::new(), BTreeSet::new()));
    }

    #[test]
    fn a_global_database_is_a_store_with_one_writer() {
        let member = |region: &str, writer| Member { region: region.to_owned(), writer };
        let database = |members| [Database { name: "world".to_owned(), members }];
        let serving = set(&["east", "west"]);
        let both = database(vec![member("east", true), member("west", false)]);
        let named = ["world".to_owned()];
        let (routes, problems) = replication(&Stores::default(), &both, &serving, &named, &BTreeSet::new());
        assert_eq!((routes.len(), problems), (2, BTreeSet::new()));
        assert_eq!(writers(&both, &serving), BTreeSet::new());

        let one = database(vec![member("east", true)]);
        let missing = set(&["global database world in east is written to, but not replicated to west"]);
        assert_eq!(replication(&Stores::default(), &one, &serving, &named, &BTreeSet::new()).1, missing);
        assert_eq!(replication(&Stores::default(), &one, &serving, &[], &routes).1, missing);
        assert_eq!(replication(&Stores::default(), &one, &serving, &[], &BTreeSet::new()).1, BTreeSet::new());

        let none = database(vec![member("east", false), member("west", false)]);
        assert_eq!(writers(&none, &serving), set(&["global database world has 0 writers"]));
        // It belongs to something else.
        assert_eq!(writers(&none, &set(&["north"])), BTreeSet::new());
    }
}
