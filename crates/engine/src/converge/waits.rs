//! How long to wait between reads, and in all.

use std::time::Duration;

use tokio::time::Instant;

/// How long after its create a resource may be invisible (AWS-FACTS §0.4), and how long if reads are consistent.
pub(super) const VISIBLE: Duration = Duration::from_mins(2);
pub(super) const CONSISTENT: Duration = Duration::from_secs(5);
/// The minimum and maximum time between two reads.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The pauses between reads: at most a twentieth of the elapsed time, so that polling adds no more than 5 % to a wait.
pub(super) struct Waits {
    pub(super) begun: Instant,
    /// The common start of all waits of an apply: pauses end at common times, at which one call reads many resources.
    pub(super) epoch: Instant,
    pub(super) told: bool,
}

impl Waits {
    pub(super) fn next(&mut self) -> Duration {
        let pause = (self.begun.elapsed() / 20).clamp(PAUSES.0, PAUSES.1);
        // The largest power of two that is at most half of the pause.
        let half = u64::try_from(pause.as_millis() / 2).unwrap_or(1).max(1);
        let grid = 1_u64 << half.ilog2();
        let now = self.epoch.elapsed();
        let then = u64::try_from((now + pause).as_millis()).unwrap_or_default() / grid * grid;
        Duration::from_millis(then).saturating_sub(now)
    }
}
