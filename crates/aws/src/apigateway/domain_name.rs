//! A custom domain name of REST APIs.

use std::time::Duration;

use aws_sdk_apigateway::operation::get_domain_name::GetDomainNameOutput;
use aws_sdk_apigateway::types::{DomainNameStatus, EndpointConfiguration, EndpointType, SecurityPolicy};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{patch, tags};
use crate::error::{Unless, claim};
use crate::route53::DnsName;
use crate::{Cx, Explain, Need};

/// A regional domain name, with TLS 1.2. Its id is the name, unique in the region. AWS accepts one create, update and
/// delete in 30 seconds each.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainName {
    /// The name, such as `api.example.com`.
    pub name: String,
    /// The ARN of the certificate in the same region, which must be issued.
    pub certificate: Ref<String>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DomainNameOutputs {
    /// The name of the endpoint, for alias records.
    pub target: Ref<DnsName>,
    /// The hosted zone of the endpoint, for alias records.
    pub zone: Ref<String>,
}

impl Resource for DomainName {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.domain-name";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const TIMEOUT: Duration = Duration::from_mins(15);
    const EXPECTED: Expected = Expected::millis(30_000, 5_000);
    type Outputs = DomainNameOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let endpoint = EndpointConfiguration::builder().types(EndpointType::Regional).build();
        let call = cx.apigateway().create_domain_name().domain_name(&self.name).endpoint_configuration(endpoint);
        let call = call.regional_certificate_arn(self.certificate.known()?).security_policy(SecurityPolicy::Tls12);
        call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(found) = Self::read(cx, &[Id::new(&self.name)]).await?.pop() else { return Ok(None) };
        claim("domain name", &self.name, found.id, &found.args.tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let call = cx.apigateway().get_domain_name().domain_name(id);
            call.send().await.explain().unless(Class::NotFound)?.map(|domain| live(id, domain)).transpose()
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.certificate != live.args.certificate {
            let call = cx.apigateway().update_domain_name().domain_name(&self.name);
            let certificate = patch::replace("/regionalCertificateArn", self.certificate.known()?);
            call.patch_operations(certificate).send().await.explain()?;
        }
        tags::sync(cx, &format!("/domainnames/{}", self.name), &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.apigateway().delete_domain_name().domain_name(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

fn live(id: &Id<DomainName>, domain: GetDomainNameOutput) -> Result<Live<DomainName>> {
    let target = domain.regional_domain_name.need("RegionalDomainName")?;
    Ok(Live {
        id: id.clone(),
        status: match domain.domain_name_status {
            Some(DomainNameStatus::Available) | None => Status::Ready,
            Some(DomainNameStatus::Failed) => {
                Status::Failed(domain.domain_name_status_message.unwrap_or_else(|| "AWS gave no reason".to_owned()))
            }
            _ => Status::Pending,
        },
        args: DomainName {
            name: id.into(),
            certificate: Ref::Known(domain.regional_certificate_arn.unwrap_or_default()),
            tags: tags::from(domain.tags),
        },
        outputs: DomainNameOutputs {
            target: Ref::Known(DnsName::new(&target)),
            zone: Ref::Known(domain.regional_hosted_zone_id.need("RegionalHostedZoneId")?),
        },
    })
}
