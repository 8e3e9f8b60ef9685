//! Retries: how long and how often depends only on the class of the failure.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{Class, Error, Result};

/// The retry budget of each class of failures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Conflicts: a dependent or a change in progress.
    conflict: Duration,
    /// A referenced resource that was just created is not visible yet.
    not_found: Duration,
    /// Timeouts, connection resets, HTTP 5xx. Only for calls that may be repeated.
    ambiguous: Duration,
}

/// IAM and KMS need seconds, at worst minutes, to propagate a new role or key (AWS-FACTS §0.7).
const EVENTUAL: Duration = Duration::from_mins(4);
/// The SDK refreshes credentials. If there are none to refresh, the user has to sign in again.
const EXPIRED: Duration = Duration::from_secs(5);
/// A throttled call succeeds later. A quarter of an hour is longer than any token bucket takes to refill.
const THROTTLED: Duration = Duration::from_mins(15);

/// The maximum duration of all attempts, whatever the failures are, unless the budget of the last one is larger.
const ENOUGH: Duration = Duration::from_mins(30);

impl Patience {
    /// For a create. What it refers to may be seconds old. The caller resolves ambiguous failures.
    pub(crate) fn creating() -> Self {
        Self { conflict: Duration::from_mins(5), not_found: Duration::from_mins(2), ambiguous: Duration::ZERO }
    }

    /// For an update that may be repeated.
    pub(crate) fn changing(timeout: Duration) -> Self {
        Self { conflict: timeout, not_found: Duration::from_mins(2), ambiguous: Duration::from_mins(3) }
    }

    /// For a delete: dependents may still be in deletion.
    pub(crate) fn removing(timeout: Duration) -> Self {
        Self { conflict: timeout, not_found: Duration::ZERO, ambiguous: Duration::from_mins(3) }
    }

    /// For a read.
    pub(crate) fn reading() -> Self {
        Self { conflict: Duration::from_mins(1), not_found: Duration::ZERO, ambiguous: Duration::from_mins(3) }
    }

    fn of(&self, class: Class) -> Duration {
        match class {
            Class::Conflict => self.conflict,
            Class::NotFound => self.not_found,
            Class::Ambiguous => self.ambiguous,
            Class::Eventual => EVENTUAL,
            Class::Expired => EXPIRED,
            Class::Throttled => THROTTLED,
            _ => Duration::ZERO,
        }
    }
}

/// Retries a call that only reads within the budgets of its failures.
///
/// # Errors
/// The last failure.
pub async fn reading<T, F, Fut>(call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    patiently(&Patience::reading(), call).await
}

/// Retries `call` within the budgets of its failures.
pub(crate) async fn patiently<T, F, Fut>(patience: &Patience, mut call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let begun = Instant::now();
    let mut pause = Pause::default();
    // Each class of failure starts a new budget, so that a minute of timeouts does not use up the budget for conflicts.
    let mut met = None;
    loop {
        match call().await {
            Ok(done) => return Ok(done),
            Err(error) => {
                let class = error.class();
                let since = met.filter(|(other, _)| *other == class).map_or_else(Instant::now, |(_, since)| since);
                met = Some((class, since));
                let budget = patience.of(class);
                if since.elapsed() >= budget || begun.elapsed() >= ENOUGH.max(budget) {
                    return Err(error);
                }
                tracing::debug!(%error, "retrying");
                sleep(pause.next(&error)).await;
            }
        }
    }
}

/// The delays between attempts: short and constant for conditions that clear on their own, exponential for throttling.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    attempt: u32,
}

impl Pause {
    pub(crate) fn next(&mut self, error: &Error) -> Duration {
        let step = self.attempt.min(5);
        self.attempt += 1;
        let pause = match error.class() {
            Class::Eventual | Class::NotFound => Duration::from_millis(250 << step.min(3)),
            _ => Duration::from_millis(500 << step.min(4)),
        };
        error.get_after().map_or(pause, |after| after.max(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a call that always fails with `class` is retried.
    async fn retried(patience: &Patience, class: Class) -> Duration {
        let begun = Instant::now();
        let failed = patiently(patience, || async { Err::<(), _>(Error::new(class, "again")) }).await;
        assert!(failed.is_err_and(|error| error.is(class)));
        begun.elapsed()
    }

    /// Lambda keeps network interfaces, and so their subnets and security groups, for up to 40 minutes (AWS-FACTS §1.6).
    #[tokio::test(start_paused = true)]
    async fn a_delete_waits_as_long_as_its_kind_allows() {
        let patience = Patience::removing(Duration::from_mins(45));
        assert!(retried(&patience, Class::Conflict).await >= Duration::from_mins(45));
        assert!(retried(&patience, Class::Ambiguous).await < Duration::from_mins(4));
        assert_eq!(retried(&patience, Class::Invalid).await, Duration::ZERO);
    }
}
