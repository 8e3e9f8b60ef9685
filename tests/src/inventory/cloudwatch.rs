//! Alarms and dashboards.

use aws_sdk_cloudwatch::types::AlarmType;

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn alarms(&mut self, bench: &Bench, region: &str) {
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk(region));
        let types = vec![AlarmType::CompositeAlarm, AlarmType::MetricAlarm];
        let mut pages = cloudwatch.describe_alarms().set_alarm_types(Some(types)).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            for it in page.metric_alarms() {
                self.note(region, "cloudwatch.alarm", it.alarm_name());
            }
            for it in page.composite_alarms() {
                self.note(region, "cloudwatch.composite-alarm", it.alarm_name());
            }
        }
    }

    /// All regions share them.
    pub(super) async fn dashboards(&mut self, bench: &Bench) {
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&bench.sdk("us-east-1"));
        for it in cloudwatch.list_dashboards().send().await.unwrap().dashboard_entries() {
            self.note("global", "cloudwatch.dashboard", it.dashboard_name());
        }
    }
}
