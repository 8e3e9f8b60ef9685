//! An `EventBridge` rule of the default event bus, with an event pattern or a schedule.

use aws_sdk_eventbridge::operation::describe_rule::DescribeRuleOutput;
use aws_sdk_eventbridge::types::RuleState;
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{tags, targets};
use crate::error::{Unless, claim, foreign, shown};
use crate::{Cx, Explain, Need};

/// A rule. A new one takes some seconds before it matches events.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name: at most 64 letters, digits, `.`, `-` and `_`; unique in the account and region.
    pub name: String,
    /// The description.
    pub description: String,
    /// When its targets are invoked.
    pub on: On,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The tags.
    pub tags: Tags,
}

/// When the targets of a rule are invoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// On events that match this pattern, which may contain references; compared by meaning.
    Event(Value),
    /// On a schedule: `rate(5 minutes)`, `cron(0 12 * * ? *)`.
    Schedule(String),
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RuleOutputs {
    /// The rule's ARN.
    pub arn: Ref<String>,
}

impl Rule {
    /// The call replaces everything except the tags, so it sets all values.
    async fn put(&self, cx: &Cx, tags: Option<&Tags>) -> Result<()> {
        let call = cx.eventbridge().put_rule().name(&self.name).description(&self.description);
        let call = call.state(if self.enabled { RuleState::Enabled } else { RuleState::Disabled });
        let call = match &self.on {
            On::Event(pattern) => call.event_pattern(pattern.to_string()),
            On::Schedule(schedule) => call.schedule_expression(schedule),
        };
        call.set_tags(tags.map(tags::sdk).transpose()?).send().await.explain().map(drop)
    }
}

impl Resource for Rule {
    type Cx = Cx;
    const KIND: &'static str = "eventbridge.rule";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const EXPECTED: Expected = Expected::millis(700, 400);
    type Outputs = RuleOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// The call would update an existing rule, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if rule(cx, &self.name).await?.is_some() {
            return Err(foreign("rule", &self.name, &self.name));
        }
        self.put(cx, Some(&self.tags)).await?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(found) = rule(cx, &self.name).await? else { return Ok(None) };
        let tags = shown("rule", &self.name, tags::of(cx, &found.arn.need("Arn")?).await)?;
        claim("rule", &self.name, Id::new(&self.name), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            match rule(cx, id.as_str()).await? {
                Some(rule) => live(cx, rule).await.unless(Class::NotFound),
                None => Ok(None),
            }
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        if (&self.description, &self.on, self.enabled) != (&was.description, &was.on, was.enabled) {
            self.put(cx, None).await?;
        }
        tags::sync(cx, live.outputs.arn.known()?, &was.tags, &self.tags).await
    }

    /// A rule can only be deleted without targets. Remaining ones are unmanaged, or of a stack whose state was lost.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        targets::remove_all(cx, live.id.as_str()).await?;
        cx.eventbridge().delete_rule().name(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// Regardless of its tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(rule(cx, id.as_str()).await?.is_none())
    }
}

async fn rule(cx: &Cx, name: &str) -> Result<Option<DescribeRuleOutput>> {
    cx.eventbridge().describe_rule().name(name).send().await.explain().unless(Class::NotFound)
}

async fn live(cx: &Cx, rule: DescribeRuleOutput) -> Result<Live<Rule>> {
    let (name, arn) = (rule.name.need("Name")?, rule.arn.need("Arn")?);
    let on = match rule.event_pattern.filter(|pattern| !pattern.is_empty()) {
        Some(pattern) => On::Event(serde_json::from_str(&pattern).map_err(|error| {
            Error::failed(format!("AWS returned an event pattern of `{name}` that is not JSON: {error}"))
        })?),
        None => On::Schedule(rule.schedule_expression.unwrap_or_default()),
    };
    Ok(Live {
        id: Id::new(&name),
        status: Status::Ready,
        args: Rule {
            name,
            description: rule.description.unwrap_or_default(),
            on,
            enabled: rule.state != Some(RuleState::Disabled),
            tags: tags::of(cx, &arn).await?,
        },
        outputs: RuleOutputs { arn: Ref::Known(arn) },
    })
}
