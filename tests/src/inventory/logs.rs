//! Log groups and metric filters.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn logs(&mut self, bench: &Bench, region: &str) {
        let logs = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk(region));
        for it in logs.describe_log_groups().send().await.unwrap().log_groups() {
            self.note(region, "logs.log-group", it.log_group_name());
        }
        for it in logs.describe_metric_filters().send().await.unwrap().metric_filters() {
            let id = it.log_group_name().zip(it.filter_name()).map(|(group, name)| format!("{group}:{name}"));
            self.note(region, "logs.metric-filter", id.as_deref());
        }
    }
}
