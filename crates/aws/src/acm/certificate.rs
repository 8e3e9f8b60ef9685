//! An ACM certificate, validated by DNS records.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_acm::types::{self as sdk, CertificateDetail, CertificateStatus, CertificateSummary, ValidationMethod};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{issued_for, list, tags};
use crate::error::Unless;
use crate::route53::DnsName;
use crate::{Cx, Explain, Need};

/// A public certificate, validated by DNS, for resources in its region.
///
/// It is *ready* when it is issued. For references to its outputs, it *exists* when AWS returns the validation records:
/// they can be created while it is pending, and it is only issued once they exist.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The domain name; a leading `*.` matches one label.
    pub domain_name: DnsName,
    /// Alternative names.
    pub subject_alternative_names: BTreeSet<DnsName>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CertificateOutputs {
    /// Its ARN.
    pub arn: Ref<String>,
    /// The names of the `CNAME` records for validation, sorted: one per domain name, but only one for `a.b` and
    /// `*.a.b`. They are the same for the same name in all regions of an account, and do not change: keep them for the
    /// renewal. AWS returns them some seconds after the request.
    #[serde(with = "later")]
    #[schemars(with = "Ref<Vec<DnsName>>")]
    pub validation_names: Ref<Vec<DnsName>>,
    /// The values of the records, in the same order.
    #[serde(with = "later")]
    #[schemars(with = "Ref<Vec<DnsName>>")]
    pub validation_values: Ref<Vec<DnsName>>,
}

impl Resource for Certificate {
    type Cx = Cx;
    const KIND: &'static str = "acm.certificate";
    const REPLACE: Fields = fields!(Self: domain_name, subject_alternative_names);
    const COMPLETED_BY_DEPENDENTS: bool = true;
    const CREATE_FIRST: bool = true;
    /// AWS usually issues it within minutes. It cannot be deleted right after a load balancer stopped using it.
    const TIMEOUT: Duration = Duration::from_mins(75);
    const EXPECTED: Expected = Expected::millis(150_000, 500);
    type Outputs = CertificateOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let names: Vec<_> = self.subject_alternative_names.iter().map(|name| name.as_str().to_owned()).collect();
        let call = cx.acm().request_certificate().domain_name(self.domain_name.as_str());
        let call = call.set_subject_alternative_names(Some(names).filter(|names| !names.is_empty()));
        let call = call.validation_method(ValidationMethod::Dns).idempotency_token(cx.token()?);
        let call = call.set_tags(Some(tags::sdk(&self.tags)?));
        Ok(Id::new(call.send().await.explain()?.certificate_arn.need("CertificateArn")?))
    }

    /// By tags, because the token is only valid for an hour.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let alive = [CertificateStatus::PendingValidation, CertificateStatus::Issued];
        let found = list(cx, &alive).await?.into_iter();
        let ours = |summary: &CertificateSummary| {
            summary.domain_name.as_deref().is_some_and(|name| DnsName::new(name) == self.domain_name)
        };
        for arn in found.filter(ours).filter_map(|summary| summary.certificate_arn) {
            if !cx.is_known(&arn)
                && tags::of(cx, &arn).await.unless(Class::NotFound)?.is_some_and(|tags| owner.owns(&tags))
            {
                return Ok(Some(Id::new(arn)));
            }
        }
        Ok(None)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = try_join_all(ids.iter().map(|id| async move {
            let call = cx.acm().describe_certificate().certificate_arn(id);
            let found = tokio::try_join!(async { call.send().await.explain() }, tags::of(cx, id.as_str()));
            found.unless(Class::NotFound)
        }))
        .await?;
        let found = found.into_iter().flatten();
        found.map(|(found, tags)| live(found.certificate.need("Certificate")?, tags)).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        tags::sync(cx, live.id.as_str(), &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.acm().delete_certificate().certificate_arn(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the certificate alone, because its tags may be missing although it exists.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let found = cx.acm().describe_certificate().certificate_arn(id).send().await.explain();
        Ok(found.unless(Class::NotFound)?.is_none())
    }
}

fn live(certificate: CertificateDetail, tags: Tags) -> Result<Live<Certificate>> {
    let status = status(&certificate);
    let names = issued_for(&certificate);
    let arn = certificate.certificate_arn.need("CertificateArn")?;
    let domain_name = DnsName::new(certificate.domain_name.as_deref().unwrap_or_default());
    let records = validation(certificate.domain_validation_options.as_deref().unwrap_or_default());
    // If the records exist already, it may be issued before AWS returns them.
    let status = if status == Status::Ready && records.is_empty() { Status::Pending } else { status };
    let (validation_names, validation_values) = records.into_values().unzip();
    Ok(Live {
        id: Id::new(&arn),
        status,
        args: Certificate {
            subject_alternative_names: names.into_iter().filter(|name| *name != domain_name).collect(),
            domain_name,
            tags,
        },
        outputs: CertificateOutputs {
            arn: Ref::Known(arn),
            validation_names: Ref::Known(validation_names),
            validation_values: Ref::Known(validation_values),
        },
    })
}

/// Name and value of the record for each domain name; none until all are returned.
fn validation(options: &[sdk::DomainValidation]) -> BTreeMap<DnsName, (DnsName, DnsName)> {
    let records = options.iter().map(|option| {
        let domain = option.domain_name.strip_prefix("*.").unwrap_or(&option.domain_name);
        let record = option.resource_record.as_ref()?;
        Some((DnsName::new(domain), (DnsName::new(&record.name), DnsName::new(&record.value))))
    });
    records.collect::<Option<_>>().unwrap_or_default()
}

fn status(certificate: &CertificateDetail) -> Status {
    match certificate.status() {
        Some(CertificateStatus::Issued) => Status::Ready,
        Some(CertificateStatus::PendingValidation) | None => Status::Pending,
        Some(CertificateStatus::ValidationTimedOut) => {
            Status::Failed("its validation records were not found within 72 hours".to_owned())
        }
        Some(other) => {
            let why = certificate.failure_reason().map(|why| format!(": {why}")).unwrap_or_default();
            Status::Failed(format!("{other}{why}"))
        }
    }
}

/// Lists that are null until AWS returns the records.
mod later {
    use payinfra_engine::Ref;
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T, S>(list: &Ref<Vec<T>>, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Serialize,
        S: Serializer,
    {
        match list {
            Ref::Known(list) if list.is_empty() => serializer.serialize_none(),
            list => list.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Ref<Vec<T>>, D::Error>
    where
        T: DeserializeOwned,
        D: Deserializer<'de>,
    {
        Ok(Option::deserialize(deserializer)?.unwrap_or_else(|| Ref::Known(Vec::new())))
    }
}

#[cfg(test)]
mod tests {
    use payinfra_engine::{Graph, Region};

    use super::*;

    #[test]
    fn records_are_told_all_together_and_once() -> Result<()> {
        let option = |domain: &str, record: Option<&str>| {
            let record = record.map(|name| {
                sdk::ResourceRecord::builder().name(name).value("v.").r#type(sdk::RecordType::Cname).build().explain()
            });
            sdk::DomainValidation::builder()
                .domain_name(domain)
                .set_resource_record(record.transpose()?)
                .build()
                .explain()
        };
        let told = validation(&[option("b.a", Some("_1.b.a."))?, option("*.b.a", Some("_1.b.a."))?]);
        assert_eq!(told.into_values().collect::<Vec<_>>(), [(DnsName::new("_1.b.a"), DnsName::new("v"))]);
        assert!(validation(&[option("b.a", Some("_1.b.a."))?, option("c.a", None)?]).is_empty());
        Ok(())
    }

    #[test]
    fn outputs_are_null_until_they_are_known() -> Result<()> {
        let unknown = CertificateOutputs {
            arn: Ref::from("arn"),
            validation_names: Ref::Known(Vec::new()),
            validation_values: Ref::Known(vec![DnsName::new("v")]),
        };
        let json = serde_json::json!({ "arn": "arn", "validation_names": null, "validation_values": ["v"] });
        assert_eq!(serde_json::to_value(&unknown).ok(), Some(json.clone()));
        assert!(serde_json::from_value::<CertificateOutputs>(json).is_ok());
        let certificate = Certificate {
            domain_name: DnsName::new("a.b"),
            subject_alternative_names: BTreeSet::new(),
            tags: Tags::new(),
        };
        let node = Graph::new("s", "w", Tags::new()).add(&Region::new("us-east-1"), "a", certificate)?;
        assert!(matches!(node.outputs.validation_names, Ref::Pointer { .. }));
        Ok(())
    }
}
