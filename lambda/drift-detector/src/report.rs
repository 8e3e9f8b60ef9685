//! The report: what `payinfra drift --json` and `payinfra drift --between-regions --json` print, in one document.

use std::collections::BTreeSet;

use payinfra_engine::plan::{Differs, Drifted, Refreshed, between_regions, drift};
use payinfra_engine::{Graph, Region, State};
use serde::Serialize;

/// The version of the format. Removing a member or changing its meaning raises it; adding one does not.
const FORMAT: u32 = 1;

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version of the format: 1.
    pub format: u32,
    /// When the resources were read, RFC 3339.
    pub at: String,
    /// The stack.
    pub stack: String,
    /// The workspace.
    pub workspace: String,
    /// The lineage of the state.
    pub lineage: String,
    /// The serial of the state.
    pub serial: u64,
    /// Whether the last run was interrupted: the resources of its unfinished operations are not compared.
    pub unfinished: bool,
    /// The number of resources that were compared.
    pub compared: usize,
    /// The drifted resources, as in the event `drift`.
    pub resources: Vec<Drifted>,
    /// The differences between the regions, as in the event `differences`; null if there is only one region, or no declaration
    /// to compare by.
    pub differences: Option<Vec<Differs>>,
}

impl Report {
    /// Compares what AWS says with `state`, and the regions that `declared` has with each other.
    #[must_use]
    pub fn new(state: &State, declared: Option<&Graph>, refreshed: &Refreshed, at: String) -> Self {
        let several = |graph: &&Graph| {
            let regions: BTreeSet<_> = graph.nodes().keys().map(|address| &address.region).collect();
            regions.into_iter().filter(|region| **region != Region::global()).count() > 1
        };
        let differences = declared.filter(several).map(|graph| between_regions(graph, state, refreshed));
        Self {
            format: FORMAT,
            at,
            stack: state.stack.clone(),
            workspace: state.workspace.clone(),
            lineage: state.lineage.clone(),
            serial: state.serial,
            unfinished: state.is_unfinished(),
            compared: state.resources.len(),
            resources: Drifted::of(&drift(state, refreshed)),
            differences: differences.as_deref().map(Differs::of),
        }
    }
}
