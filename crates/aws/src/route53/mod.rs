//! Route 53: hosted zones and their delegations, records and health checks.

mod delegation;
mod dns_name;
mod health_check;
mod hosted_zone;
mod record_set;
mod records;
mod tags;
mod zone;

use aws_sdk_route53::types::TagResourceType;
use payinfra_engine::{Kind, Result, Tags, kind, lookup};

pub use delegation::Delegation;
pub use dns_name::DnsName;
pub use health_check::HealthCheck;
pub use hosted_zone::{HostedZone, HostedZoneOutputs};
pub use record_set::{Answer, FailoverRole, RecordSet, RecordType, Routing};
pub use zone::{Zone, ZoneOutputs};

use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] =
    &[kind::<Delegation>(), kind::<HealthCheck>(), kind::<HostedZone>(), kind::<RecordSet>(), lookup::<Zone>()];

/// The health checks and hosted zones with their tags; records have none.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let checks: Vec<_> = health_check::all(cx).await?.into_iter().map(|check| check.id).collect();
    let zones = cx.route53().list_hosted_zones().into_paginator().items().send().try_collect().await.explain()?;
    let zones: Vec<_> = zones.iter().map(|zone| bare(&zone.id).to_owned()).collect();
    let mut found = tags::of(cx, &TagResourceType::Healthcheck, &checks).await?;
    found.extend(tags::of(cx, &TagResourceType::Hostedzone, &zones).await?);
    Ok(found.into_iter().collect())
}

/// The id of a zone without AWS's path prefix.
fn bare(id: &str) -> &str {
    id.strip_prefix("/hostedzone/").unwrap_or(id)
}
