//! Variables of domain names and certificates (M-16, M-25).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use payinfra_stack::{RegionConfig, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::domain;

/// The domain of a workspace, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DomainVariables {
    /// The domain of the hosted zone for the service's name, without a trailing dot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) zone: Option<String>,
    /// Whether to create the zone; otherwise, an existing one is looked up.
    create_zone: bool,
    /// The address and port of the DNS server that has to see the delegation of a created zone; by default the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolver: Option<String>,
    /// The ARNs of existing certificates for the service's name, by region; other regions request their own.
    certificates: BTreeMap<String, String>,
    /// How long a region that leaves still serves after its record is deleted, in seconds: the TTL of records for load
    /// balancers. Clients that cache addresses for longer need more.
    drain_seconds: u32,
}

/// The domain of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DomainConfig {
    /// The domain of the hosted zone for the service's name.
    pub zone: String,
    /// Whether to create the zone; otherwise, an existing one is looked up.
    pub create_zone: bool,
    /// The DNS server that has to see the delegation of a created zone; by default the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolver: Option<SocketAddr>,
    /// The ARNs of existing certificates for the service's name, by region; other regions request their own.
    pub certificates: BTreeMap<String, String>,
    /// How long a region that leaves still serves after its record is deleted, in seconds.
    pub drain_seconds: u32,
}

/// The TTL of alias records for load balancers, in seconds (Route 53 developer guide, "Values specific for alias records").
const TTL: u32 = 60;

impl Default for DomainVariables {
    fn default() -> Self {
        Self { zone: None, create_zone: true, resolver: None, certificates: BTreeMap::new(), drain_seconds: TTL }
    }
}

impl DomainVariables {
    /// The checked variables; `None` without a zone, or with one that is not valid.
    pub(super) fn check(self, regions: &[RegionConfig], section: &mut Section<'_>) -> Option<DomainConfig> {
        let zone = self.zone.filter(|zone| section.check("zone", domain::zone(zone)).is_some());
        let resolver = self.resolver.and_then(|resolver| section.check("resolver", domain::resolver(&resolver)));
        domain::certificates(&self.certificates, regions, section);
        Some(DomainConfig {
            zone: zone?,
            create_zone: self.create_zone,
            resolver,
            certificates: self.certificates,
            drain_seconds: self.drain_seconds,
        })
    }
}
