//! Retention periods of logs.

use payinfra_engine::{Error, Result};

/// The default retention period, in days.
pub(crate) const DEFAULT: i32 = 90;

/// The retention periods that `CloudWatch` Logs supports, in days.
const RETENTION: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// Checks that `CloudWatch` Logs supports a retention period of `days`.
pub(crate) fn retention(days: i32) -> Result<()> {
    if RETENTION.contains(&days) {
        return Ok(());
    }
    let known: Vec<_> = RETENTION.iter().map(ToString::to_string).collect();
    Err(Error::invalid(format!("CloudWatch Logs does not support a retention of {days} days"))
        .hint(format!("use one of {}", known.join(", "))))
}
