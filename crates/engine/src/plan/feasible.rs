//! Whether a plan can be applied at all.

use std::collections::BTreeMap;

use super::Plan;
use crate::address::Address;
use crate::error::{Error, Result};
use crate::secret::without_value;

impl Plan {
    /// The changes that the cloud refuses, by address.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<&Address, &[String]> {
        let refused = self.steps.iter().filter(|(_, step)| !step.refused.is_empty());
        refused.map(|(address, step)| (address, &step.refused[..])).collect()
    }

    /// Checks that the cloud accepts the changes, and that the values of all secrets that it would get are known: the graph
    /// of a saved plan has only their digests.
    ///
    /// # Errors
    /// With the addresses and fields.
    pub fn can_be_applied(&self) -> Result<()> {
        let refused: Vec<_> =
            self.refused().into_iter().map(|(address, changes)| format!("{address}: {}", changes.join(", "))).collect();
        if !refused.is_empty() {
            return Err(Error::invalid(format!("AWS would refuse to change this:\n{}", refused.join("\n"))).hint(
                "declare the current value; for an older one, create a new resource, such as one from a snapshot",
            ));
        }
        let made = self.steps.iter().filter(|(_, step)| step.action.makes());
        let made = made.filter_map(|(address, _)| Some((address, self.graph.nodes().get(address)?)));
        let unknown: Vec<_> = made
            .flat_map(|(address, node)| {
                without_value(&node.args).into_iter().map(move |path| format!("{address}: `{path}`"))
            })
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let message =
            format!("secrets are needed whose values are not stored, only their digests:\n{}", unknown.join("\n"));
        Err(Error::invalid(message).hint("declare these values in the configuration"))
    }
}
