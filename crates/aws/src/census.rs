//! Everything that carries the owner tags of a stack, service by service.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Filter;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use payinfra_engine::sweep::{Census, Owned};
use payinfra_engine::{Address, Owner, Region, Result, Tags};

use crate::cloud::Aws;
use crate::{Cx, Explain, iam, kms, logs, s3};

impl Census for Aws {
    fn owned<'a>(&'a self, region: &'a Region, stack: &'a str) -> BoxFuture<'a, Result<Vec<Owned>>> {
        async move {
            let cx = self.cx(region);
            let found = if region.as_str() == Region::GLOBAL {
                iam::owned(&cx).await?
            } else {
                let (ec2, keys, buckets, groups) =
                    tokio::try_join!(ec2(&cx), kms::owned(&cx), s3::owned(&cx), logs::owned(&cx))?;
                [ec2, keys, buckets, groups].concat()
            };
            Ok(found.into_iter().filter_map(|(id, tags)| owned(stack, region, id, &tags)).collect())
        }
        .boxed()
    }
}

/// What the tags of `id` say, if they are ours and of this region.
fn owned(stack: &str, region: &Region, id: String, tags: &Tags) -> Option<Owned> {
    let address: Address = tags.get(Owner::ADDRESS)?.parse().ok()?;
    let workspace = tags.get(Owner::WORKSPACE)?.to_owned();
    let ours = tags.get(Owner::STACK) == Some(stack) && address.region == *region;
    let owner = Owner { stack: stack.to_owned(), workspace, address };
    ours.then_some(Owned { owner, id })
}

/// All tagged things of EC2 in one paged call.
async fn ec2(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let keys = [Owner::STACK, Owner::WORKSPACE, Owner::ADDRESS].map(str::to_owned).to_vec();
    let call = cx.ec2().describe_tags().filters(Filter::builder().name("key").set_values(Some(keys)).build());
    let tags = call.into_paginator().items().send().try_collect().await.explain()?;
    let mut found = BTreeMap::<String, Tags>::new();
    for tag in tags {
        if let (Some(id), Some(key)) = (tag.resource_id, tag.key) {
            found.entry(id).or_default().insert(key, tag.value.unwrap_or_default());
        }
    }
    Ok(found.into_iter().collect())
}
