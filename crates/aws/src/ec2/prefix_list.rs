//! A lookup of an existing prefix list, AWS-managed or customer-managed.

use aws_sdk_ec2::types::{ManagedPrefixList, PrefixListState};
use payinfra_engine::{Error, Lookup, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter;
use crate::{Cx, Explain, Need};

/// The only prefix list with a name, whoever owns it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefixList {
    /// Its name, such as `com.amazonaws.us-east-1.s3`.
    pub name: String,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PrefixListOutputs {
    /// Its id, for security group rules and routes.
    pub id: Ref<String>,
    /// Its CIDR blocks, sorted as text.
    pub cidrs: Ref<Vec<String>>,
}

impl Lookup for PrefixList {
    type Cx = Cx;
    const KIND: &'static str = "ec2.prefix-list";
    type Outputs = PrefixListOutputs;

    async fn find(&self, cx: &Cx) -> Result<PrefixListOutputs> {
        let call = cx.ec2().describe_managed_prefix_lists().filters(filter("prefix-list-name", &self.name));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        let ids: Vec<_> = found.iter().filter(|list| lives(list)).filter_map(|list| list.prefix_list_id()).collect();
        let id = match &ids[..] {
            [id] => *id,
            [] => {
                let message = format!("not found in {}: the prefix list {}", cx.region(), self.name);
                return Err(Error::invalid(message).hint("nothing is created; correct the name"));
            }
            many => {
                let message = format!("ambiguous prefix list in {}: {many:?} are all named {}", cx.region(), self.name);
                return Err(Error::invalid(message).hint("names of prefix lists are not unique; rename one"));
            }
        };
        let call = cx.ec2().get_managed_prefix_list_entries().prefix_list_id(id);
        let entries = call.into_paginator().items().send().try_collect().await.explain()?;
        let cidrs = entries.into_iter().map(|entry| entry.cidr.need("Cidr"));
        let mut cidrs = cidrs.collect::<Result<Vec<_>>>()?;
        cidrs.sort_unstable();
        Ok(PrefixListOutputs { id: id.into(), cidrs: Ref::Known(cidrs) })
    }
}

fn lives(list: &ManagedPrefixList) -> bool {
    use PrefixListState::{DeleteComplete, DeleteInProgress};
    !matches!(list.state(), Some(DeleteComplete | DeleteInProgress))
}
