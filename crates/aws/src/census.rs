//! All resources with the owner tags of a stack, service by service.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Filter;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use payinfra_engine::sweep::{Census, Owned};
use payinfra_engine::{Address, Owner, Region, Resource, Result, Tags};

use crate::cloud::Aws;
use crate::{
    Cx, Explain, acm, apigateway, apigatewayv2, application_autoscaling, cloudtrail, cloudwatch, dynamodb, ecs, elbv2,
    eventbridge, iam, kms, lambda, logs, rds, route53, s3, secretsmanager, sns, ssm, wafv2,
};

impl Census for Aws {
    fn owned<'a>(&'a self, region: &'a Region, stack: &'a str) -> BoxFuture<'a, Result<Vec<Owned>>> {
        async move {
            let cx = self.cx(region);
            let services = if region.as_str() == Region::GLOBAL {
                vec![iam::owned(&cx).boxed(), route53::owned(&cx).boxed()]
            } else {
                vec![
                    acm::owned(&cx).boxed(),
                    apigateway::owned(&cx).boxed(),
                    apigatewayv2::owned(&cx).boxed(),
                    application_autoscaling::owned(&cx).boxed(),
                    cloudtrail::owned(&cx).boxed(),
                    cloudwatch::owned(&cx).boxed(),
                    dynamodb::owned(&cx).boxed(),
                    ec2(&cx).boxed(),
                    ecs::owned(&cx).boxed(),
                    elbv2::owned(&cx).boxed(),
                    eventbridge::owned(&cx).boxed(),
                    kms::owned(&cx).boxed(),
                    lambda::owned(&cx).boxed(),
                    logs::owned(&cx).boxed(),
                    rds::owned(&cx).boxed(),
                    s3::owned(&cx).boxed(),
                    secretsmanager::owned(&cx).boxed(),
                    sns::owned(&cx).boxed(),
                    ssm::owned(&cx).boxed(),
                    wafv2::owned(&cx).boxed(),
                ]
            };
            let found = try_join_all(services).await?;
            Ok(found.into_iter().flatten().filter_map(|(id, tags)| owned(stack, region, id, &tags)).collect())
        }
        .boxed()
    }
}

/// The kinds with replicas in other regions, which have the tags of the resource.
const COPIED: &[&str] = &[dynamodb::Table::KIND];

/// The address in the tags of `id`, if it is ours and in this region, or of a kind with replicas in other regions.
fn owned(stack: &str, region: &Region, id: String, tags: &Tags) -> Option<Owned> {
    let here = |address: &Address| address.region == *region || COPIED.contains(&&*address.kind);
    let owner = Owner::of(tags).filter(|owner| owner.stack == stack && here(&owner.address))?;
    Some(Owned { owner, region: region.clone(), id })
}

/// All tagged EC2 resources, in one paged call.
async fn ec2(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let keys = Owner::KEYS.map(str::to_owned).to_vec();
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
