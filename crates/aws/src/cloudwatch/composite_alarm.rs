//! A `CloudWatch` composite alarm, which depends on the states of other alarms.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::types::{self as sdk, AlarmType};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, Text, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::{Unless, claim, foreign, shown};
use crate::refs::{answered, known};
use crate::{Cx, Explain, Need};

/// A composite alarm. AWS does not delete an alarm that another one's rule names, so the rule contains references.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompositeAlarm {
    /// The name, unique among all alarms of the account and region.
    pub name: String,
    /// What it means when it fires, and what to do then.
    pub description: String,
    /// The rule: `ALARM("one") OR (ALARM("two") AND NOT OK("three"))`.
    pub rule: Text,
    /// The ARNs of the actions when it fires.
    pub alarm_actions: BTreeSet<Ref<String>>,
    /// The ARNs of the actions when it returns to OK.
    pub ok_actions: BTreeSet<Ref<String>>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CompositeAlarmOutputs {
    /// The alarm's ARN.
    pub arn: Ref<String>,
}

impl CompositeAlarm {
    async fn put(&self, cx: &Cx, tags: Option<&Tags>) -> Result<()> {
        let call = cx.cloudwatch().put_composite_alarm().alarm_name(&self.name).alarm_rule(self.rule.known()?);
        let call = call.alarm_description(&self.description).actions_enabled(true);
        let call = call.set_alarm_actions(Some(known(&self.alarm_actions)?));
        let call = call.set_ok_actions(Some(known(&self.ok_actions)?)).set_tags(tags.map(tags::sdk));
        call.send().await.explain().map(drop)
    }
}

impl Resource for CompositeAlarm {
    type Cx = Cx;
    const KIND: &'static str = "cloudwatch.composite-alarm";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = CompositeAlarmOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// The call would update an existing alarm, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if !alarms(cx, std::slice::from_ref(&self.name)).await?.is_empty() {
            return Err(foreign("composite alarm", &self.name, &self.name));
        }
        self.put(cx, Some(&self.tags)).await?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(found) = alarms(cx, std::slice::from_ref(&self.name)).await?.pop() else { return Ok(None) };
        let tags = shown("composite alarm", &self.name, tags::of(cx, &found.alarm_arn.need("AlarmArn")?).await)?;
        claim("composite alarm", &self.name, Id::new(&self.name), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let names: Vec<_> = ids.iter().map(String::from).collect();
        let found = alarms(cx, &names).await?.into_iter();
        let found = try_join_all(found.map(|alarm| async { live(cx, alarm).await.unless(Class::NotFound) })).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The call replaces everything except the tags, so it sets all values.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let same = (&self.description, &self.rule) == (&was.description, &was.rule)
            && (&self.alarm_actions, &self.ok_actions) == (&was.alarm_actions, &was.ok_actions);
        if !same {
            self.put(cx, None).await?;
        }
        tags::sync(cx, live.outputs.arn.known()?, &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        super::delete(cx, live.id.as_str()).await
    }

    /// Regardless of its tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(alarms(cx, &[id.into()]).await?.is_empty())
    }
}

/// The composite alarms with these names: at most 100.
async fn alarms(cx: &Cx, names: &[String]) -> Result<Vec<sdk::CompositeAlarm>> {
    let call = cx.cloudwatch().describe_alarms().set_alarm_names(Some(names.to_vec()));
    // By default, AWS returns only metric alarms.
    let call = call.alarm_types(AlarmType::CompositeAlarm);
    Ok(call.send().await.explain()?.composite_alarms.unwrap_or_default())
}

async fn live(cx: &Cx, alarm: sdk::CompositeAlarm) -> Result<Live<CompositeAlarm>> {
    let name = alarm.alarm_name.need("AlarmName")?;
    let arn = alarm.alarm_arn.need("AlarmArn")?;
    Ok(Live {
        id: Id::new(&name),
        status: Status::Ready,
        args: CompositeAlarm {
            name,
            description: alarm.alarm_description.unwrap_or_default(),
            rule: alarm.alarm_rule.need("AlarmRule")?.into(),
            alarm_actions: answered(alarm.alarm_actions),
            ok_actions: answered(alarm.ok_actions),
            tags: tags::of(cx, &arn).await?,
        },
        outputs: CompositeAlarmOutputs { arn: Ref::Known(arn) },
    })
}
