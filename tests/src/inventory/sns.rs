//! Topics and subscriptions.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn topics(&mut self, bench: &Bench, region: &str) {
        let sns = aws_sdk_sns::Client::new(&bench.sdk(region));
        for it in sns.list_topics().send().await.unwrap().topics() {
            self.note(region, "sns.topic", it.topic_arn());
        }
        for it in sns.list_subscriptions().send().await.unwrap().subscriptions() {
            self.note(region, "sns.subscription", it.subscription_arn());
        }
    }
}
