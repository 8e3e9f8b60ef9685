//! A lookup of existing subnets.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Filter;
use ipnet::Ipv4Net;
use payinfra_engine::{Error, Id, Lookup, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Subnet, Vpc, by_id, filter};
use crate::cidr::Cidr;
use crate::{Cx, Explain, Need};

/// Existing subnets of one VPC that match all criteria.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subnets {
    /// Their ids; all must exist.
    pub ids: Option<BTreeSet<String>>,
    /// The id of their VPC.
    pub vpc: Option<Ref<String>>,
    /// Their `Name` tag.
    pub name: Option<String>,
    /// Their tags; they may have others.
    pub tags: BTreeMap<String, String>,
}

/// The outputs; the lists are sorted by zone, then by id.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SubnetsOutputs {
    /// The subnets.
    pub ids: Ref<Vec<Id<Subnet>>>,
    /// Their CIDR blocks, in the order of `ids`.
    #[schemars(with = "Ref<Vec<Cidr>>")]
    pub cidrs: Ref<Vec<Ipv4Net>>,
    /// Their VPC.
    pub vpc: Ref<Id<Vpc>>,
}

impl Lookup for Subnets {
    type Cx = Cx;
    const KIND: &'static str = "ec2.subnets";
    type Outputs = SubnetsOutputs;

    async fn find(&self, cx: &Cx) -> Result<SubnetsOutputs> {
        let filters = self.filters()?;
        if filters.is_empty() {
            return Err(Error::invalid("no criteria are set for the subnets").hint("set ids, a VPC, a name or tags"));
        }
        let call = cx.ec2().describe_subnets().set_filters(Some(filters));
        let mut found = call.into_paginator().items().send().try_collect().await.explain()?;
        found.sort_by(|a, b| (&a.availability_zone, &a.subnet_id).cmp(&(&b.availability_zone, &b.subnet_id)));
        let ids: Vec<_> = found.iter().filter_map(|subnet| subnet.subnet_id()).collect();
        let missing: Vec<_> = self.ids.iter().flatten().filter(|id| !ids.contains(&id.as_str())).collect();
        if found.is_empty() || !missing.is_empty() {
            let what = if missing.is_empty() { "such subnets".to_owned() } else { format!("{missing:?}") };
            return Err(Error::invalid(format!("not found in {}: {what}", cx.region()))
                .hint("nothing is created; correct the criteria for the subnets in payinfra.toml"));
        }
        let vpcs: BTreeSet<_> = found.iter().filter_map(|subnet| subnet.vpc_id()).collect();
        if vpcs.len() > 1 {
            return Err(Error::invalid(format!("the subnets {ids:?} are in several VPCs: {vpcs:?}"))
                .hint("set `vpc` in payinfra.toml to select one"));
        }
        let cidrs = found.iter().map(|subnet| {
            let cidr = subnet.cidr_block().need("CidrBlock")?;
            cidr.parse().map_err(|_| Error::failed(format!("AWS returned the CIDR block `{cidr}`")))
        });
        Ok(SubnetsOutputs {
            ids: Ref::Known(ids.into_iter().map(Id::new).collect()),
            cidrs: Ref::Known(cidrs.collect::<Result<_>>()?),
            vpc: Ref::Known(Id::new(vpcs.into_iter().next().need("VpcId")?)),
        })
    }
}

impl Subnets {
    fn filters(&self) -> Result<Vec<Filter>> {
        let ids: Vec<_> = self.ids.iter().flatten().map(Id::<Subnet>::new).collect();
        let ids = (!ids.is_empty()).then(|| by_id("subnet-id", &ids));
        let vpc = self.vpc.as_ref().map(Ref::known).transpose()?.map(|vpc| filter("vpc-id", vpc));
        let name = self.name.iter().map(|name| filter("tag:Name", name));
        let tags = self.tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), value));
        Ok(ids.into_iter().chain(vpc).chain(name).chain(tags).collect())
    }
}
