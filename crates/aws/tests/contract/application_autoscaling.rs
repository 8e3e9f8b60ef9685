//! Examples of Application Auto Scaling.

use payinfra_aws::application_autoscaling::{Metric, Policy, Target};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Graph, Ref, Resource, Result, Tags};

use crate::ecs::service_for;
use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{access, site};

examples![target, policy];

const DIMENSION: &str = "ecs:service:DesiredCount";

fn args(graph: &mut Graph) -> Result<Target> {
    Ok(Target {
        resource: service_for(graph)?.outputs.scalable,
        dimension: DIMENSION.to_owned(),
        min_capacity: 1,
        max_capacity: 4,
        tags: Tags::new(),
    })
}

fn target() -> Result<Example> {
    let mut graph = graph("scalable-target");
    let target = args(&mut graph)?;
    Example::new(graph, &region(), target)?
        .again(Again::Taken)
        .change(|target: &mut Target| target.min_capacity = 2)?
        .change(|target: &mut Target| target.max_capacity = 8)
}

fn policy() -> Result<Example> {
    let mut graph = graph("scaling-policy");
    let target = args(&mut graph)?;
    let target = graph.add(&region(), "target", target)?;
    let policy = Policy {
        name: "contract-cpu".to_owned(),
        target: target.id,
        metric: Metric::EcsCpu,
        target_value: 60.0,
        scale_out_cooldown: 60,
        scale_in_cooldown: 300,
        disable_scale_in: false,
    };
    let arn = |rest: &str| Ref::Known(format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:{rest}"));
    let requests = Metric::RequestsPerTarget {
        load_balancer: arn("loadbalancer/app/contract/50dc6c495c0c9188"),
        target_group: arn("targetgroup/contract/943f017f100becff"),
    };
    Example::new(graph, &region(), policy)?
        .again(Again::Taken)
        .change(|policy: &mut Policy| policy.target_value = 45.5)?
        .change(|policy: &mut Policy| (policy.scale_out_cooldown, policy.scale_in_cooldown) = (30, 120))?
        .change(|policy: &mut Policy| policy.disable_scale_in = true)?
        .change(|policy: &mut Policy| policy.metric = Metric::EcsMemory)?
        .change(|policy: &mut Policy| policy.metric = requests)
}

#[tokio::test]
async fn a_target_of_others_is_not_changed() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let name = "contract-theirs-scaled";
    let (ecs, scaling) = (cx.ecs(), cx.application_autoscaling());
    ecs.create_cluster().cluster_name(name).send().await.explain()?;
    let definition = ecs.register_task_definition().family(name).cpu("256").memory("512").network_mode("awsvpc".into());
    let container = aws_sdk_ecs::types::ContainerDefinition::builder().name("app").image("app").build();
    definition.container_definitions(container).send().await.explain()?;
    let service = ecs.create_service().cluster(name).service_name(name).task_definition(name).desired_count(1);
    service.send().await.explain()?;
    let resource = format!("service/{name}/{name}");
    let theirs = scaling.register_scalable_target().service_namespace("ecs".into()).resource_id(&resource);
    theirs.scalable_dimension(DIMENSION.into()).min_capacity(1).max_capacity(2).send().await.explain()?;

    let site = site(&region(), Target::KIND, "theirs")?;
    let (resource, tags) = (Ref::Known(resource), site.owner.tags());
    let ours = Target { resource, dimension: DIMENSION.to_owned(), min_capacity: 3, max_capacity: 9, tags };
    let wanted = form(&ours)?;
    let class = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    let id = format!("{DIMENSION}/service/{name}/{name}");
    let live = aws.read(&region(), Target::KIND, &[id]).await?.pop().need("ScalableTarget")?;
    assert_eq!((&live.args["min_capacity"], &live.args["max_capacity"]), (&1.into(), &2.into()));
    Ok(())
}
