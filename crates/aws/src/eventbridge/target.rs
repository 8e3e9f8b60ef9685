//! A target of an `EventBridge` rule.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eventbridge::types::{self as sdk, InputTransformer};
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Secret, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rule;
use super::targets::{list, remove};
use crate::error::{partial, vacant};
use crate::{Cx, Explain};

/// A target. AWS gives it no id of its own, so rule and name identify it: `RULE/NAME`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The rule; AWS allows five targets per rule.
    pub rule: Ref<Id<Rule>>,
    /// The name: at most 64 letters, digits, `.`, `-` and `_`; unique in the rule.
    pub name: String,
    /// The ARN of the target, whose own policy must allow `events.amazonaws.com` to invoke it.
    pub arn: Ref<String>,
    /// The input transformer; without it, the event itself is sent.
    pub transform: Option<Transform>,
}

/// An input transformer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// Parts of the event by name: `cluster` → `$.detail.clusterArn`.
    pub paths: BTreeMap<String, String>,
    /// A JSON value with the names in angle brackets: `"<cluster> is in trouble"`, including quotes. It may contain
    /// credentials for the receiver.
    pub template: Secret<String>,
}

impl Target {
    async fn found(&self, cx: &Cx) -> Result<Option<Id<Self>>> {
        let found = targets(cx, self.rule.known()?.as_str()).await?;
        Ok(found.into_iter().find(|live| live.args.name == self.name).map(|live| live.id))
    }

    async fn put(&self, cx: &Cx) -> Result<()> {
        let transform = self.transform.as_ref().map(|transform| {
            let paths = transform.paths.iter().map(|(name, path)| (name.clone(), path.clone())).collect();
            let part = InputTransformer::builder().set_input_paths_map(Some(paths));
            part.input_template(transform.template.expose()?).build().explain()
        });
        let target = sdk::Target::builder().id(&self.name).arn(self.arn.known()?);
        let target = target.set_input_transformer(transform.transpose()?).build().explain()?;
        let call = cx.eventbridge().put_targets().rule(self.rule.known()?).targets(target);
        // A new rule may not have propagated yet.
        let done = call.send().await.explain().map_err(|error| match error.class() {
            Class::NotFound => error.into_class(Class::Eventual),
            _ => error,
        })?;
        match done.failed_entries().first() {
            Some(failed) => Err(partial("events:PutTargets", failed.error_code(), failed.error_message())),
            None => Ok(()),
        }
    }
}

impl Resource for Target {
    type Cx = Cx;
    const KIND: &'static str = "eventbridge.target";
    const REPLACE: Fields = fields!(Self: rule, name);
    const IDENTITY: Identity = Identity::Part("rule");
    const KEY: Fields = fields!(Self: rule, name);
    const EXPECTED: Expected = Expected::millis(600, 400);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// The call would update an existing target, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        vacant(self.found(cx).await?, "target")?;
        self.put(cx).await?;
        Ok(id(self.rule.known()?.as_str(), &self.name))
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        self.found(cx).await
    }

    /// One list call per rule.
    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let rules: BTreeSet<_> = ids.iter().map(|id| Ok(parts(id)?.0)).collect::<Result<_>>()?;
        let found = try_join_all(rules.into_iter().map(|rule| targets(cx, rule))).await?;
        Ok(found.into_iter().flatten().filter(|live| ids.contains(&live.id)).collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let same = (&self.arn, &self.transform) == (&live.args.arn, &live.args.transform);
        if same { Ok(()) } else { self.put(cx).await }
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (rule, name) = parts(&live.id)?;
        remove(cx, rule, vec![name.to_owned()]).await
    }
}

fn id(rule: &str, name: &str) -> Id<Target> {
    Id::new(format!("{rule}/{name}"))
}

fn parts(id: &Id<Target>) -> Result<(&str, &str)> {
    id.as_str()
        .split_once('/')
        .ok_or_else(|| Error::invalid(format!("`{id}` is not a rule target id")).hint("write RULE/NAME"))
}

/// The targets of `rule`; none if the rule does not exist.
async fn targets(cx: &Cx, rule: &str) -> Result<Vec<Live<Target>>> {
    Ok(list(cx, rule).await?.into_iter().map(|target| live(rule, target)).collect())
}

fn live(rule: &str, target: sdk::Target) -> Live<Target> {
    let transform = target.input_transformer.map(|it| Transform {
        paths: it.input_paths_map.unwrap_or_default().into_iter().collect(),
        template: Secret::new(it.input_template),
    });
    Live {
        id: id(rule, &target.id),
        status: Status::Ready,
        args: Target { rule: Ref::Known(Id::new(rule)), name: target.id, arn: Ref::Known(target.arn), transform },
        outputs: (),
    }
}
