//! Hosted zones, records and health checks.

use std::fmt::Write as _;

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn names(&mut self, bench: &Bench) {
        let route53 = aws_sdk_route53::Client::new(&bench.sdk("us-east-1"));
        for zone in route53.list_hosted_zones().send().await.unwrap().hosted_zones() {
            let id = hexadecimal(zone.id());
            self.note("global", "route53.hosted-zone", Some(&format!("{} {id}", zone.name())));
            let records = route53.list_resource_record_sets().hosted_zone_id(zone.id()).send().await.unwrap();
            for it in records.resource_record_sets() {
                let identifier = it.set_identifier().unwrap_or("alone");
                let record = format!("{} {} {identifier} {id}", it.name(), it.r#type());
                self.note("global", "route53.record-set", Some(&record));
            }
        }
        for it in route53.list_health_checks().send().await.unwrap().health_checks() {
            self.note("global", "route53.health-check", Some(it.id()));
        }
    }
}

/// An id in the form of other services' ids.
fn hexadecimal(id: &str) -> String {
    id.bytes().fold("zone-".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
