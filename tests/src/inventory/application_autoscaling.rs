//! Scalable targets and scaling policies.

use aws_sdk_applicationautoscaling::types::ServiceNamespace;

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn scaling(&mut self, bench: &Bench, region: &str) {
        let scaling = aws_sdk_applicationautoscaling::Client::new(&bench.sdk(region));
        let targets = scaling.describe_scalable_targets().service_namespace(ServiceNamespace::Ecs);
        for it in targets.send().await.unwrap().scalable_targets() {
            self.note(region, "application-autoscaling.target", Some(it.resource_id()));
        }
        let policies = scaling.describe_scaling_policies().service_namespace(ServiceNamespace::Ecs);
        for it in policies.send().await.unwrap().scaling_policies() {
            let name = format!("{} {}", it.resource_id(), it.policy_name());
            self.note(region, "application-autoscaling.policy", Some(&name));
        }
    }
}
