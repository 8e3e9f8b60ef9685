//! Trails.

use super::Inventory;
use crate::Bench;

impl Inventory {
    /// All regions list a trail for all regions; it counts in its home region.
    pub(super) async fn trails(&mut self, bench: &Bench, region: &str) {
        let cloudtrail = aws_sdk_cloudtrail::Client::new(&bench.sdk(region));
        for it in cloudtrail.describe_trails().include_shadow_trails(false).send().await.unwrap().trail_list() {
            self.note(region, "cloudtrail.trail", it.name());
        }
    }
}
