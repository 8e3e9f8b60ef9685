//! An ECS cluster.

use std::time::Duration;

use aws_sdk_ecs::types::{self as sdk, ClusterField, ClusterSettingName};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::{Unless, claim, foreign};
use crate::{Cx, Explain, Need};

/// A cluster for Fargate. Its id is its ARN. It can only be deleted without services.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The name, unique in the region.
    pub name: String,
    /// The level of Container Insights.
    pub container_insights: ContainerInsights,
    /// The tags.
    pub tags: Tags,
}

/// A level of Container Insights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContainerInsights {
    /// Disabled.
    Disabled,
    /// Enabled: clusters, services and tasks.
    Enabled,
    /// Enhanced: containers as well.
    Enhanced,
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClusterOutputs {
    /// The cluster's ARN.
    pub arn: Ref<String>,
    /// The name.
    pub name: Ref<String>,
}

impl ContainerInsights {
    fn as_str(&self) -> &str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::Enhanced => "enhanced",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for ContainerInsights {
    fn from(value: &str) -> Self {
        let known = [Self::Disabled, Self::Enabled, Self::Enhanced];
        known.into_iter().find(|it| it.as_str() == value).unwrap_or_else(|| Self::Other(value.to_owned()))
    }
}

impl Cluster {
    async fn make(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ecs().create_cluster().cluster_name(&self.name).settings(self.settings());
        let cluster = call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?.cluster.need("Cluster")?;
        Ok(Id::new(cluster.cluster_arn.need("ClusterArn")?))
    }

    fn settings(&self) -> sdk::ClusterSetting {
        let setting = sdk::ClusterSetting::builder().name(ClusterSettingName::ContainerInsights);
        setting.value(self.container_insights.as_str()).build()
    }
}

impl Resource for Cluster {
    type Cx = Cx;
    const KIND: &'static str = "ecs.cluster";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(1_500, 1_000);
    type Outputs = ClusterOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        // For an existing cluster, ECS returns success (AWS-FACTS §1.14), so look for it first.
        if describe(cx, std::slice::from_ref(&self.name)).await?.iter().any(is_active) {
            return Err(foreign("cluster", &self.name, &self.name));
        }
        self.make(cx).await
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let found = describe(cx, std::slice::from_ref(&self.name)).await?;
        let Some(found) = found.into_iter().find(is_active) else { return Ok(None) };
        let id = Id::new(found.cluster_arn.need("ClusterArn")?);
        claim("cluster", &self.name, id, &tags::from(found.tags), owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let arns: Vec<String> = ids.iter().map(String::from).collect();
        let found = describe(cx, &arns).await?.into_iter();
        found.map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.container_insights != live.args.container_insights {
            cx.ecs().update_cluster().cluster(&live.id).settings(self.settings()).send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        cx.ecs().delete_cluster().cluster(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// A create restores it under the same ARN; `update` sets what AWS no longer returns.
    async fn restore(cx: &Cx, live: &Live<Self>) -> Result<()> {
        live.args.make(cx).await.map(drop)
    }
}

/// The clusters with these names or ARNs, including inactive ones.
async fn describe(cx: &Cx, names: &[String]) -> Result<Vec<sdk::Cluster>> {
    let call = cx.ecs().describe_clusters().set_clusters(Some(names.to_vec()));
    let call = call.include(ClusterField::Settings).include(ClusterField::Tags);
    Ok(call.send().await.explain()?.clusters.unwrap_or_default())
}

fn is_active(cluster: &sdk::Cluster) -> bool {
    matches!(cluster.status.as_deref(), Some("ACTIVE" | "PROVISIONING"))
}

fn live(cluster: sdk::Cluster) -> Result<Live<Cluster>> {
    let arn = cluster.cluster_arn.need("ClusterArn")?;
    let name = cluster.cluster_name.need("ClusterName")?;
    let settings = cluster.settings.unwrap_or_default();
    let mut settings = settings.iter().filter(|it| it.name() == Some(&ClusterSettingName::ContainerInsights));
    let insights = settings.find_map(|setting| setting.value()).map(ContainerInsights::from);
    Ok(Live {
        id: Id::new(&arn),
        status: match cluster.status.as_deref() {
            Some("ACTIVE") => Status::Ready,
            Some("DEPROVISIONING") => Status::Deleting,
            // AWS keeps inactive clusters for days, and a new cluster with the same name reuses the old one.
            Some("INACTIVE") => Status::Scheduled("it is inactive, and AWS removes it at some point".to_owned()),
            Some("FAILED") => Status::Failed("ECS could not create the resources of the cluster".to_owned()),
            _ => Status::Pending,
        },
        args: Cluster {
            name: name.clone(),
            container_insights: insights.unwrap_or(ContainerInsights::Disabled),
            tags: tags::from(cluster.tags),
        },
        outputs: ClusterOutputs { arn: Ref::Known(arn), name: Ref::Known(name) },
    })
}
