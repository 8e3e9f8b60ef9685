//! The check right before a request is sent: whether changes are still allowed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::result::ConnectorError;
use payinfra_engine::Guard;

/// The guard that every mutating request asks.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<Option<Guard>>>);

/// The prefixes of read-only operations.
const READS: &[&str] = &["BatchGet", "Describe", "Filter", "Get", "Head", "List", "Lookup", "Query", "Scan", "Search"];

/// An operation that changes no resource: it publishes a data point of a metric. An apply without changes calls it
/// without the lock.
const PUBLISHES: &str = "PutMetricData";

impl Gate {
    /// From now on, asks `guard`.
    pub(crate) fn set(&self, guard: Guard) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }

    /// Lets a request pass, unless it is mutating and the guard refuses. The engine's error is inside the SDK's error.
    pub(crate) fn pass(&self, method: &str, operation: &str) -> Result<(), ConnectorError> {
        // REST protocols do not contain the operation's name, but the HTTP method.
        let reads = method == "GET" || method == "HEAD" || READS.iter().any(|read| operation.starts_with(read));
        let reads = reads || operation == PUBLISHES;
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match guard {
            Some(guard) if !reads => guard().map_err(|refusal| ConnectorError::user(refusal.into())),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}
