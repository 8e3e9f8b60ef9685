//! The ECS cluster, the service, and its scaling.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_applicationautoscaling::types::{
    MetricType, ScalableTarget, ServiceNamespace, TargetTrackingScalingPolicyConfiguration,
};
use aws_sdk_ec2::types::Filter;
use aws_sdk_ecs::types::{ClusterField, Service, TaskDefinition};
use payinfra_tests::Bench;
use serde_json::Value;

use crate::{ACCOUNT, SIDES, key, migration, policy, texts};

const CLUSTER: &str = "payment-cluster-migration-demo1";
/// The name of the log group.
const SERVICE: &str = "payment-service-migration-demo1";
const BLUE: &str = "payment-service-blue-migration-demo1";
const GREEN: &str = "payment-service-green-migration-demo1";

fn ecs(bench: &Bench, region: &str) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(&bench.sdk(region))
}

/// The region's only services: blue, which is active, and green, which is idle.
async fn services(bench: &Bench, region: &str) -> [Service; 2] {
    let ecs = ecs(bench, region);
    let arns = ecs.list_services().cluster(CLUSTER).send().await.unwrap();
    assert_eq!(arns.service_arns().len(), 2, "{region}");
    let found = ecs.describe_services().cluster(CLUSTER).services(BLUE).services(GREEN).send().await.unwrap();
    let mut services = found.services.unwrap();
    services.sort_by_key(|service| service.service_name.clone());
    services.try_into().unwrap()
}

/// The task definition of the region's active service.
pub(crate) async fn definition(bench: &Bench, region: &str) -> TaskDefinition {
    let [service, _] = services(bench, region).await;
    let call = ecs(bench, region).describe_task_definition().task_definition(service.task_definition().unwrap());
    call.send().await.unwrap().task_definition.unwrap()
}

/// The ARN of the region's target group of a color.
async fn target_group(bench: &Bench, region: &str, colour: &str) -> String {
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&bench.sdk(region));
    let groups = elb.describe_target_groups().send().await.unwrap();
    let arns = groups.target_groups().iter().filter_map(|group| group.target_group_arn());
    arns.into_iter().find(|arn| arn.contains(colour)).unwrap().to_owned()
}

/// The ARN of the region's load balancer.
async fn balancer(bench: &Bench, region: &str) -> String {
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&bench.sdk(region));
    let balancers = elb.describe_load_balancers().send().await.unwrap();
    balancers.load_balancers()[0].load_balancer_arn().unwrap().to_owned()
}

/// M-15: a cluster in each region, with Container Insights.
#[tokio::test(flavor = "multi_thread")]
async fn m15_each_region_has_a_cluster_with_container_insights() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let ecs = ecs(bench, region);
        assert_eq!(ecs.list_clusters().send().await.unwrap().cluster_arns().len(), 1, "{region}");
        let call = ecs.describe_clusters().clusters(CLUSTER).include(ClusterField::Settings);
        let found = call.send().await.unwrap();
        let cluster = &found.clusters()[0];
        assert_eq!(cluster.status(), Some("ACTIVE"));
        let setting = &cluster.settings()[0];
        assert_eq!((setting.name().unwrap().as_str(), setting.value()), ("containerInsights", Some("enabled")));
    }
}

/// M-15, M-17, X-05: both colours of the service run on Fargate in the private subnets, without public addresses, and accept
/// traffic only from the load balancer; the desired number of tasks is running, with the desired task definition.
#[tokio::test(flavor = "multi_thread")]
async fn m15_m17_x05_the_service_runs_privately_behind_the_load_balancer() {
    let bench = migration().await;
    for (region, cidr, other) in SIDES {
        for (service, (colour, tasks)) in services(bench, region).await.into_iter().zip([("blue", 2), ("green", 0)]) {
            assert_eq!(service.launch_type().unwrap().as_str(), "FARGATE");
            assert_eq!((service.desired_count(), service.running_count()), (tasks, tasks), "{colour} in {region}");
            let deployment = &service.deployments()[0];
            assert_eq!(deployment.rollout_state().unwrap().as_str(), "COMPLETED");
            assert_eq!(deployment.task_definition(), service.task_definition());
            assert!(!service.enable_execute_command());
            assert_eq!(service.propagate_tags().unwrap().as_str(), "SERVICE");
            let rollout = service.deployment_configuration().unwrap();
            let breaker = rollout.deployment_circuit_breaker().unwrap();
            assert!(breaker.enable() && breaker.rollback());
            assert_eq!(rollout.minimum_healthy_percent(), Some(100));

            let vpc = service.network_configuration().unwrap().awsvpc_configuration().unwrap();
            assert_eq!(vpc.assign_public_ip().unwrap().as_str(), "DISABLED");
            let ec2 = bench.ec2(region);
            let private = Filter::builder().name("tag:Name").values("payment-private-subnet-*").build();
            let subnets = ec2.describe_subnets().filters(private).send().await.unwrap();
            let subnets: BTreeSet<_> = subnets.subnets().iter().filter_map(|subnet| subnet.subnet_id()).collect();
            assert_eq!(vpc.subnets().iter().map(String::as_str).collect::<BTreeSet<_>>(), subnets, "{region}");

            let balancers = service.load_balancers();
            assert_eq!(balancers.len(), 1);
            assert_eq!(balancers[0].target_group_arn(), Some(&target_group(bench, region, colour).await[..]));
            assert_eq!((balancers[0].container_name(), balancers[0].container_port()), (Some("service"), Some(8080)));

            let elb = aws_sdk_elasticloadbalancingv2::Client::new(&bench.sdk(region));
            let found = elb.describe_load_balancers().send().await.unwrap();
            let from = found.load_balancers()[0].security_groups();
            let groups = ec2.describe_security_groups().group_ids(&vpc.security_groups()[0]).send().await.unwrap();
            let group = &groups.security_groups()[0];
            assert_eq!(group.ip_permissions().len(), 1, "one ingress rule");
            let entry = &group.ip_permissions()[0];
            assert_eq!((entry.from_port(), entry.to_port()), (Some(8080), Some(8080)));
            assert!(
                entry.ip_ranges().is_empty() && entry.ipv6_ranges().is_empty() && entry.prefix_list_ids().is_empty()
            );
            let peers: Vec<_> = entry.user_id_group_pairs().iter().filter_map(|pair| pair.group_id()).collect();
            assert_eq!(peers, from.iter().map(String::as_str).collect::<Vec<_>>());
            let out = group.ip_permissions_egress().iter().flat_map(|rule| {
                rule.ip_ranges().iter().map(|range| (rule.from_port().unwrap(), range.cidr_ip().unwrap()))
            });
            assert_eq!(out.collect::<BTreeSet<_>>(), BTreeSet::from([(443, "0.0.0.0/0"), (5432, cidr), (5432, other)]));
        }
    }
}

/// M-15, X-03: a task is one container of the configured image, with a read-only file system and the user nobody, and
/// logs to a group that is encrypted with the logs key.
#[tokio::test(flavor = "multi_thread")]
async fn m15_x03_a_task_cannot_write_is_nobody_and_logs_encrypted() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let definition = definition(bench, region).await;
        assert_eq!((definition.cpu(), definition.memory()), (Some("512"), Some("1024")));
        assert_eq!(definition.network_mode().unwrap().as_str(), "awsvpc");
        let platform = definition.runtime_platform().unwrap();
        assert_eq!(platform.cpu_architecture().unwrap().as_str(), "X86_64");
        let containers = definition.container_definitions();
        assert_eq!(containers.len(), 1);
        let container = &containers[0];
        assert_eq!(container.image(), Some("public.ecr.aws/payinfra/payment-service:1.0.0"));
        assert_eq!(container.readonly_root_filesystem(), Some(true));
        assert_eq!(container.user(), Some("65532:65532"));
        let environment = container.environment().iter().map(|it| (it.name().unwrap(), it.value().unwrap()));
        let environment: BTreeSet<_> = environment.collect();
        for (name, part) in [
            ("PAYMENTS_TABLE", "payment-payments-migration-demo1"),
            ("AUDIT_BUCKET", "payment-audit-trail-migration-demo1"),
            ("AWS_REGION", region),
            ("PORT", "8080"),
            ("PENDING_INDEX", "audit-pending"),
            ("PHASE", "migration"),
            ("REGIONS", "us-east-1=payment-audit-trail-migration-demo1-us-east-1-"),
            ("AUTH", "none"),
        ] {
            assert!(environment.iter().any(|(key, value)| *key == name && value.starts_with(part)), "{environment:?}");
        }
        let log = container.log_configuration().unwrap();
        assert_eq!(log.log_driver().as_str(), "awslogs");
        assert_eq!(log.options().unwrap()["awslogs-group"], SERVICE);
        assert_eq!(log.options().unwrap()["awslogs-region"], region);
        let logs = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk(region));
        let groups = logs.describe_log_groups().log_group_name_prefix(SERVICE).send().await.unwrap();
        assert_eq!(groups.log_groups()[0].kms_key_id(), Some(&key(bench, region, "logs").await[..]));
        assert_eq!(groups.log_groups()[0].retention_in_days(), Some(90));
    }
}

/// The image is a variable, and so are the settings that depend on it.
#[tokio::test(flavor = "multi_thread")]
async fn m15_the_image_is_a_variable_and_what_fargate_has_not_is_refused_before_any_call() {
    let bench = Bench::new().await;
    let shipped = bench.configuration();
    for (bad, says) in [
        ("cpu = 512\nmemory = 512", "Fargate does not support 512 MiB of memory with 512 CPU units"),
        ("cpu = 300", "Fargate does not support tasks with 300 CPU units"),
        ("min_tasks = 5\nmax_tasks = 4", "`max_tasks` (4) is less than `min_tasks` (5)"),
        ("port = 0", "invalid value 0 of `port`"),
        ("image = \"\"", "`` is not a container image"),
    ] {
        bench.configure(&shipped.replace("[defaults.service]", &format!("[defaults.service]\n{bad}")));
        let outcome = bench.run(&["plan", "--workspace", "migration"]);
        assert_ne!(outcome.code, Some(0));
        assert!(outcome.stderr.contains(says), "{bad}: {}", outcome.stderr);
        assert!(bench.mutations().is_empty(), "{bad}");
    }
}

/// M-18, M-17: within the workspace's limits, the active colour scales by CPU utilization and requests per target. The idle one
/// has the same policies, but cannot have tasks.
#[tokio::test(flavor = "multi_thread")]
async fn m18_m17_the_service_scales_with_cpu_and_requests() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let scaling = aws_sdk_applicationautoscaling::Client::new(&bench.sdk(region));
        let bounds = bounds(&scaling).await;
        let service = |name| format!("service/{CLUSTER}/{name}");
        assert_eq!(bounds, BTreeMap::from([(service(BLUE), (2, 4)), (service(GREEN), (0, 0))]), "{region}");
        let found = scaling.describe_scaling_policies().service_namespace(ServiceNamespace::Ecs).send().await.unwrap();
        assert_eq!(found.scaling_policies().len(), 4, "{region}");
        for (name, colour) in [(BLUE, "blue"), (GREEN, "green")] {
            let tracking = |metric: &MetricType| -> &TargetTrackingScalingPolicyConfiguration {
                let mut all = found
                    .scaling_policies()
                    .iter()
                    .filter(|policy| policy.resource_id() == service(name))
                    .filter_map(|policy| policy.target_tracking_scaling_policy_configuration());
                all.find(|it| it.predefined_metric_specification().unwrap().predefined_metric_type() == metric).unwrap()
            };
            let cpu = tracking(&MetricType::EcsServiceAverageCpuUtilization);
            assert!((cpu.target_value() - 60.0).abs() < f64::EPSILON);
            let requests = tracking(&MetricType::AlbRequestCountPerTarget);
            assert!((requests.target_value() - 1_000.0).abs() < f64::EPSILON);
            let (balancer, group) = (balancer(bench, region).await, target_group(bench, region, colour).await);
            let label =
                format!("{}/{}", balancer.split_once(":loadbalancer/").unwrap().1, group.rsplit_once(':').unwrap().1);
            assert_eq!(requests.predefined_metric_specification().unwrap().resource_label(), Some(&label[..]));
        }
    }
}

/// The scalable targets, with their minimum and maximum.
async fn bounds(scaling: &aws_sdk_applicationautoscaling::Client) -> BTreeMap<String, (i32, i32)> {
    let found = scaling.describe_scalable_targets().service_namespace(ServiceNamespace::Ecs).send().await.unwrap();
    let bounds = |it: &ScalableTarget| (it.resource_id().to_owned(), (it.min_capacity(), it.max_capacity()));
    found.scalable_targets().iter().map(bounds).collect()
}

/// M-18, M-02: production runs more and larger tasks, and the limits are variables. The current number of tasks is then
/// not drift.
#[tokio::test(flavor = "multi_thread")]
async fn m18_m02_the_bounds_are_the_workspaces_own() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "production", "--yes"]).ok();
    let scaling = aws_sdk_applicationautoscaling::Client::new(&bench.sdk("us-east-1"));
    let (cluster, name) = ("payment-cluster-production-demo1", "payment-service-blue-production-demo1");
    let blue = async || bounds(&scaling).await[&format!("service/{cluster}/{name}")];
    assert_eq!(blue().await, (3, 12));
    let ecs = ecs(&bench, "us-east-1");
    let found = ecs.describe_services().cluster(cluster).services(name).send().await.unwrap();
    assert_eq!(found.services()[0].running_count(), 3);
    let definition = found.services()[0].task_definition().unwrap();
    let definition = ecs.describe_task_definition().task_definition(definition).send().await.unwrap();
    let definition = definition.task_definition().unwrap();
    assert_eq!((definition.cpu(), definition.memory()), (Some("1024"), Some("2048")));

    ecs.update_service().cluster(cluster).service(name).desired_count(7).send().await.unwrap();
    bench.run(&["drift", "--workspace", "production"]).ok();
    let bounds_too = "[defaults.service]\nmin_tasks = 4\nmax_tasks = 20";
    bench.configure(&bench.configuration().replace("[defaults.service]", bounds_too));
    bench.run(&["apply", "--workspace", "production", "--yes"]).ok();
    assert_eq!(blue().await, (4, 20));
    let found = ecs.describe_services().cluster(cluster).services(name).send().await.unwrap();
    assert_eq!(found.services()[0].desired_count(), 7, "auto scaling's number is kept");
}

/// For a new image in the configuration, a new revision is registered first, then the service moves to it, and then the old
/// revision is deleted. Both colours get it, because the idle one may have the configured image.
#[tokio::test(flavor = "multi_thread")]
async fn m15_a_new_image_is_rolled_out_and_the_old_revision_goes() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    bench.aws.clear_calls();
    let image = "[defaults.service]\nimage = \"123456789012.dkr.ecr.us-east-1.amazonaws.com/payments:2\"";
    bench.configure(&bench.configuration().replace("[defaults.service]", image));
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let steps = ["RegisterTaskDefinition", "UpdateService", "DeregisterTaskDefinition", "DeleteTaskDefinitions"];
    let calls: Vec<_> = bench.mutations().into_iter().filter(|call| call.service == "ecs").collect();
    assert_eq!(calls.len(), 2 * steps.len());
    for (index, step) in steps.iter().enumerate() {
        let at = |nth: usize| calls.iter().filter(|call| call.action == *step).nth(nth).unwrap().at;
        assert!(index == 0 || at(0) > calls.iter().find(|call| call.action == steps[index - 1]).unwrap().at, "{step}");
        assert!(at(1) >= at(0));
    }

    let ecs = ecs(&bench, "us-east-1");
    let cluster = "payment-cluster-legacy-demo1";
    for name in ["payment-service-blue-legacy-demo1", "payment-service-green-legacy-demo1"] {
        let revisions = ecs.list_task_definitions().family_prefix(name).send().await.unwrap();
        let [revision] = revisions.task_definition_arns() else { panic!("one revision: {revisions:?}") };
        let found = ecs.describe_services().cluster(cluster).services(name).send().await.unwrap();
        assert_eq!(found.services()[0].task_definition(), Some(&revision[..]));
    }
    // Only an image in the account's own repository may be pulled, and no other.
    let iam = aws_sdk_iam::Client::new(&bench.sdk("us-east-1"));
    let role = "payment-ecs-execution-legacy-demo1-us-east-1";
    let document = iam.get_role_policy().role_name(role).policy_name("ecs-execution").send().await.unwrap();
    let document = policy(document.policy_document());
    let pull = document["Statement"].as_array().unwrap().iter().find(|it| it["Sid"] == "Pull").unwrap();
    assert_eq!(texts(&pull["Resource"]), ["arn:aws:ecr:us-east-1:123456789012:repository/payments"]);
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
}

/// AWS-FACTS §4.5: the service is created after a listener forwards to its target group, and not before.
#[tokio::test(flavor = "multi_thread")]
async fn m15_the_service_waits_for_the_listener() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let calls = bench.aws.calls();
        let here =
            |action: &'static str| calls.iter().filter(move |call| call.region == region && call.action == action);
        assert_eq!(here("CreateService").count(), 2, "created once per colour, and not rejected before");
        // The listener that only redirects may come at any time.
        let listener = here("CreateListener").map(|call| call.at).min().unwrap();
        assert!(here("CreateService").all(|call| call.at > listener), "{region}");
    }
}

/// M-21, X-04: a task stores payments and writes audit records in its own region, with the region's keys.
#[tokio::test(flavor = "multi_thread")]
async fn m21_x04_a_task_stores_payments_and_writes_audit_records_and_no_more() {
    let bench = migration().await;
    let iam = aws_sdk_iam::Client::new(&bench.sdk("us-east-1"));
    for (region, other) in [("us-east-1", "us-east-2"), ("us-east-2", "us-east-1")] {
        let definition = definition(bench, region).await;
        let role = format!("payment-ecs-task-migration-demo1-{region}");
        assert_eq!(definition.task_role_arn(), Some(&format!("arn:aws:iam::{ACCOUNT}:role/{role}")[..]));
        assert_ne!(definition.execution_role_arn(), definition.task_role_arn());
        let call = iam.get_role_policy().role_name(&role).policy_name("ecs-task");
        let document = policy(call.send().await.unwrap().policy_document());
        let granted = |action: &str| -> Vec<Value> {
            let all = document["Statement"].as_array().unwrap().iter();
            all.filter(|it| texts(&it["Action"]).contains(&action)).map(|it| it["Resource"].clone()).collect()
        };
        // A payment is written in the region that its id belongs to.
        let table = |region| format!("arn:aws:dynamodb:{region}:{ACCOUNT}:table/payment-payments-migration-demo1");
        for action in ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"] {
            assert_eq!(granted(action), [Value::from(table(region)), Value::from(table(other))], "{action}");
        }
        assert_eq!(granted("dynamodb:Scan"), [Value::from(table(region) + "/index/audit-pending")]);
        let puts = granted("s3:PutObject");
        assert_eq!(puts.len(), 2);
        for (put, region) in puts.iter().zip([region, other]) {
            let audit = format!("arn:aws:s3:::payment-audit-trail-migration-demo1-{region}-");
            assert!(texts(put).iter().all(|it| it.starts_with(&audit) && it.ends_with("/payments/*")), "{puts:?}");
        }
        let keys = [key(bench, region, "storage").await, key(bench, other, "storage").await];
        assert_eq!(granted("kms:GenerateDataKey"), keys.map(Value::from));
        let keys = [key(bench, region, "application").await, key(bench, other, "application").await];
        assert_eq!(granted("kms:Decrypt"), keys.map(Value::from));
    }
}
