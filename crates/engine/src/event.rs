//! Events of an apply, for observers: the terminal, a log, a test.

use serde::Serialize;

use crate::address::Address;
use crate::error::Error;
use crate::plan::Action;

/// An event.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// An operation on a resource has started.
    Started {
        /// The address of the resource.
        address: Address,
        /// The operation.
        action: Action,
        /// How long it usually takes, in seconds.
        expected: f64,
    },
    /// The resource exists and has an id; it may not be ready yet.
    Exists {
        /// The address of the resource.
        address: Address,
        /// Its id.
        id: String,
    },
    /// An operation is waiting for the resource to reach a status.
    Waiting {
        /// The address of the resource.
        address: Address,
        /// The status: `ready`, `gone`, or `drained`: deleted, and no longer in use by clients.
        until: &'static str,
        /// Why it takes longer than usual, as far as known.
        because: Option<String>,
    },
    /// An operation has finished.
    Done {
        /// The address of the resource.
        address: Address,
        /// The operation.
        action: Action,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// An operation failed.
    Failed {
        /// The address of the resource.
        address: Address,
        /// The error.
        error: String,
    },
    /// An operation was not started, because a dependency failed.
    Skipped {
        /// The address of the resource.
        address: Address,
        /// The address of the failed dependency.
        because: Address,
    },
}

/// Receives events.
pub trait Observer: Send + Sync {
    /// Receives `event`; must not block.
    fn notice(&self, event: &Event);
}

/// Ignores all events.
impl Observer for () {
    fn notice(&self, _: &Event) {}
}

/// The result of an apply.
#[derive(Debug, Default)]
pub struct Report {
    /// The steps that succeeded, in the order in which they finished.
    pub done: Vec<(Address, Action)>,
    /// The steps that failed.
    pub failed: Vec<(Address, Error)>,
    /// The steps that were not started, because of the failure of this dependency, or of Ctrl-C.
    pub skipped: Vec<(Address, Option<Address>)>,
    /// Whether Ctrl-C interrupted it.
    pub cancelled: bool,
}

impl Report {
    /// Whether all planned steps succeeded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && !self.cancelled
    }
}
