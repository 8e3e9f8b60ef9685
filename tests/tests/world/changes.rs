//! Makes the changes that need no test of their own, with AWS's own calls.

use aws_sdk_ec2::types::{IpPermission, IpRange, Tag};
use aws_sdk_ecs::types::{Service, TaskDefinition};
use aws_sdk_rds::types::{ApplyMethod, Parameter};
use payinfra_tests::policy;
use serde_json::json;

use crate::World;

const HOME: &str = "us-east-1";
const OTHER: &str = "us-east-2";
const SERVICE: &str = "us-east-1/ecs.service/service-blue";
/// The minor version that AWS upgrades the database to.
pub(crate) const UPGRADED: &str = "16.9";

/// Defines `make`, which calls the function of a change's name.
macro_rules! changes {
    ($($name:ident),* $(,)?) => {
        /// Makes the change `name`.
        pub(crate) async fn make(world: &World, name: &str) {
            match name {
                $(stringify!($name) => $name(world).await,)*
                name => panic!("nothing makes the change {name}"),
            }
        }
    };
}

changes!(
    alarm_is_deleted,
    alarm_is_raised,
    bucket_policy_is_edited,
    certificate_is_renewed,
    database_is_upgraded,
    parameter_is_changed,
    policy_is_attached,
    resources_are_tagged,
    retention_is_changed,
    revision_is_deployed,
    revision_is_registered,
    rotation_is_disabled,
    rule_is_added,
    secret_is_rotated,
    service_is_scaled,
    zone_is_impaired,
);

async fn zone_is_impaired(world: &World) {
    world.bench.aws.set_zone("us-east-1b", Some("impaired"));
    let zones = world.bench.ec2(HOME).describe_availability_zones().send().await.unwrap();
    let states = zones.availability_zones().iter().filter_map(|zone| Some((zone.zone_name()?, zone.state()?.as_str())));
    let states: Vec<_> = states.filter(|(_, state)| *state != "available").collect();
    assert_eq!(states, [("us-east-1b", "impaired")]);
}

/// The secondary first, as AWS does.
async fn database_is_upgraded(world: &World) {
    for region in [OTHER, HOME] {
        upgrade(world, region).await;
    }
}

/// Upgrades the cluster in `region`.
pub(crate) async fn upgrade(world: &World, region: &str) {
    let rds = aws_sdk_rds::Client::new(&world.bench.sdk(region));
    let cluster = world.id(&format!("{region}/rds.cluster/main"));
    let call = rds.modify_db_cluster().db_cluster_identifier(cluster).engine_version(UPGRADED);
    call.apply_immediately(true).send().await.unwrap();
    assert_eq!(version(world, region).await, UPGRADED);
}

/// The version of the cluster in `region`.
pub(crate) async fn version(world: &World, region: &str) -> String {
    let rds = aws_sdk_rds::Client::new(&world.bench.sdk(region));
    let cluster = world.id(&format!("{region}/rds.cluster/main"));
    let found = rds.describe_db_clusters().db_cluster_identifier(cluster).send().await.unwrap();
    found.db_clusters()[0].engine_version().unwrap().to_owned()
}

fn ecs(world: &World) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(&world.bench.sdk(HOME))
}

fn cluster(world: &World) -> &str {
    world.id("us-east-1/ecs.cluster/main")
}

/// The blue service.
pub(crate) async fn service(world: &World) -> Service {
    let call = ecs(world).describe_services().cluster(cluster(world)).services(world.id(SERVICE));
    call.send().await.unwrap().services.unwrap().remove(0)
}

async fn service_is_scaled(world: &World) {
    let call = ecs(world).update_service().cluster(cluster(world)).service(world.id(SERVICE)).desired_count(7);
    call.send().await.unwrap();
}

async fn revision_is_registered(world: &World) {
    register(world).await;
}

async fn revision_is_deployed(world: &World) {
    let revision = register(world).await;
    let call = ecs(world).update_service().cluster(cluster(world)).service(world.id(SERVICE));
    call.task_definition(revision).send().await.unwrap();
}

/// Registers a copy of the service's task definition; returns its ARN.
async fn register(world: &World) -> String {
    let current = world.id("us-east-1/ecs.task-definition/service-blue");
    let found = ecs(world).describe_task_definition().task_definition(current).send().await.unwrap();
    let TaskDefinition {
        family,
        container_definitions,
        task_role_arn,
        execution_role_arn,
        network_mode,
        requires_compatibilities,
        cpu,
        memory,
        ..
    } = found.task_definition.unwrap();
    let call = ecs(world).register_task_definition().set_family(family);
    let call = call.set_container_definitions(container_definitions).set_task_role_arn(task_role_arn);
    let call = call.set_execution_role_arn(execution_role_arn).set_network_mode(network_mode);
    let call = call.set_requires_compatibilities(requires_compatibilities).set_cpu(cpu).set_memory(memory);
    let revision = call.send().await.unwrap().task_definition.unwrap().task_definition_arn.unwrap();
    assert_ne!(revision, current);
    revision
}

/// As a rotation function does: the database gets the password, then the secret has it.
async fn secret_is_rotated(world: &World) {
    let password = "rotated-by-a-function-1";
    let rds = aws_sdk_rds::Client::new(&world.bench.sdk(HOME));
    let call = rds.modify_db_cluster().db_cluster_identifier(world.id("us-east-1/rds.cluster/main"));
    call.master_user_password(password).apply_immediately(true).send().await.unwrap();
    let secrets = aws_sdk_secretsmanager::Client::new(&world.bench.sdk(HOME));
    let call = secrets.put_secret_value().secret_id(world.id("us-east-1/secretsmanager.password/database"));
    call.secret_string(password).send().await.unwrap();
}

async fn certificate_is_renewed(world: &World) {
    let acm = aws_sdk_acm::Client::new(&world.bench.sdk(HOME));
    let arn = world.id("us-east-1/acm.certificate/api");
    let serial = async || {
        let found = acm.describe_certificate().certificate_arn(arn).send().await.unwrap();
        found.certificate.unwrap().serial.unwrap()
    };
    let before = serial().await;
    world.bench.aws.renew_certificates("*");
    assert_ne!(serial().await, before);
}

async fn alarm_is_raised(world: &World) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&world.bench.sdk(HOME));
    let call = cloudwatch.set_alarm_state().alarm_name(world.id("us-east-1/cloudwatch.alarm/latency"));
    call.state_value("ALARM".into()).state_reason("slow").send().await.unwrap();
}

async fn alarm_is_deleted(world: &World) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&world.bench.sdk(OTHER));
    let call = cloudwatch.delete_alarms().alarm_names(world.id("us-east-2/cloudwatch.alarm/replica-lag"));
    call.send().await.unwrap();
}

/// As the tagger of an organization does.
pub(crate) async fn resources_are_tagged(world: &World) {
    let (key, value) = ("org:owner", "payments");
    let sdk = world.bench.sdk(HOME);
    let tag = Tag::builder().key(key).value(value).build();
    world.bench.ec2(HOME).create_tags().resources(world.id("us-east-1/ec2.vpc/main")).tags(tag).send().await.unwrap();
    let tag = aws_sdk_cloudwatch::types::Tag::builder().key(key).value(value).build();
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&sdk);
    let call = cloudwatch.tag_resource().resource_arn(world.arn("us-east-1/cloudwatch.alarm/latency"));
    call.tags(tag).send().await.unwrap();
    let logs = aws_sdk_cloudwatchlogs::Client::new(&sdk);
    let call = logs.tag_resource().resource_arn(world.arn("us-east-1/logs.log-group/service"));
    call.tags(key, value).send().await.unwrap();
    let (s3, bucket) = (world.bench.s3(HOME), world.id("us-east-1/s3.bucket/access-logs"));
    let mut tags = s3.get_bucket_tagging().bucket(bucket).send().await.unwrap().tag_set;
    tags.push(aws_sdk_s3::types::Tag::builder().key(key).value(value).build().unwrap());
    let tags = aws_sdk_s3::types::Tagging::builder().set_tag_set(Some(tags)).build().unwrap();
    s3.put_bucket_tagging().bucket(bucket).tagging(tags).send().await.unwrap();
}

async fn rule_is_added(world: &World) {
    let range = IpRange::builder().cidr_ip("192.168.0.0/16").build();
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).ip_ranges(range).build();
    let call = world.bench.ec2(HOME).authorize_security_group_ingress();
    let call = call.group_id(world.id("us-east-1/ec2.security-group/service"));
    call.ip_permissions(rule).send().await.unwrap();
}

async fn bucket_policy_is_edited(world: &World) {
    let (s3, bucket) = (world.bench.s3(HOME), world.id("us-east-1/s3.bucket/transactions"));
    let mut edited = policy(s3.get_bucket_policy().bucket(bucket).send().await.unwrap().policy().unwrap());
    edited["Statement"].as_array_mut().unwrap().push(json!({
        "Sid": "Theirs",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteObject",
        "Resource": format!("arn:aws:s3:::{bucket}/*"),
    }));
    s3.put_bucket_policy().bucket(bucket).policy(edited.to_string()).send().await.unwrap();
}

async fn retention_is_changed(world: &World) {
    set_retention(world, 7).await;
}

/// Sets the retention of the flow logs.
pub(crate) async fn set_retention(world: &World, days: i32) {
    let logs = aws_sdk_cloudwatchlogs::Client::new(&world.bench.sdk(HOME));
    let call = logs.put_retention_policy().log_group_name(world.id("us-east-1/logs.log-group/flow-logs"));
    call.retention_in_days(days).send().await.unwrap();
}

async fn parameter_is_changed(world: &World) {
    let rds = aws_sdk_rds::Client::new(&world.bench.sdk(HOME));
    let parameter = Parameter::builder().parameter_name("rds.force_ssl").parameter_value("0");
    let call = rds.modify_db_cluster_parameter_group();
    let call = call.db_cluster_parameter_group_name(world.id("us-east-1/rds.cluster-parameter-group/database-16"));
    call.parameters(parameter.apply_method(ApplyMethod::Immediate).build()).send().await.unwrap();
}

async fn policy_is_attached(world: &World) {
    let iam = aws_sdk_iam::Client::new(&world.bench.sdk(HOME));
    let call = iam.attach_role_policy().role_name(world.id("global/iam.role/ecs-task-us-east-1"));
    call.policy_arn("arn:aws:iam::aws:policy/ReadOnlyAccess").send().await.unwrap();
}

async fn rotation_is_disabled(world: &World) {
    let kms = aws_sdk_kms::Client::new(&world.bench.sdk(OTHER));
    kms.disable_key_rotation().key_id(world.id("us-east-2/kms.key/storage")).send().await.unwrap();
}
