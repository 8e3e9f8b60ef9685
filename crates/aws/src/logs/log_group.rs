//! A `CloudWatch` Logs log group.

use aws_sdk_cloudwatchlogs::types as sdk;
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, Text, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::{Unless, claim};
use crate::{Cx, Explain, Need};

/// A log group. It must be created before its writer and deleted after it: services create missing groups themselves,
/// unencrypted and without retention.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogGroup {
    /// The name, such as `/payinfra/flow-logs`. It may contain ids, such as that of an API for its execution log.
    pub name: Text,
    /// The retention in days, one of AWS's values (1, 3, 5, 7, 14, 30, …).
    pub retention_days: Option<i32>,
    /// The ARN of the KMS key; its policy must allow `logs.REGION.amazonaws.com` to use it.
    pub kms_key: Option<Ref<String>>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LogGroupOutputs {
    /// The ARN, without the `:*` that AWS sometimes appends.
    pub arn: Ref<String>,
}

impl Resource for LogGroup {
    type Cx = Cx;
    const KIND: &'static str = "logs.log-group";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    /// The maximum number of names for `DescribeLogGroups`.
    const BATCH: usize = 50;
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = LogGroupOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let name = self.name.known()?;
        let call = cx.logs().create_log_group().log_group_name(name).set_tags(Some(tags::sdk(&self.tags)));
        let call = call.set_kms_key_id(self.kms_key.as_ref().map(Ref::known).transpose()?.cloned());
        call.send().await.explain().map_err(key_is_young)?;
        Ok(Id::new(name))
    }

    /// After a create of ours, a group without tags, retention and key also counts as ours: a service may have created
    /// it in between (AWS-FACTS §1.11).
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let name = self.name.known()?;
        let id = Id::new(name);
        let Some(found) = Self::read(cx, std::slice::from_ref(&id)).await?.pop() else { return Ok(None) };
        let bare = found.args.tags.is_empty() && found.args.retention_days.is_none() && found.args.kms_key.is_none();
        if bare && cx.begun() { Ok(Some(id)) } else { claim("log group", name, id, &found.args.tags, owner) }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let names = ids.iter().map(String::from).collect();
        let call = cx.logs().describe_log_groups().set_log_group_identifiers(Some(names));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        let ours = found.into_iter().filter(|group| {
            group.log_group_name.as_deref().is_some_and(|name| ids.iter().any(|id| id.as_str() == name))
        });
        let found = try_join_all(ours.map(|group| async { live(cx, group).await.unless(Class::NotFound) })).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (logs, was) = (cx.logs(), &live.args);
        if self.kms_key != was.kms_key {
            match &self.kms_key {
                Some(key) => {
                    let call = logs.associate_kms_key().log_group_name(&live.id).kms_key_id(key.known()?);
                    call.send().await.explain().map_err(key_is_young)?;
                }
                None => drop(logs.disassociate_kms_key().log_group_name(&live.id).send().await.explain()?),
            }
        }
        if self.retention_days != was.retention_days {
            match self.retention_days {
                Some(days) => {
                    let call = logs.put_retention_policy().log_group_name(&live.id).retention_in_days(days);
                    call.send().await.explain()?;
                }
                None => drop(logs.delete_retention_policy().log_group_name(&live.id).send().await.explain()?),
            }
        }
        tags::sync(cx, live.outputs.arn.known()?, &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.logs().delete_log_group().log_group_name(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By its name, regardless of its tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let call = cx.logs().describe_log_groups().log_group_name_prefix(id);
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        Ok(!found.iter().any(|group| group.log_group_name() == Some(id.as_str())))
    }
}

/// AWS returns an invalid parameter until the key and its policy have propagated (AWS-FACTS §1.11).
fn key_is_young(error: Error) -> Error {
    let young = error.get_code() == Some("InvalidParameterException") && error.message().contains("KMS");
    if young { error.into_class(Class::Eventual) } else { error }
}

async fn live(cx: &Cx, group: sdk::LogGroup) -> Result<Live<LogGroup>> {
    let name = group.log_group_name.need("LogGroupName")?;
    let arn = group.log_group_arn.or(group.arn).need("LogGroupArn")?;
    let arn = arn.trim_end_matches(":*").to_owned();
    Ok(Live {
        id: Id::new(&name),
        status: Status::Ready,
        args: LogGroup {
            name: name.into(),
            retention_days: group.retention_in_days,
            kms_key: group.kms_key_id.map(Ref::Known),
            tags: tags::of(cx, &arn).await?,
        },
        outputs: LogGroupOutputs { arn: Ref::Known(arn) },
    })
}
