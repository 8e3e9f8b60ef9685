//! Variables of domain names and certificates (M-16, M-25).

use std::collections::BTreeMap;

use payinfra_stack::{RegionConfig, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::domain;

/// The domain of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DomainConfig {
    /// The domain of the hosted zone for the service's name, without a trailing dot.
    pub zone: String,
    /// Whether to create the zone; otherwise, an existing one is looked up.
    pub create_zone: bool,
    /// The ARNs of existing certificates for the service's name, by region; other regions request their own.
    pub certificates: BTreeMap<String, String>,
    /// How long a region that leaves still serves after its record is deleted, in seconds: the TTL of records for load
    /// balancers. Clients that cache addresses for longer need more.
    pub drain_seconds: u32,
}

/// The TTL of alias records for load balancers, in seconds (Route 53 developer guide, "Values specific for alias records").
const TTL: u32 = 60;

impl Default for DomainConfig {
    fn default() -> Self {
        Self {
            zone: "payments.example.com".to_owned(),
            create_zone: true,
            certificates: BTreeMap::new(),
            drain_seconds: TTL,
        }
    }
}

impl DomainConfig {
    pub(super) fn check(&self, regions: &[RegionConfig], section: &mut Section<'_>) {
        section.check("zone", domain::zone(&self.zone));
        domain::certificates(&self.certificates, regions, section);
    }
}
