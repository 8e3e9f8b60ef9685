//! Retries: how often, and with which delays.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::process::Clock;

/// An error of a store or an audit. It is never shown to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What may help.
    pub cause: Cause,
    /// The message for the log.
    pub message: String,
}

/// What may help after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A retry may succeed: throttling, a timeout, or a server error.
    Transient,
    /// There was no time for a first attempt, or for another one after a transient error.
    Late,
    /// Retries fail until the setup is corrected: denied access, or a missing table.
    Permanent,
    /// A stored item is not a payment. Only a correction of the item helps.
    Malformed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A retry policy.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// The maximum number of attempts.
    pub attempts: u32,
    /// The first delay; each further delay is twice as long.
    pub first: Duration,
    /// The maximum delay.
    pub longest: Duration,
    /// The time after which no attempt starts. An attempt that started before may end after it.
    pub deadline: Option<Timestamp>,
}

impl Default for Retries {
    /// Five attempts within a second and a half, which clients tolerate.
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_millis(100), longest: Duration::from_secs(1), deadline: None }
    }
}

impl Retries {
    /// The delay after attempt number `attempt`, from 0: between half of its length and its full length. `seed` differs
    /// by client, so that clients that failed at the same moment do not retry at the same moment.
    #[must_use]
    pub fn pause(&self, attempt: u32, seed: &str) -> Duration {
        let whole = self.first.saturating_mul(1 << attempt.min(16)).min(self.longest);
        // FNV-1a, which spreads the values sufficiently.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in seed.bytes().chain(attempt.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let share = u32::try_from((hash >> 32) & 0xff).unwrap_or_default();
        whole / 2 + whole / 2 * share / 255
    }

    /// Whether the deadline has passed once `pause` is over.
    fn late(&self, clock: &impl Clock, pause: Duration) -> bool {
        self.deadline.is_some_and(|deadline| clock.now().checked_add(pause).map_or(true, |then| then >= deadline))
    }

    /// Calls until it succeeds, fails permanently, the attempts are used up, or the deadline is near.
    pub(crate) async fn run<T, C, F, Fut>(&self, clock: &C, seed: &str, mut call: F) -> Result<T, Fault>
    where
        C: Clock,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        if self.late(clock, Duration::ZERO) {
            return Err(Fault { cause: Cause::Late, message: "the deadline passed before the call".to_owned() });
        }
        let mut attempt = 0;
        loop {
            let fault = match call().await {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            if fault.cause != Cause::Transient || attempt + 1 >= self.attempts {
                return Err(fault);
            }
            let pause = self.pause(attempt, seed);
            if self.late(clock, pause) {
                return Err(Fault { cause: Cause::Late, ..fault });
            }
            tracing::debug!(attempt, error = %crate::card::redact(&fault.message), "retrying");
            clock.sleep(pause).await;
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g03_pauses_double_and_are_spread() {
        let retries = Retries::default();
        for attempt in 0..40 {
            let whole = Duration::from_millis(100 << attempt.min(10)).min(Duration::from_secs(1));
            let pauses: Vec<_> = (0..50).map(|seed| retries.pause(attempt, &format!("payment-{seed}"))).collect();
            assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{attempt}: {pauses:?}");
            let distinct: std::collections::BTreeSet<_> = pauses.iter().collect();
            assert!(distinct.len() > 20, "{attempt}: {distinct:?}");
        }
    }
}
