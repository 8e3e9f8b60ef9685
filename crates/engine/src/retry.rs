//! Trying again: how long and how often depends on the class of the failure, and on nothing else.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{Class, Error, Result};

/// How long each class of failure is borne with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Something else is in the way.
    conflict: Duration,
    /// A parent made a moment ago is not visible yet.
    not_found: Duration,
    /// Time-outs, resets, HTTP 5xx. Only for calls that may be repeated.
    ambiguous: Duration,
}

/// IAM and KMS need seconds, at worst minutes, until a new role or key is known everywhere (AWS-FACTS §0.7).
const EVENTUAL: Duration = Duration::from_mins(4);
/// The SDK fetches credentials anew; where there are none, only a person can sign in again.
const EXPIRED: Duration = Duration::from_secs(5);
/// A throttled call works later; a quarter of an hour is longer than any bucket takes to refill.
const THROTTLED: Duration = Duration::from_mins(15);

/// However the failures take turns, this is enough of them.
const ENOUGH: Duration = Duration::from_mins(30);

impl Patience {
    /// For a call that starts a life; what it refers to may be seconds old. Ambiguity is for the caller to clear up.
    pub(crate) fn creating() -> Self {
        Self { conflict: Duration::from_mins(5), not_found: Duration::from_mins(2), ambiguous: Duration::ZERO }
    }

    /// For a call that changes something, and that may be repeated.
    pub(crate) fn changing(timeout: Duration) -> Self {
        Self { conflict: timeout, not_found: Duration::from_mins(2), ambiguous: Duration::from_mins(3) }
    }

    /// For a call that ends a life: what hangs on it may still be going.
    pub(crate) fn removing(timeout: Duration) -> Self {
        Self { conflict: timeout, not_found: Duration::ZERO, ambiguous: Duration::from_mins(3) }
    }

    /// For a call that only looks.
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

/// Repeats `call` while its failures can be borne with.
pub(crate) async fn patiently<T, F, Fut>(patience: &Patience, mut call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let begun = Instant::now();
    let mut pause = Pause::default();
    // A minute's hang must not use up what a conflict after it is given: another class starts the time anew.
    let mut met = None;
    loop {
        match call().await {
            Ok(done) => return Ok(done),
            Err(error) => {
                let class = error.class();
                let since = met.filter(|(other, _)| *other == class).map_or_else(Instant::now, |(_, since)| since);
                met = Some((class, since));
                if since.elapsed() >= patience.of(class) || begun.elapsed() >= ENOUGH {
                    return Err(error);
                }
                tracing::debug!(%error, "trying again");
                sleep(pause.next(&error)).await;
            }
        }
    }
}

/// The pauses between attempts: short and flat for what settles by itself, doubling for what we cause.
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
