//! Examples of Elastic Load Balancing.

use std::collections::BTreeSet;

use payinfra_aws::acm::Certificate;
use payinfra_aws::ec2::{InternetGateway, SecurityGroup, Subnet, Vpc};
use payinfra_aws::elbv2::{
    AccessLogs, Action, Condition, FixedResponse, HealthCheck, Listener, ListenerRule, LoadBalancer, Protocol,
    Redirect, Target, TargetGroup,
};
use payinfra_aws::route53::DnsName;
use payinfra_aws::{Access, Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Error, Graph, Id, Node, Ref, Resource, Result, Secret, Tags};

use crate::ec2::{network, part};
use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{access, site};

examples![listener, listener_redirect, listener_rule, load_balancer, target_group];

fn check() -> HealthCheck {
    HealthCheck {
        protocol: Protocol::Http,
        port: "traffic-port".to_owned(),
        path: Secret::new("/health".to_owned()),
        codes: "200".to_owned(),
        interval: 15,
        timeout: 5,
        healthy: 2,
        unhealthy: 3,
    }
}

fn group_in(vpc: Ref<Id<Vpc>>, name: &str) -> TargetGroup {
    TargetGroup {
        name: name.to_owned(),
        vpc,
        protocol: Protocol::Http,
        port: 8080,
        health_check: check(),
        deregistration_delay: Some(30),
        slow_start: None,
        tags: Tags::new().with("Name", "test"),
    }
}

fn balancer_in(subnets: BTreeSet<Ref<Id<Subnet>>>, groups: BTreeSet<Ref<Id<SecurityGroup>>>) -> LoadBalancer {
    LoadBalancer {
        name: String::new(),
        internal: false,
        subnets,
        security_groups: groups,
        access_logs: None,
        idle_timeout: None,
        drop_invalid_header_fields: None,
        deletion_protection: false,
        tags: Tags::new().with("Name", "test"),
    }
}

fn security_group(graph: &mut Graph, vpc: &Node<Vpc>, name: &str) -> Result<Ref<Id<SecurityGroup>>> {
    let group = SecurityGroup {
        vpc: vpc.id.clone(),
        name: name.to_owned(),
        description: "An example".to_owned(),
        ingress: BTreeSet::new(),
        egress: BTreeSet::new(),
        tags: Tags::new().with("Name", "test"),
    };
    Ok(graph.add(&region(), name, group)?.id)
}

/// A load balancer named after the graph, in a VPC with an internet gateway.
pub(crate) fn balanced(graph: &mut Graph) -> Result<(Node<Vpc>, Node<LoadBalancer>)> {
    let vpc = graph.add(&region(), "vpc", network())?;
    let gateway = graph.add(&region(), "gateway", InternetGateway { vpc: vpc.id.clone(), tags: Tags::new() })?;
    let first = graph.add(&region(), "first", part(&vpc, 0))?;
    let second = graph.add(&region(), "second", part(&vpc, 1))?;
    let groups = BTreeSet::from([security_group(graph, &vpc, "balancer")?]);
    let balancer = balancer_in(BTreeSet::from([first.id, second.id]), groups);
    let balancer = LoadBalancer { name: format!("contract-{}", graph.workspace), ..balancer };
    let balancer = graph.add(&region(), "balancer", balancer)?;
    graph.order(&gateway.address, &balancer.address);
    Ok((vpc, balancer))
}

pub(crate) fn target_groups(graph: &mut Graph, vpc: &Node<Vpc>) -> Result<[Node<TargetGroup>; 2]> {
    let mut add = |name: &str| {
        let group = group_in(vpc.id.clone(), &format!("{}-{name}", graph.workspace));
        graph.add(&region(), name, group)
    };
    Ok([add("blue")?, add("green")?])
}

pub(crate) fn forward(targets: &[(&Node<TargetGroup>, Option<i32>)]) -> Action {
    let target = |(group, weight): &(&Node<TargetGroup>, _)| Target { group: group.id.clone(), weight: *weight };
    Action::Forward(targets.iter().map(target).collect())
}

fn fixed(status: &str) -> FixedResponse {
    FixedResponse { status: status.to_owned(), content_type: Some("text/plain".to_owned()), body: None }
}

/// An HTTP port changes to HTTPS, with one target group, two, and none.
fn listener() -> Result<Example> {
    let mut graph = graph("listener");
    let (vpc, balancer) = balanced(&mut graph)?;
    let [blue, green] = target_groups(&mut graph, &vpc)?;
    let mut certificate = |name: &str| {
        let domain_name = DnsName::new(&format!("{name}.listener.example"));
        let certificate = Certificate { domain_name, subject_alternative_names: BTreeSet::new(), tags: Tags::new() };
        Ok::<_, Error>(graph.add(&region(), name, certificate)?.outputs.arn)
    };
    let (old, new) = (certificate("old")?, certificate("new")?);
    let listener = Listener {
        load_balancer: balancer.id,
        port: 80,
        protocol: Protocol::Http,
        certificate: None,
        ssl_policy: None,
        default_action: forward(&[(&blue, Some(1))]),
        tags: Tags::new().with("Name", "test"),
    };
    Example::new(graph, &region(), listener)?
        .again(Again::Same)
        .change(|listener: &mut Listener| listener.default_action = forward(&[(&blue, None), (&green, None)]))?
        .change(|listener: &mut Listener| {
            listener.default_action = forward(&[(&blue, Some(10)), (&green, Some(90))]);
        })?
        .change(|listener: &mut Listener| {
            (listener.port, listener.protocol) = (8443, Protocol::Https);
            listener.certificate = Some(old);
            listener.ssl_policy = Some("ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned());
        })?
        .change(|listener: &mut Listener| listener.certificate = Some(new))?
        .change(|listener: &mut Listener| {
            listener.ssl_policy = Some("ELBSecurityPolicy-TLS13-1-3-2021-06".to_owned());
        })?
        .change(|listener: &mut Listener| listener.default_action = Action::FixedResponse(fixed("503")))
}

/// The responses to plain HTTP.
fn listener_redirect() -> Result<Example> {
    let mut graph = graph("listener-redirect");
    let (_, balancer) = balanced(&mut graph)?;
    let listener = Listener {
        load_balancer: balancer.id,
        port: 80,
        protocol: Protocol::Http,
        certificate: None,
        ssl_policy: None,
        default_action: Action::Redirect(Redirect::to_https()),
        tags: Tags::new().with("Name", "test"),
    };
    Example::new(graph, &region(), listener)?.again(Again::Same).change(|listener: &mut Listener| {
        let elsewhere = Redirect { permanent: false, host: Some("example.com".to_owned()), ..Redirect::to_https() };
        listener.default_action = Action::Redirect(elsewhere);
    })
}

fn listener_rule() -> Result<Example> {
    let mut graph = graph("listener-rule");
    let (vpc, balancer) = balanced(&mut graph)?;
    let [blue, green] = target_groups(&mut graph, &vpc)?;
    let listener = Listener {
        load_balancer: balancer.id,
        port: 80,
        protocol: Protocol::Http,
        certificate: None,
        ssl_policy: None,
        default_action: Action::FixedResponse(fixed("404")),
        tags: Tags::new().with("Name", "test"),
    };
    let listener = graph.add(&region(), "listener", listener)?;
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>();
    let rule = ListenerRule {
        listener: listener.id,
        priority: 10,
        conditions: BTreeSet::from([Condition::Path(set(&["/payments", "/payments/*"]))]),
        action: forward(&[(&blue, None), (&green, None)]),
        tags: Tags::new().with("Name", "test"),
    };
    Example::new(graph, &region(), rule)?
        .again(Again::Taken)
        .change(|rule: &mut ListenerRule| rule.priority = 20)?
        .change(|rule: &mut ListenerRule| {
            rule.conditions = BTreeSet::from([
                Condition::Header("X-Test".to_owned(), BTreeSet::from([Secret::new("green".to_owned())])),
                Condition::Host(set(&["*.example.com"])),
                Condition::Method(set(&["GET", "POST"])),
                Condition::SourceIp(set(&["10.0.0.0/8"])),
            ]);
        })?
        .change(|rule: &mut ListenerRule| rule.action = forward(&[(&green, Some(1))]))?
        .change(|rule: &mut ListenerRule| rule.action = Action::FixedResponse(fixed("403")))
}

fn load_balancer() -> Result<Example> {
    let mut graph = graph("load-balancer");
    let vpc = graph.add(&region(), "vpc", network())?;
    let gateway = graph.add(&region(), "gateway", InternetGateway { vpc: vpc.id.clone(), tags: Tags::new() })?;
    let first = graph.add(&region(), "first", part(&vpc, 0))?.id;
    let second = graph.add(&region(), "second", part(&vpc, 1))?;
    // In another zone than the other two.
    let third = Subnet { zone: "us-east-1c".into(), ..part(&vpc, 2) };
    let third = graph.add(&region(), "third", third)?.id;
    graph.order(&gateway.address, &second.address);
    let [old, new] = [security_group(&mut graph, &vpc, "old")?, security_group(&mut graph, &vpc, "new")?];
    let balancer = balancer_in(BTreeSet::from([first.clone(), second.id]), BTreeSet::from([old]));
    let balancer =
        LoadBalancer { name: "contract-balancer".to_owned(), drop_invalid_header_fields: Some(true), ..balancer };
    Example::new(graph, &region(), balancer)?
        .again(Again::Same)
        .change(|balancer: &mut LoadBalancer| balancer.subnets = BTreeSet::from([first, third]))?
        .change(|balancer: &mut LoadBalancer| balancer.security_groups = BTreeSet::from([new]))?
        .change(|balancer: &mut LoadBalancer| {
            balancer.access_logs = Some(AccessLogs { bucket: "contract-logs".into(), prefix: "balancer".to_owned() });
            balancer.idle_timeout = Some(30);
        })?
        .change(|balancer: &mut LoadBalancer| balancer.drop_invalid_header_fields = Some(false))?
        .change(|balancer: &mut LoadBalancer| {
            balancer.access_logs = Some(AccessLogs { bucket: "contract-logs".into(), prefix: String::new() });
        })?
        .change(|balancer: &mut LoadBalancer| balancer.access_logs = None)?
        // It is deleted anyway.
        .change(|balancer: &mut LoadBalancer| balancer.deletion_protection = true)
}

fn target_group() -> Result<Example> {
    let mut graph = graph("target-group");
    let vpc = graph.add(&region(), "vpc", network())?;
    Example::new(graph, &region(), group_in(vpc.id, "contract-target-group"))?
        .again(Again::Same)
        .change(|group: &mut TargetGroup| {
            let (path, codes) = (Secret::new("/ready".to_owned()), "200-299".to_owned());
            group.health_check =
                HealthCheck { path, codes, interval: 30, timeout: 10, healthy: 3, unhealthy: 2, ..check() };
        })?
        .change(|group: &mut TargetGroup| {
            "9090".clone_into(&mut group.health_check.port);
            group.health_check.protocol = Protocol::Https;
        })?
        .change(|group: &mut TargetGroup| group.deregistration_delay = Some(60))?
        .change(|group: &mut TargetGroup| group.slow_start = Some(45))
}

/// Two target groups and a listener; `weights` are the desired weights.
async fn shared(access: &Access, weights: [Option<i32>; 2]) -> Result<(Listener, [String; 2])> {
    let cx = access.cx(&region());
    let (ec2, elb) = (cx.ec2(), cx.elbv2());
    let vpc = ec2.create_vpc().cidr_block("10.9.0.0/16").send().await.explain()?.vpc.need("Vpc")?;
    let vpc = vpc.vpc_id.need("VpcId")?;
    let mut subnets = Vec::new();
    for (block, zone) in [("10.9.0.0/24", "us-east-1a"), ("10.9.1.0/24", "us-east-1b")] {
        let call = ec2.create_subnet().vpc_id(&vpc).cidr_block(block).availability_zone(zone);
        subnets.push(call.send().await.explain()?.subnet.and_then(|subnet| subnet.subnet_id).need("SubnetId")?);
    }
    let call = elb.create_load_balancer().name("contract-shared").set_subnets(Some(subnets));
    let balancer = call.send().await.explain()?.load_balancers.unwrap_or_default().pop().need("LoadBalancer")?;
    let aws = Aws::new(access.clone());
    let mut arns = Vec::new();
    for name in ["shared-blue", "shared-green"] {
        let group = form(&group_in(Ref::Known(Id::new(&vpc)), name))?;
        arns.push(aws.create(&site(&region(), TargetGroup::KIND, name)?, &group).await?);
    }
    let [blue, green] = [arns.remove(0), arns.remove(0)];
    let target = |arn: &String, weight| Target { group: Ref::Known(Id::new(arn)), weight };
    let listener = Listener {
        load_balancer: Ref::Known(Id::new(balancer.load_balancer_arn.need("LoadBalancerArn")?)),
        port: 80,
        protocol: Protocol::Http,
        certificate: None,
        ssl_policy: None,
        default_action: Action::Forward(BTreeSet::from([target(&blue, weights[0]), target(&green, weights[1])])),
        tags: Tags::new().with("Name", "shared"),
    };
    Ok((listener, [blue, green]))
}

/// Unmanaged weights stay as they are when other properties of the listener change.
#[tokio::test]
async fn shares_that_a_deployment_moved_stay() -> Result<()> {
    let access = access().await?;
    let (mut listener, [blue, green]) = shared(&access, [None, None]).await?;
    let aws = Aws::new(access.clone());
    let site = site(&region(), Listener::KIND, "shared")?;
    let id = aws.create(&site, &form(&listener)?).await?;
    let shares = async || {
        let live = aws.read(&region(), Listener::KIND, std::slice::from_ref(&id)).await?.pop().need("Listener")?;
        let targets = live.args["default_action"]["forward"].as_array().cloned().unwrap_or_default();
        let shares: Vec<_> = targets.iter().map(|target| target["weight"].clone()).collect();
        Ok::<_, Error>((live, shares))
    };
    assert_eq!(shares().await?.1, [100, 0], "the first one gets all traffic");

    let tuple = |arn: &str, weight| {
        aws_sdk_elasticloadbalancingv2::types::TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build()
    };
    let config = aws_sdk_elasticloadbalancingv2::types::ForwardActionConfig::builder();
    let config = config.target_groups(tuple(&blue, 25)).target_groups(tuple(&green, 75)).build();
    let action = aws_sdk_elasticloadbalancingv2::types::Action::builder().forward_config(config);
    let action = action.r#type(aws_sdk_elasticloadbalancingv2::types::ActionTypeEnum::Forward).build();
    let call = access.cx(&region()).elbv2().modify_listener().listener_arn(&id).default_actions(action);
    call.send().await.explain()?;

    listener.port = 8080;
    let (mut live, moved) = shares().await?;
    assert_eq!(moved, [25, 75]);
    live.args["default_action"] = form(&listener.default_action)?;
    aws.update(&site, &form(&listener)?, &live).await?;
    assert_eq!(shares().await?.1, [25, 75], "another change keeps them");

    live.args["default_action"] = form(&Action::FixedResponse(fixed("503")))?;
    aws.update(&site, &form(&listener)?, &live).await?;
    assert_eq!(shares().await?.1, [25, 75], "so does a change of the action itself");
    Ok(())
}

/// AWS would return the existing one.
#[tokio::test]
async fn a_load_balancer_of_others_is_refused() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let cx = access.cx(&region());
    let vpc = cx.ec2().create_vpc().cidr_block("10.8.0.0/16").send().await.explain()?.vpc.need("Vpc")?;
    let call = cx.ec2().create_subnet().vpc_id(vpc.vpc_id.need("VpcId")?).cidr_block("10.8.0.0/24");
    let subnet = call.send().await.explain()?.subnet.and_then(|subnet| subnet.subnet_id).need("SubnetId")?;
    let name = "contract-theirs";
    cx.elbv2().create_load_balancer().name(name).subnets(&subnet).send().await.explain()?;
    let site = site(&region(), LoadBalancer::KIND, "theirs")?;
    let wanted = balancer_in(BTreeSet::from([Ref::Known(Id::new(subnet))]), BTreeSet::new());
    let wanted = form(&LoadBalancer { name: name.to_owned(), tags: site.owner.tags(), ..wanted })?;
    assert_eq!(aws.create(&site, &wanted).await.map_err(|error| error.class()), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(|error| error.class()), Err(Class::Foreign));
    Ok(())
}

/// One that is gone makes AWS reject the whole call.
#[tokio::test]
async fn those_that_are_left_are_read_without_those_that_have_gone() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let (_, [blue, green]) = {
        let vpc = access.cx(&region()).ec2().create_vpc().cidr_block("10.7.0.0/16").send().await.explain()?;
        let vpc = vpc.vpc.and_then(|vpc| vpc.vpc_id).need("VpcId")?;
        let mut arns = Vec::new();
        for name in ["left-blue", "left-green"] {
            let group = form(&group_in(Ref::Known(Id::new(&vpc)), name))?;
            arns.push(aws.create(&site(&region(), TargetGroup::KIND, name)?, &group).await?);
        }
        (vpc, [arns.remove(0), arns.remove(0)])
    };
    access.cx(&region()).elbv2().delete_target_group().target_group_arn(&blue).send().await.explain()?;
    let ids = [blue, green.clone()];
    let found = aws.read(&region(), TargetGroup::KIND, &ids).await?;
    assert_eq!(found.iter().map(|seen| &seen.id).collect::<Vec<_>>(), [&green]);
    Ok(())
}
