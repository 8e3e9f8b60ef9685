//! Load balancers, listeners, rules and target groups.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn balancers(&mut self, bench: &Bench, region: &str) {
        let elb = aws_sdk_elasticloadbalancingv2::Client::new(&bench.sdk(region));
        for it in elb.describe_target_groups().send().await.unwrap().target_groups() {
            self.note(region, "elbv2.target-group", it.target_group_arn());
        }
        for it in elb.describe_load_balancers().send().await.unwrap().load_balancers() {
            self.note(region, "elbv2.load-balancer", it.load_balancer_arn());
            let call = elb.describe_listeners().set_load_balancer_arn(it.load_balancer_arn.clone());
            for it in call.send().await.unwrap().listeners() {
                self.note(region, "elbv2.listener", it.listener_arn());
                let call = elb.describe_rules().set_listener_arn(it.listener_arn.clone());
                let rules = call.send().await.unwrap();
                for it in rules.rules().iter().filter(|rule| rule.is_default() != Some(true)) {
                    self.note(region, "elbv2.listener-rule", it.rule_arn());
                }
            }
        }
    }
}
