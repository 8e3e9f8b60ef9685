//! Settings that are separate from a table's schema: point-in-time recovery, protection, and time to live.

use aws_sdk_dynamodb::types::{
    PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use payinfra_engine::Result;

use crate::{Cx, Explain};

/// Whether point-in-time recovery is enabled in the region.
pub(super) async fn recovery(cx: &Cx, name: &str) -> Result<bool> {
    let found = cx.dynamodb().describe_continuous_backups().table_name(name).send().await.explain()?;
    let recovery = found.continuous_backups_description.and_then(|it| it.point_in_time_recovery_description);
    let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
    Ok(status == Some(PointInTimeRecoveryStatus::Enabled))
}

pub(super) async fn put_recovery(cx: &Cx, name: &str, on: bool) -> Result<()> {
    let specification = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(on).build();
    let call = cx.dynamodb().update_continuous_backups().table_name(name);
    call.point_in_time_recovery_specification(specification.explain()?).send().await.explain().map(drop)
}

/// Whether deletion protection is enabled in the region.
pub(super) async fn put_deletion_protection(cx: &Cx, name: &str, on: bool) -> Result<()> {
    let call = cx.dynamodb().update_table().table_name(name).deletion_protection_enabled(on);
    call.send().await.explain().map(drop)
}

/// The time-to-live attribute. It counts from the request on, which may take up to an hour to have an effect.
pub(super) async fn time_to_live(cx: &Cx, name: &str) -> Result<Option<String>> {
    let found = cx.dynamodb().describe_time_to_live().table_name(name).send().await.explain()?;
    let description = found.time_to_live_description.filter(|found| {
        matches!(found.time_to_live_status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
    });
    Ok(description.and_then(|found| found.attribute_name))
}

/// Another attribute requires disabling time to live first (AWS-FACTS §1.4); the next update enables it.
pub(super) async fn put_time_to_live(cx: &Cx, name: &str, was: Option<&str>, want: Option<&str>) -> Result<()> {
    let (on, attribute) = match (was, want) {
        (Some(was), _) => (false, was),
        (None, Some(want)) => (true, want),
        (None, None) => return Ok(()),
    };
    let specification = TimeToLiveSpecification::builder().enabled(on).attribute_name(attribute).build().explain()?;
    let call = cx.dynamodb().update_time_to_live().table_name(name).time_to_live_specification(specification);
    match call.send().await.explain() {
        // An earlier attempt whose response was lost.
        Err(error) if error.message().contains("TimeToLive is already") => Ok(()),
        other => other.map(drop),
    }
}
