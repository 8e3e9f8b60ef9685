//! Retention periods of logs.

use payinfra_stack::{Problem, Spanned};

/// The retention periods that `CloudWatch` Logs supports, in days.
const RETENTION: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// A retention period that `CloudWatch` Logs supports.
pub(super) fn retention(days: &Spanned<i32>) -> Result<i32, Problem> {
    if RETENTION.contains(days.get_ref()) {
        return Ok(*days.get_ref());
    }
    let known: Vec<_> = RETENTION.iter().map(ToString::to_string).collect();
    Err(Problem::new(format!("CloudWatch Logs does not support a retention of {} days", days.get_ref()), days.span())
        .hint(format!("use one of {}", known.join(", "))))
}
