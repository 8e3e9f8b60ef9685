//! Drift and differences in the form in which they are reported: without secrets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Drift;
use super::regions::Difference;
use crate::address::Address;
use crate::diff::{Change, Wanted};
use crate::secret::masked;

/// A resource that has drifted.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Drifted {
    /// The address of the resource.
    pub address: String,
    /// Whether it no longer exists.
    pub gone: bool,
    /// The fields that differ, if it exists.
    pub fields: Vec<DriftedField>,
}

/// A field that has drifted.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DriftedField {
    /// The path of the field.
    pub path: String,
    /// The value that was applied; null if there was none.
    pub recorded: Value,
    /// The current value; null if there is none.
    pub live: Value,
}

/// A difference between regions.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Differs {
    /// The kind of the resource.
    pub kind: String,
    /// Its name in addresses, in which `{region}` stands for the region.
    pub name: String,
    /// The path of the field; null if the resource does not exist in some regions.
    pub field: Option<String>,
    /// The regions that deviate from the last apply; if none does, those with another value than most.
    pub regions: Vec<String>,
    /// The current value in each region; null if there is none, or no resource.
    pub values: BTreeMap<String, Value>,
}

impl Drifted {
    /// The report of `drift`.
    #[must_use]
    pub fn of(drift: &BTreeMap<Address, Drift>) -> Vec<Self> {
        let drifted = drift.iter().map(|(address, drift)| {
            let fields = match drift {
                Drift::Gone | Drift::Scheduled(_) => Vec::new(),
                Drift::Changed(changes) => changes.iter().map(field).collect(),
            };
            Self { address: address.to_string(), gone: *drift == Drift::Gone, fields }
        });
        drifted.collect()
    }
}

fn field(change: &Change) -> DriftedField {
    let recorded = match &change.new {
        Wanted::Value(value) => masked(value),
        Wanted::Removed | Wanted::Unknown => Value::Null,
    };
    DriftedField { path: change.path.clone(), recorded, live: masked(&change.old) }
}

impl Differs {
    /// The report of `found`.
    #[must_use]
    pub fn of(found: &[Difference]) -> Vec<Self> {
        let differs = found.iter().map(|it| Self {
            kind: it.kind.to_string(),
            name: it.name.clone(),
            field: it.field.clone(),
            regions: it.regions.iter().map(ToString::to_string).collect(),
            values: it.values.iter().map(|(region, value)| (region.to_string(), masked(value))).collect(),
        });
        differs.collect()
    }
}
