//! Roles.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn roles(&mut self, bench: &Bench) {
        let iam = aws_sdk_iam::Client::new(&bench.sdk("us-east-1"));
        for it in iam.list_roles().send().await.unwrap().roles() {
            self.note("global", "iam.role", Some(it.role_name()));
        }
    }
}
