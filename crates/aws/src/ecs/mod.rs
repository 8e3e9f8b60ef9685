//! ECS: clusters, task definitions and services.

mod cluster;
mod container;
pub mod deployment;
mod service;
mod tags;
mod task_definition;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Kind, Result, Tags, kind};

pub use cluster::{Cluster, ClusterOutputs, ContainerInsights};
pub use container::{Container, HealthCheck, Log, image_name};
pub use service::{Alternate, BlueGreen, Count, LoadBalancer, PropagateTags, Service, ServiceOutputs};
pub use task_definition::{Architecture, TaskDefinition, TaskDefinitionOutputs};

use crate::error::Unless;
use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Cluster>(), kind::<Service>(), kind::<TaskDefinition>()];

/// Clusters, services and task definitions with their tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let ecs = cx.ecs();
    let clusters = async { ecs.list_clusters().into_paginator().items().send().try_collect().await.explain() };
    let definitions =
        async { ecs.list_task_definitions().into_paginator().items().send().try_collect().await.explain() };
    let (mut arns, definitions) = tokio::try_join!(clusters, definitions)?;
    let services = try_join_all(arns.iter().map(|cluster| async move {
        let services = ecs.list_services().cluster(cluster).into_paginator().items().send().try_collect().await;
        services.explain().unless(Class::NotFound)
    }))
    .await?;
    arns.extend(services.into_iter().flatten().flatten());
    arns.extend(definitions);
    tagged(arns.into_iter().map(|arn| (arn.clone(), async move { tags::of(cx, &arn).await }))).await
}
