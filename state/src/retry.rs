//! Patience with failures that pass. The SDK's own retries are off: whether a lost answer is success is judged here.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use payinfra_engine::{Class, Error, Result};

/// How long to wait before each further attempt: about six seconds in all.
pub(crate) const PAUSES: [Duration; 7] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
    Duration::from_secs(3),
];

/// That a request gives up at last: the SDK's own limits end with the connection.
pub(crate) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(Duration::from_secs(3)).operation_attempt_timeout(attempt).build()
}

/// Tries again while the failure is one that passes. Only for calls that can be repeated.
pub(crate) async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for pause in PAUSES {
        match attempt().await {
            Err(error) if passes(&error) => {
                tracing::debug!("{error}; once more in {} ms", pause.as_millis());
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
    attempt().await
}

/// Whether the same call may work a moment later.
fn passes(error: &Error) -> bool {
    use Class::{Ambiguous, Conflict, Eventual, Expired, Throttled};
    // Fresh credentials may be provided at any moment.
    matches!(error.class(), Ambiguous | Throttled | Conflict | Eventual | Expired)
}
