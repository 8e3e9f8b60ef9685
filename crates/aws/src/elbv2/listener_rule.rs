//! A listener rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_elasticloadbalancingv2::types::{self as sdk, RulePriorityPair};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, Condition, Listener, action, each, tags};
use crate::error::{Unless, claim};
use crate::{Cx, Explain, Need};

/// A listener rule: conditions, and an action for requests that match them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerRule {
    /// The listener.
    pub listener: Ref<Id<Listener>>,
    /// Its priority, 1 to 50,000; the first matching rule counts. Two rules cannot swap priorities in one apply: move
    /// one of them to a free priority first.
    pub priority: i32,
    /// The conditions, which must all match.
    pub conditions: BTreeSet<Condition>,
    /// The action.
    pub action: Action,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListenerRuleOutputs {
    /// The ARN, equal to the id.
    pub arn: Ref<String>,
}

impl Resource for ListenerRule {
    type Cx = Cx;
    const KIND: &'static str = "elbv2.listener-rule";
    const REPLACE: Fields = fields!(Self: listener);
    const KEY: Fields = fields!(Self: listener, priority);
    const HOLDS: Fields = fields!(Self: action);
    const BATCH: usize = super::BATCH;
    const EXPECTED: Expected = Expected::millis(500, 500);
    type Outputs = ListenerRuleOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.elbv2().create_rule().listener_arn(self.listener.known()?).priority(self.priority);
        let call = call.set_conditions(Some(self.conditions()?));
        let call = call.set_actions(Some(self.action.sdk(&BTreeMap::new())?));
        let made = call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(made.rules.unwrap_or_default().pop().and_then(|rule| rule.rule_arn).need("RuleArn")?))
    }

    /// By its priority.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.elbv2().describe_rules().listener_arn(self.listener.known()?);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let priority = self.priority.to_string();
        let found = found.unwrap_or_default().into_iter().filter(|rule| rule.priority.as_ref() == Some(&priority));
        let Some(arn) = found.filter_map(|rule| rule.rule_arn).find(|arn| !cx.is_known(arn)) else { return Ok(None) };
        let tags = tags::of(cx, std::slice::from_ref(&arn)).await?.remove(&arn).unwrap_or_default();
        claim("rule of priority", &priority, Id::new(arn), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = described(cx, ids.iter().map(String::from).collect()).await?;
        let arns: Vec<_> = found.iter().filter_map(|rule| rule.rule_arn.clone()).collect();
        let tags = tags::of(cx, &arns).await?;
        found.into_iter().map(|rule| live(rule, &tags)).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (elb, was) = (cx.elbv2(), &live.args);
        if self.priority != was.priority {
            let pair = RulePriorityPair::builder().rule_arn(&live.id).priority(self.priority).build();
            elb.set_rule_priorities().rule_priorities(pair).send().await.explain()?;
        }
        // Omitted values stay unchanged.
        let mut call = elb.modify_rule().rule_arn(&live.id);
        if self.conditions != was.conditions {
            call = call.set_conditions(Some(self.conditions()?));
        }
        if self.action != was.action {
            let now = if self.action.is_shared() { shares(cx, &live.id).await? } else { BTreeMap::new() };
            call = call.set_actions(Some(self.action.sdk(&now)?));
        }
        if (&self.conditions, &self.action) != (&was.conditions, &was.action) {
            call.send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.elbv2().delete_rule().rule_arn(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl ListenerRule {
    fn conditions(&self) -> Result<Vec<sdk::RuleCondition>> {
        self.conditions.iter().map(Condition::sdk).collect()
    }
}

async fn described(cx: &Cx, arns: Vec<String>) -> Result<Vec<sdk::Rule>> {
    let ask = |arns| async move {
        let call = cx.elbv2().describe_rules().set_rule_arns(Some(arns));
        Ok(call.send().await.explain()?.rules.unwrap_or_default())
    };
    each(arns, ask).await
}

/// The current weights of the target groups.
async fn shares(cx: &Cx, id: &Id<ListenerRule>) -> Result<BTreeMap<String, i32>> {
    let found = described(cx, vec![id.into()]).await?;
    action::shares_of(&found.into_iter().filter_map(|rule| rule.actions).flatten().collect::<Vec<_>>())
}

fn live(rule: sdk::Rule, tags: &HashMap<String, Tags>) -> Result<Live<ListenerRule>> {
    let arn = rule.rule_arn.need("RuleArn")?;
    let args = ListenerRule {
        listener: Ref::Known(Id::new(listener_of(&arn))),
        priority: rule.priority.and_then(|priority| priority.parse().ok()).need("Priority")?,
        conditions: rule.conditions.unwrap_or_default().iter().map(Condition::from_sdk).collect(),
        action: Action::from_sdk(&rule.actions.unwrap_or_default())?,
        tags: tags.get(&arn).cloned().unwrap_or_default(),
    };
    let outputs = ListenerRuleOutputs { arn: Ref::Known(arn.clone()) };
    Ok(Live { id: Id::new(arn), status: Status::Ready, args, outputs })
}

/// `…:listener/app/NAME/ID/ID`, of `…:listener-rule/app/NAME/ID/ID/ID`.
fn listener_of(rule: &str) -> String {
    rule.rsplit_once('/').map_or(rule, |(listener, _)| listener).replacen(":listener-rule/", ":listener/", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_its_listener() {
        let start = "arn:aws:elasticloadbalancing:us-east-1:123456789012";
        assert_eq!(
            listener_of(&format!("{start}:listener-rule/app/web/50dc/f2f7/9683")),
            format!("{start}:listener/app/web/50dc/f2f7")
        );
    }
}
