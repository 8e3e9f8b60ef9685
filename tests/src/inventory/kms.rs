//! Keys.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn keys(&mut self, bench: &Bench, region: &str) {
        let kms = aws_sdk_kms::Client::new(&bench.sdk(region));
        for it in kms.list_keys().send().await.unwrap().keys() {
            let id = it.key_id().unwrap_or("?");
            let key = kms.describe_key().key_id(id).send().await.unwrap();
            let key = key.key_metadata().unwrap();
            let ours = key.key_manager() != Some(&aws_sdk_kms::types::KeyManagerType::Aws);
            if ours && key.key_state() != Some(&aws_sdk_kms::types::KeyState::PendingDeletion) {
                self.note(region, "kms.key", Some(id));
            }
        }
        for it in kms.list_aliases().send().await.unwrap().aliases() {
            if !it.alias_name().is_some_and(|name| name.starts_with("alias/aws/")) {
                self.note(region, "kms.alias", it.alias_name());
            }
        }
    }
}
