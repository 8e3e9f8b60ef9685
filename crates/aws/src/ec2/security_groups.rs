//! A lookup of an existing security group.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Filter;
use payinfra_engine::{Error, Id, Lookup, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecurityGroup, Vpc, filter};
use crate::{Cx, Explain, Need};

/// The only existing security group that matches all criteria.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExistingSecurityGroup {
    /// Its id.
    pub id: Option<Ref<String>>,
    /// Its name, unique in the VPC.
    pub name: Option<String>,
    /// The id of its VPC.
    pub vpc: Option<Ref<String>>,
    /// Its tags; it may have others.
    pub tags: BTreeMap<String, String>,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
        let (id, vpc) = (known(self.id.as_ref())?, known(self.vpc.as_ref())?);
        let given = [("group-id", id), ("group-name", self.name.as_ref()), ("vpc-id", vpc)];
        let given = given.into_iter().filter_map(|(name, value)| Some(filter(name, value?)));
        let tags = self.tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), value));
        let filters: Vec<Filter> = given.chain(tags).collect();
        if filters.is_empty() {
            return Err(Error::invalid("no criteria are set for the security group")
                .hint("set its id, name, VPC or tags in payinfra.toml"));
        }
        let call = cx.ec2().describe_security_groups().set_filters(Some(filters));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        match &found[..] {
            [group] => Ok(ExistingSecurityGroupOutputs {
                id: Ref::Known(Id::new(group.group_id().need("GroupId")?)),
                vpc: Ref::Known(Id::new(group.vpc_id().need("VpcId")?)),
            }),
            [] => {
                let what = id.or(self.name.as_ref()).map_or("with these tags", String::as_str);
                Err(Error::invalid(format!("not found in {}: the security group {what}", cx.region()))
                    .hint("nothing is created; correct the criteria for the group in payinfra.toml"))
            }
            many => {
                let ids: Vec<_> = many.iter().filter_map(|group| group.group_id()).collect();
                Err(Error::invalid(format!("ambiguous security group in {}: {ids:?} all match", cx.region()))
                    .hint("set the id in payinfra.toml"))
            }
        }
    }
}

fn known(value: Option<&Ref<String>>) -> Result<Option<&String>> {
    value.map(Ref::known).transpose()
}
