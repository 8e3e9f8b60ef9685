//! The clock that measures leases.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A clock that cannot be set, and that continues while the machine is suspended: a lease must not survive a suspend.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// The time since a fixed moment in the past, which is the same for the whole process.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(CLOCK);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.try_into().unwrap_or(0))
}
