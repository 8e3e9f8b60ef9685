//! Lists the records of a hosted zone.

use aws_sdk_route53::types as sdk;
use payinfra_engine::{Class, Result};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The record sets of a zone, up to the first one for which `enough` is true; none if the zone does not exist.
pub(super) async fn list(
    cx: &Cx,
    zone: &str,
    mut enough: impl FnMut(&sdk::ResourceRecordSet) -> bool,
) -> Result<Vec<sdk::ResourceRecordSet>> {
    let mut found = Vec::new();
    let mut next = (None, None, None);
    loop {
        let (name, kind, identifier) = next.clone();
        let call = cx.route53().list_resource_record_sets().hosted_zone_id(zone).set_start_record_name(name);
        let call = call.set_start_record_type(kind).set_start_record_identifier(identifier);
        let Some(page) = call.send().await.explain().unless(Class::NotFound)? else { return Ok(found) };
        for record in page.resource_record_sets {
            let last = enough(&record);
            found.push(record);
            if last {
                return Ok(found);
            }
        }
        let after = (page.next_record_name, page.next_record_type, page.next_record_identifier);
        if !page.is_truncated || after == next {
            return Ok(found);
        }
        next = after;
    }
}
