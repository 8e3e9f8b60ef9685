//! Tables.

use super::Inventory;
use crate::Bench;

/// The table of our own locks.
const LOCKS: &str = "payinfra-locks";

impl Inventory {
    pub(super) async fn tables(&mut self, bench: &Bench, region: &str) {
        let tables = aws_sdk_dynamodb::Client::new(&bench.sdk(region)).list_tables().send().await.unwrap();
        for name in tables.table_names().iter().filter(|name| *name != LOCKS) {
            self.note(region, "dynamodb.table", Some(name));
        }
    }
}
