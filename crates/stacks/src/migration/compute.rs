//! The compute of a region: a cluster with the payment service behind the load balancer, scaled by its load (M-15,
//! M-18).

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::application_autoscaling::{Metric, Policy, Target};
use payinfra_aws::ec2::{Peer, Rule, SecurityGroup};
use payinfra_aws::ecs::{
    Architecture, Cluster, Container, ContainerInsights, Count, LoadBalancer, Log, PropagateTags, Service,
    TaskDefinition,
};
use payinfra_aws::logs::LogGroup;
use payinfra_components::load_balancer::Edge;
use payinfra_components::network::ANYWHERE;
use payinfra_components::tables::GlobalTable;
use payinfra_engine::{Graph, Node, Result, Secret, Text};

use super::payments;
use super::settings;
use super::{Part, Site, roles};

/// The name of the service and of its container.
pub(super) const SERVICE: &str = "service";

/// The user `nobody`, without a name, a home directory or permissions.
const NOBODY: &str = "65532:65532";

/// The port of `PostgreSQL`.
const POSTGRES: u16 = 5432;

/// Longer than the container takes to start and to pass two health checks.
const GRACE: i32 = 60;

/// The compute of a region.
pub(super) struct Compute {
    pub(super) cluster: Node<Cluster>,
    pub(super) service: Node<Service>,
}

/// Declares the compute of a region.
pub(super) fn compute(
    graph: &mut Graph,
    part: &Part<'_>,
    parts: &[Part<'_>],
    edge: &Edge,
    payments: &GlobalTable,
) -> Result<Compute> {
    let site = &part.site;
    let cluster = Cluster {
        name: site.names.name("cluster"),
        container_insights: ContainerInsights::Enabled,
        tags: site.named("cluster"),
    };
    let cluster = graph.add(site.region(), "main", cluster)?;
    let log_group = log_group(graph, part)?;
    let definition = definition(graph, part, parts, &log_group, payments)?;
    let group = group(graph, part, parts, edge)?;
    let [blue, _] = &edge.colours;
    let service = Service {
        cluster: cluster.id.clone(),
        name: site.names.name(SERVICE),
        task_definition: definition.id.clone(),
        count: Count::Initial(site.settings.service.min_tasks),
        subnets: part.network.private.iter().map(|subnet| subnet.id.clone()).collect(),
        groups: BTreeSet::from([group.id.clone()]),
        public_ip: false,
        load_balancers: BTreeSet::from([LoadBalancer {
            target_group: blue.target_group.outputs.arn.clone(),
            container: SERVICE.to_owned(),
            port: site.settings.service.port,
        }]),
        health_check_grace: GRACE,
        // Never run fewer tasks than desired.
        minimum_healthy: 100,
        maximum: 200,
        circuit_breaker: true,
        propagate_tags: PropagateTags::Service,
        execute_command: false,
        tags: site.named(SERVICE),
    };
    let service = graph.add(site.region(), SERVICE, service)?;
    // AWS rejects a target group that no listener uses (AWS-FACTS §4.5).
    graph.order(&edge.https.address, &service.address);
    scaling(graph, site, &service, edge)?;
    site.output(graph, "ecs_cluster_name", &cluster.outputs.name);
    site.output(graph, "ecs_cluster_arn", &cluster.outputs.arn);
    site.output(graph, "ecs_service_name", &service.outputs.name);
    site.output(graph, "ecs_service_arn", &service.outputs.arn);
    site.output(graph, "ecs_log_group_name", &log_group.id);
    Ok(Compute { cluster, service })
}

fn log_group(graph: &mut Graph, part: &Part<'_>) -> Result<Node<LogGroup>> {
    let site = &part.site;
    let group = LogGroup {
        name: site.names.name(SERVICE),
        retention_days: Some(site.settings.service.log_retention_days),
        kms_key: Some(part.keys.logs.outputs.arn.clone()),
        tags: site.named("service-logs"),
    };
    graph.add(site.region(), SERVICE, group)
}

/// The task definition: one container with a read-only file system.
fn definition(
    graph: &mut Graph,
    part: &Part<'_>,
    parts: &[Part<'_>],
    log_group: &Node<LogGroup>,
    payments: &GlobalTable,
) -> Result<Node<TaskDefinition>> {
    let site = &part.site;
    let config = &site.settings.service;
    let execution = roles::execution(graph, site, log_group)?;
    let task = roles::task(graph, part, parts, payments)?;
    // A payment is written in the region that its id belongs to, so all tasks need the same list of regions.
    let regions = parts.iter().map(|part| format!("{}={}", part.site.region(), part.buckets.audit_trail()));
    let auth = match config.keys_in(site.region()) {
        Some(secret) => ("API_KEYS_SECRET", Text::from(secret)),
        None => ("AUTH", Text::from("none")),
    };
    let environment = [
        auth,
        ("AUDIT_BUCKET", Text::from(part.buckets.audit_trail())),
        ("AWS_REGION", Text::from(site.region().as_str())),
        ("PAYMENTS_TABLE", Text::from(&payments.table.id)),
        ("PENDING_INDEX", Text::from(payments::PENDING)),
        ("PHASE", Text::from(site.settings.phase.as_str())),
        ("PORT", Text::from(config.port.to_string())),
        ("REGIONS", Text::from(regions.collect::<Vec<_>>().join(","))),
        ("TRANSACTIONS_BUCKET", Text::from(part.buckets.transactions())),
    ];
    let container = Container {
        image: config.image.clone().into(),
        ports: BTreeSet::from([config.port]),
        environment: environment.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value))).collect(),
        secrets: BTreeMap::new(),
        log: Some(Log { group: log_group.id.clone().into(), prefix: SERVICE.to_owned() }),
        // The load balancer checks `/health`; the image contains no program for a container health check.
        health_check: None,
        read_only: true,
        user: NOBODY.to_owned(),
        essential: true,
    };
    let definition = TaskDefinition {
        family: site.names.name(SERVICE),
        cpu: config.cpu,
        memory: config.memory,
        architecture: match config.architecture {
            settings::Architecture::Arm64 => Architecture::Arm64,
            settings::Architecture::X86_64 => Architecture::X86_64,
        },
        execution_role: execution.outputs.arn.clone(),
        task_role: task.outputs.arn.clone(),
        containers: BTreeMap::from([(SERVICE.to_owned(), container)]),
        tags: site.named("task-definition"),
    };
    site.output(graph, "ecs_execution_role_arn", &execution.outputs.arn);
    site.output(graph, "ecs_task_role_arn", &task.outputs.arn);
    graph.add(site.region(), SERVICE, definition)
}

/// Allows ingress from the load balancer, and egress to AWS services and the databases of all regions: there is one
/// writer.
fn group(graph: &mut Graph, part: &Part<'_>, parts: &[Part<'_>], edge: &Edge) -> Result<Node<SecurityGroup>> {
    let site = &part.site;
    let balancer = Peer::Group(edge.group.id.clone());
    let https = Rule::tcp(443, Peer::Cidr(ANYWHERE), "HTTPS to the services of AWS");
    let databases = parts.iter().map(|to| {
        let (cidr, region) = (to.site.config.cidr, to.site.region());
        Rule::tcp(POSTGRES, Peer::Cidr(cidr), &format!("PostgreSQL in {region}"))
    });
    let group = SecurityGroup {
        vpc: part.network.vpc.id.clone(),
        name: site.names.name(SERVICE),
        description: "Tasks of the payment service".to_owned(),
        ingress: BTreeSet::from([Rule::tcp(site.settings.service.port, balancer, "From the load balancer")]),
        egress: databases.chain([https]).collect(),
        tags: site.named("service-group"),
    };
    graph.add(site.region(), SERVICE, group)
}

/// Scales by CPU utilization or requests, whichever requires more tasks.
fn scaling(graph: &mut Graph, site: &Site<'_>, service: &Node<Service>, edge: &Edge) -> Result<()> {
    let config = &site.settings.service;
    let target = Target {
        resource: service.outputs.scalable.clone(),
        dimension: "ecs:service:DesiredCount".to_owned(),
        min_capacity: config.min_tasks,
        max_capacity: config.max_tasks,
        tags: site.named("service-scaling"),
    };
    let target = graph.add(site.region(), SERVICE, target)?;
    let [blue, _] = &edge.colours;
    let requests = Metric::RequestsPerTarget {
        load_balancer: edge.balancer.outputs.arn.clone(),
        target_group: blue.target_group.outputs.arn.clone(),
    };
    let policies = [("cpu", Metric::EcsCpu, config.cpu_target), ("requests", requests, config.requests_per_target)];
    for (name, metric, value) in policies {
        let policy = Policy {
            name: site.names.name(name),
            target: target.id.clone(),
            metric,
            target_value: value.into(),
            // Scale out quickly and in slowly: payments come in waves.
            scale_out_cooldown: 60,
            scale_in_cooldown: 300,
            disable_scale_in: false,
        };
        graph.add(site.region(), name, policy)?;
    }
    Ok(())
}
