//! The global databases of a workspace, and the regions of their writers.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use payinfra_aws::rds::{GlobalCluster, GlobalDatabase};
use payinfra_aws::{Access, Cx};
use payinfra_engine::{Address, Error, Graph, Region, Resource, Result, State};

/// The names of the global clusters by address.
#[derive(Debug)]
pub(crate) struct Databases(BTreeMap<Address, String>);

impl Databases {
    /// The global clusters that `graph` declares and that exist according to `state`.
    pub(crate) fn of(graph: &Graph, state: &State) -> Self {
        let Self(mut all) = Self::declared(graph);
        all.retain(|address, _| state.resources.get(address).is_some_and(|record| record.id.is_some()));
        Self(all)
    }

    fn declared(graph: &Graph) -> Self {
        let all = graph.nodes().iter().filter(|(address, _)| &*address.kind == GlobalCluster::KIND);
        Self(
            all.filter_map(|(address, node)| Some((address.clone(), node.args["name"].as_str()?.to_owned()))).collect(),
        )
    }

    /// The global clusters that `graph` declares.
    ///
    /// # Errors
    /// If there are none.
    pub(crate) fn find(graph: &Graph) -> Result<Self> {
        let found = Self::declared(graph);
        if found.0.is_empty() {
            let message = format!("workspace {} has no global database", graph.workspace);
            return Err(Error::invalid(message)
                .hint(format!("declare a `{}` with clusters in several regions", GlobalCluster::KIND)));
        }
        Ok(found)
    }

    /// The databases with their current roles, which AWS is asked for in `region`, or in the region of each global cluster.
    ///
    /// # Errors
    /// If one does not exist.
    pub(crate) async fn roles(
        &self,
        access: &Access,
        region: Option<&Region>,
    ) -> Result<BTreeMap<Address, GlobalDatabase>> {
        let all = self.0.keys().map(|address| async move {
            let cx = access.cx(region.unwrap_or(&address.region));
            Ok::<_, Error>((address.clone(), self.roles_at(&cx, address).await?))
        });
        Ok(try_join_all(all).await?.into_iter().collect())
    }

    /// The same of the database at `address`, asked in the region of `cx`.
    ///
    /// # Errors
    /// If it does not exist.
    pub(crate) async fn roles_at(&self, cx: &Cx, address: &Address) -> Result<GlobalDatabase> {
        let name = self.0.get(address).map(String::as_str).unwrap_or_default();
        GlobalDatabase::read(cx, name).await?.ok_or_else(|| {
            Error::invalid(format!("there is no global database {name} in {}", cx.region()))
                .hint("create it with `payinfra apply`")
        })
    }
}

/// One line per database whose writer is not in the region of its global cluster, which is where it was created.
pub(crate) fn away(roles: &BTreeMap<Address, GlobalDatabase>) -> Vec<String> {
    let all = roles.iter().filter_map(|(address, database)| {
        let writer = &database.writer()?.region;
        let home = &address.region;
        (writer != home).then(|| format!("{address} has its writer in {writer}; the configuration has it in {home}."))
    });
    all.collect()
}
