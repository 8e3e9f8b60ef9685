//! The last look before a request leaves: whether we may still change anything.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::result::ConnectorError;
use payinfra_engine::Guard;

/// What is asked before every request that changes something.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<Option<Guard>>>);

/// How the names of operations begin that change nothing.
const READS: &[&str] = &["BatchGet", "Describe", "Filter", "Get", "Head", "List", "Lookup", "Query", "Scan", "Search"];

/// What changes no resource: a data point of a metric. An apply that finds nothing to do publishes it without the lock.
const PUBLISHES: &str = "PutMetricData";

impl Gate {
    /// From now on `guard` is asked.
    pub(crate) fn set(&self, guard: Guard) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }

    /// Lets a request through, unless it changes something and the guard refuses. The refusal is the engine's error,
    /// inside of the SDK's.
    pub(crate) fn pass(&self, method: &str, operation: &str) -> Result<(), ConnectorError> {
        // REST protocols do not name the operation; the method says it.
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
