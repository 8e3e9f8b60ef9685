//! A service on Fargate behind the load balancer of a region, scaled by its load.
//!
//! With the strategy [`Strategy::Native`], it is one ECS service, whose new images ECS itself deploys blue/green. Otherwise, it
//! has two colours. Each colour is an ECS service with its own task definition and its own scaling. One is active: it has the tasks, and the
//! load balancer forwards to it. The other is idle, without tasks, and its capacity is limited to 0, so that auto scaling cannot
//! start any. At first blue is active. `payinfra deploy` starts a new image in the idle colour and makes it the active one
//! (M-17): the images, the numbers of tasks and the weights of the load balancer are operational values.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::application_autoscaling::{Metric, Policy as ScalingPolicy, Target};
use payinfra_aws::ec2::{Peer, Rule, SecurityGroup};
use payinfra_aws::ecs::{
    self, Architecture, BlueGreen, Cluster, Container, ContainerInsights, Count, Log, PropagateTags, TaskDefinition,
};
use payinfra_aws::iam::Role;
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Ref, Result, Secret, Text};
use payinfra_stack::Site;

use crate::load_balancer::{Colour, Edge, Strategy};
use crate::network::{ANYWHERE, Network};
use crate::roles::{self, TaskRole};

/// The resource type in the name of the role with which ECS starts tasks.
pub const EXECUTION: &str = "ecs-execution";

/// The resource type in the name of the role with which ECS changes the load balancer, if it deploys blue/green itself.
pub const INFRASTRUCTURE: &str = "ecs-balancers";

/// What ECS may do with that role.
const BALANCER_POLICY: &str = "arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers";

/// The resource type in the service's names, and its name in addresses; also the name of its container.
const SERVICE: &str = "service";

/// The user `nobody`, without a name, a home directory or permissions.
const NOBODY: &str = "65532:65532";

/// In seconds; longer than a container takes to start and to pass two health checks of the load balancer.
const GRACE: i32 = 60;

/// A service in the private subnets of a region.
#[derive(Debug)]
pub struct Fargate<'a> {
    /// What it is, for descriptions: `the payment service`.
    pub about: &'a str,
    /// Its tasks.
    pub task: Task<'a>,
    /// The network, in whose private subnets its tasks are.
    pub network: &'a Network,
    /// The load balancer that forwards requests to it.
    pub edge: &'a Edge,
    /// Egress rules of its tasks, in addition to HTTPS, which they need to start and to call AWS services.
    pub egress: BTreeSet<Rule>,
    /// The key for its logs.
    pub log_key: &'a Ref<String>,
    /// The retention of its logs in days.
    pub log_retention_days: i32,
    /// How many tasks there are.
    pub scaling: Scaling,
}

/// A task: one container, which listens on the port of the load balancer's targets. Its root file system is read-only,
/// and it runs as a user without permissions.
#[derive(Debug)]
pub struct Task<'a> {
    /// The image; see [`roles::repository`] for those in ECR.
    pub image: &'a str,
    /// The CPU architecture of the image.
    pub architecture: Architecture,
    /// CPU units, 1,024 per vCPU; Fargate supports certain combinations with `memory`.
    pub cpu: i32,
    /// Memory in MiB.
    pub memory: i32,
    /// The environment. It is not for secrets: everyone with permission to describe the task definition can read it.
    pub environment: BTreeMap<String, Text>,
    /// The role of the container, which [`trust`] lets it assume.
    pub role: &'a Node<Role>,
}

/// The number of tasks, and the targets that change it: whichever requires more tasks.
#[derive(Clone, Copy, Debug)]
pub struct Scaling {
    /// The minimum, which is also the initial number.
    pub min_tasks: i32,
    /// The maximum.
    pub max_tasks: i32,
    /// The target for average CPU utilization in percent.
    pub cpu_percent: i32,
    /// The target for requests per task and minute.
    pub requests_per_target: i32,
}

/// The service of a region.
#[derive(Debug)]
pub struct Service {
    /// The cluster.
    pub cluster: Node<Cluster>,
    /// The log group of the containers.
    pub log_group: Node<LogGroup>,
    /// The role with which ECS starts the tasks.
    pub execution_role: Node<Role>,
    /// The security group of the tasks.
    pub group: Node<SecurityGroup>,
    /// Blue and green, in this order; or the one service whose images ECS deploys itself.
    pub colours: Vec<ColouredService>,
}

/// One colour of a service, or all of it.
#[derive(Debug)]
pub struct ColouredService {
    /// `blue` or `green`; `service` if ECS deploys its images itself.
    pub name: &'static str,
    /// The current revision of its tasks.
    pub task_definition: Node<TaskDefinition>,
    /// The ECS service. Its tasks are targets of the colour's group, or of either group.
    pub service: Node<ecs::Service>,
    /// The range of the number of its tasks.
    pub scaling: Node<Target>,
}

/// Allows the tasks of this account and region to assume a role.
#[must_use]
pub fn trust(site: &Site<'_>) -> Statement {
    roles::trust_from(site, "ecs-tasks.amazonaws.com", &site.arn("ecs", "*"))
}

/// Declares the service of a region, with its cluster. The tasks of each colour are targets of its group of the load balancer,
/// and deployments are rolled back if they fail. The policy of `log_key` must allow `CloudWatch` Logs to use it.
///
/// # Errors
/// If a role's name is too long for IAM, or the region has a service already.
pub fn fargate(graph: &mut Graph, site: &Site<'_>, wanted: &Fargate<'_>) -> Result<Service> {
    let cluster = Cluster {
        name: site.names.name("cluster"),
        container_insights: ContainerInsights::Enabled,
        tags: site.named("cluster"),
    };
    let cluster = graph.add(site.region(), "main", cluster)?;
    let log_group = log_group(graph, site, wanted)?;
    let execution_role = execution_role(graph, site, wanted, &log_group)?;
    let group = group(graph, site, wanted)?;
    site.output(graph, "ecs_execution_role_arn", &execution_role.outputs.arn);
    site.output(graph, "ecs_task_role_arn", &wanted.task.role.outputs.arn);
    let parts = Parts { cluster: &cluster, log_group: &log_group, execution_role: &execution_role, group: &group };
    let [blue, green] = &wanted.edge.colours;
    let colours = match wanted.edge.strategy {
        Strategy::Stepwise => vec![
            declared(graph, site, wanted, &parts, &Part::coloured(blue, wanted.scaling.active()))?,
            declared(graph, site, wanted, &parts, &Part::coloured(green, IDLE))?,
        ],
        Strategy::Native { bake_minutes } => {
            let role = infrastructure_role(graph, site, wanted)?;
            let native = Native { group: green, bake_minutes, role };
            vec![declared(graph, site, wanted, &parts, &Part::whole(blue, wanted.scaling.active(), native))?]
        }
    };
    site.output(graph, "ecs_cluster_name", &cluster.outputs.name);
    site.output(graph, "ecs_cluster_arn", &cluster.outputs.arn);
    for ColouredService { name, service, .. } in &colours {
        let output = if *name == SERVICE { "ecs_service".to_owned() } else { format!("ecs_service_{name}") };
        site.output(graph, &format!("{output}_name"), &service.outputs.name);
        site.output(graph, &format!("{output}_arn"), &service.outputs.arn);
    }
    site.output(graph, "ecs_log_group_name", &log_group.id);
    Ok(Service { cluster, log_group, execution_role, group, colours })
}

/// A colour of the service, or all of it.
struct Part<'a> {
    /// As in [`ColouredService`].
    colour: &'static str,
    /// The name of its resources.
    name: String,
    /// The target group of its tasks.
    group: &'a Colour,
    capacity: Capacity,
    native: Option<Native<'a>>,
}

/// What ECS needs to deploy images itself.
struct Native<'a> {
    /// The group with which it exchanges that of the tasks.
    group: &'a Colour,
    bake_minutes: i32,
    role: Node<Role>,
}

impl<'a> Part<'a> {
    fn coloured(group: &'a Colour, capacity: Capacity) -> Self {
        Self { colour: group.name, name: format!("{SERVICE}-{}", group.name), group, capacity, native: None }
    }

    fn whole(group: &'a Colour, capacity: Capacity, native: Native<'a>) -> Self {
        Self { colour: SERVICE, name: SERVICE.to_owned(), group, capacity, native: Some(native) }
    }

    fn load_balancer(&self, edge: &Edge) -> ecs::LoadBalancer {
        let alternate = self.native.as_ref().map(|native| ecs::Alternate {
            target_group: native.group.target_group.outputs.arn.clone(),
            production: edge.https.outputs.arn.clone(),
            role: native.role.outputs.arn.clone(),
        });
        let target_group = self.group.target_group.outputs.arn.clone();
        ecs::LoadBalancer { target_group, container: SERVICE.to_owned(), port: edge.port, alternate }
    }
}

/// What both colours share.
struct Parts<'a> {
    cluster: &'a Node<Cluster>,
    log_group: &'a Node<LogGroup>,
    execution_role: &'a Node<Role>,
    group: &'a Node<SecurityGroup>,
}

/// The number of tasks of a colour, and its bounds.
struct Capacity {
    count: Count,
    bounds: [i32; 2],
}

/// Application Auto Scaling never exceeds the maximum, whatever its policies ask for.
const IDLE: Capacity = Capacity { count: Count::Fixed(0), bounds: [0, 0] };

impl Scaling {
    fn active(self) -> Capacity {
        Capacity { count: Count::Initial(self.min_tasks), bounds: [self.min_tasks, self.max_tasks] }
    }
}

/// Declares a colour or all of the service, and makes what a deployment changes operational.
fn declared(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &Fargate<'_>,
    parts: &Parts<'_>,
    part: &Part<'_>,
) -> Result<ColouredService> {
    let name = &*part.name;
    let task_definition = task_definition(graph, site, wanted, parts, name)?;
    graph.operational(&task_definition.address, &format!("/containers/{SERVICE}/image"))?;
    let service = ecs::Service {
        cluster: parts.cluster.id.clone(),
        name: site.names.name(name),
        task_definition: task_definition.id.clone(),
        count: part.capacity.count.clone(),
        subnets: wanted.network.private.iter().map(|subnet| subnet.id.clone()).collect(),
        groups: BTreeSet::from([parts.group.id.clone()]),
        public_ip: false,
        load_balancers: BTreeSet::from([part.load_balancer(wanted.edge)]),
        health_check_grace: GRACE,
        // Never run fewer tasks than desired.
        minimum_healthy: 100,
        maximum: 200,
        circuit_breaker: true,
        blue_green: part
            .native
            .as_ref()
            .map(|native| BlueGreen { bake_minutes: native.bake_minutes, alarms: BTreeSet::new() }),
        propagate_tags: PropagateTags::Service,
        execute_command: false,
        tags: site.named(name),
    };
    let service = graph.add(site.region(), name, service)?;
    // AWS rejects a target group that no listener uses (AWS-FACTS §4.5).
    graph.order(&wanted.edge.https.address, &service.address);
    let scaling = scaling(graph, site, wanted, &service, part)?;
    // Only colours exchange their numbers of tasks.
    if part.native.is_none() {
        graph.operational(&service.address, "/count")?;
        for bound in ["/min_capacity", "/max_capacity"] {
            graph.operational(&scaling.address, bound)?;
        }
    }
    Ok(ColouredService { name: part.colour, task_definition, service, scaling })
}

/// The role with which ECS changes the weights of the listener, and registers tasks in the target groups.
fn infrastructure_role(graph: &mut Graph, site: &Site<'_>, wanted: &Fargate<'_>) -> Result<Node<Role>> {
    let role = TaskRole {
        task: INFRASTRUCTURE,
        description: &format!("Shifts requests between the tasks of {}", wanted.about),
        trust: roles::trust("ecs.amazonaws.com"),
        policy: None,
        managed: &[BALANCER_POLICY],
    };
    roles::role(graph, site, role)
}

fn log_group(graph: &mut Graph, site: &Site<'_>, wanted: &Fargate<'_>) -> Result<Node<LogGroup>> {
    let group = LogGroup {
        name: site.names.name(SERVICE).into(),
        retention_days: Some(wanted.log_retention_days),
        kms_key: Some(wanted.log_key.clone()),
        tags: site.named("service-logs"),
    };
    graph.add(site.region(), SERVICE, group)
}

/// The execution role: ECS uses it to pull the image and to write logs.
///
/// Public images need no permissions. A private ECR repository takes three permissions, and one to sign in, for which
/// AWS supports no resource other than `*`.
fn execution_role(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &Fargate<'_>,
    group: &Node<LogGroup>,
) -> Result<Node<Role>> {
    let log = Statement::allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"])
        .on(Text::from(&group.outputs.arn).and(":log-stream:*"));
    let mut statements = vec![log];
    if let Some(repository) = roles::repository(wanted.task.image) {
        let pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
        statements.push(Statement::allow("Pull", pull).on(repository));
        statements.push(Statement::allow("SignIn", ["ecr:GetAuthorizationToken"]).on("*"));
    }
    let role = TaskRole {
        task: EXECUTION,
        description: &format!("Starts the tasks of {}", wanted.about),
        trust: trust(site),
        policy: Some(Policy::new(statements)),
        managed: &[],
    };
    roles::role(graph, site, role)
}

/// Allows ingress only from the load balancer.
fn group(graph: &mut Graph, site: &Site<'_>, wanted: &Fargate<'_>) -> Result<Node<SecurityGroup>> {
    let balancer = Peer::Group(wanted.edge.group.id.clone());
    let https = Rule::tcp(443, Peer::Cidr(ANYWHERE), "HTTPS to the services of AWS");
    let group = SecurityGroup {
        vpc: wanted.network.vpc.id.clone(),
        name: site.names.name(SERVICE),
        description: format!("Tasks of {}", wanted.about),
        ingress: BTreeSet::from([Rule::tcp(wanted.edge.port, balancer, "From the load balancer")]),
        egress: wanted.egress.iter().cloned().chain([https]).collect(),
        tags: site.named("service-group"),
    };
    graph.add(site.region(), SERVICE, group)
}

fn task_definition(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &Fargate<'_>,
    parts: &Parts<'_>,
    name: &str,
) -> Result<Node<TaskDefinition>> {
    let task = &wanted.task;
    let environment = task.environment.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone())));
    let container = Container {
        image: task.image.to_owned().into(),
        ports: BTreeSet::from([wanted.edge.port]),
        environment: environment.collect(),
        secrets: BTreeMap::new(),
        log: Some(Log { group: parts.log_group.id.clone().into(), prefix: SERVICE.to_owned() }),
        // The load balancer has one, and an image may contain no program for another.
        health_check: None,
        read_only: true,
        user: NOBODY.to_owned(),
        essential: true,
    };
    let definition = TaskDefinition {
        family: site.names.name(name),
        cpu: task.cpu,
        memory: task.memory,
        architecture: task.architecture.clone(),
        execution_role: parts.execution_role.outputs.arn.clone(),
        task_role: task.role.outputs.arn.clone(),
        containers: BTreeMap::from([(SERVICE.to_owned(), container)]),
        tags: site.named(&format!("task-definition-{name}")),
    };
    graph.add(site.region(), name, definition)
}

fn scaling(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &Fargate<'_>,
    service: &Node<ecs::Service>,
    part: &Part<'_>,
) -> Result<Node<Target>> {
    let [min_capacity, max_capacity] = part.capacity.bounds;
    let name = &*service.address.name;
    let target = Target {
        resource: service.outputs.scalable.clone(),
        dimension: "ecs:service:DesiredCount".to_owned(),
        min_capacity,
        max_capacity,
        tags: site.named(&format!("{name}-scaling")),
    };
    let target = graph.add(site.region(), name, target)?;
    let Scaling { cpu_percent, requests_per_target, .. } = wanted.scaling;
    let cpu = (format!("cpu-{}", part.colour), Metric::EcsCpu, cpu_percent, false);
    let groups = std::iter::once(part.group).chain(part.native.iter().map(|native| native.group));
    let requests = groups.map(|colour| {
        let metric = Metric::RequestsPerTarget {
            load_balancer: wanted.edge.balancer.outputs.arn.clone(),
            target_group: colour.target_group.outputs.arn.clone(),
        };
        // The group without requests has no metric, and would keep the other policies from scaling in.
        (format!("requests-{}", colour.name), metric, requests_per_target, part.native.is_some())
    });
    for (name, metric, value, disable_scale_in) in std::iter::once(cpu).chain(requests) {
        let policy = ScalingPolicy {
            name: site.names.name(&name),
            target: target.id.clone(),
            metric,
            target_value: value.into(),
            // Scale out quickly and in slowly: requests come in waves.
            scale_out_cooldown: 60,
            scale_in_cooldown: 300,
            disable_scale_in,
        };
        graph.add(site.region(), &name, policy)?;
    }
    Ok(target)
}
