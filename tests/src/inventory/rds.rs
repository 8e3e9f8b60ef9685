//! Database clusters, instances and groups.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn databases(&mut self, bench: &Bench, region: &str) {
        let rds = aws_sdk_rds::Client::new(&bench.sdk(region));
        for it in rds.describe_db_clusters().send().await.unwrap().db_clusters() {
            self.note(region, "rds.cluster", it.db_cluster_identifier());
        }
        for it in rds.describe_db_instances().send().await.unwrap().db_instances() {
            let kind = if it.db_cluster_identifier().is_some() { "rds.cluster-instance" } else { "rds.instance" };
            self.note(region, kind, it.db_instance_identifier());
        }
        for it in rds.describe_db_parameter_groups().send().await.unwrap().db_parameter_groups() {
            // AWS creates a default one with the first instance of a family.
            let name = it.db_parameter_group_name().filter(|name| !name.starts_with("default."));
            if name.is_some() {
                self.note(region, "rds.parameter-group", name);
            }
        }
        for it in rds.describe_db_cluster_parameter_groups().send().await.unwrap().db_cluster_parameter_groups() {
            self.note(region, "rds.cluster-parameter-group", it.db_cluster_parameter_group_name());
        }
        for it in rds.describe_db_subnet_groups().send().await.unwrap().db_subnet_groups() {
            self.note(region, "rds.subnet-group", it.db_subnet_group_name());
        }
    }

    /// Every region returns the same ones.
    pub(super) async fn global_databases(&mut self, bench: &Bench) {
        let rds = aws_sdk_rds::Client::new(&bench.sdk("us-east-1"));
        for it in rds.describe_global_clusters().send().await.unwrap().global_clusters() {
            self.note("global", "rds.global-cluster", it.global_cluster_identifier());
        }
    }
}
