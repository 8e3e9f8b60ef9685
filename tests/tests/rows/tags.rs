//! Tags, read from each service.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Filter;
use payinfra_tests::Bench;

use crate::{ACCOUNT, migration};

/// The kinds that AWS cannot tag.
const UNTAGGABLE: [&str; 11] = [
    "application-autoscaling.policy",
    "cloudwatch.dashboard",
    "ec2.route",
    "ec2.route-table-association",
    "ec2.transit-gateway-route",
    "eventbridge.target",
    "kms.alias",
    "route53.delegation",
    "route53.record-set",
    "sns.subscription",
    "wafv2.web-acl-association",
];

/// The ARN of the resource with this id, derived from the name if the id is not an ARN.
fn arn(region: &str, kind: &str, id: &str) -> String {
    let (service, home, rest) = match kind {
        "cloudtrail.trail" => ("cloudtrail", region, "trail/"),
        "cloudwatch.alarm" | "cloudwatch.composite-alarm" => ("cloudwatch", region, "alarm:"),
        "dynamodb.table" => ("dynamodb", region, "table/"),
        "eventbridge.rule" => ("events", region, "rule/"),
        "logs.log-group" => ("logs", region, "log-group:"),
        "rds.cluster" => ("rds", region, "cluster:"),
        "rds.cluster-instance" | "rds.instance" => ("rds", region, "db:"),
        "rds.cluster-parameter-group" => ("rds", region, "cluster-pg:"),
        "rds.global-cluster" => ("rds", "", "global-cluster:"),
        "rds.parameter-group" => ("rds", region, "pg:"),
        "rds.subnet-group" => ("rds", region, "subgrp:"),
        _ => return id.to_owned(),
    };
    format!("arn:aws:{service}:{home}:{ACCOUNT}:{rest}{id}")
}

/// The tags of the resource with this id, from the service's own API.
#[expect(clippy::too_many_lines, reason = "an arm for each service")]
async fn tags(bench: &Bench, region: &str, kind: &str, id: &str) -> BTreeMap<String, String> {
    let region = if region == "global" { "us-east-1" } else { region };
    let sdk = bench.sdk(region);
    let arn = arn(region, kind, id);
    let pair = |key: Option<&str>, value: Option<&str>| (key.unwrap().to_owned(), value.unwrap().to_owned());
    /// The tags in a response, with or without optional keys and values.
    macro_rules! pairs {
        ($tags:expr) => {
            $tags.iter().map(|tag| pair(tag.key(), tag.value())).collect()
        };
        (always: $tags:expr) => {
            $tags.iter().map(|tag| pair(Some(tag.key()), Some(tag.value()))).collect()
        };
    }
    match kind.split_once('.').unwrap().0 {
        "acm" => {
            let client = aws_sdk_acm::Client::new(&sdk);
            let answer = client.list_tags_for_certificate().certificate_arn(arn).send().await.unwrap();
            answer.tags().iter().map(|tag| pair(Some(tag.key()), tag.value())).collect()
        }
        "application-autoscaling" => {
            let client = aws_sdk_applicationautoscaling::Client::new(&sdk);
            let answer = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
            answer.tags().cloned().unwrap_or_default().into_iter().collect()
        }
        "cloudtrail" => {
            let client = aws_sdk_cloudtrail::Client::new(&sdk);
            let answer = client.list_tags().resource_id_list(arn).send().await.unwrap();
            answer.resource_tag_list()[0].tags_list().iter().map(|tag| pair(Some(tag.key()), tag.value())).collect()
        }
        "cloudwatch" => {
            let client = aws_sdk_cloudwatch::Client::new(&sdk);
            pairs!(client.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags())
        }
        "dynamodb" => {
            let client = aws_sdk_dynamodb::Client::new(&sdk);
            pairs!(always: client.list_tags_of_resource().resource_arn(arn).send().await.unwrap().tags())
        }
        "ec2" => {
            let filter = Filter::builder().name("resource-id").values(id).build();
            pairs!(bench.ec2(region).describe_tags().filters(filter).send().await.unwrap().tags())
        }
        "ecs" => {
            let client = aws_sdk_ecs::Client::new(&sdk);
            pairs!(client.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags())
        }
        "elbv2" => {
            let client = aws_sdk_elasticloadbalancingv2::Client::new(&sdk);
            let answer = client.describe_tags().resource_arns(arn).send().await.unwrap();
            answer.tag_descriptions()[0].tags().iter().map(|tag| pair(tag.key(), tag.value())).collect()
        }
        "eventbridge" => {
            let client = aws_sdk_eventbridge::Client::new(&sdk);
            pairs!(always: client.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags())
        }
        "iam" => {
            let client = aws_sdk_iam::Client::new(&sdk);
            pairs!(always: client.list_role_tags().role_name(id).send().await.unwrap().tags())
        }
        "kms" => {
            let answer = aws_sdk_kms::Client::new(&sdk).list_resource_tags().key_id(id).send().await.unwrap();
            answer.tags().iter().map(|tag| pair(Some(tag.tag_key()), Some(tag.tag_value()))).collect()
        }
        "logs" => {
            let client = aws_sdk_cloudwatchlogs::Client::new(&sdk);
            let answer = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
            answer.tags().cloned().unwrap_or_default().into_iter().collect()
        }
        "rds" => {
            let client = aws_sdk_rds::Client::new(&sdk);
            pairs!(client.list_tags_for_resource().resource_name(arn).send().await.unwrap().tag_list())
        }
        "route53" => {
            let of = if kind == "route53.health-check" { "healthcheck" } else { "hostedzone" };
            let client = aws_sdk_route53::Client::new(&sdk);
            let answer = client.list_tags_for_resource().resource_type(of.into()).resource_id(id).send().await.unwrap();
            pairs!(answer.resource_tag_set().unwrap().tags())
        }
        "s3" => {
            pairs!(always: bench.s3(region).get_bucket_tagging().bucket(id).send().await.unwrap().tag_set())
        }
        "secretsmanager" => {
            let client = aws_sdk_secretsmanager::Client::new(&sdk);
            pairs!(client.describe_secret().secret_id(id).send().await.unwrap().tags())
        }
        "sns" => {
            let client = aws_sdk_sns::Client::new(&sdk);
            pairs!(always: client.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags())
        }
        "ssm" => {
            let client = aws_sdk_ssm::Client::new(&sdk);
            let call = client.list_tags_for_resource().resource_type("Parameter".into()).resource_id(id);
            pairs!(always: call.send().await.unwrap().tag_list())
        }
        "wafv2" => {
            let client = aws_sdk_wafv2::Client::new(&sdk);
            let answer = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
            pairs!(always: answer.tag_info_for_resource().unwrap().tag_list())
        }
        _ => BTreeMap::new(),
    }
}

/// M-05, X-02, X-01: all taggable resources have the stack's five tags, with the configured time, and the three owner
/// tags; their names contain the suffix.
#[tokio::test(flavor = "multi_thread")]
async fn m05_x02_x01_all_that_can_have_tags_has_those_of_the_stack_and_of_its_owner() {
    let bench = migration().await;
    let state = bench.state("migration");
    let mut kinds = BTreeSet::new();
    for (address, record) in state["resources"].as_object().unwrap() {
        let (region, rest) = address.split_once('/').unwrap();
        let kind = rest.split_once('/').unwrap().0;
        if UNTAGGABLE.contains(&kind) {
            continue;
        }
        kinds.insert(kind.to_owned());
        let id = match kind {
            // The id names the scaled resource; tags are read by AWS's ARN.
            "application-autoscaling.target" => &record["outputs"]["arn"],
            _ => &record["id"],
        };
        let tags = tags(bench, region, kind, id.as_str().unwrap()).await;
        let get = |key| tags.get(key).map_or("(missing)", String::as_str);
        let expected = [
            ("CutoverTimestamp", "2026-03-01T02:00:00Z"),
            ("Environment", "migration"),
            ("ManagedBy", "payinfra"),
            ("MigrationPhase", "migration"),
            ("Project", "payment-migration"),
            ("payinfra:stack", "migration"),
            ("payinfra:workspace", "migration"),
            ("payinfra:address", address),
        ];
        for (key, value) in expected {
            assert_eq!(get(key), value, "{address}: the tag {key} of {tags:?}");
        }
        assert!(get("Name").ends_with("-migration-demo1"), "{address}: {tags:?}");
    }
    assert!(kinds.len() >= 15, "{kinds:?}");
}
