//! Variables of domain names and certificates (M-16, M-25).

use std::collections::BTreeMap;

use payinfra_engine::Region;
use payinfra_stack::{Problem, RegionConfig, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The variables as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainVariables {
    /// The domain of the hosted zone for the service's name; by default payments.example.com.
    #[schemars(with = "Option<String>")]
    zone: Option<Spanned<String>>,
    /// Whether to create the zone (the default) or to look up an existing one.
    create_zone: Option<bool>,
    /// The ARNs of existing certificates for the service's name, by region; other regions request their own.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    certificates: Option<BTreeMap<Spanned<String>, Spanned<String>>>,
    /// How long a region that leaves still serves after its record is deleted, in seconds; by default 60, the TTL of records
    /// for load balancers. Clients that cache addresses for longer need more.
    drain_seconds: Option<u32>,
}

/// The domain of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DomainConfig {
    /// The domain of the hosted zone, without a trailing dot.
    pub zone: String,
    /// Whether to create the zone; otherwise it is looked up.
    pub create_zone: bool,
    /// The ARNs of existing certificates, by region.
    pub certificates: BTreeMap<Region, String>,
    /// How long a region that leaves still serves after its record is deleted, in seconds.
    pub drain_seconds: u32,
}

/// The TTL of alias records for load balancers, in seconds (Route 53 developer guide, "Values specific for alias records").
const TTL: u32 = 60;

impl DomainVariables {
    pub(super) fn check(self, regions: &[RegionConfig]) -> Result<DomainConfig, Problem> {
        let mut certificates = BTreeMap::new();
        for (region, arn) in self.certificates.into_iter().flatten() {
            let name = region.get_ref();
            let Some(known) = regions.iter().find(|known| known.region.as_str() == name) else {
                return Err(Problem::new(
                    format!("`{name}` has a certificate, but is not listed in `regions`"),
                    region.span(),
                )
                .hint("use the names in `regions`"));
            };
            certificates.insert(known.region.clone(), certificate(&known.region, arn)?);
        }
        Ok(DomainConfig {
            zone: self.zone.map_or_else(|| Ok("payments.example.com".to_owned()), zone)?,
            create_zone: self.create_zone.unwrap_or(true),
            certificates,
            drain_seconds: self.drain_seconds.unwrap_or(TTL),
        })
    }
}

fn zone(given: Spanned<String>) -> Result<String, Problem> {
    let text = given.get_ref();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() > 190 || !text.contains('.') || !text.split('.').all(label) {
        return Err(Problem::new(format!("`{text}` is not a domain"), given.span())
            .hint("write it in lower case and without a trailing dot, such as payments.example.com"));
    }
    Ok(given.into_inner())
}

fn certificate(region: &Region, given: Spanned<String>) -> Result<String, Problem> {
    let text = given.get_ref();
    let account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", "aws", "acm", of, owner, id] if account(owner) && id.starts_with("certificate/") => {
            if of != region.as_str() {
                return Err(Problem::new(format!("the certificate for {region} is in {of}"), given.span())
                    .hint("a load balancer requires a certificate in its own region"));
            }
        }
        _ => {
            return Err(Problem::new(format!("`{text}` is not the ARN of a certificate"), given.span())
                .hint(format!("use an ARN such as arn:aws:acm:{region}:123456789012:certificate/ID")));
        }
    }
    Ok(given.into_inner())
}
