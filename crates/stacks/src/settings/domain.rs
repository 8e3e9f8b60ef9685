//! Checks of zones and certificates.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use payinfra_engine::{Error, Result};
use payinfra_stack::{RegionConfig, Section};

/// The domains for which, and below which, Route 53 makes no public zones (AWS-FACTS, Supplement: Route 53).
const RESERVED: &[&str] = &["example.com"];

/// Checks `certificates`, the ARNs of certificates by region.
pub(crate) fn certificates(
    certificates: &BTreeMap<String, String>,
    regions: &[RegionConfig],
    section: &mut Section<'_>,
) {
    for (region, arn) in certificates {
        let variable = format!("certificates.{region}");
        if !regions.iter().any(|known| known.region.as_str() == region) {
            let unknown = Error::invalid(format!("`{region}` has a certificate, but is not listed in `regions`"));
            section.check_key::<()>(&variable, Err(unknown.hint("use the names in `regions`")));
        }
        section.check(&variable, certificate(region, arn));
    }
}

/// Checks that `text` is a domain.
///
/// # Errors
/// If it is not.
pub(crate) fn name(text: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() > 190 || !text.contains('.') || !text.split('.').all(label) {
        return Err(Error::invalid(format!("`{text}` is not a domain"))
            .hint("write it in lower case and without a trailing dot, such as payments.your-company.com"));
    }
    Ok(())
}

/// Checks that `text` can be the name of a public zone.
///
/// # Errors
/// If it is not a domain, or AWS reserves it.
pub(crate) fn zone(text: &str) -> Result<()> {
    name(text)?;
    let is_within = |parent: &str| text.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if let Some(reserved) = RESERVED.iter().find(|reserved| is_within(reserved)) {
        return Err(Error::invalid(format!("`{text}` cannot have a hosted zone: AWS reserves {reserved}"))
            .hint("use a domain of yours, or one below it"));
    }
    Ok(())
}

/// The DNS server at `text`.
///
/// # Errors
/// If it is not an address with a port.
pub(crate) fn resolver(text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| {
        Error::invalid(format!("`{text}` is not an address with a port"))
            .hint("write the address of a DNS server, such as 1.1.1.1:53")
    })
}

/// Checks that `text` is the ARN of a certificate in `region`.
///
/// # Errors
/// If it is not.
pub(crate) fn certificate(region: &str, text: &str) -> Result<()> {
    let account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", "aws", "acm", of, owner, id] if account(owner) && id.starts_with("certificate/") => {
            if of == region {
                return Ok(());
            }
            Err(Error::invalid(format!("the certificate for {region} is in {of}"))
                .hint("use a certificate in the same region"))
        }
        _ => Err(Error::invalid(format!("`{text}` is not the ARN of a certificate"))
            .hint(format!("use an ARN such as arn:aws:acm:{region}:123456789012:certificate/ID"))),
    }
}
