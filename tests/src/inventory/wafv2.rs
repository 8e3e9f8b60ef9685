//! Web ACLs and their associations.

use aws_sdk_wafv2::types::Scope;

use super::Inventory;
use crate::Bench;

impl Inventory {
    /// After the load balancers, so that only associations with listed ones count.
    pub(super) async fn web_acls(&mut self, bench: &Bench, region: &str) {
        let waf = aws_sdk_wafv2::Client::new(&bench.sdk(region));
        for it in waf.list_web_acls().scope(Scope::Regional).send().await.unwrap().web_acls() {
            self.note(region, "wafv2.web-acl", it.arn());
        }
        let elb = aws_sdk_elasticloadbalancingv2::Client::new(&bench.sdk(region));
        for it in elb.describe_load_balancers().send().await.unwrap().load_balancers() {
            let arn = it.load_balancer_arn().unwrap();
            let found = waf.get_web_acl_for_resource().resource_arn(arn).send().await.unwrap();
            if found.web_acl().is_some() {
                self.note(region, "wafv2.web-acl-association", Some(arn));
            }
        }
    }
}
