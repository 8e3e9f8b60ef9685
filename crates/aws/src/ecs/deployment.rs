//! The deployments of a service that ECS makes itself, with its strategy blue/green.

use aws_sdk_ecs::types::{ServiceDeploymentLifecycleStage, ServiceDeploymentStatus, StopServiceDeploymentStopType};
use payinfra_engine::Result;

use crate::{Cx, Explain, Need};

/// A deployment of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceDeployment {
    /// The ARN.
    pub arn: String,
    /// Where it is.
    pub progress: Progress,
    /// What ECS does at the moment, such as `BAKE_TIME`; only while it is in progress.
    pub stage: Option<String>,
    /// The reason of its status, if ECS gives one.
    pub reason: Option<String>,
}

/// Where a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It continues, or is being stopped or rolled back.
    Running,
    /// The requests go to the new tasks, which ECS watches for the bake time.
    Baking,
    /// It succeeded, and the old tasks have stopped.
    Successful,
    /// It was stopped or rolled back.
    Failed,
}

impl ServiceDeployment {
    /// Whether it has not ended.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        matches!(self.progress, Progress::Running | Progress::Baking)
    }

    /// Why it failed, with its id, which is different for each deployment.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let id = self.arn.rsplit('/').next().unwrap_or_default();
        let why = self.reason.as_deref().unwrap_or("ECS gave no reason");
        (self.progress == Progress::Failed).then(|| format!("service deployment {id} failed: {why}"))
    }
}

/// The newest deployment of the ECS service `arn`; `None` if ECS knows of none.
///
/// # Errors
/// If there is no such service.
pub async fn newest(cx: &Cx, arn: &str) -> Result<Option<ServiceDeployment>> {
    // The cluster is in the ARN: `…:service/CLUSTER/SERVICE`.
    let cluster = arn.split('/').nth(1).unwrap_or_default();
    let mut all = Vec::new();
    let mut next = None;
    loop {
        let call = cx.ecs().list_service_deployments().cluster(cluster).service(arn).set_next_token(next);
        let page = call.send().await.explain()?;
        all.extend(page.service_deployments.unwrap_or_default());
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    // The order is not documented, so the newest one may be on any page.
    let Some(found) = all.into_iter().max_by_key(|it| it.created_at.map(|time| (time.secs(), time.subsec_nanos())))
    else {
        return Ok(None);
    };
    let arn = found.service_deployment_arn.need("ServiceDeploymentArn")?;
    let described = cx.ecs().describe_service_deployments().service_deployment_arns(&arn).send().await.explain()?;
    let found = described.service_deployments.unwrap_or_default().pop().need("ServiceDeployment")?;
    let progress = match found.status.need("Status")? {
        ServiceDeploymentStatus::Successful => Progress::Successful,
        ServiceDeploymentStatus::Stopped
        | ServiceDeploymentStatus::RollbackSuccessful
        | ServiceDeploymentStatus::RollbackFailed => Progress::Failed,
        ServiceDeploymentStatus::InProgress
            if found.lifecycle_stage == Some(ServiceDeploymentLifecycleStage::BakeTime) =>
        {
            Progress::Baking
        }
        _ => Progress::Running,
    };
    let stage = found.lifecycle_stage.map(|stage| stage.as_str().to_owned());
    let stage = stage.filter(|_| matches!(progress, Progress::Running | Progress::Baking));
    Ok(Some(ServiceDeployment { arn, progress, stage, reason: found.status_reason }))
}

/// Rolls back a deployment in progress: the old tasks get all requests again, and the new ones stop.
///
/// # Errors
/// If it can no longer be stopped.
pub async fn roll_back(cx: &Cx, deployment: &ServiceDeployment) -> Result<()> {
    let call = cx.ecs().stop_service_deployment().service_deployment_arn(&deployment.arn);
    call.stop_type(StopServiceDeploymentStopType::Rollback).send().await.explain().map(drop)
}
