//! A lookup of an existing certificate.

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, CertificateSummary};
use payinfra_engine::{Class, Error, Lookup, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{issued_for, list};
use crate::error::Unless;
use crate::route53::DnsName;
use crate::{Cx, Explain, Need};

/// An issued certificate in this region for a domain name.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExistingCertificate {
    /// Its ARN; without it, the only certificate for the domain name.
    pub arn: Option<String>,
    /// The domain name that it must cover.
    pub domain_name: DnsName,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExistingCertificateOutputs {
    /// Its ARN.
    pub arn: Ref<String>,
}

impl Lookup for ExistingCertificate {
    type Cx = Cx;
    const KIND: &'static str = "acm.existing-certificate";
    type Outputs = ExistingCertificateOutputs;

    async fn find(&self, cx: &Cx) -> Result<ExistingCertificateOutputs> {
        let arn = match &self.arn {
            Some(arn) => self.check(cx, arn).await?,
            None => self.search(cx).await?,
        };
        Ok(ExistingCertificateOutputs { arn: Ref::Known(arn) })
    }
}

impl ExistingCertificate {
    /// Checks that the certificate exists, is issued, and covers the name.
    async fn check(&self, cx: &Cx, arn: &str) -> Result<String> {
        let region = cx.region();
        match region_of(arn) {
            Some(of) if of == region.as_str() => {}
            Some(of) => {
                return Err(Error::invalid(format!("the certificate {arn} is in {of}, but is needed in {region}"))
                    .hint("set a certificate in this region"));
            }
            None => {
                return Err(Error::invalid(format!("`{arn}` is not the ARN of a certificate"))
                    .hint(format!("use an ARN such as arn:aws:acm:{region}:123456789012:certificate/ID")));
            }
        }
        let found = cx.acm().describe_certificate().certificate_arn(arn).send().await.explain();
        let Some(found) = found.unless(Class::NotFound)? else {
            return Err(Error::invalid(format!("certificate {arn} not found in {region}"))
                .hint("nothing is created; correct the ARN in payinfra.toml, or remove it to request a certificate"));
        };
        let certificate = found.certificate.need("Certificate")?;
        if certificate.status() != Some(&CertificateStatus::Issued) {
            let status = certificate.status().map_or("unknown", CertificateStatus::as_str);
            return Err(Error::invalid(format!("the certificate {arn} is not issued: its status is {status}"))
                .hint("wait until it is issued, or set another one"));
        }
        if !covers(&certificate, &self.domain_name) {
            let names: Vec<_> = issued_for(&certificate).iter().map(ToString::to_string).collect();
            let message =
                format!("the certificate {arn} is not valid for {}, only for {}", self.domain_name, names.join(", "));
            return Err(Error::invalid(message).hint("set a certificate for this name; `*` matches one label"));
        }
        Ok(arn.to_owned())
    }

    /// The only certificate that covers the name.
    async fn search(&self, cx: &Cx) -> Result<String> {
        let mut fit = Vec::new();
        let found = list(cx, &[CertificateStatus::Issued]).await?.into_iter();
        for arn in found.filter(|summary| self.may(summary)).filter_map(|summary| summary.certificate_arn) {
            let found = cx.acm().describe_certificate().certificate_arn(&arn).send().await.explain();
            let certificate = found.unless(Class::NotFound)?.and_then(|found| found.certificate);
            if certificate.is_some_and(|certificate| covers(&certificate, &self.domain_name)) {
                fit.push(arn);
            }
        }
        match &fit[..] {
            [arn] => Ok(arn.clone()),
            [] => {
                let message = format!("{} has no issued certificate for {}", cx.region(), self.domain_name);
                Err(Error::invalid(message).hint("request one, or set the ARN of an existing one"))
            }
            _ => {
                let message = format!("ambiguous certificate for {} in {}:", self.domain_name, cx.region());
                Err(Error::invalid(format!("{message} {fit:?} all match")).hint("set its ARN"))
            }
        }
    }

    /// Whether a certificate may match, by its entry in the list.
    fn may(&self, summary: &CertificateSummary) -> bool {
        let names = summary.domain_name.iter().chain(summary.subject_alternative_name_summaries());
        let listed = names.into_iter().any(|name| DnsName::new(name).covers(&self.domain_name));
        listed || summary.has_additional_subject_alternative_names == Some(true)
    }
}

fn covers(certificate: &CertificateDetail, name: &DnsName) -> bool {
    issued_for(certificate).iter().any(|own| own.covers(name))
}

/// The region in the ARN of a certificate.
fn region_of(arn: &str) -> Option<&str> {
    match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "acm", region, account, certificate]
            if partition.starts_with("aws")
                && !region.is_empty()
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && certificate.strip_prefix("certificate/").is_some_and(|id| !id.is_empty()) =>
        {
            Some(region)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_its_region() {
        let arn = "arn:aws:acm:us-east-2:123456789012:certificate/0-1";
        assert_eq!(region_of(arn), Some("us-east-2"));
        for arn in [
            "",
            "arn:aws:acm:us-east-2:123456789012:certificate/",
            "arn:aws:iam::123456789012:server-certificate/a",
            "arn:aws:acm::123456789012:certificate/0-1",
            "arn:aws:acm:us-east-2:1234:certificate/0-1",
        ] {
            assert_eq!(region_of(arn), None, "{arn}");
        }
    }
}
