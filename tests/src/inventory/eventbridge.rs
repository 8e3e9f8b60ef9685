//! Rules and their targets.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn rules(&mut self, bench: &Bench, region: &str) {
        let events = aws_sdk_eventbridge::Client::new(&bench.sdk(region));
        for rule in events.list_rules().send().await.unwrap().rules() {
            self.note(region, "eventbridge.rule", rule.name());
            let name = rule.name().unwrap();
            for it in events.list_targets_by_rule().rule(name).send().await.unwrap().targets() {
                self.note(region, "eventbridge.target", Some(&format!("{name}/{}", it.id())));
            }
        }
    }
}
