//! Trails.

use super::Inventory;
use crate::Bench;

impl Inventory {
    /// A trail over all regions is told of in all of them; here it counts where it is at home.
    pub(super) async fn trails(&mut self, bench: &Bench, region: &str) {
        let cloudtrail = aws_sdk_cloudtrail::Client::new(&bench.sdk(region));
        for it in cloudtrail.describe_trails().include_shadow_trails(false).send().await.unwrap().trail_list() {
            self.note(region, "cloudtrail.trail", it.name());
        }
    }
}
