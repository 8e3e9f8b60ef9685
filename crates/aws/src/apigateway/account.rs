//! The settings of API Gateway in an account and region.

use aws_sdk_apigateway::types::Stage;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patch;
use crate::error::Unless;
use crate::{Cx, Explain};

/// A role with which API Gateway writes logs. All APIs of the account in the region share it, so a role that is already
/// set is kept: it serves as well. Its id is the ARN of the declared role.
///
/// It is taken back only if no stage of another API needs it: otherwise a delete fails, so that the role is not deleted.
/// AWS accepts one update in 20 seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The ARN of the role that is set if there is none. It needs the managed policy
    /// `AmazonAPIGatewayPushToCloudWatchLogs`.
    pub role: Ref<String>,
}

const ROLE: &str = "/cloudwatchRoleArn";

impl Resource for Account {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.account";
    const REPLACE: Fields = fields!(Self: role);
    const IDENTITY: Identity = Identity::Part("role");
    const CREATE_FIRST: bool = true;
    const CONSISTENT: bool = true;
    const EXPECTED: Expected = Expected::millis(10_000, 1_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let role = self.role.known()?;
        if current(cx).await?.is_none() {
            set(cx, role).await?;
        }
        Ok(Id::new(role))
    }

    /// If another role is set, there is nothing to recover: `create` keeps it.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let role = self.role.known()?;
        Ok(current(cx).await?.filter(|current| current == role && !cx.is_known(role)).map(Id::new))
    }

    /// It exists while any role is set.
    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        if current(cx).await?.is_none() {
            return Ok(Vec::new());
        }
        let live = |id: &Id<Self>| {
            let args = Self { role: Ref::Known(id.into()) };
            Live { id: id.clone(), status: Status::Ready, args, outputs: () }
        };
        Ok(ids.iter().map(live).collect())
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Cx, _: &Live<Self>) -> Result<()> {
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        match current(cx).await? {
            None => return Ok(()),
            Some(role) if role == live.id.as_str() => {}
            Some(_) => return Err(Error::new(Class::NotFound, "the account has another role, which is kept")),
        }
        if let Some(stage) = logging(cx).await? {
            return Err(Error::failed(format!("the stage {stage} writes its logs with the role {}", live.id)).hint(
                "set another role with `aws apigateway update-account --patch-operations \
                 op=replace,path=/cloudwatchRoleArn,value=ARN`, then run the command again",
            ));
        }
        set(cx, "").await
    }
}

/// The role that is set.
async fn current(cx: &Cx) -> Result<Option<String>> {
    let found = cx.apigateway().get_account().send().await.explain()?;
    Ok(found.cloudwatch_role_arn.filter(|role| !role.is_empty()))
}

async fn set(cx: &Cx, role: &str) -> Result<()> {
    cx.apigateway().update_account().patch_operations(patch::replace(ROLE, role)).send().await.explain().map(drop)
}

/// A stage that writes logs, as `API/STAGE`.
async fn logging(cx: &Cx) -> Result<Option<String>> {
    let apis = cx.apigateway().get_rest_apis().limit(500).into_paginator().items().send().try_collect().await;
    for api in apis.explain()?.into_iter().filter_map(|api| api.id) {
        let found = cx.apigateway().get_stages().rest_api_id(&api).send().await.explain().unless(Class::NotFound)?;
        let stages = found.and_then(|found| found.item).unwrap_or_default();
        if let Some(stage) = stages.into_iter().find(logs) {
            return Ok(Some(format!("{api}/{}", stage.stage_name.unwrap_or_default())));
        }
    }
    Ok(None)
}

fn logs(stage: &Stage) -> bool {
    let executions = stage.method_settings().into_iter().flat_map(|settings| settings.values());
    let mut levels = executions.filter_map(|settings| settings.logging_level());
    stage.access_log_settings().is_some_and(|log| log.destination_arn().is_some()) || levels.any(|level| level != "OFF")
}
