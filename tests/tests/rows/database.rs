//! The database.

use aws_sdk_rds::types::{DbCluster, DbInstance, GlobalCluster};
use payinfra_tests::Bench;
use serde_json::Value;

use crate::{SIDES, migration};

fn rds(bench: &Bench, region: &str) -> aws_sdk_rds::Client {
    aws_sdk_rds::Client::new(&bench.sdk(region))
}

async fn cluster(bench: &Bench, workspace: &str, region: &str) -> DbCluster {
    let name = format!("payment-db-cluster-{workspace}-demo1-{region}");
    let found = rds(bench, region).describe_db_clusters().db_cluster_identifier(name).send().await.unwrap();
    found.db_clusters()[0].clone()
}

/// The instances of a region, the writer first.
async fn instances(bench: &Bench, workspace: &str, region: &str) -> Vec<DbInstance> {
    let rds = rds(bench, region);
    let mut instances = Vec::new();
    let mut members = cluster(bench, workspace, region).await.db_cluster_members().to_vec();
    members.sort_by_key(|member| member.is_cluster_writer() != Some(true));
    for member in members {
        let call = rds.describe_db_instances().db_instance_identifier(member.db_instance_identifier().unwrap());
        instances.push(call.send().await.unwrap().db_instances()[0].clone());
    }
    instances
}

async fn global(bench: &Bench, workspace: &str) -> GlobalCluster {
    let found = rds(bench, "us-east-1").describe_global_clusters().send().await.unwrap();
    let name = format!("payment-global-database-{workspace}-demo1");
    let mut found = found.global_clusters().iter().filter(|it| it.global_cluster_identifier() == Some(&name));
    found.next().unwrap().clone()
}

/// The members of the global database: their regions, and whether they are the writer.
fn members(global: &GlobalCluster) -> Vec<(&str, bool)> {
    let mut members: Vec<_> = global
        .global_cluster_members()
        .iter()
        .map(|it| (it.db_cluster_arn().unwrap().split(':').nth(3).unwrap(), it.is_writer() == Some(true)))
        .collect();
    members.sort_unstable();
    members
}

async fn key(bench: &Bench, workspace: &str, region: &str, purpose: &str) -> String {
    let kms = aws_sdk_kms::Client::new(&bench.sdk(region));
    let key = kms.describe_key().key_id(format!("alias/payment-{purpose}-{workspace}-demo1")).send().await.unwrap();
    key.key_metadata().unwrap().arn().unwrap().to_owned()
}

/// M-11: a global database with a writer in the first region and a secondary in the second, each with its own key.
#[tokio::test(flavor = "multi_thread")]
async fn m11_a_global_database_with_a_cluster_in_each_region() {
    let bench = migration().await;
    let global = global(bench, "migration").await;
    assert_eq!(global.engine(), Some("aurora-postgresql"));
    assert_eq!(global.storage_encrypted(), Some(true));
    assert_eq!(members(&global), [("us-east-1", true), ("us-east-2", false)]);
    for (region, ..) in SIDES {
        let cluster = cluster(bench, "migration", region).await;
        assert_eq!(cluster.storage_encrypted(), Some(true), "{region}");
        assert_eq!(cluster.kms_key_id(), Some(&key(bench, "migration", region, "database").await[..]), "{region}");
        assert_eq!(cluster.engine_version(), global.engine_version(), "{region}");
        let instances = instances(bench, "migration", region).await;
        assert_eq!(instances.len(), 1, "{region}");
        assert!(instances.iter().all(|it| it.publicly_accessible() != Some(true)), "{region}");

        let groups = rds(bench, region).describe_db_subnet_groups();
        let group = groups.db_subnet_group_name(cluster.db_subnet_group().unwrap()).send().await.unwrap();
        let mut subnets: Vec<_> =
            group.db_subnet_groups()[0].subnets().iter().map(|it| it.subnet_identifier().unwrap().to_owned()).collect();
        subnets.sort_unstable();
        let outputs = bench.outputs("migration");
        let listed = outputs[format!("private_subnet_ids_{}", region.replace('-', "_"))].as_str().unwrap();
        let mut private: Vec<_> = listed.split(',').collect();
        private.sort_unstable();
        assert_eq!(subnets, private, "{region}");
    }
}

/// M-11: in the phase legacy, the global database exists with one member, so that the second one can join later without
/// a new database; in production each cluster has another reader; nothing is replaced on the way.
#[tokio::test(flavor = "multi_thread")]
async fn m11_the_database_grows_with_the_phases_and_is_never_replaced() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    assert_eq!(members(&global(&bench, "legacy").await), [("us-east-1", true)]);
    let first = cluster(&bench, "legacy", "us-east-1").await;
    assert_eq!(instances(&bench, "legacy", "us-east-1").await.len(), 1);

    let phase = |from: &str, to: &str| {
        let (from, to) = (format!("phase = \"{from}\""), format!("phase = \"{to}\""));
        bench.configure(&bench.configuration().replacen(&from, &to, 1));
        bench.run(&["apply", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    };
    phase("legacy", "migration");
    assert_eq!(members(&global(&bench, "legacy").await), [("us-east-1", true), ("us-east-2", false)]);
    // The workspace is not protected, so the phase can be reverted.
    phase("migration", "production");
    for (region, ..) in SIDES {
        assert_eq!(instances(&bench, "legacy", region).await.len(), 2, "{region}");
    }
    let now = cluster(&bench, "legacy", "us-east-1").await;
    assert_eq!(now.db_cluster_resource_id(), first.db_cluster_resource_id(), "the cluster is the same");

    // And back: the second region's cluster leaves the global database before it is deleted.
    phase("production", "legacy");
    assert_eq!(members(&global(&bench, "legacy").await), [("us-east-1", true)]);
    let now = cluster(&bench, "legacy", "us-east-1").await;
    assert_eq!(now.db_cluster_resource_id(), first.db_cluster_resource_id());
    bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    assert_eq!(bench.inventory().await.count("rds."), 0);
}

/// M-12: backups are retained for a week, with a fixed window and tags on snapshots.
#[tokio::test(flavor = "multi_thread")]
async fn m12_backups_are_kept_for_a_week() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let cluster = cluster(bench, "migration", region).await;
        // With a retention of at least a day, RDS supports point-in-time recovery.
        assert_eq!(cluster.backup_retention_period(), Some(7), "{region}");
        assert_eq!(cluster.preferred_backup_window(), Some("03:00-04:00"), "{region}");
        assert_eq!(cluster.copy_tags_to_snapshot(), Some(true), "{region}");
        assert!(cluster.tag_list().iter().any(|tag| tag.key() == Some("MigrationPhase")), "{region}");
    }
}

/// M-13, X-07: TLS is required, and the master password is generated by AWS, stored in Secrets Manager with our key,
/// and not read by anything else. (RDS manages no passwords of members of a global database.)
#[tokio::test(flavor = "multi_thread")]
async fn m13_tls_is_forced_and_nobody_knows_the_master_password() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let cluster = cluster(bench, "migration", region).await;
        let group = cluster.db_cluster_parameter_group().unwrap();
        assert!(!group.starts_with("default."), "{region}");
        let call = rds(bench, region).describe_db_cluster_parameters().db_cluster_parameter_group_name(group);
        let set = call.source("user").send().await.unwrap();
        let forced = set.parameters().iter().find(|it| it.parameter_name() == Some("rds.force_ssl")).unwrap();
        assert_eq!(forced.parameter_value(), Some("1"), "{region}");
    }
    let secrets = aws_sdk_secretsmanager::Client::new(&bench.sdk("us-east-1"));
    let outputs = bench.outputs("migration");
    let arn = outputs["database_master_secret_arn_us_east_1"].as_str().unwrap();
    let secret = secrets.describe_secret().secret_id(arn).send().await.unwrap();
    assert_eq!(secret.kms_key_id(), Some(&key(bench, "migration", "us-east-1", "application").await[..]));
    let value = secrets.get_secret_value().secret_id(arn).send().await.unwrap();
    let value: Value = serde_json::from_str(value.secret_string().unwrap()).unwrap();
    let password = value["password"].as_str().unwrap();
    assert!(password.len() >= 32);
    assert_eq!(value["username"].as_str(), cluster(bench, "migration", "us-east-1").await.master_username());
    assert!(!bench.state("migration").to_string().contains(password), "it is not in the state");
    let plan = bench.run(&["plan", "--workspace", "migration", "-vv"]).ok();
    assert!(!plan.stdout.contains(password) && !plan.stderr.contains(password), "it is not in the plan");
}

/// M-14: Performance Insights and enhanced monitoring on every instance, and the log in an encrypted log group of ours.
#[tokio::test(flavor = "multi_thread")]
async fn m14_the_databases_are_watched() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        for instance in instances(bench, "migration", region).await {
            assert_eq!(instance.performance_insights_enabled(), Some(true), "{region}");
            assert_eq!(instance.performance_insights_retention_period(), Some(7), "{region}");
            let own = key(bench, "migration", region, "database").await;
            assert_eq!(instance.performance_insights_kms_key_id(), Some(&own[..]), "{region}");
            assert_eq!(instance.monitoring_interval(), Some(60), "{region}");
            let role = instance.monitoring_role_arn().unwrap();
            assert!(role.ends_with(&format!("role/payment-db-monitoring-migration-demo1-{region}")), "{role}");
        }
        let cluster = cluster(bench, "migration", region).await;
        assert_eq!(cluster.enabled_cloudwatch_logs_exports(), ["postgresql"], "{region}");
        let logs = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk(region));
        let name = format!("/aws/rds/cluster/{}/postgresql", cluster.db_cluster_identifier().unwrap());
        let groups = logs.describe_log_groups().log_group_name_prefix(&name).send().await.unwrap();
        let own = key(bench, "migration", region, "logs").await;
        assert_eq!(groups.log_groups()[0].kms_key_id(), Some(&own[..]), "{region}");
        assert!(groups.log_groups()[0].retention_in_days().is_some(), "{region}");
    }
}

/// M-11, M-12, M-28: in production there is a reader for failover, backups are retained for 35 days, and no plan
/// deletes the database.
#[tokio::test(flavor = "multi_thread")]
async fn m11_m12_m28_production_is_at_full_size_and_protected() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "production", "--yes"]).ok();
    let outcome = bench.run(&["destroy", "--workspace", "production", "--yes", "--accept-loss"]).expect(1);
    for told in ["rds.cluster/main", "rds.global-cluster/main", "secretsmanager.password/database"] {
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
    }
    assert_eq!(members(&global(&bench, "production").await), [("us-east-1", true), ("us-east-2", false)]);
    for (region, ..) in SIDES {
        assert_eq!(cluster(&bench, "production", region).await.backup_retention_period(), Some(35), "{region}");
        assert_eq!(instances(&bench, "production", region).await.len(), 2, "{region}");
    }
}
