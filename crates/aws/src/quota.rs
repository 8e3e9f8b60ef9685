//! The quotas of an account that a stack can exceed, and what the account already uses of them.
//!
//! These are the quotas with small defaults (AWS General Reference, "Endpoints and quotas" of each service): a plan that adds
//! more resources than they leave would fail half-way.

use std::collections::BTreeMap;
use std::fmt::Display;

use aws_sdk_ec2::types::Filter;
use aws_sdk_elasticloadbalancingv2::types::LoadBalancerTypeEnum;
use payinfra_engine::{Class, Error, Region, Resource, Result, reading};

use crate::cloudtrail::Trail;
use crate::ec2::{Eip, InternetGateway, TransitGateway, Vpc};
use crate::elbv2::LoadBalancer;
use crate::error::Unless;
use crate::rds::{Cluster, ClusterInstance, Instance, SubnetGroup};
use crate::{Access, Cx, Explain};

/// A quota of an account in a region.
#[derive(Debug, PartialEq, Eq)]
pub struct Quota {
    /// The kinds that count.
    pub kinds: &'static [&'static str],
    /// The service code of Service Quotas.
    pub service: &'static str,
    /// The quota code; `None` if AWS does not raise it.
    pub code: Option<&'static str>,
    /// AWS's name for it.
    pub name: &'static str,
    /// AWS's default value.
    pub default: usize,
}

const fn quota(
    kinds: &'static [&'static str],
    service: &'static str,
    code: &'static str,
    name: &'static str,
    default: usize,
) -> Quota {
    Quota { kinds, service, code: Some(code), name, default }
}

/// The quotas, by the first kind that counts.
const QUOTAS: &[Quota] = &[
    Quota { kinds: &[Trail::KIND], service: "cloudtrail", code: None, name: "Trails per Region", default: 5 },
    quota(&[Eip::KIND], "ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5),
    quota(&[InternetGateway::KIND], "vpc", "L-A4707A72", "Internet gateways per Region", 5),
    quota(&[TransitGateway::KIND], "ec2", "L-A2478D36", "Transit gateways per account", 5),
    quota(&[Vpc::KIND], "vpc", "L-F678F1CE", "VPCs per Region", 5),
    quota(&[LoadBalancer::KIND], "elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region", 50),
    quota(&[Cluster::KIND], "rds", "L-952B80B8", "DB clusters", 40),
    quota(&[ClusterInstance::KIND, Instance::KIND], "rds", "L-7B6409FD", "DB instances", 40),
    quota(&[SubnetGroup::KIND], "rds", "L-48C6BF61", "DB subnet groups", 50),
];

/// A quota that a plan would exceed in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The quota.
    pub quota: &'static Quota,
    /// The region.
    pub region: Region,
    /// The value of the quota in this account.
    pub value: usize,
    /// How many resources exist.
    pub used: usize,
    /// How many more there would be.
    pub adds: usize,
}

impl Quota {
    /// The quota that resources of `kind` count towards.
    #[must_use]
    pub fn of(kind: &str) -> Option<&'static Self> {
        QUOTAS.iter().find(|quota| quota.kinds.contains(&kind))
    }

    /// The command that asks AWS for `value` in `region`.
    #[must_use]
    pub fn request(&self, region: &Region, value: impl Display) -> Option<String> {
        let Self { service, code, .. } = self;
        let code = (*code)?;
        Some(format!(
            "aws service-quotas request-service-quota-increase --region {region} --service-code {service} \
             --quota-code {code} --desired-value {value}"
        ))
    }

    /// Its value in this account and region. Service Quotas does not know those that were never raised for all services; they
    /// have their defaults. `None` if the credentials may not read it.
    async fn value(&self, cx: &Cx) -> Result<Option<usize>> {
        let Some(code) = self.code else { return Ok(Some(self.default)) };
        let asked = cx.servicequotas().get_service_quota().service_code(self.service).quota_code(code);
        let found = match asked.send().await.explain().unless(Class::NotFound) {
            Err(error) if error.class() == Class::Denied => return Ok(None),
            found => found?,
        };
        let value = found.and_then(|found| found.quota?.value);
        // Service Quotas has floating-point numbers for all units; counts are whole.
        Ok(Some(value.and_then(|value| format!("{value:.0}").parse().ok()).unwrap_or(self.default)))
    }

    /// How many resources exist that count.
    async fn used(&self, cx: &Cx) -> Result<usize> {
        macro_rules! count {
            ($call:expr) => {{
                let mut pages = $call.into_paginator().items().send();
                let mut count = 0;
                while let Some(item) = pages.next().await {
                    item.explain()?;
                    count += 1;
                }
                count
            }};
        }
        Ok(match self.kinds.first().copied().unwrap_or_default() {
            Trail::KIND => {
                cx.cloudtrail().describe_trails().send().await.explain()?.trail_list.unwrap_or_default().len()
            }
            Eip::KIND => cx.ec2().describe_addresses().send().await.explain()?.addresses.unwrap_or_default().len(),
            InternetGateway::KIND => count!(cx.ec2().describe_internet_gateways()),
            TransitGateway::KIND => {
                let exists = ["pending", "available", "modifying", "deleting"].map(str::to_owned).to_vec();
                let exists = Filter::builder().name("state").set_values(Some(exists)).build();
                count!(cx.ec2().describe_transit_gateways().filters(exists))
            }
            Vpc::KIND => count!(cx.ec2().describe_vpcs()),
            LoadBalancer::KIND => {
                let mut pages = cx.elbv2().describe_load_balancers().into_paginator().items().send();
                let mut count = 0;
                while let Some(balancer) = pages.next().await {
                    let balancer = balancer.explain()?;
                    count += usize::from(balancer.r#type == Some(LoadBalancerTypeEnum::Application));
                }
                count
            }
            Cluster::KIND => count!(cx.rds().describe_db_clusters()),
            ClusterInstance::KIND => count!(cx.rds().describe_db_instances()),
            SubnetGroup::KIND => count!(cx.rds().describe_db_subnet_groups()),
            other => return Err(Error::failed(format!("nothing counts {other}"))),
        })
    }
}

/// The quotas that `adds`, a number of additional resources by region and kind, would exceed. Quotas that the credentials may
/// not read are left out.
///
/// # Errors
/// If AWS cannot be asked.
pub async fn shortages(access: &Access, adds: &BTreeMap<(Region, String), usize>) -> Result<Vec<Shortage>> {
    let mut all = BTreeMap::<(&Region, usize), usize>::new();
    for ((region, kind), count) in adds {
        let index = QUOTAS.iter().position(|quota| quota.kinds.contains(&&**kind));
        if let Some(index) = index {
            *all.entry((region, index)).or_default() += count;
        }
    }
    let asked = all.into_iter().filter_map(|((region, index), adds)| Some((region, QUOTAS.get(index)?, adds)));
    let asked = asked.map(|(region, quota, adds)| async move {
        let cx = access.cx(region);
        let (value, used) = tokio::try_join!(reading(|| quota.value(&cx)), reading(|| quota.used(&cx)))?;
        let exceeded = value.filter(|value| used + adds > *value);
        Ok::<_, Error>(exceeded.map(|value| Shortage { quota, region: region.clone(), value, used, adds }))
    });
    let found = futures_util::future::try_join_all(asked).await?;
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_can_be_raised_has_a_command() {
        let region = Region::new("us-east-2");
        let request = |kind| Quota::of(kind).and_then(|quota| quota.request(&region, 7));
        assert_eq!(
            request(Eip::KIND).as_deref(),
            Some(
                "aws service-quotas request-service-quota-increase --region us-east-2 --service-code ec2 --quota-code \
                 L-0263D0A3 --desired-value 7"
            )
        );
        assert_eq!(request(Trail::KIND), None);
        assert_eq!(Quota::of(Instance::KIND), Quota::of(ClusterInstance::KIND));
    }

    #[test]
    fn no_kind_counts_twice() {
        let kinds: Vec<_> = QUOTAS.iter().flat_map(|quota| quota.kinds).collect();
        let once: std::collections::BTreeSet<_> = kinds.iter().collect();
        assert_eq!(once.len(), kinds.len());
    }
}
