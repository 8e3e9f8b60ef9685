//! Roles and keys.

use std::collections::BTreeSet;

use aws_sdk_kms::types::{KeyManagerType, KeyState};
use serde_json::Value;

use crate::{ACCOUNT, SIDES, key, migration, policy, texts};

/// M-21, X-04: a role for each task and region, which one service may assume, with only the permissions that the task
/// needs and no wildcards.
#[tokio::test(flavor = "multi_thread")]
async fn m21_x04_each_task_has_a_role_that_may_do_little() {
    let bench = migration().await;
    let iam = aws_sdk_iam::Client::new(&bench.sdk("us-east-1"));
    let roles = iam.list_roles().send().await.unwrap();
    let ours =
        roles.roles().iter().map(aws_sdk_iam::types::Role::role_name).filter(|name| name.starts_with("payment-"));
    let ours: BTreeSet<_> = ours.map(str::to_owned).collect();
    let mut expected = BTreeSet::new();
    for (region, ..) in SIDES {
        let tasks = [
            ("ecs-execution", "ecs-tasks.amazonaws.com", &["logs:"][..], &["arn:aws:logs:"][..]),
            (
                "ecs-task",
                "ecs-tasks.amazonaws.com",
                &["dynamodb:", "kms:", "s3:"],
                &["arn:aws:dynamodb:", "arn:aws:kms:", "arn:aws:s3:::payment-"],
            ),
            ("flow-logs", "vpc-flow-logs.amazonaws.com", &["logs:"][..], &["arn:aws:logs:"][..]),
            ("replication", "s3.amazonaws.com", &["kms:", "s3:"], &["arn:aws:kms:", "arn:aws:s3:::payment-"]),
        ];
        for (task, service, actions, resources) in tasks {
            let name = format!("payment-{task}-migration-demo1-{region}");
            let role = iam.get_role().role_name(&name).send().await.unwrap();
            let trust = policy(role.role().unwrap().assume_role_policy_document().unwrap());
            let trust = trust["Statement"].as_array().unwrap();
            assert_eq!(trust.len(), 1, "{name}");
            assert_eq!(texts(&trust[0]["Principal"]["Service"]), [service], "{name}");
            assert_eq!(texts(&trust[0]["Action"]), ["sts:AssumeRole"], "{name}");

            let managed = iam.list_attached_role_policies().role_name(&name).send().await.unwrap();
            assert!(managed.attached_policies().is_empty(), "{name}");
            let inline = iam.list_role_policies().role_name(&name).send().await.unwrap();
            assert_eq!(inline.policy_names().len(), 1, "{name}");
            let call = iam.get_role_policy().role_name(&name).policy_name(&inline.policy_names()[0]);
            let document = policy(call.send().await.unwrap().policy_document());
            for statement in document["Statement"].as_array().unwrap() {
                assert_eq!(statement["Effect"], "Allow", "{name}");
                for action in texts(&statement["Action"]) {
                    assert!(
                        !action.contains('*') && actions.iter().any(|it| action.starts_with(it)),
                        "{name}: {action}"
                    );
                }
                for resource in texts(&statement["Resource"]) {
                    assert!(resources.iter().any(|it| resource.starts_with(it)), "{name}: {resource}");
                }
            }
            expected.insert(name);
        }
        expected.insert(monitors_databases(&iam, region).await);
        only_its_own(&iam, region, &key(bench, region, "storage").await).await;
    }
    assert_eq!(ours, expected, "no other roles");
}

/// The role for enhanced monitoring has only AWS's managed policy.
async fn monitors_databases(iam: &aws_sdk_iam::Client, region: &str) -> String {
    let name = format!("payment-db-monitoring-migration-demo1-{region}");
    let role = iam.get_role().role_name(&name).send().await.unwrap();
    let trust = policy(role.role().unwrap().assume_role_policy_document().unwrap());
    assert_eq!(texts(&trust["Statement"][0]["Principal"]["Service"]), ["monitoring.rds.amazonaws.com"]);
    assert_eq!(texts(&trust["Statement"][0]["Condition"]["StringEquals"]["aws:SourceAccount"]), [ACCOUNT]);
    let managed = iam.list_attached_role_policies().role_name(&name).send().await.unwrap();
    let managed: Vec<_> = managed.attached_policies().iter().filter_map(|it| it.policy_name()).collect();
    assert_eq!(managed, ["AmazonRDSEnhancedMonitoringRole"]);
    let inline = iam.list_role_policies().role_name(&name).send().await.unwrap();
    assert!(inline.policy_names().is_empty(), "{name}");
    name
}

/// The replication role of a region reads its own buckets with its own key, and none of the other region's.
async fn only_its_own(iam: &aws_sdk_iam::Client, region: &str, own: &str) {
    let name = format!("payment-replication-migration-demo1-{region}");
    let call = iam.get_role_policy().role_name(&name).policy_name("replication");
    let document = policy(call.send().await.unwrap().policy_document());
    for statement in document["Statement"].as_array().unwrap() {
        let actions = texts(&statement["Action"]);
        let resources = texts(&statement["Resource"]);
        if actions.contains(&"kms:Decrypt") {
            assert_eq!(resources, [own], "{name} decrypts only with its own key");
        }
        if actions.iter().any(|action| action.starts_with("s3:Get")) {
            assert!(resources.iter().all(|it| it.contains(region)), "{name} reads only its own region: {resources:?}");
        }
        if actions.iter().any(|action| action.starts_with("s3:Replicate")) {
            assert!(
                !resources.iter().any(|it| it.contains(region)),
                "{name} writes only to the other region: {resources:?}"
            );
        }
    }
}

/// M-22, X-03: a customer managed key per region and purpose, with rotation and an alias, whose policy names the
/// services that use it.
#[tokio::test(flavor = "multi_thread")]
async fn m22_x03_a_key_per_region_and_purpose_that_names_its_services() {
    let bench = migration().await;
    let mut arns = BTreeSet::new();
    for (region, ..) in SIDES {
        let kms = aws_sdk_kms::Client::new(&bench.sdk(region));
        let purposes = [
            ("application", &["dynamodb", "secretsmanager", "sns", "ssm"][..]),
            ("database", &["rds"]),
            ("logs", &["logs"]),
            ("storage", &["s3"]),
        ];
        for (purpose, services) in purposes {
            let arn = key(bench, region, purpose).await;
            assert!(arn.starts_with(&format!("arn:aws:kms:{region}:")), "{arn}");
            let described = kms.describe_key().key_id(&arn).send().await.unwrap();
            let described = described.key_metadata().unwrap();
            assert_eq!(described.key_manager(), Some(&KeyManagerType::Customer), "{purpose}");
            assert_eq!(described.key_state(), Some(&KeyState::Enabled), "{purpose}");
            let rotation = kms.get_key_rotation_status().key_id(&arn).send().await.unwrap();
            assert!(rotation.key_rotation_enabled(), "{purpose}");

            let policy = kms.get_key_policy().key_id(&arn).policy_name("default").send().await.unwrap();
            let policy: Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
            let mut named = BTreeSet::new();
            for statement in policy["Statement"].as_array().unwrap() {
                let principal = &statement["Principal"];
                let ours = texts(&principal["AWS"]);
                assert!(ours.iter().all(|it| *it == format!("arn:aws:iam::{ACCOUNT}:root")), "{purpose}: {ours:?}");
                assert!(texts(&statement["Action"]).iter().all(|action| !action.contains('*')), "{purpose}");
                let via = texts(&statement["Condition"]["StringEquals"]["kms:ViaService"]);
                named.extend(via.into_iter().chain(texts(&principal["Service"])).map(str::to_owned));
            }
            let expected = services.iter().map(|service| format!("{service}.{region}.amazonaws.com"));
            // These services publish and write on their own behalf, and the trail is in the primary region.
            let own: &[&str] = match purpose {
                "application" => &["cloudwatch.amazonaws.com", "events.amazonaws.com"],
                "storage" if region == "us-east-1" => &["cloudtrail.amazonaws.com"],
                _ => &[],
            };
            let expected = expected.chain(own.iter().map(|service| (*service).to_owned())).collect();
            assert_eq!(named, expected, "{purpose} in {region}");
            arns.insert(arn);
        }
    }
    assert_eq!(arns.len(), 8, "each key has one purpose");
}
