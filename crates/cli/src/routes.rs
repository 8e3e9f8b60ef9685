//! The records of a workspace that route traffic to its regions by weight.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::route53::RecordSet;
use payinfra_engine::plan::Options;
use payinfra_engine::{Address, Error, Graph, Record, Resource, Result, State, Values};
use serde_json::Value;

use crate::gate::Gate;
use crate::weights::Weights;

/// The weight in the arguments of a record set.
const WEIGHT: &str = "/routing/weighted";

/// The records by region, which is their set identifier.
#[derive(Debug)]
pub(crate) struct Routes(BTreeMap<String, BTreeMap<Address, u8>>);

impl Routes {
    /// The weighted records that `graph` declares, with their initial weights. Only those whose weight is operational can be
    /// changed by a command.
    ///
    /// # Errors
    /// If there are none.
    pub(crate) fn find(graph: &Graph) -> Result<Self> {
        let mut routes = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (address, node) in graph.nodes().iter().filter(|(address, _)| &*address.kind == RecordSet::KIND) {
            let region = node.args["set_identifier"].as_str();
            let initial = node.operational.get(WEIGHT).and_then(weight);
            if let (Some(region), Some(initial)) = (region, initial) {
                routes.entry(region.to_owned()).or_default().insert(address.clone(), initial);
            }
        }
        if routes.is_empty() {
            return Err(Error::invalid(format!("workspace {} has no traffic weights", graph.workspace)).hint(format!(
                "declare weighted records whose `{WEIGHT}` is operational, one per region, with the region as set identifier"
            )));
        }
        Ok(Self(routes))
    }

    /// The regions.
    pub(crate) fn regions(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// The addresses of all records.
    pub(crate) fn addresses(&self) -> BTreeSet<Address> {
        self.0.values().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// The initial weights in the configuration.
    pub(crate) fn initial(&self) -> Weights {
        let first = |records: &BTreeMap<Address, u8>| records.values().next().copied().unwrap_or_default();
        self.0.iter().map(|(region, records)| (region.clone(), first(records))).collect()
    }

    /// The weights of all records of each region in `state`; of those that exist.
    pub(crate) fn all(&self, state: &State) -> BTreeMap<String, Vec<u8>> {
        let of = |address: &Address| state.resources.get(address)?.args.pointer(WEIGHT).and_then(weight);
        self.0.iter().map(|(region, records)| (region.clone(), records.keys().filter_map(of).collect())).collect()
    }

    /// The weights in `state`.
    ///
    /// # Errors
    /// If a record does not exist, or the records of a region differ.
    pub(crate) fn current(&self, state: &State) -> Result<Weights> {
        let mut current = Weights::new();
        for (region, weights) in self.all(state) {
            let Some(first) = weights.first().filter(|_| weights.len() == self.0[&region].len()) else {
                return Err(Error::invalid(format!("the records of {region} do not exist yet"))
                    .hint("create them with `payinfra apply`"));
            };
            if weights.iter().any(|other| other != first) {
                return Err(Error::invalid(format!("the records of {region} have different weights: {weights:?}"))
                    .hint("declare the same initial weight for all records of a region, and run `payinfra apply`"));
            }
            current.insert(region, *first);
        }
        Ok(current)
    }

    /// The operational values that give each region its weight in `weights`.
    pub(crate) fn values(&self, weights: &Weights) -> Values {
        let routes = self.0.iter().filter_map(|(region, records)| Some((records, *weights.get(region)?)));
        let each = routes.flat_map(|(records, weight)| records.keys().map(move |address| (address.clone(), weight)));
        each.map(|(address, weight)| (address, BTreeMap::from([(WEIGHT.to_owned(), weight.into())]))).collect()
    }

    /// The options of a plan of the records alone, with these operational values.
    pub(crate) fn options(&self, operational: Values) -> Options {
        Options { targets: self.addresses(), alone: true, operational, ..Options::default() }
    }

    /// The operational values that `state` has.
    pub(crate) fn kept(&self, state: &State) -> Values {
        let weight = |record: &Record| record.args.pointer(WEIGHT).cloned();
        let all = self.addresses().into_iter();
        let all = all.filter_map(|address| Some((state.resources.get(&address).and_then(weight)?, address)));
        all.map(|(weight, address)| (address, BTreeMap::from([(WEIGHT.to_owned(), weight)]))).collect()
    }

    /// The health checks of the regions that have a weight in `weights`.
    pub(crate) fn health_checks(&self, state: &State, weights: &Weights) -> Vec<Gate> {
        let has_traffic = |region: &String| weights.get(region).is_some_and(|weight| *weight > 0);
        let records = self.0.iter().filter(|(region, _)| has_traffic(region)).flat_map(|(_, records)| records.keys());
        let ids = records.filter_map(|address| state.resources.get(address)?.args["health_check"].as_str());
        let ids: BTreeSet<_> = ids.collect();
        ids.into_iter().map(|id| Gate::HealthCheck(id.to_owned())).collect()
    }
}

fn weight(value: &Value) -> Option<u8> {
    value.as_u64().and_then(|weight| u8::try_from(weight).ok())
}
