//! Clusters, services and task definitions.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn containers(&mut self, bench: &Bench, region: &str) {
        let ecs = aws_sdk_ecs::Client::new(&bench.sdk(region));
        for cluster in ecs.list_clusters().send().await.unwrap().cluster_arns() {
            self.note(region, "ecs.cluster", Some(cluster));
            for service in ecs.list_services().cluster(cluster).send().await.unwrap().service_arns() {
                self.note(region, "ecs.service", Some(service));
            }
        }
        // Inactive ones still exist until they are deleted.
        for status in ["ACTIVE", "INACTIVE"] {
            let found = ecs.list_task_definitions().status(status.into()).send().await.unwrap();
            for definition in found.task_definition_arns() {
                self.note(region, "ecs.task-definition", Some(definition));
            }
        }
    }
}
