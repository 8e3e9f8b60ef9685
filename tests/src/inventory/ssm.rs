//! Parameters and secrets.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn parameters(&mut self, bench: &Bench, region: &str) {
        let ssm = aws_sdk_ssm::Client::new(&bench.sdk(region));
        for it in ssm.describe_parameters().send().await.unwrap().parameters() {
            self.note(region, "ssm.parameter", it.name());
        }
        let secrets = aws_sdk_secretsmanager::Client::new(&bench.sdk(region));
        for it in secrets.list_secrets().send().await.unwrap().secret_list() {
            // The ARN of a new secret always differs.
            self.note(region, "secretsmanager.secret", it.name());
        }
    }
}
