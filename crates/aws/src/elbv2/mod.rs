//! Elastic Load Balancing: load balancers, their listeners and rules, and target groups.

mod action;
mod condition;
mod listener;
mod listener_rule;
mod load_balancer;
mod protocol;
mod tags;
mod target_group;

use futures_util::future::{join_all, try_join_all};
use payinfra_engine::{Class, Error, Kind, Result, Tags, kind};

pub use action::{Action, FixedResponse, Redirect, Target};
pub use condition::Condition;
pub use listener::{Listener, ListenerOutputs};
pub use listener_rule::{ListenerRule, ListenerRuleOutputs};
pub use load_balancer::{AccessLogs, LoadBalancer, LoadBalancerOutputs};
pub use protocol::Protocol;
pub use target_group::{HealthCheck, TargetGroup, TargetGroupOutputs};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] =
    &[kind::<Listener>(), kind::<ListenerRule>(), kind::<LoadBalancer>(), kind::<TargetGroup>()];

/// The maximum number of ARNs for `DescribeTags`, and for other calls by ARN.
const BATCH: usize = 20;

/// The load balancers, listeners, rules and target groups with their tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let elb = cx.elbv2();
    let (balancers, groups) = tokio::try_join!(
        async { elb.describe_load_balancers().into_paginator().items().send().try_collect().await.explain() },
        async { elb.describe_target_groups().into_paginator().items().send().try_collect().await.explain() },
    )?;
    let balancers: Vec<_> = balancers.into_iter().filter_map(|balancer| balancer.load_balancer_arn).collect();
    let listeners = try_join_all(balancers.iter().map(|arn| async move {
        let call = elb.describe_listeners().load_balancer_arn(arn).into_paginator().items();
        call.send().try_collect().await.explain().unless(Class::NotFound)
    }));
    let listeners = listeners.await?.into_iter().flatten().flatten().filter_map(|listener| listener.listener_arn);
    let listeners: Vec<_> = listeners.collect();
    let rules = try_join_all(listeners.iter().map(|arn| async move {
        let call = elb.describe_rules().listener_arn(arn).into_paginator().items();
        call.send().try_collect().await.explain().unless(Class::NotFound)
    }));
    // A listener's default rule has no tags of its own.
    let rules = rules.await?.into_iter().flatten().flatten().filter(|rule| rule.is_default != Some(true));
    let arns = groups.into_iter().filter_map(|group| group.target_group_arn);
    let arns: Vec<_> = arns.chain(rules.filter_map(|rule| rule.rule_arn)).chain(balancers).chain(listeners).collect();
    Ok(tags::of(cx, &arns).await?.into_iter().collect())
}

/// The result of `ask` for all `arns` in one call. If it fails, for each of them, because one that is gone fails the
/// whole call.
async fn each<T, F>(arns: Vec<String>, ask: impl Fn(Vec<String>) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(found) = ask(arns.clone()).await.unless(Class::NotFound)? {
        return Ok(found);
    }
    if arns.len() == 1 {
        return Ok(Vec::new());
    }
    let alone = join_all(arns.into_iter().map(|arn| ask(vec![arn]))).await;
    let alone = alone.into_iter().map(|found| found.unless(Class::NotFound)).collect::<Result<Vec<_>>>()?;
    Ok(alone.into_iter().flatten().flatten().collect())
}

/// The name of a load balancer or a target group in `CloudWatch`: the part of the ARN after `marker`.
fn full_name(arn: &str, marker: &str) -> Result<String> {
    let found = arn.split_once(marker).map(|(_, name)| name.to_owned());
    found.ok_or_else(|| Error::failed(format!("AWS returned the ARN `{arn}`")))
}
