//! The phases of the migration (M-02).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The phase of the migration (M-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The primary region only, with all traffic.
    Legacy,
    /// Both regions, the second one with a small share of the traffic.
    Migration,
    /// Both regions at full size.
    Production,
}

impl Phase {
    /// All phases, in the order of a migration.
    pub const ALL: [Self; 3] = [Self::Legacy, Self::Migration, Self::Production];

    /// Its name in configurations and tags.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Migration => "migration",
            Self::Production => "production",
        }
    }

    /// The number of `regions` used in this phase.
    #[must_use]
    pub fn spans(self, regions: usize) -> usize {
        match self {
            Self::Legacy => regions.min(1),
            Self::Migration | Self::Production => regions,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
