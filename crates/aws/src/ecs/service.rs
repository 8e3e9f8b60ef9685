//! An ECS service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ecs::types::{
    self as sdk, AssignPublicIp, AwsVpcConfiguration, Deployment, DeploymentCircuitBreaker, DeploymentConfiguration,
    DeploymentRolloutState, LaunchType, NetworkConfiguration, ServiceField,
};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cluster, TaskDefinition, tags};
use crate::ec2::{SecurityGroup, Subnet};
use crate::error::{Unless, claim};
use crate::{Cx, Explain, Need};

/// A service on Fargate. Its id is its ARN.
///
/// It is ready when its deployment is complete: the desired number of tasks is running, and they pass the health checks
/// of the container and of the load balancers. So dependents can send it traffic.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The cluster.
    pub cluster: Ref<Id<Cluster>>,
    /// The name, unique in the cluster.
    pub name: String,
    /// The task definition; a new one is rolled out task by task.
    pub task_definition: Ref<Id<TaskDefinition>>,
    /// The number of tasks.
    pub count: Count,
    /// The subnets of the tasks.
    pub subnets: BTreeSet<Ref<Id<Subnet>>>,
    /// The security groups of the tasks.
    pub groups: BTreeSet<Ref<Id<SecurityGroup>>>,
    /// Whether tasks get public IP addresses.
    pub public_ip: bool,
    /// The target groups of the tasks. A load balancer's listener must forward to each of them before.
    pub load_balancers: BTreeSet<LoadBalancer>,
    /// The grace period of a new task's health checks in seconds; other than 0 only with load balancers.
    pub health_check_grace: i32,
    /// The minimum number of tasks during a deployment, in percent of `count`.
    pub minimum_healthy: i32,
    /// The maximum number of tasks during a deployment, in percent of `count`.
    pub maximum: i32,
    /// Whether a failed deployment is stopped and rolled back.
    pub circuit_breaker: bool,
    /// The source of the tasks' tags.
    pub propagate_tags: PropagateTags,
    /// Whether ECS Exec is enabled.
    pub execute_command: bool,
    /// The tags.
    pub tags: Tags,
}

/// The number of tasks of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// A fixed number.
    Fixed(i32),
    /// An initial number, which auto scaling then changes. A service without tasks, whose number was fixed at 0, gets it
    /// again. AWS does not store the initial number, so the tag `payinfra:initial-count` of the service does.
    Initial(i32),
}

/// A target group in which a service registers its tasks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// The ARN of the target group, whose target type is `ip`.
    pub target_group: Ref<String>,
    /// The container.
    pub container: String,
    /// The port of the container.
    pub port: u16,
}

/// The source of the tasks' tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PropagateTags {
    /// No tags.
    None,
    /// The service.
    Service,
    /// The task definition.
    TaskDefinition,
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceOutputs {
    /// The ARN.
    pub arn: Ref<String>,
    /// The name.
    pub name: Ref<String>,
    /// The resource id for Application Auto Scaling: `service/CLUSTER/SERVICE`.
    pub scalable: Ref<String>,
}

const INITIAL: &str = "payinfra:initial-count";

impl Service {
    /// The tags, including the one that stores a field.
    fn all_tags(&self) -> Tags {
        match self.count {
            Count::Fixed(_) => self.tags.clone(),
            Count::Initial(count) => self.tags.clone().with(INITIAL, count.to_string()),
        }
    }

    fn network(&self) -> Result<NetworkConfiguration> {
        let ids = |id: Result<&str>| id.map(str::to_owned);
        let subnets = self.subnets.iter().map(|id| ids(id.known().map(Id::as_str))).collect::<Result<_>>()?;
        let groups = self.groups.iter().map(|id| ids(id.known().map(Id::as_str))).collect::<Result<_>>()?;
        let public = if self.public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
        let vpc = AwsVpcConfiguration::builder().set_subnets(Some(subnets)).set_security_groups(Some(groups));
        let vpc = vpc.assign_public_ip(public).build().explain()?;
        Ok(NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
    }

    fn balancers(&self) -> Result<Vec<sdk::LoadBalancer>> {
        let balancers = self.load_balancers.iter().map(|it| {
            let balancer = sdk::LoadBalancer::builder().target_group_arn(it.target_group.known()?);
            Ok(balancer.container_name(&it.container).container_port(i32::from(it.port)).build())
        });
        balancers.collect()
    }

    fn deployment(&self) -> DeploymentConfiguration {
        let breaker = DeploymentCircuitBreaker::builder().enable(self.circuit_breaker).rollback(self.circuit_breaker);
        let deployment = DeploymentConfiguration::builder().deployment_circuit_breaker(breaker.build());
        deployment.minimum_healthy_percent(self.minimum_healthy).maximum_percent(self.maximum).build()
    }
}

impl PropagateTags {
    fn sdk(&self) -> sdk::PropagateTags {
        match self {
            Self::None => sdk::PropagateTags::None,
            Self::Service => sdk::PropagateTags::Service,
            Self::TaskDefinition => sdk::PropagateTags::TaskDefinition,
            Self::Other(name) => sdk::PropagateTags::from(name.as_str()),
        }
    }
}

impl Resource for Service {
    type Cx = Cx;
    const KIND: &'static str = "ecs.service";
    const REPLACE: Fields = fields!(Self: cluster, name);
    const HOLDS: Fields = fields!(Self: subnets, groups);
    const NETWORK: Fields = fields!(Self: subnets, groups);
    /// The maximum number of services for `DescribeServices`.
    const BATCH: usize = 10;
    const TIMEOUT: Duration = Duration::from_mins(20);
    const EXPECTED: Expected = Expected::millis(90_000, 120_000);
    type Outputs = ServiceOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let (Count::Fixed(count) | Count::Initial(count)) = self.count;
        let call = cx
            .ecs()
            .create_service()
            .client_token(cx.token()?)
            .cluster(self.cluster.known()?)
            .service_name(&self.name)
            .task_definition(self.task_definition.known()?)
            .desired_count(count)
            .launch_type(LaunchType::Fargate)
            .network_configuration(self.network()?)
            .set_load_balancers(Some(self.balancers()?))
            .set_health_check_grace_period_seconds((self.health_check_grace != 0).then_some(self.health_check_grace))
            .deployment_configuration(self.deployment())
            .propagate_tags(self.propagate_tags.sdk())
            .enable_execute_command(self.execute_command)
            .set_tags(Some(tags::sdk(&self.all_tags())));
        let service = call.send().await.explain()?.service.need("Service")?;
        Ok(Id::new(service.service_arn.need("ServiceArn")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let found = describe(cx, self.cluster.known()?.as_str(), vec![self.name.clone()]).await?;
        // A new service with the name of a draining one is possible only when that one is gone, which `create` waits
        // for.
        let Some(found) = found.into_iter().find(|it| it.status.as_deref() == Some("ACTIVE")) else { return Ok(None) };
        let id = Id::new(found.service_arn.need("ServiceArn")?);
        claim("service", &self.name, id, &tags::from(found.tags), owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        // A call is for one cluster, which is in the ARN: `…:service/CLUSTER/SERVICE`.
        let mut clusters: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for id in ids {
            if let Some(cluster) = id.as_str().split('/').nth(1) {
                clusters.entry(cluster).or_default().push(id.into());
            }
        }
        let found = try_join_all(clusters.into_iter().map(|(cluster, arns)| describe(cx, cluster, arns))).await?;
        let found = found.into_iter().flatten();
        // Deleted services are described for hours.
        found.filter(|service| service.status.as_deref() != Some("INACTIVE")).map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let rest = |it: &Self| {
            let deployment = (it.minimum_healthy, it.maximum, it.circuit_breaker);
            (deployment, it.propagate_tags.clone(), it.health_check_grace)
        };
        let placed = |it: &Self| (it.subnets.clone(), it.groups.clone(), it.public_ip);
        let moved = placed(self) != placed(was);
        let balanced = self.load_balancers != was.load_balancers;
        let shell = self.execute_command != was.execute_command;
        let counted = match (&self.count, &was.count) {
            (Count::Fixed(count), was) if self.count != *was => Some(*count),
            (Count::Initial(count), Count::Fixed(0)) => Some(*count),
            _ => None,
        };
        let rolled = self.task_definition != was.task_definition;
        if moved || balanced || shell || counted.is_some() || rolled || rest(self) != rest(was) {
            // Omitted values stay unchanged (AWS-FACTS §0.11). ECS Exec only changes for new tasks.
            let call = cx.ecs().update_service().cluster(self.cluster.known()?).service(&live.id);
            let call = call.set_desired_count(counted).force_new_deployment(shell);
            let call = call.task_definition(self.task_definition.known()?).deployment_configuration(self.deployment());
            let call = call.propagate_tags(self.propagate_tags.sdk()).enable_execute_command(self.execute_command);
            let call = call.set_network_configuration(moved.then(|| self.network()).transpose()?);
            let call = call.set_load_balancers(balanced.then(|| self.balancers()).transpose()?);
            let grace = (self.health_check_grace != was.health_check_grace).then_some(self.health_check_grace);
            call.set_health_check_grace_period_seconds(grace).send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &was.all_tags(), &self.all_tags()).await
    }

    /// With `force`, so that its tasks do not have to be stopped first.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.ecs().delete_service().cluster(live.args.cluster.known()?).service(&live.id).force(true);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

/// The services with these names or ARNs in one cluster, including inactive ones.
async fn describe(cx: &Cx, cluster: &str, names: Vec<String>) -> Result<Vec<sdk::Service>> {
    let call = cx.ecs().describe_services().cluster(cluster).set_services(Some(names)).include(ServiceField::Tags);
    let found = call.send().await.explain().unless(Class::NotFound)?;
    Ok(found.and_then(|found| found.services).unwrap_or_default())
}

fn live(service: sdk::Service) -> Result<Live<Service>> {
    let all = tags::from(service.tags.clone());
    let status = status(&service);
    let arn = service.service_arn.need("ServiceArn")?;
    let name = service.service_name.need("ServiceName")?;
    let cluster = service.cluster_arn.need("ClusterArn")?;
    let scalable = format!("service/{}/{name}", cluster.rsplit('/').next().unwrap_or_default());
    let vpc = service.network_configuration.and_then(|network| network.awsvpc_configuration);
    let public = vpc.as_ref().and_then(|vpc| vpc.assign_public_ip.as_ref()) == Some(&AssignPublicIp::Enabled);
    let (subnets, groups) = vpc.map(|vpc| (vpc.subnets, vpc.security_groups.unwrap_or_default())).unwrap_or_default();
    let deployment = service.deployment_configuration.unwrap_or_else(|| DeploymentConfiguration::builder().build());
    let breaker = deployment.deployment_circuit_breaker.as_ref();
    let initial = all.get(INITIAL).and_then(|count| count.parse().ok());
    Ok(Live {
        id: Id::new(&arn),
        status,
        args: Service {
            cluster: Ref::Known(Id::new(cluster)),
            name: name.clone(),
            task_definition: Ref::Known(Id::new(service.task_definition.unwrap_or_default())),
            count: initial.map_or(Count::Fixed(service.desired_count), Count::Initial),
            subnets: subnets.into_iter().map(|id| Ref::Known(Id::new(id))).collect(),
            groups: groups.into_iter().map(|id| Ref::Known(Id::new(id))).collect(),
            public_ip: public,
            load_balancers: service.load_balancers.unwrap_or_default().into_iter().map(balancer).collect(),
            health_check_grace: service.health_check_grace_period_seconds.unwrap_or_default(),
            minimum_healthy: deployment.minimum_healthy_percent.unwrap_or(100),
            maximum: deployment.maximum_percent.unwrap_or(200),
            circuit_breaker: breaker.is_some_and(|breaker| breaker.enable && breaker.rollback),
            propagate_tags: match service.propagate_tags {
                None | Some(sdk::PropagateTags::None) => PropagateTags::None,
                Some(sdk::PropagateTags::Service) => PropagateTags::Service,
                Some(sdk::PropagateTags::TaskDefinition) => PropagateTags::TaskDefinition,
                Some(other) => PropagateTags::Other(other.as_str().to_owned()),
            },
            execute_command: service.enable_execute_command,
            tags: all.iter().filter(|(key, _)| *key != INITIAL).collect(),
        },
        outputs: ServiceOutputs { arn: Ref::Known(arn), name: Ref::Known(name), scalable: Ref::Known(scalable) },
    })
}

fn balancer(balancer: sdk::LoadBalancer) -> LoadBalancer {
    LoadBalancer {
        target_group: Ref::Known(balancer.target_group_arn.unwrap_or_default()),
        container: balancer.container_name.unwrap_or_default(),
        port: balancer.container_port.and_then(|port| port.try_into().ok()).unwrap_or_default(),
    }
}

/// The status of the current deployment.
///
/// It has failed only if no tasks are running: a failed service is replaced, which must not stop tasks that serve
/// requests.
/// During a rollback, the old tasks continue to serve. After it, the service is stable with the old task definition,
/// which
/// then shows as a difference.
fn status(service: &sdk::Service) -> Status {
    if service.status() != Some("ACTIVE") {
        return Status::Deleting;
    }
    let primary = service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"));
    match primary.and_then(Deployment::rollout_state) {
        Some(DeploymentRolloutState::Failed) if service.running_count == 0 => {
            let why = primary.and_then(Deployment::rollout_state_reason);
            Status::Failed(why.unwrap_or("AWS gave no reason").to_owned())
        }
        Some(DeploymentRolloutState::Completed) if runs(service) => Status::Ready,
        _ => Status::Pending,
    }
}

/// Whether the desired tasks are running. If auto scaling sets their number, it may always be changing.
fn runs(service: &sdk::Service) -> bool {
    let scaled = service.tags().iter().any(|tag| tag.key() == Some(INITIAL));
    match service.desired_count {
        0 => true,
        _ if scaled => service.running_count > 0,
        desired => service.running_count == desired,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::Tag;

    use super::*;

    fn service(desired: i32, running: i32, primary: &str) -> sdk::builders::ServiceBuilder {
        let rollout = DeploymentRolloutState::from(primary);
        let primary = Deployment::builder().status("PRIMARY").rollout_state(rollout).rollout_state_reason("3 failed");
        let old = Deployment::builder().status("ACTIVE").rollout_state(DeploymentRolloutState::Failed);
        let service = sdk::Service::builder().status("ACTIVE").desired_count(desired).running_count(running);
        service.deployments(old.build()).deployments(primary.build())
    }

    #[test]
    fn is_ready_when_its_deployment_is_complete_and_its_tasks_run() {
        for (desired, running, primary, expected) in [
            (2, 2, "COMPLETED", Status::Ready),
            (2, 1, "COMPLETED", Status::Pending),
            (0, 0, "COMPLETED", Status::Ready),
            // The SDK's waiter would consider this stable, some seconds too early.
            (2, 2, "IN_PROGRESS", Status::Pending),
            (2, 0, "FAILED", Status::Failed("3 failed".to_owned())),
            // ECS is about to roll back to the tasks that are still running.
            (2, 2, "FAILED", Status::Pending),
        ] {
            assert_eq!(status(&service(desired, running, primary).build()), expected, "{running} {primary}");
        }
        let scaled = service(4, 2, "COMPLETED").tags(Tag::builder().key(INITIAL).value("2").build());
        assert_eq!(status(&scaled.build()), Status::Ready, "auto scaling is at work");
        assert_eq!(status(&service(2, 2, "COMPLETED").status("DRAINING").build()), Status::Deleting);
    }
}
