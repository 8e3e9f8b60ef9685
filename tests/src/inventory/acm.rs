//! Certificates.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn certificates(&mut self, bench: &Bench, region: &str) {
        let acm = aws_sdk_acm::Client::new(&bench.sdk(region));
        for it in acm.list_certificates().send().await.unwrap().certificate_summary_list() {
            self.note(region, "acm.certificate", it.certificate_arn());
        }
    }
}
