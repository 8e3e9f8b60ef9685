//! An ECS service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ecs::types::{
    self as sdk, AdvancedConfiguration, AssignPublicIp, AwsVpcConfiguration, Deployment, DeploymentAlarms,
    DeploymentCircuitBreaker, DeploymentConfiguration, DeploymentRolloutState, DeploymentStrategy, LaunchType,
    NetworkConfiguration, ServiceField,
};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deployment::{self, Progress, ServiceDeployment};
use super::{Cluster, TaskDefinition, tags};
use crate::ec2::{SecurityGroup, Subnet};
use crate::error::{Unless, claim};
use crate::{Cx, Explain, Need};

/// A service on Fargate. Its id is its ARN.
///
/// It is ready when its deployment is complete: the desired number of tasks is running, and they pass the health checks
/// of the container and of the load balancers. So dependents can send it traffic. With `blue_green`, it is ready when ECS has
/// also watched the new tasks for the bake time and stopped the old ones.
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
    /// How ECS exchanges all tasks at once; without it, new tasks replace the old ones one by one. With it, every load balancer
    /// needs an `alternate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,
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
    /// What a blue/green deployment exchanges the target group with; only with `blue_green` of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternate: Option<Alternate>,
}

/// ECS's own blue/green deployments: the new tasks start in the target group that gets no requests, then get all of them, and
/// after the bake time the old tasks stop. If the new tasks fail before, ECS returns to the old ones.
///
/// ECS changes the weights of the listener, so its targets must have none: `"weight": null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlueGreen {
    /// How long the old tasks are kept after the new ones have the requests, in minutes.
    #[schemars(range(min = 0, max = BAKE))]
    pub bake_minutes: i32,
    /// The names of `CloudWatch` alarms in the same region; ECS rolls back a deployment while one of them fires.
    #[serde(default)]
    pub alarms: BTreeSet<Ref<String>>,
}

/// What a blue/green deployment changes in Elastic Load Balancing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alternate {
    /// The ARN of the other target group. Which of both has the tasks changes with each deployment.
    pub target_group: Ref<String>,
    /// The ARN of the listener whose default action forwards to both target groups, or of such a listener rule. ECS changes
    /// its weights.
    pub production: Ref<String>,
    /// The ARN of the role with which ECS does this; see the managed policy `AmazonECSInfrastructureRolePolicyForLoadBalancers`.
    pub role: Ref<String>,
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
/// The maximum bake time in minutes.
const BAKE: i32 = 1_440;
/// The parts of the ARNs of listeners of application load balancers, and of their rules.
const LISTENER: &str = ":listener/app/";
const RULE: &str = ":listener-rule/app/";

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

    async fn balancers(&self, cx: &Cx) -> Result<Vec<sdk::LoadBalancer>> {
        let balancers = self.load_balancers.iter().map(|it| async {
            let balancer = sdk::LoadBalancer::builder().target_group_arn(it.target_group.known()?);
            let balancer = balancer.container_name(&it.container).container_port(i32::from(it.port));
            let Some(alternate) = &it.alternate else { return Ok(balancer.build()) };
            let advanced = AdvancedConfiguration::builder()
                .alternate_target_group_arn(alternate.target_group.known()?)
                .production_listener_rule(rule(cx, alternate.production.known()?).await?)
                .role_arn(alternate.role.known()?);
            Ok(balancer.advanced_configuration(advanced.build()).build())
        });
        try_join_all(balancers).await
    }

    /// The configuration of deployments.
    fn deployment(&self) -> Result<DeploymentConfiguration> {
        self.check()?;
        let breaker = DeploymentCircuitBreaker::builder().enable(self.circuit_breaker).rollback(self.circuit_breaker);
        let deployment = DeploymentConfiguration::builder().deployment_circuit_breaker(breaker.build());
        let deployment = deployment.minimum_healthy_percent(self.minimum_healthy).maximum_percent(self.maximum);
        // Omitted values stay unchanged, so alarms that no longer count are disabled.
        let alarms = self.blue_green.iter().flat_map(|it| &it.alarms);
        let names = alarms.map(|name| Ok(name.known()?.to_owned())).collect::<Result<Vec<_>>>()?;
        let is_watched = !names.is_empty();
        let alarms = DeploymentAlarms::builder().set_alarm_names(Some(names)).enable(is_watched).rollback(is_watched);
        let deployment = deployment.alarms(alarms.build().explain()?);
        Ok(match &self.blue_green {
            None => deployment.strategy(DeploymentStrategy::Rolling).build(),
            Some(BlueGreen { bake_minutes, .. }) => {
                deployment.strategy(DeploymentStrategy::BlueGreen).bake_time_in_minutes(*bake_minutes).build()
            }
        })
    }

    /// Checks what belongs to blue/green deployments.
    fn check(&self) -> Result<()> {
        let exchanges = self.load_balancers.iter().filter(|balancer| balancer.alternate.is_some()).count();
        let name = &self.name;
        match &self.blue_green {
            Some(BlueGreen { bake_minutes, .. }) if !(0..=BAKE).contains(bake_minutes) => {
                Err(Error::invalid(format!("the bake time of {name} is {bake_minutes} minutes"))
                    .hint(format!("`blue_green.bake_minutes` is 0 to {BAKE}")))
            }
            Some(_) if exchanges != self.load_balancers.len() => Err(Error::invalid(format!(
                "{name} has `blue_green`, but a load balancer has no alternate target group"
            ))
            .hint("add `alternate` to each of `load_balancers`")),
            None if exchanges > 0 => Err(Error::invalid(format!(
                "a load balancer of {name} has an alternate target group, which is not used"
            ))
            .hint("add `blue_green`, or remove `alternate`")),
            _ => Ok(()),
        }
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
    const KEY: Fields = fields!(Self: cluster, name);
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
            .set_load_balancers(Some(self.balancers(cx).await?))
            .set_health_check_grace_period_seconds((self.health_check_grace != 0).then_some(self.health_check_grace))
            .deployment_configuration(self.deployment()?)
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
        let found = found.filter(|service| service.status.as_deref() != Some("INACTIVE"));
        try_join_all(found.map(|service| complete(cx, service))).await
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let rest = |it: &Self| {
            let deployment = (it.minimum_healthy, it.maximum, it.circuit_breaker, it.blue_green.clone());
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
            let call = call.task_definition(self.task_definition.known()?).deployment_configuration(self.deployment()?);
            let call = call.propagate_tags(self.propagate_tags.sdk()).enable_execute_command(self.execute_command);
            let call = call.set_network_configuration(moved.then(|| self.network()).transpose()?);
            let call = if balanced { call.set_load_balancers(Some(self.balancers(cx).await?)) } else { call };
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

/// The ARN of the rule that ECS changes: `arn`, or that of the default action of this listener.
async fn rule(cx: &Cx, arn: &str) -> Result<String> {
    if !arn.contains(LISTENER) {
        return Ok(arn.to_owned());
    }
    let found = cx.elbv2().describe_rules().listener_arn(arn).send().await.explain()?;
    let default = found.rules.unwrap_or_default().into_iter().find(|rule| rule.is_default == Some(true));
    default.and_then(|rule| rule.rule_arn).need("RuleArn")
}

/// The opposite: the ARN of the listener if `arn` is that of its default action.
async fn production(cx: &Cx, arn: String) -> Result<String> {
    let Some((listener, _)) = arn.rsplit_once('/').filter(|_| arn.contains(RULE)) else { return Ok(arn) };
    let found = cx.elbv2().describe_rules().rule_arns(&arn).send().await.explain().unless(Class::NotFound)?;
    let rules = found.and_then(|found| found.rules).unwrap_or_default();
    let is_default = rules.iter().any(|rule| rule.is_default == Some(true));
    Ok(if is_default { listener.replace(RULE, LISTENER) } else { arn })
}

/// The service with what other calls say about it.
async fn complete(cx: &Cx, mut service: sdk::Service) -> Result<Live<Service>> {
    let arn = service.service_arn.clone().need("ServiceArn")?;
    let strategy = service.deployment_configuration.as_ref().and_then(DeploymentConfiguration::strategy);
    let newest = match strategy {
        Some(DeploymentStrategy::BlueGreen) => deployment::newest(cx, &arn).await.unless(Class::NotFound)?.flatten(),
        _ => None,
    };
    for balancer in service.load_balancers.iter_mut().flatten() {
        let advanced = balancer.advanced_configuration.as_mut();
        if let Some(rule) = advanced.and_then(|advanced| advanced.production_listener_rule.as_mut()) {
            *rule = production(cx, std::mem::take(rule)).await?;
        }
    }
    live(service, newest.as_ref())
}

fn live(service: sdk::Service, newest: Option<&ServiceDeployment>) -> Result<Live<Service>> {
    let all = tags::from(service.tags.clone());
    let status = status(&service, newest);
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
            blue_green: blue_green(&deployment),
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
        alternate: balancer.advanced_configuration.map(|advanced| Alternate {
            target_group: Ref::Known(advanced.alternate_target_group_arn.unwrap_or_default()),
            production: Ref::Known(advanced.production_listener_rule.unwrap_or_default()),
            role: Ref::Known(advanced.role_arn.unwrap_or_default()),
        }),
    }
}

fn blue_green(deployment: &DeploymentConfiguration) -> Option<BlueGreen> {
    if deployment.strategy != Some(DeploymentStrategy::BlueGreen) {
        return None;
    }
    // Names remain while the alarms are not enabled.
    let alarms = deployment.alarms.iter().filter(|alarms| alarms.enable);
    let alarms = alarms.flat_map(|alarms| alarms.alarm_names.clone()).map(Ref::Known);
    Some(BlueGreen { bake_minutes: deployment.bake_time_in_minutes.unwrap_or_default(), alarms: alarms.collect() })
}

/// The status of the current deployment.
///
/// It has failed only if no tasks are running: a failed service is replaced, which must not stop tasks that serve
/// requests.
/// During a rollback, the old tasks continue to serve. After it, the service is stable with the old task definition,
/// which
/// then shows as a difference.
///
/// `newest` is the newest deployment of a service with blue/green deployments.
fn status(service: &sdk::Service, newest: Option<&ServiceDeployment>) -> Status {
    if service.status() != Some("ACTIVE") {
        return Status::Deleting;
    }
    if let Some(newest) = newest {
        match (newest.progress, newest.failure()) {
            (Progress::Running, _) => return Status::Pending,
            (Progress::Baking, _) => return Status::Waiting,
            (_, Some(why)) if service.running_count == 0 && service.desired_count > 0 => return Status::Failed(why),
            (_, Some(why)) => return Status::Reverted(why),
            (Progress::Successful | Progress::Failed, None) => {}
        }
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
            assert_eq!(status(&service(desired, running, primary).build(), None), expected, "{running} {primary}");
        }
        let scaled = service(4, 2, "COMPLETED").tags(Tag::builder().key(INITIAL).value("2").build());
        assert_eq!(status(&scaled.build(), None), Status::Ready, "auto scaling is at work");
        assert_eq!(status(&service(2, 2, "COMPLETED").status("DRAINING").build(), None), Status::Deleting);
    }

    /// A deployment that failed is no reason to replace tasks that serve requests.
    #[test]
    fn m17_a_blue_green_deployment_is_complete_after_its_clean_up() {
        let why = "service deployment x1 failed: alarm".to_owned();
        for (running, progress, expected) in [
            (2, Progress::Running, Status::Pending),
            (2, Progress::Baking, Status::Waiting),
            (2, Progress::Successful, Status::Ready),
            (1, Progress::Successful, Status::Pending),
            (2, Progress::Failed, Status::Reverted(why.clone())),
            (0, Progress::Failed, Status::Failed(why.clone())),
        ] {
            let arn = "arn:aws:ecs:us-east-1:123456789012:service-deployment/cluster/service/x1".to_owned();
            let newest = ServiceDeployment { arn, progress, stage: None, reason: Some("alarm".to_owned()) };
            let service = service(2, running, "COMPLETED").build();
            assert_eq!(status(&service, Some(&newest)), expected, "{running} {progress:?}");
        }
    }

    #[test]
    fn m17_wrong_blue_green_arguments_are_told() -> Result<()> {
        let alternate = Alternate { target_group: "green".into(), production: "rule".into(), role: "role".into() };
        let balancer =
            |alternate| LoadBalancer { target_group: "blue".into(), container: "app".to_owned(), port: 80, alternate };
        let check = |minutes: Option<i32>, alternate| -> Result<()> {
            let service = sdk::Service::builder().service_arn("a").service_name("web").cluster_arn("c").build();
            let mut args = live(service, None)?.args;
            args.blue_green = minutes.map(|bake_minutes| BlueGreen { bake_minutes, alarms: BTreeSet::new() });
            args.load_balancers = BTreeSet::from([balancer(alternate)]);
            args.deployment().map(drop)
        };
        for (minutes, alternate, told) in [
            (Some(1_441), Some(alternate.clone()), "the bake time of web is 1441 minutes"),
            (Some(-1), Some(alternate.clone()), "the bake time of web is -1 minutes"),
            (Some(5), None, "has no alternate target group"),
            (None, Some(alternate.clone()), "which is not used"),
        ] {
            let error = check(minutes, alternate).err().map(|error| error.message().to_owned());
            assert!(error.as_ref().is_some_and(|error| error.contains(told)), "{told}: {error:?}");
        }
        check(Some(1_440), Some(alternate))?;
        check(None, None)
    }
}
