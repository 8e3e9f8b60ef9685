//! A security group that exists already.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Filter;
use payinfra_engine::{Error, Id, Lookup, Ref, Result};
use serde::{Deserialize, Serialize};

use super::{SecurityGroup, Vpc, filter};
use crate::{Cx, Explain, Need};

/// The one security group, made by somebody else, that all that is given fits.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExistingSecurityGroup {
    /// Its id.
    pub id: Option<String>,
    /// Its name, which only one group of a VPC has.
    pub name: Option<String>,
    /// The id of its VPC.
    pub vpc: Option<String>,
    /// Tags that it carries.
    pub tags: BTreeMap<String, String>,
}

/// What others can refer to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExistingSecurityGroupOutputs {
    /// The group.
    pub id: Ref<Id<SecurityGroup>>,
    /// Its VPC.
    pub vpc: Ref<Id<Vpc>>,
}

impl Lookup for ExistingSecurityGroup {
    type Cx = Cx;
    const KIND: &'static str = "ec2.existing-security-group";
    type Outputs = ExistingSecurityGroupOutputs;

    async fn find(&self, cx: &Cx) -> Result<ExistingSecurityGroupOutputs> {
        let filters = self.filters();
        if filters.is_empty() {
            return Err(Error::invalid("nothing says which security group is meant")
                .hint("give its id, name, VPC or tags in payinfra.toml"));
        }
        let call = cx.ec2().describe_security_groups().set_filters(Some(filters));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        match &found[..] {
            [group] => Ok(ExistingSecurityGroupOutputs {
                id: Ref::Known(Id::new(group.group_id().need("GroupId")?)),
                vpc: Ref::Known(Id::new(group.vpc_id().need("VpcId")?)),
            }),
            [] => {
                let what = self.id.as_deref().or(self.name.as_deref()).unwrap_or("with these tags");
                Err(Error::invalid(format!("not found in {}: the security group {what}", cx.region()))
                    .hint("nothing is created; fix what names the group in payinfra.toml"))
            }
            many => {
                let ids: Vec<_> = many.iter().filter_map(|group| group.group_id()).collect();
                Err(Error::invalid(format!("which one is meant in {}? {ids:?} all fit", cx.region()))
                    .hint("give the id in payinfra.toml"))
            }
        }
    }
}

impl ExistingSecurityGroup {
    fn filters(&self) -> Vec<Filter> {
        let given = [("group-id", &self.id), ("group-name", &self.name), ("vpc-id", &self.vpc)];
        let given = given.into_iter().filter_map(|(name, value)| Some(filter(name, value.as_ref()?)));
        given.chain(self.tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), value))).collect()
    }
}
