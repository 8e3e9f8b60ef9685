//! A Route 53 health check of an HTTPS endpoint, from several regions.

use std::collections::HashMap;

use aws_sdk_route53::types::{self as sdk, HealthCheckConfig, HealthCheckType, TagResourceType};
use payinfra_engine::{
    Class, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Secret, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DnsName, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An HTTPS health check. The endpoint is healthy if the response is 2xx or 3xx; certificates are not validated.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The host, also for SNI.
    pub fully_qualified_domain_name: Ref<DnsName>,
    /// The port.
    pub port: u16,
    /// The path, such as `/health`; it may contain a token.
    pub resource_path: Secret<String>,
    /// The interval of each checker in seconds: 10 or 30.
    pub request_interval: i32,
    /// The number of consecutive results after which the status changes, 1 to 10.
    pub failure_threshold: i32,
    /// Whether SNI is enabled.
    pub enable_sni: bool,
    /// The tags.
    pub tags: Tags,
}

/// From this number on, a list of all health checks is cheaper than one call for each: the account has a limit of five
/// calls per second.
const MANY: usize = 3;

const DEFAULT_PORT: i32 = 443;
const DEFAULT_INTERVAL: i32 = 30;
const DEFAULT_THRESHOLD: i32 = 3;

impl Resource for HealthCheck {
    type Cx = Cx;
    const KIND: &'static str = "route53.health-check";
    const REPLACE: Fields = fields!(Self: request_interval);
    const IDENTITY: Identity = Identity::Token;
    const MOST_TAGS: usize = tags::MOST;
    const CREATE_FIRST: bool = true;
    const EXPECTED: Expected = Expected::millis(1_000, 500);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// A second call sets the tags; until then, the reference identifies the owner.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let config = HealthCheckConfig::builder()
            .r#type(HealthCheckType::Https)
            .fully_qualified_domain_name(self.fully_qualified_domain_name.known()?.as_str())
            .port(self.port.into())
            .resource_path(self.resource_path.expose()?)
            .request_interval(self.request_interval)
            .failure_threshold(self.failure_threshold)
            .enable_sni(self.enable_sni);
        let call = cx.route53().create_health_check().caller_reference(cx.token()?);
        let call = call.health_check_config(config.build().explain()?);
        Ok(Id::new(call.send().await.explain()?.health_check.need("HealthCheck")?.id))
    }

    /// By the reference. That of a deleted check stays in use for days, so each generation has its own.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let token = cx.token()?;
        let found = all(cx).await?.into_iter().find(|check| check.caller_reference == token && !cx.is_known(&check.id));
        Ok(found.map(|check| Id::new(check.id)))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = if ids.len() < MANY {
            let mut found = Vec::new();
            for id in ids {
                let check = cx.route53().get_health_check().health_check_id(id).send().await.explain();
                found.extend(check.unless(Class::NotFound)?.and_then(|found| found.health_check));
            }
            found
        } else {
            let all = all(cx).await?.into_iter();
            all.filter(|check| ids.iter().any(|id| id.as_str() == check.id)).collect()
        };
        let ids: Vec<_> = found.iter().map(|check| check.id.clone()).collect();
        let tags = tags::of(cx, &TagResourceType::Healthcheck, &ids).await?;
        found.into_iter().map(|check| live(check, &tags)).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let same = self.fully_qualified_domain_name == was.fully_qualified_domain_name
            && (self.port, &self.resource_path) == (was.port, &was.resource_path)
            && (self.failure_threshold, self.enable_sni) == (was.failure_threshold, was.enable_sni);
        if !same {
            let call = cx.route53().update_health_check().health_check_id(&live.id);
            let call = call.fully_qualified_domain_name(self.fully_qualified_domain_name.known()?.as_str());
            let call = call.port(self.port.into()).resource_path(self.resource_path.expose()?);
            call.failure_threshold(self.failure_threshold).enable_sni(self.enable_sni).send().await.explain()?;
        }
        tags::sync(cx, &TagResourceType::Healthcheck, live.id.as_str(), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.route53().delete_health_check().health_check_id(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

/// All health checks of the account.
pub(super) async fn all(cx: &Cx) -> Result<Vec<sdk::HealthCheck>> {
    cx.route53().list_health_checks().into_paginator().items().send().try_collect().await.explain()
}

fn live(check: sdk::HealthCheck, tags: &HashMap<String, Tags>) -> Result<Live<HealthCheck>> {
    let config = check.health_check_config.need("HealthCheckConfig")?;
    let port = config.port.unwrap_or(DEFAULT_PORT);
    Ok(Live {
        status: Status::Ready,
        args: HealthCheck {
            fully_qualified_domain_name: Ref::Known(DnsName::new(
                config.fully_qualified_domain_name.as_deref().unwrap_or_default(),
            )),
            port: u16::try_from(port).unwrap_or_default(),
            resource_path: Secret::new(config.resource_path.unwrap_or_default()),
            request_interval: config.request_interval.unwrap_or(DEFAULT_INTERVAL),
            failure_threshold: config.failure_threshold.unwrap_or(DEFAULT_THRESHOLD),
            enable_sni: config.enable_sni.unwrap_or(true),
            tags: tags.get(&check.id).cloned().unwrap_or_default(),
        },
        id: Id::new(check.id),
        outputs: (),
    })
}
