//! Variables of domain names and certificates (M-16, M-25).

use std::collections::BTreeMap;

use payinfra_engine::{Error, Result};
use payinfra_stack::{RegionConfig, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
        section.check("zone", zone(&self.zone));
        for (region, arn) in &self.certificates {
            let variable = format!("certificates.{region}");
            if !regions.iter().any(|known| known.region.as_str() == region) {
                let unknown = Error::invalid(format!("`{region}` has a certificate, but is not listed in `regions`"));
                section.check_key::<()>(&variable, Err(unknown.hint("use the names in `regions`")));
            }
            section.check(&variable, certificate(region, arn));
        }
    }
}

fn zone(text: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() > 190 || !text.contains('.') || !text.split('.').all(label) {
        return Err(Error::invalid(format!("`{text}` is not a domain"))
            .hint("write it in lower case and without a trailing dot, such as payments.example.com"));
    }
    Ok(())
}

fn certificate(region: &str, text: &str) -> Result<()> {
    let account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", "aws", "acm", of, owner, id] if account(owner) && id.starts_with("certificate/") => {
            if of == region {
                return Ok(());
            }
            Err(Error::invalid(format!("the certificate for {region} is in {of}"))
                .hint("a load balancer requires a certificate in its own region"))
        }
        _ => Err(Error::invalid(format!("`{text}` is not the ARN of a certificate"))
            .hint(format!("use an ARN such as arn:aws:acm:{region}:123456789012:certificate/ID"))),
    }
}
