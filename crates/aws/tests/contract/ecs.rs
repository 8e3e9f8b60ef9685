//! Examples of ECS.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::ec2::{SecurityGroup, Vpc};
use payinfra_aws::ecs::{
    Alternate, Architecture, BlueGreen, Cluster, Container, ContainerInsights, Count, HealthCheck, LoadBalancer, Log,
    PropagateTags, Service, TaskDefinition,
};
use payinfra_aws::elbv2::{Listener, Protocol, TargetGroup};
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Graph, Node, Resource, Result, Secret, Site, Tags, Text};
use serde_json::{Value, json};

use crate::ec2::{network, part};
use crate::elbv2::{balanced, forward, target_groups};
use crate::example::{Again, Example, examples, form, graph, region};
use crate::iam::role_for;
use crate::life::{access, site};

examples![cluster, task_definition, service];

fn cluster_args(name: &str) -> Cluster {
    Cluster { name: name.to_owned(), container_insights: ContainerInsights::Enabled, tags: Tags::new() }
}

fn cluster() -> Result<Example> {
    Example::new(graph("ecs-cluster"), &region(), cluster_args("contract-example"))?
        .again(Again::Taken)
        .change(|cluster: &mut Cluster| cluster.container_insights = ContainerInsights::Enhanced)?
        .change(|cluster: &mut Cluster| cluster.container_insights = ContainerInsights::Disabled)
}

fn container(image: &str) -> Container {
    Container {
        image: image.to_owned().into(),
        ports: BTreeSet::from([8_080]),
        environment: BTreeMap::new(),
        secrets: BTreeMap::new(),
        log: None,
        health_check: None,
        read_only: true,
        user: "65532:65532".to_owned(),
        essential: true,
    }
}

fn definition_args(graph: &mut Graph, family: &str) -> Result<TaskDefinition> {
    let role = role_for(graph, &format!("{family}-task"), "ecs-tasks.amazonaws.com")?;
    Ok(TaskDefinition {
        family: format!("contract-{family}"),
        cpu: 256,
        memory: 512,
        architecture: Architecture::Arm64,
        execution_role: role.outputs.arn.clone(),
        task_role: role.outputs.arn,
        containers: BTreeMap::from([("app".to_owned(), container("registry/app:1"))]),
        tags: Tags::new(),
    })
}

fn task_definition() -> Result<Example> {
    let mut graph = graph("task-definition");
    let name = "/contract/task-definition".to_owned();
    let log = LogGroup { name: name.into(), retention_days: None, kms_key: None, tags: Tags::new() };
    let log = graph.add(&region(), "log", log)?;
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:contract-AbCdEf";
    let check = HealthCheck {
        command: Secret::new(vec!["CMD".to_owned(), "/app".to_owned(), "--check".to_owned()]),
        interval: 15,
        timeout: 3,
        retries: 2,
        start_period: 10,
    };
    let app = Container {
        environment: BTreeMap::from([("LOGS".to_owned(), Secret::new(Text::from(&log.outputs.arn).and(":*")))]),
        secrets: BTreeMap::from([("PASSWORD".to_owned(), Text::from(secret).and(":password::"))]),
        log: Some(Log { group: log.id.into(), prefix: "app".to_owned() }),
        health_check: Some(check),
        ..container("registry/app@sha256:0")
    };
    let side = Container { essential: false, ports: BTreeSet::new(), user: String::new(), ..container("side:1") };
    let mut definition = definition_args(&mut graph, "example")?;
    definition.containers = BTreeMap::from([("app".to_owned(), app), ("side".to_owned(), side)]);
    Example::new(graph, &region(), definition)
}

fn security_group(vpc: &Node<Vpc>, name: &str) -> SecurityGroup {
    SecurityGroup {
        vpc: vpc.id.clone(),
        name: format!("contract-{name}"),
        description: "of tasks".to_owned(),
        ingress: BTreeSet::new(),
        egress: BTreeSet::new(),
        tags: Tags::new(),
    }
}

/// A service with auto scaling.
pub(crate) fn service_for(graph: &mut Graph) -> Result<Node<Service>> {
    let vpc = graph.add(&region(), "vpc", network())?;
    let service = service_in(graph, &vpc)?;
    graph.add(&region(), "service", service)
}

fn service_in(graph: &mut Graph, vpc: &Node<Vpc>) -> Result<Service> {
    let name = format!("contract-{}", graph.workspace);
    let cluster = graph.add(&region(), "cluster", cluster_args(&name))?;
    let family = graph.workspace.clone();
    let definition = definition_args(graph, &family)?;
    let definition = graph.add(&region(), "third", definition)?;
    let subnet = graph.add(&region(), "third", part(vpc, 2))?;
    let group = graph.add(&region(), "third", security_group(vpc, "third"))?;
    Ok(Service {
        cluster: cluster.id,
        name,
        task_definition: definition.id,
        count: Count::Initial(1),
        subnets: BTreeSet::from([subnet.id]),
        groups: BTreeSet::from([group.id]),
        public_ip: false,
        load_balancers: BTreeSet::new(),
        health_check_grace: 0,
        minimum_healthy: 100,
        maximum: 200,
        circuit_breaker: true,
        blue_green: None,
        propagate_tags: PropagateTags::Service,
        execute_command: false,
        tags: Tags::new(),
    })
}

fn service() -> Result<Example> {
    let mut graph = graph("ecs-service");
    let (vpc, front) = balanced(&mut graph)?;
    let [blue, green] = target_groups(&mut graph, &vpc)?;
    let listener = Listener {
        load_balancer: front.id,
        port: 80,
        protocol: Protocol::Http,
        certificate: None,
        ssl_policy: None,
        // ECS changes the weights in blue/green deployments.
        default_action: forward(&[(&blue, None), (&green, None)]),
        tags: Tags::new(),
    };
    let listener = graph.add(&region(), "listener", listener)?;
    let role = role_for(&mut graph, "ecs-balancers", "ecs.amazonaws.com")?;
    let service = service_in(&mut graph, &vpc)?;
    let definition = definition_args(&mut graph, "fourth")?;
    let definition = graph.add(&region(), "fourth", definition)?.id;
    let subnet = graph.add(&region(), "fourth", part(&vpc, 3))?.id;
    let group = graph.add(&region(), "fourth", security_group(&vpc, "fourth"))?.id;
    let balancer = |group: &Node<TargetGroup>| {
        let target_group = group.outputs.arn.clone();
        BTreeSet::from([LoadBalancer { target_group, container: "app".to_owned(), port: 8_080, alternate: None }])
    };
    let alternate =
        Alternate { target_group: green.outputs.arn.clone(), production: listener.outputs.arn, role: role.outputs.arn };
    let mut exchanged = balancer(&blue).into_iter().collect::<Vec<_>>();
    for balancer in &mut exchanged {
        balancer.alternate = Some(alternate.clone());
    }
    let (blue, green, rolling) = (balancer(&blue), balancer(&green), balancer(&green));
    let watched = BTreeSet::from(["contract-alarm".into()]);
    Example::new(graph, &region(), service)?
        .again(Again::Taken)
        .change(|service: &mut Service| service.task_definition = definition)?
        .change(|service: &mut Service| service.count = Count::Initial(2))?
        .change(|service: &mut Service| service.count = Count::Fixed(3))?
        .change(|service: &mut Service| service.count = Count::Initial(1))?
        .change(|service: &mut Service| service.subnets.extend([subnet]))?
        .change(|service: &mut Service| service.groups = BTreeSet::from([group]))?
        .change(|service: &mut Service| service.public_ip = true)?
        .change(|service: &mut Service| service.load_balancers = blue)?
        .change(|service: &mut Service| service.load_balancers = green)?
        .change(|service: &mut Service| {
            service.blue_green = Some(BlueGreen { bake_minutes: 0, alarms: BTreeSet::new() });
            service.load_balancers = exchanged.into_iter().collect();
        })?
        .change(|service: &mut Service| service.count = Count::Initial(2))?
        .change(|service: &mut Service| service.blue_green = Some(BlueGreen { bake_minutes: 1, alarms: watched }))?
        .change(|service: &mut Service| (service.blue_green, service.load_balancers) = (None, rolling))?
        .change(|service: &mut Service| service.health_check_grace = 30)?
        .change(|service: &mut Service| {
            (service.health_check_grace, service.load_balancers) = (0, BTreeSet::new());
        })?
        .change(|service: &mut Service| (service.minimum_healthy, service.maximum) = (50, 150))?
        .change(|service: &mut Service| service.circuit_breaker = false)?
        .change(|service: &mut Service| service.propagate_tags = PropagateTags::TaskDefinition)?
        .change(|service: &mut Service| service.propagate_tags = PropagateTags::None)?
        .change(|service: &mut Service| service.execute_command = true)
}

/// The site of a resource with these earlier generations.
fn site_after(kind: &str, name: &str, known: &[&str]) -> Result<Site> {
    Ok(Site { known: known.iter().map(|&id| id.to_owned()).collect(), ..site(&region(), kind, name)? })
}

/// An interrupted registration is recovered only if it is ours, has this content, and is not an earlier generation.
#[tokio::test]
async fn revisions_are_told_by_owner_and_content() -> Result<()> {
    let aws = Aws::new(access().await?);
    let role = "arn:aws:iam::123456789012:role/contract";
    let site = site(&region(), TaskDefinition::KIND, "revisions")?;
    let args = |image: &str, tags: Tags| {
        form(&TaskDefinition {
            family: "contract-revisions".to_owned(),
            cpu: 256,
            memory: 512,
            architecture: Architecture::X86_64,
            execution_role: role.into(),
            task_role: role.into(),
            containers: BTreeMap::from([("app".to_owned(), container(image))]),
            tags,
        })
    };
    let (old, new) = (args("app:1", site.owner.tags())?, args("app:2", site.owner.tags())?);
    let theirs = aws.create(&site, &args("app:2", Tags::new())?).await?;
    assert_eq!(aws.recover(&site, &new).await?, None, "it is somebody else's");
    assert_eq!(
        aws.create(&site, &old).await.map_err(|error| error.class()),
        Err(Class::Foreign),
        "and so is its family"
    );
    let live = aws.read(&region(), TaskDefinition::KIND, &[theirs]).await?.pop().need("TaskDefinition")?;
    aws.delete(&site, &live).await?;
    let first = aws.create(&site, &old).await?;
    assert_eq!(aws.recover(&site, &new).await?, None, "it has other content");
    let second = aws.create(&site, &new).await?;
    assert_ne!(first, second);
    assert_eq!(aws.recover(&site, &new).await?.as_ref(), Some(&second));
    assert_eq!(aws.recover(&site, &old).await?.as_ref(), Some(&first));
    let after = site_after(TaskDefinition::KIND, "revisions", &[&second])?;
    assert_eq!(aws.recover(&after, &new).await?, None, "it is an earlier generation");

    for id in [first, second] {
        let live = aws.read(&region(), TaskDefinition::KIND, &[id]).await?.pop().need("TaskDefinition")?;
        aws.delete(&site, &live).await?;
    }
    let third = aws.create(&site, &new).await?;
    assert!(third.ends_with(":4"), "numbers are never reused: {third}");
    let live = aws.read(&region(), TaskDefinition::KIND, &[third]).await?.pop().need("TaskDefinition")?;
    aws.delete(&site, &live).await
}

/// A delete that was interrupted between its two calls leaves a failed revision, which the next delete removes.
#[tokio::test]
async fn half_a_deleted_revision_goes_too() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let definition = cx.ecs().register_task_definition().family("contract-half").cpu("256").memory("512");
    let app = aws_sdk_ecs::types::ContainerDefinition::builder().name("app").image("app").build();
    let made = definition.network_mode("awsvpc".into()).container_definitions(app).send().await.explain()?;
    let id = made.task_definition.and_then(|made| made.task_definition_arn).need("TaskDefinitionArn")?;
    cx.ecs().deregister_task_definition().task_definition(&id).send().await.explain()?;
    let ids = [id];
    let live = aws.read(&region(), TaskDefinition::KIND, &ids).await?.pop().need("TaskDefinition")?;
    assert!(matches!(live.status, payinfra_engine::Status::Failed(_)), "{:?}", live.status);
    aws.delete(&site(&region(), TaskDefinition::KIND, "half")?, &live).await?;
    assert_eq!(aws.read(&region(), TaskDefinition::KIND, &ids).await?, []);
    Ok(())
}

/// AWS would return or replace the existing resource with the name.
#[tokio::test]
async fn clusters_and_services_of_others_are_refused() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let (ecs, name) = (cx.ecs(), "contract-theirs");
    let made = ecs.create_cluster().cluster_name(name).send().await.explain()?;
    let cluster = made.cluster.and_then(|cluster| cluster.cluster_arn).need("ClusterArn")?;
    let class = |error: payinfra_engine::Error| error.class();
    let own = site(&region(), Cluster::KIND, "theirs")?;
    let wanted = form(&Cluster { tags: own.owner.tags(), ..cluster_args(name) })?;
    assert_eq!(aws.create(&own, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&own, &wanted).await.map_err(class), Err(Class::Foreign));

    let app = aws_sdk_ecs::types::ContainerDefinition::builder().name("app").image("app").build();
    let definition = ecs.register_task_definition().family(name).cpu("256").memory("512");
    definition.container_definitions(app).send().await.explain()?;
    ecs.create_service()
        .cluster(name)
        .service_name(name)
        .task_definition(name)
        .desired_count(1)
        .send()
        .await
        .explain()?;
    let own = site(&region(), Service::KIND, "theirs")?;
    let subnets = cx.ec2().describe_subnets().send().await.explain()?;
    let subnet = subnets.subnets().first().and_then(|subnet| subnet.subnet_id()).need("SubnetId")?;
    let wanted = json!({
        "cluster": cluster, "name": name, "task_definition": name, "count": { "fixed": 1 }, "subnets": [subnet],
        "groups": [], "public_ip": false, "load_balancers": [], "health_check_grace": 0, "minimum_healthy": 100,
        "maximum": 200, "circuit_breaker": true, "propagate_tags": "none", "execute_command": false,
        "tags": own.owner.tags(),
    });
    assert_eq!(aws.create(&own, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&own, &wanted).await.map_err(class), Err(Class::Foreign));
    Ok(())
}

/// A service is rejected until a listener forwards to its target group: this is transient, so it is retried.
#[tokio::test]
async fn a_service_waits_for_the_listener_of_its_target_group() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let (ecs, name) = (cx.ecs(), "contract-early");
    ecs.create_cluster().cluster_name(name).send().await.explain()?;
    let app = aws_sdk_ecs::types::ContainerDefinition::builder().name("app").image("app").build();
    let definition = ecs.register_task_definition().family(name).cpu("256").memory("512");
    definition.container_definitions(app).send().await.explain()?;
    let subnets = cx.ec2().describe_subnets().send().await.explain()?;
    let subnet = subnets.subnets().first().need("Subnet")?;
    let (subnet, vpc) = (subnet.subnet_id().need("SubnetId")?, subnet.vpc_id().need("VpcId")?);
    let group = cx.elbv2().create_target_group().name(name).protocol("HTTP".into()).port(8_080).vpc_id(vpc);
    let group = group.target_type("ip".into()).send().await.explain()?.target_groups.unwrap_or_default();
    let group = group.first().and_then(|group| group.target_group_arn()).need("TargetGroupArn")?;
    let wanted = |tags: &Tags| -> Value {
        json!({
            "cluster": name, "name": name, "task_definition": name, "count": { "initial": 1 }, "subnets": [subnet],
            "groups": [], "public_ip": false, "health_check_grace": 30, "minimum_healthy": 100, "maximum": 200,
            "load_balancers": [{ "target_group": group, "container": "app", "port": 8_080 }],
            "circuit_breaker": true, "propagate_tags": "service", "execute_command": false, "tags": tags,
        })
    };
    let site = site(&region(), Service::KIND, "early")?;
    let refused = aws.create(&site, &wanted(&site.owner.tags())).await.map_err(|error| error.class());
    assert_eq!(refused, Err(Class::Eventual));
    Ok(())
}

/// A cluster that was deleted manually is restored under its ARN, so its services are not replaced.
#[tokio::test]
async fn an_inactive_cluster_is_restored() -> Result<()> {
    let aws = Aws::new(access().await?);
    let site = site(&region(), Cluster::KIND, "inactive")?;
    let wanted = form(&Cluster { tags: site.owner.tags(), ..cluster_args("contract-inactive") })?;
    let ids = [aws.create(&site, &wanted).await?];
    let live = aws.read(&region(), Cluster::KIND, &ids).await?.pop().need("Cluster")?;
    aws.delete(&site, &live).await?;
    let dead = aws.read(&region(), Cluster::KIND, &ids).await?.pop().need("Cluster")?;
    assert!(matches!(dead.status, payinfra_engine::Status::Scheduled(_)), "{:?}", dead.status);
    assert_eq!(aws.recover(&site, &wanted).await?, None);
    aws.restore(&site, &dead).await?;
    let live = aws.read(&region(), Cluster::KIND, &ids).await?.pop().need("Cluster")?;
    assert_eq!((live.status.clone(), live.id.as_str()), (payinfra_engine::Status::Ready, ids[0].as_str()));
    aws.delete(&site, &live).await
}
