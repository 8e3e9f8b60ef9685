//! A revision of a task definition, from which the tasks of a service are started.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{
    self as sdk, Compatibility, CpuArchitecture, NetworkMode, OsFamily, SortOrder, TaskDefinitionField,
    TaskDefinitionStatus,
};
use futures_util::future::try_join_all;
use payinfra_engine::secret::is_same;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::{self, Container};
use super::tags;
use crate::error::{Unless, foreign, partial, same_owner};
use crate::{Cx, Explain, Need};

/// A revision for Fargate on Linux. Revisions are immutable: a change registers the next revision of the family,
/// services move to it, and then the old one is deleted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskDefinition {
    /// The family, which all revisions share.
    pub family: String,
    /// CPU units, 1,024 per vCPU; Fargate supports certain combinations with `memory`.
    pub cpu: i32,
    /// Memory in MiB.
    pub memory: i32,
    /// The CPU architecture of the images.
    pub architecture: Architecture,
    /// The ARN of the role with which ECS pulls images, reads secrets and writes logs.
    pub execution_role: Ref<String>,
    /// The ARN of the role of the containers.
    pub task_role: Ref<String>,
    /// The containers by name.
    pub containers: BTreeMap<String, Container>,
    /// The tags.
    pub tags: Tags,
}

/// A CPU architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Architecture {
    /// Graviton.
    #[serde(rename = "ARM64")]
    Arm64,
    /// Intel and AMD.
    #[serde(rename = "X86_64")]
    X86_64,
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskDefinitionOutputs {
    /// The ARN, with the revision.
    pub arn: Ref<String>,
}

/// The number of latest revisions in which to look for the result of an interrupted registration.
const LATEST: i32 = 20;

const DELETE: &str = "ecs:DeleteTaskDefinitions";

impl TaskDefinition {
    /// Whether `found` would be an equal revision in the deployment of `lineage`; tags can be updated in place. If this
    /// comes from the state, it has only the digests of secrets.
    fn is_like(&self, found: &Self, lineage: &str) -> Result<bool> {
        let content =
            |it: &Self| (it.family.clone(), it.cpu, it.memory, it.architecture.clone(), it.containers.clone());
        let roles = |it: &Self| (it.execution_role.clone(), it.task_role.clone());
        let whole = |it: &Self| (content(it), roles(it));
        is_same(&whole(self), &whole(found), lineage)
    }
}

impl Architecture {
    fn sdk(&self) -> CpuArchitecture {
        match self {
            Self::Arm64 => CpuArchitecture::Arm64,
            Self::X86_64 => CpuArchitecture::X8664,
            Self::Other(name) => CpuArchitecture::from(name.as_str()),
        }
    }
}

impl Resource for TaskDefinition {
    type Cx = Cx;
    const KIND: &'static str = "ecs.task-definition";
    const REPLACE: Fields = fields!(Self: family, cpu, memory, architecture, execution_role, task_role, containers);
    const CREATE_FIRST: bool = true;
    const EXPECTED: Expected = Expected::millis(400, 600);
    type Outputs = TaskDefinitionOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// A new revision in another owner's family would become its latest one, so look for the family first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if let Some(latest) = latest(cx, &self.family, 1).await?.pop()
            && !cx.is_known(&latest)
            && let Some(found) = describe(cx, &Id::new(&latest)).await?
            && !same_owner(&self.tags, &found.args.tags)
        {
            return Err(foreign("task definition", &self.family, &latest));
        }
        let platform = sdk::RuntimePlatform::builder().operating_system_family(OsFamily::Linux);
        let mut call = cx
            .ecs()
            .register_task_definition()
            .family(&self.family)
            .requires_compatibilities(Compatibility::Fargate)
            .network_mode(NetworkMode::Awsvpc)
            .cpu(self.cpu.to_string())
            .memory(self.memory.to_string())
            .runtime_platform(platform.cpu_architecture(self.architecture.sdk()).build())
            .execution_role_arn(self.execution_role.known()?)
            .task_role_arn(self.task_role.known()?)
            .set_tags(Some(tags::sdk(&self.tags)));
        for (name, container) in &self.containers {
            call = call.container_definitions(container::sdk(cx, name, container)?);
        }
        let registered = call.send().await.explain()?.task_definition.need("TaskDefinition")?;
        Ok(Id::new(registered.task_definition_arn.need("TaskDefinitionArn")?))
    }

    /// Every registration creates another revision, so an interrupted one is identified by its owner and content.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        for arn in latest(cx, &self.family, LATEST).await?.into_iter().filter(|arn| !cx.is_known(arn)) {
            let Some(found) = describe(cx, &Id::new(arn)).await? else { continue };
            if owner.owns(&found.args.tags) && self.is_like(&found.args, &owner.lineage)? {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        Ok(try_join_all(ids.iter().map(|id| describe(cx, id))).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        tags::sync(cx, live.id.as_str(), &live.args.tags, &self.tags).await
    }

    /// It has to be deregistered before it is deleted; otherwise it stays in the account forever. Running tasks keep it
    /// until they end.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        // Its current status: an earlier attempt may have completed the first step.
        let Some(now) = describe(cx, &live.id).await? else { return Ok(()) };
        if now.status == Status::Ready {
            let call = cx.ecs().deregister_task_definition().task_definition(&live.id);
            call.send().await.explain().unless(Class::NotFound)?;
        }
        let deleted = cx.ecs().delete_task_definitions().task_definitions(&live.id).send().await.explain()?;
        let failures = deleted.failures.unwrap_or_default().into_iter();
        // A failure has a reason, but no code.
        let mut failures = failures.map(|failure| partial(DELETE, Some("ClientException"), failure.reason.as_deref()));
        failures.next().map_or(Ok(()), Err).unless(Class::NotFound).map(drop)
    }
}

/// The latest active revisions of a family, newest first.
async fn latest(cx: &Cx, family: &str, count: i32) -> Result<Vec<String>> {
    let call = cx.ecs().list_task_definitions().family_prefix(family).sort(SortOrder::Desc);
    let call = call.status(TaskDefinitionStatus::Active).into_paginator().page_size(count);
    let mut found = call.items().send();
    let mut latest = Vec::new();
    // A page may have fewer than its size.
    while latest.len() < usize::try_from(count).unwrap_or_default() {
        let Some(arn) = found.next().await else { break };
        latest.push(arn.explain()?);
    }
    Ok(latest)
}

/// The revision, unless it is being deleted.
async fn describe(cx: &Cx, id: &Id<TaskDefinition>) -> Result<Option<Live<TaskDefinition>>> {
    let call = cx.ecs().describe_task_definition().task_definition(id).include(TaskDefinitionField::Tags);
    let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok(None) };
    let definition = found.task_definition.need("TaskDefinition")?;
    if definition.status == Some(TaskDefinitionStatus::DeleteInProgress) {
        return Ok(None);
    }
    live(definition, found.tags).map(Some)
}

fn live(definition: sdk::TaskDefinition, tags: Option<Vec<sdk::Tag>>) -> Result<Live<TaskDefinition>> {
    let arn = definition.task_definition_arn.need("TaskDefinitionArn")?;
    // A value that is not a number was not registered by payinfra.
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok()).unwrap_or_default();
    let architecture = definition.runtime_platform.and_then(|platform| platform.cpu_architecture);
    let containers = definition.container_definitions.unwrap_or_default().into_iter().map(container::from);
    Ok(Live {
        id: Id::new(&arn),
        status: match definition.status {
            // No service can start tasks from it; an interrupted `delete` leaves this status too.
            Some(TaskDefinitionStatus::Inactive) => Status::Failed("it was deregistered".to_owned()),
            _ => Status::Ready,
        },
        args: TaskDefinition {
            family: definition.family.need("Family")?,
            cpu: number(definition.cpu),
            memory: number(definition.memory),
            architecture: match architecture {
                Some(CpuArchitecture::Arm64) => Architecture::Arm64,
                Some(CpuArchitecture::X8664) | None => Architecture::X86_64,
                Some(other) => Architecture::Other(other.as_str().to_owned()),
            },
            execution_role: Ref::Known(definition.execution_role_arn.unwrap_or_default()),
            task_role: Ref::Known(definition.task_role_arn.unwrap_or_default()),
            containers: containers.collect::<Result<_>>()?,
            tags: tags::from(tags),
        },
        outputs: TaskDefinitionOutputs { arn: Ref::Known(arn) },
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{ContainerDefinition, HealthCheck, KeyValuePair, PortMapping};

    use super::*;

    /// In the form that AWS returns: with defaults, empty lists, and another order.
    #[test]
    fn what_aws_fills_in_is_no_difference() -> Result<()> {
        let pair = |name: &str| KeyValuePair::builder().name(name).value("1").build();
        let port = PortMapping::builder().container_port(80).host_port(80).build();
        let read = |container: aws_sdk_ecs::types::builders::ContainerDefinitionBuilder| {
            let container = container.name("app").image("i").port_mappings(port.clone()).build();
            let definition = sdk::TaskDefinition::builder().task_definition_arn("a:1").family("a").cpu("256");
            live(definition.memory("512").container_definitions(container).build(), None)
        };
        let check = HealthCheck::builder().command("CMD").command("/app");
        let filled = ContainerDefinition::builder().essential(true).cpu(0).set_mount_points(Some(Vec::new()));
        let filled = filled.environment(pair("B")).environment(pair("A"));
        let filled = filled.health_check(check.clone().interval(30).timeout(5).retries(3).build().explain()?);
        let bare = ContainerDefinition::builder().environment(pair("A")).environment(pair("B"));
        let bare = bare.health_check(check.build().explain()?);
        assert!(read(filled)?.args.is_like(&read(bare)?.args, "lineage")?);
        Ok(())
    }
}
