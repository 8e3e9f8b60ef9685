//! Retries of temporary failures. The SDK's own retries are disabled, because a lost response may hide a success.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use payinfra_engine::{Class, Error, Result};

/// The delay before each retry; about six seconds in all.
pub(crate) const PAUSES: [Duration; 7] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_secs(3),
];

/// Limits the time of a request; the SDK's own timeouts end once the connection is established.
pub(crate) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).operation_attempt_timeout(attempt).build()
}

/// Retries temporary failures. Only for idempotent calls.
pub(crate) async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for pause in PAUSES {
        match attempt().await {
            Err(error) if passes(&error) => {
                tracing::debug!("{error}; retrying in {} ms", pause.as_millis());
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
    attempt().await
}

/// Whether the same call may succeed a moment later.
fn passes(error: &Error) -> bool {
    use Class::{Ambiguous, Conflict, Eventual, Expired, Throttled};
    // New credentials may become available at any time.
    matches!(error.class(), Ambiguous | Throttled | Conflict | Eventual | Expired)
}
