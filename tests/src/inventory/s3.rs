//! Buckets.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn buckets(&mut self, bench: &Bench) {
        for it in bench.s3("us-east-1").list_buckets().send().await.unwrap().buckets() {
            if !it.name().is_some_and(|name| name.starts_with("payinfra-state")) {
                self.note("global", "s3.bucket", it.name());
            }
        }
    }
}
