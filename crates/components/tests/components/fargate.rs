//! A service that is not the payment service, on Fargate.

use std::collections::BTreeSet;

use payinfra_aws::Policy;
use payinfra_aws::ec2::{Peer, Rule};
use payinfra_aws::ecs::Architecture;
use payinfra_components::fargate::{ColouredService, EXECUTION, Fargate, Scaling, Service, Task, fargate, trust};
use payinfra_components::keys::{Purpose, key, logs_statement};
use payinfra_components::load_balancer::{Edge, Strategy};
use payinfra_components::roles::{TaskRole, role};
use payinfra_engine::{Graph, Result, Text};
use payinfra_stack::Site;
use serde_json::json;

use crate::{Setting, load_balancer};

const PUBLIC: &str = "public.ecr.aws/shop/orders:1.0.0";
const PRIVATE: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/orders:1.0.0";

/// A service of `image` with everything that it needs.
fn orders(graph: &mut Graph, site: &Site<'_>, image: &str) -> Result<(Edge, Service)> {
    orders_with(graph, site, image, Strategy::Stepwise)
}

/// The same with this strategy of deployments.
fn orders_with(graph: &mut Graph, site: &Site<'_>, image: &str, strategy: Strategy) -> Result<(Edge, Service)> {
    let (network, edge) = load_balancer::edge_with(graph, site, 2, strategy)?;
    let statements = vec![logs_statement(site, &["shop-*"])];
    let log_key = key(graph, site, Purpose { name: "logs", services: &[], grants: false, statements })?;
    let description = "Takes orders";
    let role = TaskRole { task: "orders", description, trust: trust(site), policy: None, managed: &[] };
    let role = self::role(graph, site, role)?;
    let service = Fargate {
        about: "the shop",
        task: Task {
            image,
            architecture: Architecture::Arm64,
            cpu: 512,
            memory: 1024,
            environment: [("REGION".to_owned(), Text::from(site.region().as_str()))].into(),
            role: &role,
        },
        network: &network,
        edge: &edge,
        egress: BTreeSet::from([Rule::tcp(3306, Peer::Cidr(site.config.cidr), "MySQL")]),
        log_key: &log_key.outputs.arn,
        log_retention_days: 30,
        scaling: Scaling { min_tasks: 2, max_tasks: 6, cpu_percent: 60, requests_per_target: 500 },
    };
    let service = fargate(graph, site, &service)?;
    Ok((edge, service))
}

#[test]
fn m15_x05_tasks_are_private_and_reached_through_the_load_balancer() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (edge, orders) = orders(graph, &site, PUBLIC)?;
    for (colour, coloured) in edge.colours.iter().zip(&orders.colours) {
        assert_eq!(colour.name, coloured.name);
        let service = setting.args(&format!("us-east-1/ecs.service/service-{}", colour.name));
        assert_eq!((&service["public_ip"], &service["execute_command"]), (&json!(false), &json!(false)));
        assert_eq!(service["name"], format!("shop-service-{}-dev-x1", colour.name));
        let subnet = |zone| json!({ "$ref": format!("us-east-1/ec2.subnet/private-{zone}#id") });
        assert_eq!(service["subnets"], json!([subnet(1), subnet(2)]));
        let group = json!({ "$ref": format!("{}#arn", colour.target_group.address) });
        let target = json!({ "target_group": group, "container": "service", "port": edge.port });
        assert_eq!(service["load_balancers"], json!([target]));
        // AWS refuses a service whose target group no listener uses.
        assert!(setting.graph.nodes()[&coloured.service.address].after.contains(&edge.https.address));
    }

    let group = setting.args("us-east-1/ec2.security-group/service");
    let ingress = group["ingress"].as_array().unwrap();
    assert_eq!(ingress.len(), 1);
    assert_eq!(ingress[0]["peer"], json!({ "group": { "$ref": "us-east-1/ec2.security-group/load-balancer#id" } }));
    assert_eq!(ingress[0]["protocol"], json!({ "tcp": [8443, 8443] }));
    let egress: Vec<_> = group["egress"].as_array().unwrap().iter().map(|rule| rule["protocol"].clone()).collect();
    assert_eq!(egress, [443, 3306].map(|port| json!({ "tcp": [port, port] })));
    assert_eq!(group["description"], "Tasks of the shop");
    setting.check();
    Ok(())
}

#[test]
fn m15_x03_a_task_has_one_read_only_container_with_encrypted_logs() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (_, orders) = orders(graph, &site, PUBLIC)?;
    let definition = setting.args(&orders.colours[0].task_definition.address.to_string());
    let families =
        orders.colours.iter().map(|it| setting.args(&it.task_definition.address.to_string())["family"].clone());
    assert_eq!(families.collect::<Vec<_>>(), ["shop-service-blue-dev-x1", "shop-service-green-dev-x1"]);
    assert_eq!((&definition["cpu"], &definition["memory"]), (&json!(512), &json!(1024)));
    assert_eq!(definition["architecture"], "ARM64");
    assert_eq!(definition["task_role"], json!({ "$ref": "global/iam.role/orders-us-east-1#arn" }));
    let containers = definition["containers"].as_object().unwrap();
    assert_eq!(containers.keys().collect::<Vec<_>>(), ["service"]);
    let container = &containers["service"];
    assert_eq!((&container["image"], &container["ports"]), (&json!(PUBLIC), &json!([8443])));
    assert_eq!((&container["read_only"], &container["user"]), (&json!(true), &json!("65532:65532")));
    assert_eq!(container["environment"], json!({ "REGION": { "$secret": "us-east-1" } }));
    let logs = setting.args("us-east-1/logs.log-group/service");
    assert_eq!(container["log"]["group"], json!({ "$ref": "us-east-1/logs.log-group/service#id" }));
    assert_eq!((&logs["retention_days"], &logs["kms_key"]["$ref"]), (&json!(30), &json!("us-east-1/kms.key/logs#arn")));
    Ok(())
}

#[test]
fn m18_the_number_of_tasks_follows_cpu_and_requests() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (_, orders) = orders(graph, &site, PUBLIC)?;
    let capacities = [(json!({ "initial": 2 }), 2, 6), (json!({ "fixed": 0 }), 0, 0)];
    for (ColouredService { name, service, scaling, .. }, (count, min, max)) in orders.colours.iter().zip(capacities) {
        assert_eq!(setting.args(&service.address.to_string())["count"], count);
        let target = setting.args(&scaling.address.to_string());
        assert_eq!((&target["min_capacity"], &target["max_capacity"]), (&json!(min), &json!(max)));
        let policy = |metric: &str| setting.args(&format!("us-east-1/application-autoscaling.policy/{metric}-{name}"));
        assert_eq!((&policy("cpu")["metric"], &policy("cpu")["target_value"]), (&json!("ecs_cpu"), &json!(60.0)));
        let of = |address: &str| json!({ "$ref": format!("us-east-1/elbv2.{address}#arn") });
        let group = of(&format!("target-group/{name}"));
        let requests = json!({ "load_balancer": of("load-balancer/main"), "target_group": group });
        assert_eq!(policy("requests")["metric"], json!({ "requests_per_target": requests }));
        assert_eq!(policy("requests")["target_value"], 500.0);
    }
    Ok(())
}

/// M-17: a deployment can change the image, the number of tasks and its bounds, of each colour.
#[test]
fn m17_what_a_deployment_changes_is_operational() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (_, orders) = orders(graph, &site, PUBLIC)?;
    for ColouredService { task_definition, service, scaling, .. } in &orders.colours {
        for (address, pointers) in [
            (&task_definition.address, vec!["/containers/service/image"]),
            (&service.address, vec!["/count"]),
            (&scaling.address, vec!["/max_capacity", "/min_capacity"]),
        ] {
            let operational = &setting.graph.nodes()[address].operational;
            assert_eq!(operational.keys().collect::<Vec<_>>(), pointers, "{address}");
        }
    }
    Ok(())
}

/// M-17: if ECS deploys, there is one service, ECS may change the load balancer, and nobody else changes the weights.
#[test]
fn m17_x04_ecs_alone_shifts_requests() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (_, orders) = orders_with(graph, &site, PUBLIC, Strategy::Native { bake_minutes: 7 })?;
    assert_eq!(orders.colours.len(), 1);
    let listener: payinfra_engine::Address = "us-east-1/elbv2.listener/https".parse()?;
    assert!(setting.graph.nodes()[&listener].operational.is_empty());
    let targets = setting.args("us-east-1/elbv2.listener/https")["default_action"]["forward"].clone();
    let weights: Vec<_> = targets.as_array().unwrap().iter().map(|target| target["weight"].clone()).collect();
    assert_eq!(weights, [json!(null), json!(null)]);
    let service = setting.args("us-east-1/ecs.service/service");
    assert_eq!(service["blue_green"]["bake_minutes"], 7);
    let arn = |address: &str| json!({ "$ref": format!("{address}#arn") });
    let balancer = &service["load_balancers"][0];
    assert_eq!(balancer["target_group"], arn("us-east-1/elbv2.target-group/blue"));
    assert_eq!(
        balancer["alternate"],
        json!({
            "target_group": arn("us-east-1/elbv2.target-group/green"),
            "production": arn("us-east-1/elbv2.listener/https"),
            "role": arn("global/iam.role/ecs-balancers-us-east-1"),
        })
    );
    let role = setting.args("global/iam.role/ecs-balancers-us-east-1");
    assert_eq!(role["managed"], json!(["arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers"]));
    assert_eq!(role["inline"], json!({}));
    let trust = setting.statement("global/iam.role/ecs-balancers-us-east-1", "/trust", "Assume").to_string();
    assert!(trust.contains("\"ecs.amazonaws.com\""), "{trust}");
    // Either group may have the tasks, and the other one has no metric.
    for colour in ["blue", "green"] {
        let policy = setting.args(&format!("us-east-1/application-autoscaling.policy/requests-{colour}"));
        assert_eq!(policy["disable_scale_in"], true, "{colour}");
    }
    assert_eq!(setting.args("us-east-1/application-autoscaling.policy/cpu-service")["disable_scale_in"], false);
    let image = &setting.graph.nodes()[&orders.colours[0].task_definition.address].operational;
    assert_eq!(image.keys().collect::<Vec<_>>(), ["/containers/service/image"]);
    assert!(setting.graph.nodes()[&orders.colours[0].service.address].operational.is_empty());
    let output = &setting.graph.outputs()["ecs_service_name_us_east_1"];
    assert_eq!(*output, json!({ "$text": [{ "$ref": "us-east-1/ecs.service/service#name" }] }));
    setting.check();
    Ok(())
}

/// only a private image takes permissions to pull it.
#[test]
fn x04_ecs_may_write_logs_and_pull_a_private_image() -> Result<()> {
    for (image, expected) in [(PUBLIC, vec!["Log"]), (PRIVATE, vec!["Log", "Pull", "SignIn"])] {
        let mut setting = Setting::new();
        let (graph, site) = setting.site(0);
        let (_, orders) = orders(graph, &site, image)?;
        assert_eq!(orders.execution_role.address.to_string(), format!("global/iam.role/{EXECUTION}-us-east-1"));
        let role = setting.args(&orders.execution_role.address.to_string());
        assert_eq!(role["description"], "Starts the tasks of the shop in us-east-1");
        let policy: Policy = serde_json::from_value(role["inline"][EXECUTION].clone()).unwrap();
        assert_eq!(policy.statements().map(|statement| &*statement.sid).collect::<Vec<_>>(), expected, "{image}");
        let address = orders.execution_role.address.to_string();
        let trust = setting.statement(&address, "/trust", "Assume").to_string();
        assert!(trust.contains("ecs-tasks.amazonaws.com") && trust.contains("arn:aws:ecs:us-east-1:123456789012:*"));
        setting.check();
    }
    Ok(())
}

#[test]
fn a_service_is_in_the_outputs_of_its_region() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(2);
    let (_, orders) = orders(graph, &site, PUBLIC)?;
    for (output, reference) in [
        ("ecs_cluster_name", format!("{}#name", orders.cluster.address)),
        ("ecs_service_blue_arn", format!("{}#arn", orders.colours[0].service.address)),
        ("ecs_service_green_name", format!("{}#name", orders.colours[1].service.address)),
        ("ecs_log_group_name", format!("{}#id", orders.log_group.address)),
        ("ecs_execution_role_arn", format!("{}#arn", orders.execution_role.address)),
    ] {
        let expected = json!({ "$text": [{ "$ref": reference }] });
        assert_eq!(setting.graph.outputs()[&format!("{output}_us_west_2")], expected);
    }
    assert_eq!(setting.of_kind("ecs.service"), ["service-blue", "service-green"]);
    assert_eq!(orders.group.address.to_string(), "us-west-2/ec2.security-group/service");
    Ok(())
}
