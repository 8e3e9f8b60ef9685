//! ACM: certificates.

mod certificate;
mod existing_certificate;
mod tags;

use std::collections::BTreeSet;

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, CertificateSummary, Filters, KeyAlgorithm};
use payinfra_engine::{Kind, Result, Tags, kind, lookup};

pub use certificate::{Certificate, CertificateOutputs};
pub use existing_certificate::{ExistingCertificate, ExistingCertificateOutputs};

use crate::route53::DnsName;
use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Certificate>(), lookup::<ExistingCertificate>()];

/// All key algorithms: by default, only certificates with `RSA_2048` are listed (AWS-FACTS §1.10).
const ALGORITHMS: [KeyAlgorithm; 7] = [
    KeyAlgorithm::EcPrime256v1,
    KeyAlgorithm::EcSecp384r1,
    KeyAlgorithm::EcSecp521r1,
    KeyAlgorithm::Rsa1024,
    KeyAlgorithm::Rsa2048,
    KeyAlgorithm::Rsa3072,
    KeyAlgorithm::Rsa4096,
];

/// The certificates of the region with one of `statuses`; if it is empty, all certificates.
async fn list(cx: &Cx, statuses: &[CertificateStatus]) -> Result<Vec<CertificateSummary>> {
    let all = Filters::builder().set_key_types(Some(ALGORITHMS.to_vec())).build();
    let statuses = Some(statuses.to_vec()).filter(|statuses| !statuses.is_empty());
    let call = cx.acm().list_certificates().includes(all).set_certificate_statuses(statuses);
    call.into_paginator().items().send().try_collect().await.explain()
}

/// The domain names of the certificate.
fn issued_for(certificate: &CertificateDetail) -> BTreeSet<DnsName> {
    let names = certificate.domain_name.iter().chain(certificate.subject_alternative_names());
    names.map(|name| DnsName::new(name)).collect()
}

/// The certificates with their tags, which the list does not include.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let arns = list(cx, &[]).await?.into_iter().filter_map(|summary| summary.certificate_arn);
    tagged(arns.map(|arn| (arn.clone(), async move { tags::of(cx, &arn).await }))).await
}
